/* SPDX-License-Identifier: Apache-2.0 */
/* test_hop.c - through proxies of this test: they agree, refuse, talk nonsense, are slow, close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/hop.h"
#include "agent/net/resolve.h"
#include "tests/loop/fail.h"
#include "tests/loop/stubdns.h"

#define BEHIND "\x16the server speaks"

/* Once the proxy has heard @n_heard bytes, or an empty line where that is 0, it says this. */
struct line {
	size_t n_heard;
	const char *say;
	size_t len;
};
#define HTTP_LINE(text)                   \
	{                                 \
		0, text, sizeof(text) - 1 \
	}
#define SOCKS_LINE(n, text)               \
	{                                 \
		n, text, sizeof(text) - 1 \
	}
#define N_LINES 3

struct script {
	struct line lines[N_LINES]; /* say NULL: nothing more */
	bool is_bytewise, want_close;
};

struct bench {
	struct loop *loop;
	struct resolver *resolver;
	struct stubdns dns;
	/* the proxy */
	struct script script;
	uv_tcp_t listener, *conn; /* conn NULL: none */
	uv_timer_t pace;	  /* active while there is something to say */
	uint16_t port;
	uint8_t heard[4096];
	size_t n_heard, n_lines, n_said;
	/* the hop */
	struct hop *hop;
	struct hop_result result;
	int fd;
	unsigned n_results;
	uint64_t start_ms, took_ms;
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void) closedir(dir);
	return n;
}

static uint64_t clock_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* -- the proxy -- */

static void proxy_on_closed(uv_handle_t *h)
{
	free(h);
}

static void proxy_hang_up(struct bench *b)
{
	if (b->conn != NULL)
		uv_close((uv_handle_t *) b->conn, proxy_on_closed);
	b->conn = NULL;
	(void) uv_timer_stop(&b->pace);
}

static void proxy_on_pace(uv_timer_t *t)
{
	struct bench *b = t->data;
	const struct line *line = &b->script.lines[b->n_lines];
	size_t left = line->len - b->n_said;
	uv_buf_t buf;
	int n;

	buf = uv_buf_init((char *) (uintptr_t) line->say + b->n_said,
			  (unsigned) (b->script.is_bytewise && left > 1 ? 1 : left));
	n = left > 0 ? uv_try_write((uv_stream_t *) b->conn, &buf, 1) : 0;
	if (n > 0)
		b->n_said += (size_t) n;
	if (n < 0 && n != UV_EAGAIN) {
		proxy_hang_up(b); /* the other side has gone */
		return;
	}
	if (b->n_said < line->len)
		return;
	(void) uv_timer_stop(t);
	b->n_said = 0;
	b->n_lines++;
	b->n_heard = 0;
	if (b->script.want_close &&
	    (b->n_lines == N_LINES || b->script.lines[b->n_lines].say == NULL))
		proxy_hang_up(b);
}

static void proxy_on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct bench *b = h->data;

	(void) size;
	*buf = uv_buf_init((char *) b->heard + b->n_heard,
			   (unsigned) (sizeof(b->heard) - 1 - b->n_heard));
}

static void proxy_on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct bench *b = s->data;
	const struct line *line = &b->script.lines[b->n_lines];

	(void) buf;
	if (n < 0) {
		proxy_hang_up(b);
		return;
	}
	b->n_heard += (size_t) n;
	b->heard[b->n_heard] = '\0';
	if (b->n_lines == N_LINES || line->say == NULL)
		return;
	if (line->n_heard == 0 ? strstr((char *) b->heard, "\r\n\r\n") != NULL
			       : b->n_heard >= line->n_heard)
		(void) uv_timer_start(&b->pace, proxy_on_pace, 0, 1);
}

static void proxy_on_connection(uv_stream_t *s, int status)
{
	struct bench *b = s->data;

	assert_int_equal(status, 0);
	assert_null(b->conn);
	b->conn = __real_calloc(1, sizeof(*b->conn)); /* never the one that fails */
	assert_non_null(b->conn);
	assert_int_equal(uv_tcp_init(s->loop, b->conn), 0);
	assert_int_equal(uv_accept(s, (uv_stream_t *) b->conn), 0);
	b->conn->data = b;
	(void) uv_tcp_nodelay(b->conn, 1);
	uv_unref((uv_handle_t *) b->conn);
	assert_int_equal(uv_read_start((uv_stream_t *) b->conn, proxy_on_alloc, proxy_on_read), 0);
}

/* -- the bench -- */

static const struct stub_name names[] = {
	{ .name = "proxy.test", .v4 = { "127.0.0.1" } },
	{ .name = NULL },
};

