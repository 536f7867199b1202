/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_resolve.c - what anybody may answer to a DNS query: what comes of it are addresses with the
 * port that was asked for, or a reason. Each query is answered with the next piece of the input,
 * behind its own id; the first byte says how. */
#include "agent/net/resolve.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/netkit.h"

#define PORT 7200
#define QUERIES_MAX 12
#define TURNS 20 /* enough for an answer that can be used; else it waits for another */

struct lookup {
	struct resolve *q;
	bool is_answered;
};

static void check_addr(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) a;

	if (a->ss_family == AF_INET)
		MUST(ntohs(v4->sin_port) == PORT);
	else
		MUST(a->ss_family == AF_INET6 && ntohs(v6->sin6_port) == PORT);
}

static void on_answer(void *arg, const struct resolve_answer *a)
{
	struct lookup *l = arg;

	MUST(!l->is_answered);
	l->is_answered = true;
	l->q = NULL;
	MUST((a->why == NULL) == (a->n_addrs > 0) && a->n_addrs <= RESOLVE_ADDRS_MAX);
	for (size_t i = 0; i < a->n_addrs; i++)
		check_addr(&a->addrs[i]);
}

/* The answer to @query: its id, then, as bit 0 of @how says, its question or nothing of it, then
 * bytes of the input as many as the next one says. */
static void answer(int fd, const struct sockaddr_in *to, struct span query, uint8_t how,
		   struct span *in)
{
	static const uint8_t head[10] = { 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0 };
	uint8_t out[2048];
	size_t len = 2, n = fuzz_take_byte(in);

	memcpy(out, query.p, 2);
	if ((how & 1) != 0) {
		memcpy(out + 2, head, sizeof(head));
		memcpy(out + 12, query.p + 12, query.len - 12);
		len = query.len;
	}
	n = span_head(*in, n).len;
	if (n > 0)
		memcpy(out + len, in->p, n);
	*in = span_skip(*in, n);
	(void) sendto(fd, out, len + n, 0, (const struct sockaddr *) to, sizeof(*to)); /* or not */
}

static void serve(int fd, uint8_t how, struct span *in, const struct lookup *l)
{
	unsigned n_queries = 0;

	for (unsigned i = 0; i < TURNS && n_queries < QUERIES_MAX && !l->is_answered; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		uint8_t query[1024];
		ssize_t n;

		netkit_spin();
		n = recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *) &from, &len);
		if (n < 12)
			continue;
		n_queries++;
		answer(fd, &from, span_of(query, (size_t) n), how, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolver *resolver;
	static int server = -1;
	struct span in = span_of(data, size);
	uint8_t how = fuzz_take_byte(&in);
	struct lookup l = { .q = NULL };
	uint8_t left[1024];

	if (server < 0) {
		char address[32];
		uint16_t port;

		server = netkit_bind(SOCK_DGRAM, &port);
		(void) snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned) port);
		MUST(resolver_new(&resolver, netkit_loop()) == 0);
		MUST(resolver_set_servers(resolver, address) == 0);
	}
	if (size > 2048)
		return 0;
	MUST(resolve_start(resolver, "name.test", PORT, on_answer, &l, &l.q) == 0);
	serve(server, how, &in, &l);
	l.q = resolve_cancel(l.q);
	netkit_spin();
	while (recv(server, left, sizeof(left), 0) >= 0) /* asked again, for nobody */
		;
	return 0;
}
