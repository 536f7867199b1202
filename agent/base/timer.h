/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - one-shot deadlines on the loop's single heap; monotonic ms. Floor 3. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct timer;
typedef void timer_fn(struct timer *t);

/* Embedded in its owner; needs no closing beyond timer_stop(). The links of the heap are in here,
 * so arming allocates nothing. */
struct timer {
	/* set by owner */
	timer_fn *on_due;
	/* private */
	struct loop *loop;
	uint64_t due_ms;
	bool is_armed;
	/* pairing heap: first child; right sibling; left sibling, or the parent of a first child */
	struct timer *child, *next, *prev;
};

void timer_init(struct timer *t, struct loop *l, timer_fn *on_due);
/* Fire once at @due_ms (absolute, loop_now_ms() clock); re-arms. UINT64_MAX stops. Never fails.
 * O(1), and O(log n) amortised when it was armed. A deadline in the past fires in the next turn.
 * From inside @on_due any timer may be set, stopped or freed. */
void timer_set(struct timer *t, uint64_t due_ms);
void timer_stop(struct timer *t);
static inline bool timer_is_armed(const struct timer *t)
{
	return t->is_armed;
}