static void bench_open(struct bench *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof(sa);

	memset(b, 0, sizeof(*b));
	b->fd = -1;
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	assert_int_equal(resolver_new(&b->resolver, b->loop), 0);
	assert_int_equal(stub_open(&b->dns, &b->loop->uv, names), 0);
	assert_int_equal(resolver_set_servers(b->resolver, b->dns.address), 0);
	assert_int_equal(uv_tcp_init(&b->loop->uv, &b->listener), 0);
	assert_int_equal(uv_tcp_bind(&b->listener, (struct sockaddr *) &sa, 0), 0);
	assert_int_equal(uv_tcp_getsockname(&b->listener, (struct sockaddr *) &sa, &len), 0);
	b->port = ntohs(sa.sin_port);
	assert_int_equal(uv_listen((uv_stream_t *) &b->listener, 16, proxy_on_connection), 0);
	assert_int_equal(uv_timer_init(&b->loop->uv, &b->pace), 0);
	b->listener.data = b->pace.data = b;
	uv_unref((uv_handle_t *) &b->listener);
}

static void bench_close(struct bench *b)
{
	proxy_hang_up(b);
	uv_close((uv_handle_t *) &b->listener, NULL);
	uv_close((uv_handle_t *) &b->pace, NULL);
	assert_null(resolver_free(b->resolver));
	stub_close(&b->dns);
	assert_null(loop_free(b->loop)); /* uv_loop_close() == 0, or it ends the program */
}

static void on_result(void *arg, const struct hop_result *r, int fd)
{
	struct bench *b = arg;

	b->n_results++;
	b->result = *r;
	b->fd = fd;
	b->hop = NULL;
	b->took_ms = clock_ms() - b->start_ms;
}

/* Is the server's part of what the proxy said still in the socket, all of it and nothing else? */
static void check_connected(struct bench *b)
{
	char buf[100];
	ssize_t n;

	assert_int_equal(b->result.err, 0);
	assert_string_equal(b->result.why, "");
	assert_true(b->fd >= 0);
	n = recv(b->fd, buf, sizeof(buf), 0);
	assert_int_equal(n, sizeof(BEHIND) - 1);
	assert_memory_equal(buf, BEHIND, sizeof(BEHIND) - 1);
	(void) close(b->fd);
	b->fd = -1;
}

static int start_at(struct bench *b, const char *where, uint16_t port, const char *to,
		    uint64_t wait_ms)
{
	const struct dial_options o = { .keepalive_s = 0 };
	struct hopurl via;
	const char *why;
	char url[200];

	(void) snprintf(url, sizeof(url), "%s:%u", where, port);
	assert_int_equal(hopurl_parse(url, &via, &why), 0);
	proxy_hang_up(b);
	b->n_heard = b->n_lines = b->n_said = 0;
	b->n_results = 0;
	b->start_ms = clock_ms();
	uv_update_time(&b->loop->uv);
	return hop_start(b->loop, b->resolver, &via, &o, to, 7000, loop_now_ms(b->loop) + wait_ms,
			 on_result, b, &b->hop);
}

