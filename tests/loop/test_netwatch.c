/* SPDX-License-Identifier: Apache-2.0 */
/* test_netwatch.c - news of the network, in one of our own: told once for a burst, and what they
 * mean for a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/netwatch.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "tests/loop/fail.h"

struct bench {
	struct loop *loop;
	struct netwatch *watch;
	struct timer end;
	unsigned n_news;
	uint64_t first_ms;
};

static void on_news(void *arg)
{
	struct bench *b = arg;

	if (b->n_news++ == 0)
		b->first_ms = loop_now_ms(b->loop);
}

static void on_end(struct timer *t)
{
	uv_stop(&container_of(t, struct bench, end)->loop->uv);
}

static void bench_run(struct bench *b, uint64_t wait_ms)
{
	uv_update_time(&b->loop->uv);
	timer_set(&b->end, loop_now_ms(b->loop) + wait_ms);
	(void) uv_run(&b->loop->uv, UV_RUN_DEFAULT);
}

/* A network of its own for each test: nothing but a loopback that is down. */
static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		(void) printf("# the kernel refuses a network namespace\n");
		skip();
	}
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	timer_init(&b->end, b->loop, on_end);
	assert_int_equal(netwatch_new(&b->watch, b->loop, on_news, b), 0);
}

static void bench_close(struct bench *b)
{
	b->watch = netwatch_free(b->watch);
	assert_null(b->watch);
	assert_null(loop_free(b->loop)); /* uv_loop_close() == 0, or it ends the program */
}

static void set_flags(const char *name, int flags)
{
	struct ifreq r = { .ifr_flags = (short) flags };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void) snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	(void) close(fd);
}

static struct sockaddr_in address_of(const char *ip, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
	return sa;
}

static void set_address(const char *name, const char *ip)
{
	struct sockaddr_in sa = address_of(ip, 0);
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void) snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	memcpy(&r.ifr_addr, &sa, sizeof(sa));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
	(void) close(fd);
}

static void test_a_burst_is_told_once_when_it_is_over(void **state)
{
	uint64_t began_ms;
	struct bench b;

	(void) state;
	bench_open(&b);
	bench_run(&b, 2 * WAIT_SETTLE_MS);
	assert_int_equal(b.n_news, 0);
	began_ms = loop_now_ms(b.loop);
	set_flags("lo", IFF_UP);
	set_address("lo:1", "10.1.0.1");
	set_address("lo:2", "10.1.0.2");
	bench_run(&b, 4 * WAIT_SETTLE_MS);
	assert_int_equal(b.n_news, 1);
	assert_in_range(b.first_ms - began_ms, WAIT_SETTLE_MS, 2 * WAIT_SETTLE_MS);
	bench_run(&b, 4 * WAIT_SETTLE_MS);
	assert_int_equal(b.n_news, 1);
	set_flags("lo:2", 0);
	bench_run(&b, 4 * WAIT_SETTLE_MS);
	assert_int_equal(b.n_news, 2);
	bench_close(&b);
}

static void test_news_without_an_end_are_told_all_the_same(void **state)
{
	uint64_t began_ms;
	struct bench b;

	(void) state;
	bench_open(&b);
	set_flags("lo", IFF_UP);
	uv_update_time(&b.loop->uv);
	began_ms = loop_now_ms(b.loop);
	for (int i = 0; i < 14; i++) {
		set_address("lo:1", i % 2 == 0 ? "10.1.0.1" : "10.1.0.2");
		bench_run(&b, WAIT_SETTLE_MS / 2);
	}
	assert_in_range(b.n_news, 1, 2);
	assert_in_range(b.first_ms - began_ms, WAIT_SETTLE_MAX_MS - WAIT_SETTLE_MS,
			WAIT_SETTLE_MAX_MS + WAIT_SETTLE_MS);
	bench_close(&b);
}

/* A connection from 192.168.7.2 to a listener at 10.1.0.1, both here. */
static int connect_them(int *ret_listener)
{
	struct sockaddr_in there = address_of("10.1.0.1", 7000),
			   here = address_of("192.168.7.2", 0);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *) &there, sizeof(there)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &here, sizeof(here)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &there, sizeof(there)), 0);
	*ret_listener = listener;
	return fd;
}

static void test_a_connection_whose_address_is_gone_is_lost(void **state)
{
	struct bench b;
	int fd, listener;

	(void) state;
	bench_open(&b);
	set_flags("lo", IFF_UP);
	set_address("lo:1", "10.1.0.1");
	set_address("lo:2", "192.168.7.2");
	fd = connect_them(&listener);
	assert_false(netwatch_has_moved(fd));
	set_flags("lo:1", 0); /* which takes the address away */
	set_flags("lo:2", 0);
	assert_false(netwatch_has_moved(fd)); /* there is no way at all: it may come back */
	set_address("lo:1", "10.1.0.1");
	assert_true(netwatch_has_moved(fd));
	set_address("lo:2", "192.168.7.2");
	assert_false(netwatch_has_moved(fd));
	assert_false(netwatch_has_moved(listener));
	assert_false(netwatch_has_moved(-1));
	(void) close(fd);
	(void) close(listener);
	bench_close(&b);
}

static void test_without_memory_or_news_there_is_none(void **state)
{
	struct netwatch *none = NULL;
	struct bench b;

	(void) state;
	bench_open(&b);
	fail_at = 1;
	assert_int_equal(netwatch_new(&none, b.loop, on_news, &b), -ENOMEM);
	assert_null(none);
	assert_null(netwatch_free(NULL));
	set_flags("lo", IFF_UP);
	bench_close(&b); /* news are under way */
	assert_int_equal(b.n_news, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_is_told_once_when_it_is_over),
		cmocka_unit_test(test_news_without_an_end_are_told_all_the_same),
		cmocka_unit_test(test_a_connection_whose_address_is_gone_is_lost),
		cmocka_unit_test(test_without_memory_or_news_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
