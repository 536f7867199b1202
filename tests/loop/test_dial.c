/* SPDX-License-Identifier: Apache-2.0 */
/* test_dial.c - connecting over loopback: refused, silent, several addresses, no descriptors,
 * cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/dial.h"
#include "agent/net/resolve.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "tests/loop/fail.h"
#include "tests/loop/stubdns.h"

/* 127.0.0.1 never answers, or refuses; 127.0.0.2 accepts. Both on one port. */
static struct stub_name names[] = {
	{ .name = "two.test", .v4 = { "127.0.0.1", "127.0.0.2" } },
	{ .name = "v6first.test", .v4 = { "127.0.0.2" }, .v6 = { "2001:db8::1" } },
	{ .name = "v6last.test", .v4 = { "127.0.0.1" }, .v6 = { "2001:db8::1", "2001:db8::2" } },
	{ .name = "silent.test", .is_silent = true },
#define LATE 4
	[LATE] = { .name = "late.test", .v4 = { "127.0.0.2" } },
	{ .name = NULL },
};

#define N_FILLERS 8

struct bench {
	struct loop *loop;
	struct resolver *resolver;
	struct stubdns dns;
	int first, second;	/* sockets bound to 127.0.0.1 and .2; only the second listens */
	int fillers[N_FILLERS]; /* connections that fill the backlog of the first */
	uint16_t port;
	struct dial_options options;
	struct dial *dial;
	struct dial_result result;
	int fd;
	unsigned n_results;
	uint64_t start_ms, took_ms;
};

static uint64_t clock_ms(void)
{
	return uv_hrtime() / 1000000;
}

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

static int bind_to(uint32_t ip, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(ip),
				  .sin_port = htons(port) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0) {
		(void) close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->options.keepalive_s = DIAL_KEEPALIVE_S;
	for (int i = 0; i < N_FILLERS; i++)
		b->fillers[i] = -1;
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	assert_int_equal(resolver_new(&b->resolver, b->loop), 0);
	assert_int_equal(stub_open(&b->dns, &b->loop->uv, names), 0);
	assert_int_equal(resolver_set_servers(b->resolver, b->dns.address), 0);
	do { /* a port that is free on both addresses */
		b->first = bind_to(0x7f000001, 0, &b->port);
		b->second = bind_to(0x7f000002, b->port, &b->port);
		if (b->second < 0)
			(void) close(b->first);
	} while (b->second < 0);
	assert_int_equal(listen(b->second, 512), 0); /* nobody accepts */
}

static void bench_close(struct bench *b)
{
	for (int i = 0; i < N_FILLERS; i++) {
		if (b->fillers[i] >= 0)
			(void) close(b->fillers[i]);
	}
	(void) close(b->first);
	(void) close(b->second);
	assert_null(resolver_free(b->resolver));
	stub_close(&b->dns);
	assert_null(loop_free(b->loop)); /* uv_loop_close() == 0, or it ends the program */
}

/* 127.0.0.1 gets a full backlog: the kernel drops further SYNs, as a black hole does. */
static void silence_first(struct bench *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(b->port) };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(listen(b->first, 0), 0);
	for (int i = 0; i < N_FILLERS; i++) {
		b->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(b->fillers[i] >= 0);
		(void) connect(b->fillers[i], (struct sockaddr *) &sa, sizeof(sa));
	}
}

static void on_result(void *arg, const struct dial_result *r, int fd)
{
	struct bench *b = arg;

	b->n_results++;
	b->result = *r;
	b->fd = fd;
	b->dial = NULL;
	b->took_ms = clock_ms() - b->start_ms;
}

static void start(struct bench *b, const char *host, uint64_t wait_ms)
{
	b->n_results = 0;
	b->fd = -1;
	b->start_ms = clock_ms();
	uv_update_time(&b->loop->uv);
	assert_int_equal(dial_start_with(b->loop, b->resolver, &b->options, host, b->port,
					 loop_now_ms(b->loop) + wait_ms, on_result, b, &b->dial),
			 0);
	assert_int_equal(b->n_results, 0); /* never from inside */
}