static void run(struct bench *b, const char *where, const char *to, uint64_t wait_ms)
{
	assert_int_equal(start_at(b, where, b->port, to, wait_ms), 0);
	assert_int_equal(b->n_results, 0); /* never from inside */
	assert_int_equal(uv_run(&b->loop->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(b->n_results, 1);
}

#define AGREED "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"

static void test_connect(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.script = (struct script){ .lines = { HTTP_LINE(AGREED BEHIND) } };
	for (int i = 0; i < 2; i++) {
		b.script.is_bytewise = i > 0;
		run(&b, "http://me:hunter2@proxy.test", "frps.invalid", 5000);
		assert_non_null(strstr(b.result.addr, "127.0.0.1:"));
		check_connected(&b);
	}
	bench_close(&b);
}

static void test_socks(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.script = (struct script){ .lines = {
					    SOCKS_LINE(4, "\5\2"),
					    SOCKS_LINE(1 + 3 + 8, "\1\0"),
					    SOCKS_LINE(4 + 13 + 2, "\5\0\0\1\0\0\0\0\0\0" BEHIND),
				    } };
	for (int i = 0; i < 2; i++) {
		b.script.is_bytewise = i > 0;
		run(&b, "socks5://me:hunter2@127.0.0.1", "frps.invalid", 5000);
		check_connected(&b);
	}
	bench_close(&b);
}

static void test_refusals_are_told(void **state)
{
	static const struct {
		const char *url;
		struct line line;
		int err;
		enum knock_cause cause;
		const char *why;
	} cases[] = {
		{ "http://me:hunter2@127.0.0.1",
		  HTTP_LINE("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), -ECONNREFUSED,
		  KNOCK_CAUSE_LOGIN, "the proxy refused: HTTP 407 Proxy Authentication Required" },
		{ "http://127.0.0.1", HTTP_LINE("220 mail.test ESMTP\r\n"), -EPROTO,
		  KNOCK_CAUSE_OTHER, "the proxy's answer is not HTTP" },
		{ "socks5://127.0.0.1", SOCKS_LINE(3, "\5\xff"), -ECONNREFUSED, KNOCK_CAUSE_LOGIN,
		  "the proxy refused: it wants a user and a password" },
		{ "socks5://127.0.0.1", SOCKS_LINE(3, "HTTP/1.1 400 Bad\r\n\r\n"), -EPROTO,
		  KNOCK_CAUSE_OTHER, "the proxy's answer is not SOCKS5" },
	};
	struct bench b;
	unsigned n_fds;

	(void) state;
	bench_open(&b);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		b.script = (struct script){ .lines = { cases[i / 2].line },
					    .is_bytewise = i % 2 > 0 };
		n_fds = count_fds();
		run(&b, cases[i / 2].url, "frps.test", 5000);
		assert_int_equal(b.result.err, cases[i / 2].err);
		assert_int_equal(b.result.stage, HOP_STAGE_ANSWER);
		assert_int_equal(b.result.cause, cases[i / 2].cause);
		assert_string_equal(b.result.why, cases[i / 2].why);
		assert_int_equal(b.fd, -1);
		assert_in_range(b.took_ms, 0, 2000);
		if (i == 0)
			continue; /* the resolver and libuv open some once */
		proxy_hang_up(&b);
		(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
		assert_in_range(count_fds(), 0, n_fds);
	}
	bench_close(&b);
}

static void test_a_proxy_that_closes_or_is_silent(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.script = (struct script){ .lines = { HTTP_LINE("HTTP/1.1 200 OK\r\n") },
				    .want_close = true };
	run(&b, "http://127.0.0.1", "frps.test", 5000);
	assert_int_equal(b.result.err, -EPIPE);
	assert_string_equal(b.result.why, "the proxy closed the connection");
	assert_int_equal(b.fd, -1);
	b.script = (struct script){ .lines = { HTTP_LINE("HTTP/1.1 200 OK\r\nX:") } };
	run(&b, "http://127.0.0.1", "frps.test", 300);
	assert_int_equal(b.result.err, -ETIMEDOUT);
	assert_int_equal(b.result.stage, HOP_STAGE_ANSWER);
	assert_string_equal(b.result.why, "timed out: the proxy does not answer");
	assert_in_range(b.took_ms, 300, 600);
	b.script = (struct script){ .lines = { { .say = NULL } } };
	run(&b, "socks5://127.0.0.1", "frps.test", 300);
	assert_int_equal(b.result.err, -ETIMEDOUT);
	assert_int_equal(b.fd, -1);
	bench_close(&b);
}

static void test_a_proxy_that_cannot_be_dialed(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	run(&b, "http://nowhere.test.", "frps.test", 5000);
	assert_int_equal(b.result.stage, HOP_STAGE_NAME);
	assert_string_equal(b.result.why, "no such name");
	assert_int_equal(start_at(&b, "http://127.0.0.1", 1, "frps.test", 5000), 0);
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	assert_int_equal(b.result.stage, HOP_STAGE_CONNECT);
	assert_int_equal(b.result.err, -ECONNREFUSED);
	assert_int_equal(start_at(&b, "http://127.0.0.1", 1, "frps test", 5000), -EINVAL);
	assert_null(b.hop);
	bench_close(&b);
}

/* While dialing, while asking. */
static void test_cancelling_leaves_neither_result_nor_descriptor(void **state)
{
	unsigned n_fds;
	struct bench b;

	(void) state;
	bench_open(&b);
	b.script = (struct script){ .lines = { HTTP_LINE(AGREED) } };
	run(&b, "http://127.0.0.1", "frps.test", 5000);
	(void) close(b.fd);
	(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
	proxy_hang_up(&b);
	(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
	b.script = (struct script){ .lines = { { .say = NULL } } };
	n_fds = count_fds();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(start_at(&b, "http://127.0.0.1", b.port, "frps.test", 5000), 0);
		while (i > 0 && b.n_heard == 0)
			(void) uv_run(&b.loop->uv, UV_RUN_ONCE);
		b.hop = hop_cancel(b.hop);
		while (b.conn != NULL) /* sees the end */
			(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
		assert_int_equal(uv_run(&b.loop->uv, UV_RUN_DEFAULT), 0);
		assert_int_equal(b.n_results, 0);
		assert_int_equal(count_fds(), n_fds);
	}
	assert_null(hop_cancel(NULL));
	bench_close(&b);
}

static void test_each_failing_allocation_ends_the_hop_cleanly(void **state)
{
	unsigned n = 0;
	struct bench b;
	bool was_reached;

	(void) state;
	bench_open(&b);
	b.script = (struct script){ .lines = { HTTP_LINE(AGREED BEHIND) } };
	do {
		int r;

		b.fd = -1;
		fail_at = ++n;
		r = start_at(&b, "http://127.0.0.1", b.port, "frps.test", 5000);
		assert_true(r == 0 || r == -ENOMEM);
		(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
		was_reached = fail_at == 0;
		fail_at = 0;
		assert_int_equal(b.n_results, r == 0);
		if (b.fd >= 0)
			check_connected(&b);
		else if (r == 0)
			assert_true(b.result.err < 0 && b.result.why[0] != '\0');
	} while (was_reached);
	assert_int_equal(b.result.err, 0);
	print_message("%u allocations failed\n", n - 1);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_socks),
		cmocka_unit_test(test_refusals_are_told),
		cmocka_unit_test(test_a_proxy_that_closes_or_is_silent),
		cmocka_unit_test(test_a_proxy_that_cannot_be_dialed),
		cmocka_unit_test(test_cancelling_leaves_neither_result_nor_descriptor),
		cmocka_unit_test(test_each_failing_allocation_ends_the_hop_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
