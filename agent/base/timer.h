/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - one-shot deadlines on the loop's single heap; monotonic ms. Floor 3. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/list.h"

struct loop;
struct timer;
typedef void timer_fn(struct timer *t);

/* Embedded in its owner; needs no closing beyond timer_stop(). */
struct timer {
	/* set by owner */
	timer_fn *on_due;
	/* private */
	struct loop *loop;
	uint64_t due_ms;
	size_t at; /* heap index + 1; 0: not armed */
};

void timer_init(struct timer *t, struct loop *l, timer_fn *on_due);
/* Fire once at @due_ms (absolute, loop_now_ms() clock); re-arms. UINT64_MAX stops. Never fails: room is kept at init. */
void timer_set(struct timer *t, uint64_t due_ms);
void timer_stop(struct timer *t);
static inline bool timer_is_armed(const struct timer *t)
{
	return t->at != 0;
}
