/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the one event loop: uv_loop, its shared buffers, end-of-turn work and the timer heap.
 * Floor 3. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/base/list.h"
#include "proto/base/span.h"

struct log;
struct timer;

/* Work to do once at the end of this turn of the loop (before it polls again): flushing what a turn
 * has produced. */
struct loop_task {
	void (*run)(struct loop_task *t);
	struct list link; /* private; list_init() by loop_task_init() */
};

struct loop {
	/* read-only */
	uv_loop_t uv;
	uint8_t *cipher_buf; /* LIMIT_CIPHER_BUF; valid inside a read callback only */
	uint8_t *plain_buf;  /* LIMIT_PLAIN_BUF; valid inside a read callback only */
	struct log *log;     /* borrowed: outlives the loop */
	/* private */
	uv_prepare_t prepare; /* active only while tasks are queued */
	uv_idle_t idle; /* active only while tasks were left over: the next poll does not wait */
	struct list tasks;
	uv_timer_t timer; /* agent/base/timer: set for the top of the heap, active only while there
			     is one */
	struct timer *timers;	 /* the top */
	uint64_t timer_due_ms;	 /* what @timer is set for */
	bool is_firing;		 /* inside timer callbacks */
	struct list free_chunks; /* each a malloc'ed block that begins with its struct list */
	size_t n_free_chunks;
};

/* 0 or negated errno. */
int loop_new(struct loop **ret_l, struct log *log);
/* Everything else on it must be closed; runs the loop until its handles are gone. Returns NULL. */
struct loop *loop_free(struct loop *l);
/* Monotonic ms, cached per turn as uv_now() is. */
static inline uint64_t loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}
void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t));
/* Queue @t for the end of this turn; idempotent. A task queued by a task runs in the same turn,
 * unless a turn's worth of tasks (LOOP_TASKS_MAX) has run: then the sockets get theirs first. */
#define LOOP_TASKS_MAX 4096
void loop_task_queue(struct loop *l, struct loop_task *t);
void loop_task_cancel(struct loop_task *t);
/* Cryptographic random bytes (getrandom). 0 or negated errno. */
int loop_random(void *p, size_t n);
