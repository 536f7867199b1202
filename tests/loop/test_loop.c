/* SPDX-License-Identifier: Apache-2.0 */
/* test_loop.c - end-of-turn tasks, life and death of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "tests/loop/fail.h"

struct work {
	struct loop_task task;
	struct loop *loop;
	struct work *next; /* queued by this one */
	unsigned n_runs, n_runs_max;
};

static void on_work(struct loop_task *t)
{
	struct work *w = container_of(t, struct work, task);

	w->n_runs++;
	if (w->next != NULL && w->n_runs < w->n_runs_max)
		loop_task_queue(w->loop, &w->next->task);
}

static struct loop *new_loop(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_new(&l, /* log= */ NULL), 0);
	return l;
}

static void test_a_task_runs_once_however_often_it_was_queued(void **state)
{
	struct loop *l = new_loop();
	struct work w = { .loop = l };

	(void) state;
	loop_task_init(&w.task, on_work);
	loop_task_queue(l, &w.task);
	loop_task_queue(l, &w.task);
	assert_int_equal(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(w.n_runs, 1);
	loop_task_queue(l, &w.task);
	assert_int_equal(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(w.n_runs, 2);
	loop_free(l);
}

static void test_a_task_queued_by_a_task_runs_in_the_same_turn(void **state)
{
	struct loop *l = new_loop();
	struct work b = { .loop = l }, a = { .loop = l, .next = &b, .n_runs_max = 2 };

	(void) state;
	loop_task_init(&a.task, on_work);
	loop_task_init(&b.task, on_work);
	loop_task_queue(l, &a.task);
	assert_int_equal(uv_run(&l->uv, UV_RUN_NOWAIT), 0);
	assert_int_equal(a.n_runs, 1);
	assert_int_equal(b.n_runs, 1);
	loop_free(l);
}

/* Tasks that queue each other for ever leave the sockets and timers their turn, and the loop does
 * not sleep on the rest. */
static void test_endless_tasks_are_cut_after_a_turns_worth(void **state)
{
	struct loop *l = new_loop();
	struct work w = { .loop = l, .next = &w, .n_runs_max = LOOP_TASKS_MAX + 10 };

	(void) state;
	loop_task_init(&w.task, on_work);
	loop_task_queue(l, &w.task);
	assert_int_not_equal(uv_run(&l->uv, UV_RUN_NOWAIT), 0);
	assert_int_equal(w.n_runs, LOOP_TASKS_MAX);
	assert_int_equal(uv_backend_timeout(&l->uv), 0);
	assert_int_equal(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(w.n_runs, LOOP_TASKS_MAX + 10);
	loop_free(l);
}

static void test_a_cancelled_task_does_not_run_and_keeps_nothing_alive(void **state)
{
	struct loop *l = new_loop();
	struct work w = { .loop = l };

	(void) state;
	loop_task_init(&w.task, on_work);
	loop_task_cancel(&w.task);
	loop_task_queue(l, &w.task);
	loop_task_cancel(&w.task);
	assert_int_equal(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(w.n_runs, 0);
	assert_int_equal(uv_loop_alive(&l->uv), 0);
	loop_free(l);
}

struct due {
	struct timer timer;
	struct work *work;
};

static void on_due_queue(struct timer *t)
{
	struct due *d = container_of(t, struct due, timer);

	loop_task_queue(t->loop, &d->work->task);
}

/* What a timer queues runs before the loop waits again: nothing is left alive after one turn. */
static void test_a_task_queued_by_a_timer_runs_before_the_loop_waits(void **state)
{
	struct loop *l = new_loop();
	struct work w = { .loop = l };
	struct due d = { .work = &w };

	(void) state;
	loop_task_init(&w.task, on_work);
	timer_init(&d.timer, l, on_due_queue);
	timer_set(&d.timer, loop_now_ms(l));
	assert_int_equal(uv_run(&l->uv, UV_RUN_NOWAIT), 0);
	assert_int_equal(w.n_runs, 1);
	loop_free(l);
}

static void test_pooled_chunks_are_given_back(void **state)
{
	struct loop *l = new_loop();

	(void) state;
	for (int i = 0; i < 3; i++) {
		struct list *chunk = malloc(sizeof(*chunk) + 100);

		assert_non_null(chunk);
		list_add_tail(&l->free_chunks, chunk);
	}
	loop_free(l); /* the leak checker says whether they were */
}

static void test_each_failing_allocation_is_reported(void **state)
{
	struct loop *l = NULL;
	unsigned n = 0;
	int r;

	(void) state;
	do {
		fail_at = ++n;
		r = loop_new(&l, /* log= */ NULL);
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_null(l);
		}
	} while (r < 0);
	fail_at = 0;
	assert_true(n >= 4); /* the loop, its two buffers, and those of a static libuv */
	loop_free(l);
	assert_null(loop_free(NULL));
}

static void test_random_bytes_fill_all_of_the_buffer(void **state)
{
	uint8_t a[600], b[600];

	(void) state;
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_int_equal(loop_random(a, sizeof(a)), 0);
	assert_int_equal(loop_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	/* 8 zero bytes at a given place by chance: 2^-64. */
	for (size_t i = 0; i + 8 <= sizeof(a); i += 8)
		assert_memory_not_equal(a + i, "\0\0\0\0\0\0\0", 8);
	assert_int_equal(loop_random(a, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_task_runs_once_however_often_it_was_queued),
		cmocka_unit_test(test_a_task_queued_by_a_task_runs_in_the_same_turn),
		cmocka_unit_test(test_endless_tasks_are_cut_after_a_turns_worth),
		cmocka_unit_test(test_a_cancelled_task_does_not_run_and_keeps_nothing_alive),
		cmocka_unit_test(test_a_task_queued_by_a_timer_runs_before_the_loop_waits),
		cmocka_unit_test(test_pooled_chunks_are_given_back),
		cmocka_unit_test(test_each_failing_allocation_is_reported),
		cmocka_unit_test(test_random_bytes_fill_all_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
