/* SPDX-License-Identifier: Apache-2.0 */
/* test_resolve.c - lookups against a DNS server of the test, and those that need none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/resolve.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "tests/loop/fail.h"
#include "tests/loop/stubdns.h"

static const struct stub_name names[] = {
	{ .name = "both.test",
	  .v4 = { "192.0.2.1", "192.0.2.2", "192.0.2.3" },
	  .v6 = { "2001:db8::1", "2001:db8::2" } },
	{ .name = "four.test", .v4 = { "192.0.2.4" } },
	{ .name = "six.test", .v6 = { "2001:db8::6" } },
	{ .name = "empty.test" },
	{ .name = "many.test",
	  .v4 = { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6",
		  "192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.2.12",
		  "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16", "192.0.2.17",
		  "192.0.2.18" } },
	{ .name = "fails.test", .rcode = 2 },
	{ .name = "silent.test", .is_silent = true },
	{ .name = NULL },
};

struct bench {
	struct loop *loop;
	struct resolver *resolver;
	struct stubdns dns;
	struct resolve *lookup;
	struct resolve_answer answer;
	unsigned n_answers;
};

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	assert_int_equal(resolver_new(&b->resolver, b->loop), 0);
	assert_int_equal(stub_open(&b->dns, &b->loop->uv, names), 0);
	assert_int_equal(resolver_set_servers(b->resolver, b->dns.address), 0);
}

static void bench_close(struct bench *b)
{
	assert_null(resolver_free(b->resolver));
	stub_close(&b->dns);
	assert_null(loop_free(b->loop)); /* uv_loop_close() == 0, or it ends the program */
}

static void on_answer(void *arg, const struct resolve_answer *a)
{
	struct bench *b = arg;

	b->n_answers++;
	b->answer = *a;
	b->lookup = NULL;
}

static void ask(struct bench *b, const char *host)
{
	b->n_answers = 0;
	assert_int_equal(resolve_start(b->resolver, host, 7200, on_answer, b, &b->lookup), 0);
	assert_int_equal(b->n_answers, 0); /* never from inside */
	assert_int_equal(uv_run(&b->loop->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(b->n_answers, 1);
}

/* The addresses, in order, as "[v6]" and "v4" with the port checked. */
static void check_addrs(const struct bench *b, const char *expected)
{
	char all[1024] = "", ip[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < b->answer.n_addrs; i++) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *) &b->answer.addrs[i];
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) &b->answer.addrs[i];
		bool is_v4 = v4->sin_family == AF_INET;

		assert_int_equal(ntohs(is_v4 ? v4->sin_port : v6->sin6_port), 7200);
		(void) inet_ntop(v4->sin_family,
				 is_v4 ? (const void *) &v4->sin_addr : &v6->sin6_addr, ip,
				 sizeof(ip));
		(void) snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
				i > 0 ? " " : "", ip);
	}
	assert_string_equal(all, expected);
	assert_int_equal(b->answer.why == NULL, b->answer.n_addrs > 0);
}

static void check_failed(struct bench *b, const char *host, const char *why)
{
	ask(b, host);
	check_addrs(b, "");
	assert_string_equal(b->answer.why, why);
}

