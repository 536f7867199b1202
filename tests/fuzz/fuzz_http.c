/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_http.c - anybody's bytes to the admin port: whole and in pieces they are the same requests
 * with the same answers, and the connection comes to its end. The first byte picks the split. */
#include "agent/net/http.h"
#include "proto/base/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/netkit.h"

#define INPUT_MAX 1024 /* fewer requests than a connection may pipeline */
#define HEARD_MAX (64 * 1024)

static struct http_server *server;
static unsigned n_requests;

static void check_text(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		MUST(*s != '\r' && *s != '\n');
}

/* The answer tells what was understood. */
static void answer(void *arg, const struct http_request *r, struct http_answer *a)
{
	(void) arg;
	n_requests++;
	check_text(r->path);
	check_text(r->query);
	check_text(r->host);
	check_text(r->origin);
	check_text(r->authorization);
	MUST(r->method[0] != '\0' && strchr(r->path, '?') == NULL);
	MUST(r->body.len <= LIMIT_HTTP_BODY);
	a->status = 200;
	a->type = "text/plain";
	MUST(buf_add(&a->body, span_str(r->method)) == 0);
	MUST(buf_add(&a->body, span_str(r->path)) == 0);
	MUST(buf_add(&a->body, span_str(r->query)) == 0);
	MUST(buf_add(&a->body, span_str(r->host != NULL ? r->host : "-")) == 0);
	MUST(buf_add(&a->body, r->body) == 0);
}

static size_t heard_to_the_end(int fd, uint8_t dst[static HEARD_MAX])
{
	size_t len = 0;

	for (unsigned i = 0; i < NETKIT_TURNS; i++) {
		ssize_t n = recv(fd, dst + len, HEARD_MAX - len, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return len;
		MUST(n > 0 || errno == EAGAIN);
		len += n > 0 ? (size_t) n : 0;
		MUST(len < HEARD_MAX);
		netkit_spin();
	}
	MUST(len > HEARD_MAX); /* the server does not end the connection */
	return 0;
}

/* What the server said to @in. */
static size_t talk(struct span in, uint32_t seed, uint8_t dst[static HEARD_MAX])
{
	int fd = netkit_connect(http_server_port(server));
	size_t len;

	netkit_spin();
	if (netkit_say(fd, in, seed))
		(void) shutdown(fd, SHUT_WR); /* it may be over */
	len = heard_to_the_end(fd, dst);
	netkit_close(fd);
	for (unsigned i = 0; i < 3; i++)
		netkit_spin();
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[HEARD_MAX], pieces[HEARD_MAX];
	struct span in = span_of(data, size);
	uint32_t seed = fuzz_take_byte(&in) + 1u;
	size_t n_whole, n_pieces;
	unsigned n;

	if (server == NULL)
		MUST(http_server_new(&server, netkit_loop(), "127.0.0.1", 0, answer, NULL) == 0);
	if (in.len > INPUT_MAX)
		return 0;
	n_requests = 0;
	n_whole = talk(in, 0, whole);
	n = n_requests;
	MUST(n_whole == 0 || memcmp(whole, "HTTP/1.1 ", 9) == 0);
	n_pieces = talk(in, seed, pieces);
	MUST(n_requests == 2 * n);
	fuzz_must_be_equal(span_of(whole, n_whole), span_of(pieces, n_pieces));
	return 0;
}
