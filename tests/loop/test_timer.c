/* SPDX-License-Identifier: Apache-2.0 */
/* test_timer.c - the heap of deadlines: order, re-arming, stopping and freeing from callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"

#define N_MANY 3000

struct probe {
	struct timer timer;
	struct probe *other; /* what the callback acts on */
	uint64_t set_ms;     /* 0: not expected to fire */
	unsigned n_fired;
	uint64_t fired_ms;
};

static struct loop *new_loop(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_new(&l, /* log= */ NULL), 0);
	return l;
}

static void run_all(struct loop *l)
{
	assert_int_equal(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
}

static void on_due_count(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	p->n_fired++;
	p->fired_ms = loop_now_ms(t->loop);
	assert_false(timer_is_armed(t));
}

static uint64_t last_due_ms;

static void on_due_in_order(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	assert_true(p->set_ms >= last_due_ms);
	last_due_ms = p->set_ms;
	on_due_count(t);
	assert_true(p->fired_ms >= p->set_ms);
}

/* Set, moved and stopped at random: each fires once, at its last deadline, and all in order. */
static void test_many_timers_fire_once_and_in_order(void **state)
{
	struct loop *l = new_loop();
	struct probe *p = calloc(N_MANY, sizeof(*p));
	uint32_t seed = 12345;

	(void) state;
	assert_non_null(p);
	last_due_ms = 0;
	for (size_t i = 0; i < N_MANY; i++)
		timer_init(&p[i].timer, l, on_due_in_order);
	for (size_t i = 0; i < N_MANY * 6; i++) {
		struct probe *q;

		seed = seed * 1664525 + 1013904223;
		q = &p[(seed >> 8) % N_MANY];
		q->set_ms = loop_now_ms(l) + 1 + (seed >> 20) % 60;
		timer_set(&q->timer, q->set_ms);
		assert_true(timer_is_armed(&q->timer));
		if (seed >> 29 == 0) {
			timer_stop(&q->timer);
			q->set_ms = 0;
			assert_false(timer_is_armed(&q->timer));
		}
	}
	run_all(l);
	for (size_t i = 0; i < N_MANY; i++)
		assert_int_equal(p[i].n_fired, p[i].set_ms != 0);
	free(p);
	loop_free(l);
}

static void on_due_again(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	on_due_count(t);
	if (p->n_fired < 5)
		timer_set(t, /* the past */ 0);
}

static void on_due_stop_other(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	on_due_count(t);
	timer_stop(&p->other->timer);
	free(p->other);
}

/* Re-arming into the past comes back in a later turn and does not hold up the pass. */
static void test_a_timer_may_set_itself_into_the_past(void **state)
{
	struct loop *l = new_loop();
	struct probe again = { .n_fired = 0 }, other = { .n_fired = 0 };

	(void) state;
	timer_init(&again.timer, l, on_due_again);
	timer_init(&other.timer, l, on_due_count);
	timer_set(&again.timer, loop_now_ms(l));
	timer_set(&other.timer, loop_now_ms(l));
	assert_int_not_equal(uv_run(&l->uv, UV_RUN_NOWAIT), 0);
	assert_int_equal(again.n_fired, 1);
	assert_int_equal(other.n_fired, 1);
	run_all(l);
	assert_int_equal(again.n_fired, 5);
	loop_free(l);
}

static void test_a_timer_may_stop_and_free_another_that_is_due_too(void **state)
{
	struct loop *l = new_loop();
	struct probe first = { .n_fired = 0 };

	(void) state;
	first.other = calloc(1, sizeof(*first.other));
	assert_non_null(first.other);
	timer_init(&first.timer, l, on_due_stop_other);
	timer_init(&first.other->timer, l, on_due_count);
	timer_set(&first.timer, loop_now_ms(l) + 1);
	timer_set(&first.other->timer, loop_now_ms(l) + 1);
	run_all(l);
	assert_int_equal(first.n_fired, 1);
	loop_free(l);
}

static void on_due_free_self(struct timer *t)
{
	free(container_of(t, struct probe, timer));
}

static void test_a_timer_may_be_freed_in_its_callback(void **state)
{
	struct loop *l = new_loop();
	struct probe *p = calloc(1, sizeof(*p));

	(void) state;
	assert_non_null(p);
	timer_init(&p->timer, l, on_due_free_self);
	timer_set(&p->timer, loop_now_ms(l));
	run_all(l);
	loop_free(l);
}

static void test_never_is_stop_and_stop_may_be_repeated(void **state)
{
	struct loop *l = new_loop();
	struct probe p = { .n_fired = 0 };

	(void) state;
	timer_init(&p.timer, l, on_due_count);
	timer_stop(&p.timer);
	timer_set(&p.timer, loop_now_ms(l) + 1);
	timer_set(&p.timer, UINT64_MAX);
	assert_false(timer_is_armed(&p.timer));
	timer_stop(&p.timer);
	/* Nothing is left that keeps the loop alive. */
	assert_int_equal(uv_loop_alive(&l->uv), 0);
	run_all(l);
	assert_int_equal(p.n_fired, 0);
	loop_free(l);
}

/* Moving the top of the heap later must move the uv_timer too: no wake-up in between. */
static void test_a_moved_deadline_costs_no_wakeup(void **state)
{
	struct loop *l = new_loop();
	struct probe p = { .n_fired = 0 };
	uint64_t due_ms;

	(void) state;
	timer_init(&p.timer, l, on_due_count);
	timer_set(&p.timer, loop_now_ms(l) + 60000);
	(void) uv_run(&l->uv, UV_RUN_NOWAIT); /* libuv's own descriptors go to epoll */
	due_ms = loop_now_ms(l) + 40;
	timer_set(&p.timer, loop_now_ms(l) + 1);
	timer_set(&p.timer, due_ms);
	assert_in_range(uv_backend_timeout(&l->uv), 38, 40);
	assert_int_equal(uv_run(&l->uv, UV_RUN_ONCE), 0);
	assert_int_equal(p.n_fired, 1);
	assert_true(p.fired_ms >= due_ms);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_timers_fire_once_and_in_order),
		cmocka_unit_test(test_a_timer_may_set_itself_into_the_past),
		cmocka_unit_test(test_a_timer_may_stop_and_free_another_that_is_due_too),
		cmocka_unit_test(test_a_timer_may_be_freed_in_its_callback),
		cmocka_unit_test(test_never_is_stop_and_stop_may_be_repeated),
		cmocka_unit_test(test_a_moved_deadline_costs_no_wakeup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