static void test_both_families_alternate_and_ipv6_is_first(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	ask(&b, "both.test");
	assert_int_equal(b.answer.n_addrs, 5);
	check_addrs(&b, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3");
	ask(&b, "four.test");
	check_addrs(&b, "192.0.2.4");
	ask(&b, "six.test");
	check_addrs(&b, "2001:db8::6");
	bench_close(&b);
}

static void test_more_addresses_than_fit_are_cut(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	ask(&b, "many.test");
	assert_int_equal(b.answer.n_addrs, RESOLVE_ADDRS_MAX);
	bench_close(&b);
}

static void test_each_lookup_asks_again(void **state)
{
	struct bench b;
	unsigned n;

	(void) state;
	bench_open(&b);
	ask(&b, "four.test");
	n = b.dns.n_queries;
	assert_int_equal(n, 2); /* one per family */
	ask(&b, "four.test");
	assert_int_equal(b.dns.n_queries, 2 * n);
	bench_close(&b);
}

static void test_failures_are_told_apart(void **state)
{
	char name[300];
	struct bench b;

	(void) state;
	bench_open(&b);
	check_failed(&b, "nowhere.test.", "no such name");
	check_failed(&b, "empty.test.", "the name has no address");
	check_failed(&b, "fails.test.", "no DNS server can be reached, or each of them failed");
	memset(name, 'a', sizeof(name) - 1); /* a label of 299 characters */
	name[sizeof(name) - 1] = '\0';
	ask(&b, name);
	check_addrs(&b, "");
	bench_close(&b);
}

static void test_dead_dns_is_given_up_in_time(void **state)
{
	struct bench b;
	uint64_t start_ms;

	(void) state;
	bench_open(&b);
	start_ms = uv_hrtime() / 1000000;
	check_failed(&b, "silent.test.", "DNS timeout: no DNS server answers");
	assert_in_range(uv_hrtime() / 1000000 - start_ms, 1000, WAIT_DNS_MS + 500);
	assert_in_range(b.dns.n_queries, 3, 8); /* asked again, but no flood */
	bench_close(&b);
}

static void test_numbers_and_localhost_need_no_dns(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	ask(&b, "192.0.2.9");
	check_addrs(&b, "192.0.2.9");
	ask(&b, "2001:db8::9");
	check_addrs(&b, "2001:db8::9");
	ask(&b, "localhost");
	check_addrs(&b, "::1 127.0.0.1");
	ask(&b, "LocalHost.");
	check_addrs(&b, "::1 127.0.0.1");
	ask(&b, "a.b.localhost");
	check_addrs(&b, "::1 127.0.0.1");
	ask(&b, "fe80::1%lo");
	check_addrs(&b, "fe80::1");
	assert_int_not_equal(((struct sockaddr_in6 *) &b.answer.addrs[0])->sin6_scope_id, 0);
	check_failed(&b, "fe80::1%nosuchif",
		     "the address names a network interface that does not exist");
	assert_int_equal(b.dns.n_queries, 0);
	ask(&b, "notlocalhost");
	assert_true(b.dns.n_queries > 0);
	bench_close(&b);
}

static void test_without_a_server_it_says_so(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	/* Nothing listens on port 1 (tcpmux): the kernel answers by ICMP. */
	assert_int_equal(resolver_set_servers(b.resolver, "127.0.0.1:1"), 0);
	check_failed(&b, "four.test.", "no DNS server can be reached, or each of them failed");
	memset(b.answer.addrs, 'x', sizeof(b.answer.addrs) - 1);
	assert_int_equal(resolver_set_servers(b.resolver, (const char *) b.answer.addrs), -EINVAL);
	bench_close(&b);
}

static void test_a_cancelled_lookup_says_nothing(void **state)
{
	static const char *const hosts[] = { "four.test", "silent.test", "localhost", "192.0.2.1" };
	struct bench b;

	(void) state;
	bench_open(&b);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		for (int n_turns = 0; n_turns < 2; n_turns++) {
			b.n_answers = 0;
			assert_int_equal(
				resolve_start(b.resolver, hosts[i], 1, on_answer, &b, &b.lookup),
				0);
			for (int turn = 0; turn < n_turns && b.n_answers == 0; turn++)
				(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
			if (b.n_answers > 0)
				continue; /* came before the cancelling */
			b.lookup = resolve_cancel(b.lookup);
			assert_int_equal(uv_run(&b.loop->uv, UV_RUN_DEFAULT), 0);
			assert_int_equal(b.n_answers, 0);
		}
	}
	assert_null(resolve_cancel(NULL));
	/* Open lookups end with the resolver. */
	assert_int_equal(resolve_start(b.resolver, "silent.test", 1, on_answer, &b, &b.lookup), 0);
	assert_int_equal(resolve_start(b.resolver, "localhost", 1, on_answer, &b, &b.lookup), 0);
	(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
	b.n_answers = 0;
	bench_close(&b);
	assert_int_equal(b.n_answers, 0);
}

static void on_answer_free_resolver(void *arg, const struct resolve_answer *a)
{
	struct bench *b = arg;

	b->n_answers++;
	b->resolver = resolver_free(b->resolver);
	assert_int_equal(a->n_addrs, 1); /* still valid */
}

static void test_the_callback_may_free_the_resolver(void **state)
{
	struct resolve *other;
	struct bench b;

	(void) state;
	bench_open(&b);
	assert_int_equal(resolve_start(b.resolver, "silent.test", 1, on_answer, &b, &other), 0);
	assert_int_equal(
		resolve_start(b.resolver, "four.test", 1, on_answer_free_resolver, &b, &b.lookup),
		0);
	assert_int_equal(uv_run(&b.loop->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(b.n_answers, 1);
	bench_close(&b);
}

/* With c-ares linked statically its allocations fail in turn as well. */
static void test_each_failing_allocation_ends_the_lookup_cleanly(void **state)
{
	struct bench b;
	unsigned n = 0, n_bad = 0;
	bool was_reached;

	(void) state;
	bench_open(&b);
	do {
		int r;

		b.n_answers = 0;
		fail_at = ++n;
		r = resolve_start(b.resolver, "both.test", 7200, on_answer, &b, &b.lookup);
		assert_true(r == 0 || r == -ENOMEM);
		(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
		was_reached = fail_at == 0;
		fail_at = 0;
		assert_int_equal(b.n_answers, r == 0);
		n_bad += r != 0 || b.answer.n_addrs == 0;
	} while (was_reached);
	check_addrs(&b, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3");
	assert_true(n_bad > 0);
	print_message("# %u allocations failed\n", n - 1);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_families_alternate_and_ipv6_is_first),
		cmocka_unit_test(test_more_addresses_than_fit_are_cut),
		cmocka_unit_test(test_each_lookup_asks_again),
		cmocka_unit_test(test_failures_are_told_apart),
		cmocka_unit_test(test_dead_dns_is_given_up_in_time),
		cmocka_unit_test(test_numbers_and_localhost_need_no_dns),
		cmocka_unit_test(test_without_a_server_it_says_so),
		cmocka_unit_test(test_a_cancelled_lookup_says_nothing),
		cmocka_unit_test(test_the_callback_may_free_the_resolver),
		cmocka_unit_test(test_each_failing_allocation_ends_the_lookup_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
