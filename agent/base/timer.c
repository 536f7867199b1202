/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c - one-shot deadlines on the loop's single heap. Floor 3.
 *
 * A pairing heap with its links inside struct timer: setting a timer cannot fail, and moving a
 * deadline (what sessions do with each byte they receive) costs a cut and a meld. One uv_timer
 * waits for the top of the heap. */
#include "agent/base/timer.h"

#include <stddef.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "proto/base/err.h"

/* Join two heaps; either may be NULL. On a tie @a stays above, so older ones fire first. */
static struct timer *timer_meld(struct timer *a, struct timer *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->due_ms < a->due_ms) {
		struct timer *low = b;

		b = a;
		a = low;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next != NULL)
		b->next->prev = b;
	a->child = b;
	a->next = NULL;
	a->prev = NULL;
	return a;
}

/* One heap from the siblings that begin with @first: in pairs from the left, then together from the
 * right. Both passes are needed for the amortised O(log n); loops, because the row may be as long
 * as there are timers. */
static struct timer *timer_meld_row(struct timer *first)
{
	struct timer *pairs = NULL, *top = NULL;

	while (first != NULL) {
		struct timer *a = first, *b = a->next;

		first = b != NULL ? b->next : NULL;
		a = timer_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct timer *rest = pairs->next;

		top = timer_meld(top, pairs);
		pairs = rest;
	}
	if (top != NULL)
		top->next = top->prev = NULL;
	return top;
}

static void timer_insert(struct loop *l, struct timer *t)
{
	t->child = NULL;
	t->next = NULL;
	t->prev = NULL;
	t->is_armed = true;
	l->timers = timer_meld(l->timers, t);
}

static void timer_remove(struct loop *l, struct timer *t)
{
	struct timer *below = timer_meld_row(t->child);

	t->child = NULL;
	t->is_armed = false;
	if (t->prev == NULL) {
		MUST(l->timers == t);
		l->timers = below;
		return;
	}
	if (t->prev->child == t)
		t->prev->child = t->next;
	else
		t->prev->next = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
	l->timers = timer_meld(l->timers, below);
}

static void timer_on_uv(uv_timer_t *uv);

/* Let the uv_timer follow the top of the heap; once at the end of a firing pass. */
static void timer_follow_top(struct loop *l)
{
	uint64_t now_ms = loop_now_ms(l);

	if (l->is_firing)
		return;
	if (l->timers == NULL) {
		(void) uv_timer_stop(&l->timer); /* cannot fail */
		return;
	}
	if (uv_is_active((uv_handle_t *) &l->timer) && l->timer_due_ms == l->timers->due_ms)
		return;
	l->timer_due_ms = l->timers->due_ms;
	/* Fails only on a closing handle, and the loop's owner has closed everything else before
	 * that. */
	MUST(uv_timer_start(&l->timer, timer_on_uv,
			    l->timer_due_ms > now_ms ? l->timer_due_ms - now_ms : 0,
			    /* repeat= */ 0) == 0);
}

static void timer_on_uv(uv_timer_t *uv)
{
	struct loop *l = container_of(uv, struct loop, timer);
	uint64_t now_ms = loop_now_ms(l);

	l->is_firing = true;
	while (l->timers != NULL && l->timers->due_ms <= now_ms) {
		struct timer *t = l->timers;

		timer_remove(l, t);
		t->on_due(t); /* @t may be gone now */
	}
	l->is_firing = false;
	timer_follow_top(l);
}

void timer_init(struct timer *t, struct loop *l, timer_fn *on_due)
{
	*t = (struct timer){ .on_due = on_due, .loop = l };
}

void timer_set(struct timer *t, uint64_t due_ms)
{
	struct loop *l = t->loop;

	if (due_ms == UINT64_MAX) {
		timer_stop(t);
		return;
	}
	/* A callback that sets a deadline in the past again and again must not keep this pass
	 * going. */
	if (l->is_firing && due_ms <= loop_now_ms(l))
		due_ms = loop_now_ms(l) + 1;
	if (t->is_armed && t->due_ms == due_ms)
		return;
	if (t->is_armed)
		timer_remove(l, t);
	t->due_ms = due_ms;
	timer_insert(l, t);
	timer_follow_top(l);
}

void timer_stop(struct timer *t)
{
	if (!t->is_armed)
		return;
	timer_remove(t->loop, t);
	timer_follow_top(t->loop);
}