static void dial(struct bench *b, const char *host, uint64_t wait_ms)
{
	start(b, host, wait_ms);
	assert_int_equal(uv_run(&b->loop->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(b->n_results, 1);
}

static void check_connected(struct bench *b)
{
	char expected[64];

	(void) snprintf(expected, sizeof(expected), "127.0.0.2:%u", b->port);
	assert_int_equal(b->result.err, 0);
	assert_null(b->result.why);
	assert_string_equal(b->result.addr, expected);
	assert_true(b->fd >= 0);
	assert_int_equal(write(b->fd, "x", 1), 1);
	(void) close(b->fd);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_a_numeric_address_is_connected_with_all_options(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	dial(&b, "127.0.0.2", 5000);
	assert_true(b.fd >= 0);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(b.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
	assert_true(fcntl(b.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
	check_connected(&b);
	bench_close(&b);
}

static void test_keepalive_is_as_long_as_asked(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.options.keepalive_s = 7200;
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(option(b.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	check_connected(&b);
	b.options.keepalive_s = UINT32_MAX; /* the kernel's maximum */
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
	check_connected(&b);
	b.options.keepalive_s = 0;
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(option(b.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(option(b.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	check_connected(&b);
	bench_close(&b);
}

static void test_it_dials_from_the_local_address(void **state)
{
	struct sockaddr_in from = { .sin_family = AF_UNSPEC };
	socklen_t len = sizeof(from);
	struct bench b;
	int fd;

	(void) state;
	bench_open(&b);
	b.options.local_ip = "127.0.0.9";
	dial(&b, "two.test", 5000); /* each attempt */
	fd = accept(b.second, (struct sockaddr *) &from, &len);
	assert_true(fd >= 0);
	(void) close(fd);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000009);
	check_connected(&b);
	bench_close(&b);
}

static void test_a_local_address_that_cannot_be_used_is_said(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.options.local_ip = "192.0.2.1";
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(b.result.err, -EADDRNOTAVAIL);
	assert_non_null(strstr(b.result.why, "does not have the local address"));
	b.options.local_ip = "::1";
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(b.result.err, -EAFNOSUPPORT);
	assert_non_null(strstr(b.result.why, "another family"));
	b.options.local_ip = "nowhere.test";
	assert_int_equal(dial_start_with(b.loop, b.resolver, &b.options, "127.0.0.2", b.port,
					 loop_now_ms(b.loop) + 5000, on_result, &b, &b.dial),
			 -EINVAL);
	bench_close(&b);
}

static void test_refused_is_said_at_once(void **state)
{
	char expected[64];
	struct bench b;

	(void) state;
	bench_open(&b);
	dial(&b, "127.0.0.1", 5000);
	(void) snprintf(expected, sizeof(expected), "127.0.0.1:%u", b.port);
	assert_int_equal(b.result.err, -ECONNREFUSED);
	assert_int_equal(b.result.stage, DIAL_STAGE_CONNECT);
	assert_non_null(strstr(b.result.why, "connection refused"));
	assert_string_equal(b.result.addr, expected);
	assert_int_equal(b.fd, -1);
	assert_in_range(b.took_ms, 0, 100);
	bench_close(&b);
}

static void test_after_a_refusal_the_next_address_follows_at_once(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	dial(&b, "two.test", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, 0, WAIT_HAPPY_MS - 50);
	bench_close(&b);
}

static void test_a_silent_address_costs_250_ms(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	silence_first(&b);
	dial(&b, "two.test", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, WAIT_HAPPY_MS, 2 * WAIT_HAPPY_MS);
	bench_close(&b);
}

/* No route, or no IPv6 at all, or a black hole: the IPv4 address is reached. */
static void test_ipv6_that_leads_nowhere_is_survived(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	dial(&b, "v6first.test", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, 0, 2 * WAIT_HAPPY_MS);
	bench_close(&b);
}

static void test_silence_ends_at_the_deadline(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	silence_first(&b);
	dial(&b, "127.0.0.1", 600);
	assert_int_equal(b.result.err, -ETIMEDOUT);
	assert_int_equal(b.result.stage, DIAL_STAGE_CONNECT);
	assert_non_null(strstr(b.result.why, "timed out"));
	assert_in_range(b.took_ms, 600, 900);
	dial(&b, "silent.test", 300);
	assert_int_equal(b.result.err, -ETIMEDOUT);
	assert_int_equal(b.result.stage, DIAL_STAGE_NAME);
	assert_non_null(strstr(b.result.why, "lookup"));
	assert_in_range(b.took_ms, 300, 600);
	bench_close(&b);
}

static void test_an_unknown_name_is_told_with_its_stage(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	dial(&b, "nowhere.test.", 5000);
	assert_int_equal(b.result.err, -ENOENT);
	assert_int_equal(b.result.stage, DIAL_STAGE_NAME);
	assert_string_equal(b.result.why, "no such name");
	assert_string_equal(b.result.addr, "");
	bench_close(&b);
}

/* Until the result; a lookup may go on. */
static void dial_once(struct bench *b, const char *host, uint64_t wait_ms)
{
	start(b, host, wait_ms);
	while (b->n_results == 0)
		(void) uv_run(&b->loop->uv, UV_RUN_ONCE);
}

static void test_a_name_without_an_answer_is_dialed_where_it_was(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.options.known_ip = "127.0.0.2";
	dial_once(&b, "silent.test", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, WAIT_NAME_MS, WAIT_NAME_MS + 300);
	dial_once(&b, "nowhere.test.", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, 0, WAIT_NAME_MS - 50);
	b.options.known_ip = "127.0.0.3"; /* an answer counts more */
	dial_once(&b, "two.test", 5000);
	check_connected(&b);
	b.options.known_ip = "somewhere";
	assert_int_equal(dial_start_with(b.loop, b.resolver, &b.options, "two.test", b.port,
					 loop_now_ms(b.loop) + 5000, on_result, &b, &b.dial),
			 -EINVAL);
	bench_close(&b);
}

/* The server has moved, and DNS takes longer than a dial to where it was. */
static void test_a_late_answer_serves_a_later_dial(void **state)
{
	struct bench b;
	unsigned n_refused = 0;

	(void) state;
	bench_open(&b);
	b.options.known_ip = "127.0.0.1";
	names[LATE].is_silent = true;
	dial_once(&b, "late.test", 5000);
	assert_int_equal(b.result.err, -ECONNREFUSED);
	assert_in_range(b.took_ms, WAIT_NAME_MS, WAIT_NAME_MS + 300);
	names[LATE].is_silent = false; /* when it is asked the second time, after 1.5 s */
	do {
		dial_once(&b, "late.test", 5000);
		n_refused += b.result.err == -ECONNREFUSED;
	} while (b.result.err == -ECONNREFUSED && n_refused < 10);
	check_connected(&b);
	assert_in_range(n_refused, 1, 2);
	assert_in_range(b.dns.n_queries, 3, 4); /* both families, twice: one lookup */

	/* An answer that came while nobody waited. */
	names[LATE].is_silent = true;
	dial_once(&b, "late.test", 5000);
	assert_int_equal(b.result.err, -ECONNREFUSED);
	names[LATE].is_silent = false;
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	names[LATE].is_silent = true;
	dial_once(&b, "late.test", 5000);
	check_connected(&b);
	assert_in_range(b.took_ms, 0, WAIT_NAME_MS - 50);
	/* It is used once. */
	dial_once(&b, "late.test", 5000);
	assert_int_equal(b.result.err, -ECONNREFUSED);
	bench_close(&b);
}

static void test_without_descriptors_it_says_so_and_recovers(void **state)
{
	struct rlimit old, none;
	struct bench b;
	int lowest;

	(void) state;
	bench_open(&b);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	lowest = dup(0);
	assert_true(lowest >= 0);
	(void) close(lowest);
	none = (struct rlimit){ .rlim_cur = (rlim_t) lowest, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	dial(&b, "127.0.0.2", 5000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(b.result.err, -EMFILE);
	assert_string_equal(b.result.why, "no file descriptor is left");
	dial(&b, "127.0.0.2", 5000);
	check_connected(&b);
	bench_close(&b);
}

/* At each stage: before the first turn, during the lookup, while an attempt is under way, while two
 * are. */
static void test_cancelling_leaves_neither_result_nor_descriptor(void **state)
{
	static const struct {
		const char *host;
		uint64_t after_ms;
	} cases[] = {
		{ "127.0.0.1", 0 },	{ "127.0.0.2", 0 },   { "two.test", 0 },
		{ "silent.test", 50 },	{ "127.0.0.1", 100 }, { "two.test", 100 },
		{ "v6last.test", 400 },
	};
	struct bench b;
	unsigned n_fds;

	(void) state;
	bench_open(&b);
	silence_first(&b);
	start(&b, "127.0.0.1", 10); /* descriptors that libuv opens once */
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	n_fds = count_fds();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t end_ms = clock_ms() + cases[i].after_ms;

		start(&b, cases[i].host, 5000);
		while (clock_ms() < end_ms && b.n_results == 0)
			(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
		assert_int_equal(b.n_results, 0);
		b.dial = dial_cancel(b.dial);
		assert_int_equal(count_fds(), n_fds);
		assert_int_equal(uv_run(&b.loop->uv, UV_RUN_DEFAULT), 0);
		assert_int_equal(b.n_results, 0);
	}
	assert_null(dial_cancel(NULL));
	bench_close(&b);
}

static void test_each_failing_allocation_ends_the_dial_cleanly(void **state)
{
	struct bench b;
	unsigned n = 0, n_fds;
	bool was_reached;

	(void) state;
	bench_open(&b);
	dial(&b, "two.test", 5000);
	check_connected(&b);
	n_fds = count_fds();
	do {
		int r;

		b.n_results = 0;
		b.fd = -1;
		fail_at = ++n;
		uv_update_time(&b.loop->uv);
		r = dial_start(b.loop, b.resolver, "two.test", b.port, loop_now_ms(b.loop) + 5000,
			       on_result, &b, &b.dial);
		assert_true(r == 0 || r == -ENOMEM);
		(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
		was_reached = fail_at == 0;
		fail_at = 0;
		assert_int_equal(b.n_results, r == 0);
		if (b.fd >= 0)
			check_connected(&b);
		else if (r == 0)
			assert_true(b.result.err < 0 && b.result.why != NULL);
		assert_int_equal(count_fds(), n_fds);
	} while (was_reached);
	assert_int_equal(b.result.err, 0);
	print_message("%u allocations failed\n", n - 1);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_numeric_address_is_connected_with_all_options),
		cmocka_unit_test(test_keepalive_is_as_long_as_asked),
		cmocka_unit_test(test_it_dials_from_the_local_address),
		cmocka_unit_test(test_a_local_address_that_cannot_be_used_is_said),
		cmocka_unit_test(test_refused_is_said_at_once),
		cmocka_unit_test(test_after_a_refusal_the_next_address_follows_at_once),
		cmocka_unit_test(test_a_silent_address_costs_250_ms),
		cmocka_unit_test(test_ipv6_that_leads_nowhere_is_survived),
		cmocka_unit_test(test_silence_ends_at_the_deadline),
		cmocka_unit_test(test_an_unknown_name_is_told_with_its_stage),
		cmocka_unit_test(test_a_name_without_an_answer_is_dialed_where_it_was),
		cmocka_unit_test(test_a_late_answer_serves_a_later_dial),
		cmocka_unit_test(test_without_descriptors_it_says_so_and_recovers),
		cmocka_unit_test(test_cancelling_leaves_neither_result_nor_descriptor),
		cmocka_unit_test(test_each_failing_allocation_ends_the_dial_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
