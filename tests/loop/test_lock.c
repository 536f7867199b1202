/* SPDX-License-Identifier: Apache-2.0 */
/* test_lock.c - one agent per server and proxies: who waits for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/conf/check.h"
#include "agent/front/lock.h"

/* The test's process id is in the names: runs beside each other do not meet. */
static struct conf *new_conf(const char *host, const char *first, const char *second)
{
	struct conf *c = conf_new();
	struct conf_proxy *proxy;
	struct problems p;
	char name[64];

	assert_non_null(c);
	c->source = strdup("test");
	c->server_host = strdup(host);
	problems_init(&p);
	for (unsigned i = 0; i < 2; i++) {
		(void) snprintf(name, sizeof(name), "%s%d", i == 0 ? first : second,
				(int) getpid());
		assert_int_equal(conf_add_proxy(c, name, &proxy), 0);
	}
	assert_int_equal(conf_check(c, &p), 0);
	problems_deinit(&p);
	return c;
}

struct waiter {
	struct loop *loop;
	struct lock *lock;
	struct timer timer;
	struct lock *other; /* given back when the timer fires */
	unsigned n_calls;
	int err;
};

static void on_done(void *arg, int err)
{
	struct waiter *w = arg;

	w->n_calls++;
	w->err = err;
}

static void on_due_give_back(struct timer *t)
{
	struct waiter *w = container_of(t, struct waiter, timer);

	w->other = lock_free(w->other);
}

static struct loop *new_loop(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_new(&l, /* log= */ NULL), 0);
	return l;
}

static void test_the_second_gets_it_when_the_first_is_gone(void **state)
{
	struct conf *c = new_conf("frps", "a", "b"), *same = new_conf("frps", "b", "a");
	struct waiter w = { .loop = new_loop() };

	(void) state;
	assert_int_equal(lock_new(&w.other, w.loop, c, on_done, &w), 0);
	assert_int_equal(lock_new(&w.lock, w.loop, same, on_done, &w), LOCK_E_BUSY);
	timer_init(&w.timer, w.loop, on_due_give_back);
	timer_set(&w.timer, loop_now_ms(w.loop) + 200);
	(void) uv_run(&w.loop->uv, UV_RUN_DEFAULT);
	assert_int_equal(w.n_calls, 1);
	assert_int_equal(w.err, 0);
	assert_null(w.other);
	/* It is ours now: nobody else gets it. */
	assert_int_equal(lock_new(&w.other, w.loop, c, on_done, &w), LOCK_E_BUSY);
	w.other = lock_free(w.other);
	w.lock = lock_free(w.lock);
	assert_int_equal(lock_new(&w.lock, w.loop, c, on_done, &w), 0);
	w.lock = lock_free(w.lock);
	assert_int_equal(w.n_calls, 1);
	w.loop = loop_free(w.loop);
	c = conf_free(c);
	same = conf_free(same);
}

static void test_other_servers_and_proxies_do_not_meet(void **state)
{
	struct conf *confs[] = { new_conf("frps", "a", "b"), new_conf("frps2", "a", "b"),
				 new_conf("frps", "a", "c"), new_conf("frps", "ab", ""),
				 new_conf("frps", "a", "b") };
	struct lock *locks[5];
	struct waiter w = { .loop = new_loop() };

	(void) state;
	confs[4]->server_port++;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(lock_new(&locks[i], w.loop, confs[i], on_done, &w), 0);
	for (unsigned i = 0; i < 5; i++) {
		locks[i] = lock_free(locks[i]);
		confs[i] = conf_free(confs[i]);
	}
	w.loop = loop_free(w.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_second_gets_it_when_the_first_is_gone),
		cmocka_unit_test(test_other_servers_and_proxies_do_not_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
