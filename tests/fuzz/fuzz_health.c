/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_health.c - what a local service may answer to a health check over HTTP: it is well exactly
 * when that begins with a 2xx, at any split. The first byte picks the split. */
#include "agent/net/resolve.h"
#include "agent/tunnel/health.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/netkit.h"

static char host[] = "127.0.0.1", name[] = "p", path[] = "/healthz";
static struct conf_proxy conf = {
	.name = name,
	.local_host = host,
	.health = { .kind = CONF_HEALTH_HTTP,
		    .interval_ms = 1000000,
		    .timeout_ms = 1000000,
		    .n_failed_max = 1,
		    .path = path },
};

struct check {
	bool is_answered, is_gone;
	int status;
};

static void on_answer(void *arg, int status, const char *error)
{
	struct check *c = arg;

	MUST(!c->is_answered);
	c->is_answered = true;
	c->status = status;
	MUST(status >= 0 && status <= 999);
	MUST(error != NULL || (status >= 200 && status <= 299));
}

static void on_change(void *arg, bool is_healthy)
{
	(void) arg, (void) is_healthy;
}

static void on_gone(void *arg)
{
	((struct check *) arg)->is_gone = true;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The service's side: the request is read, @in is the answer. */
static void serve(int listener, struct span in, uint32_t seed)
{
	char request[512];
	int fd = -1;
	ssize_t n = -1;

	for (unsigned i = 0; i < NETKIT_TURNS && fd < 0; i++) {
		netkit_spin();
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	MUST(fd >= 0);
	for (unsigned i = 0; i < NETKIT_TURNS && n < 0; i++) {
		netkit_spin();
		n = recv(fd, request, sizeof(request), 0);
	}
	MUST(n > 14 && memcmp(request, "GET /healthz HTTP/1.1\r\n", 14) == 0);
	(void) netkit_say(fd, in, seed); /* it may have heard enough */
	(void) shutdown(fd, SHUT_WR);	 /* the same */
	netkit_spin();
	netkit_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolver *resolver;
	static int listener = -1;
	struct span in = span_of(data, size);
	uint32_t seed = fuzz_take_byte(&in);
	struct check c = { .status = 0 };
	struct health h;
	bool is_well;

	if (listener < 0) {
		listener = netkit_bind(SOCK_STREAM, &conf.local_port);
		MUST(listen(listener, 16) == 0);
		MUST(resolver_new(&resolver, netkit_loop()) == 0);
	}
	if (size > 1024)
		return 0;
	health_init(&h, netkit_loop(), resolver, &conf, on_change, on_gone, &c);
	h.on_answer = on_answer;
	health_start(&h);
	serve(listener, in, seed);
	for (unsigned i = 0; i < NETKIT_TURNS && !c.is_answered; i++)
		netkit_spin();
	MUST(c.is_answered);
	is_well = in.len >= 12 && memcmp(in.p, "HTTP/1.", 7) == 0 && in.p[8] == ' ' &&
		  in.p[9] == '2' && is_digit(in.p[10]) && is_digit(in.p[11]);
	MUST(h.is_healthy == is_well);
	health_stop(&h);
	for (unsigned i = 0; i < NETKIT_TURNS && !c.is_gone; i++)
		netkit_spin();
	MUST(c.is_gone);
	return 0;
}
