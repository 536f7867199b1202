/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c - a token bucket that several connections share. Floor 4. */
#include "agent/net/bucket.h"

#include "agent/base/loop.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define STEPS_PER_S 20 /* wake-ups for a slow bucket; a fast one gives LIMIT_TURN at a time */

static void bucket_fill(struct bucket *b)
{
	uint64_t now_ms = loop_now_ms(b->loop), ms = now_ms - b->filled_ms;

	b->filled_ms = now_ms;
	b->millis += (ms < 1000 ? ms : 1000) * b->rate;
	if (b->millis > b->rate * 1000)
		b->millis = b->rate * 1000;
}

/* With fewer tokens nobody is woken. */
static size_t bucket_step(const struct bucket *b)
{
	uint64_t step = b->rate / STEPS_PER_S + 1;

	return step < LIMIT_TURN ? (size_t) step : LIMIT_TURN;
}

static void bucket_arm(struct bucket *b)
{
	uint64_t need = bucket_step(b) * 1000;

	if (list_is_empty(&b->waiters))
		timer_stop(&b->timer);
	else if (b->millis >= need)
		timer_set(&b->timer, b->filled_ms);
	else
		timer_set(&b->timer, b->filled_ms + (need - b->millis + b->rate - 1) / b->rate);
}

static void bucket_on_due(struct timer *t)
{
	struct bucket *b = container_of(t, struct bucket, timer);
	struct bucket_waiter *w;

	bucket_fill(b);
	while (!list_is_empty(&b->waiters) && b->millis / 1000 >= bucket_step(b)) {
		w = container_of(b->waiters.next, struct bucket_waiter, link);
		list_del(&w->link);
		b->serving = w;
		w->on_tokens(w); /* takes some, or wants none any more */
		b->serving = NULL;
	}
	bucket_arm(b);
}

void bucket_init(struct bucket *b, struct loop *l, uint64_t rate)
{
	MUST(rate > 0);
	*b = (struct bucket){
		.loop = l,
		.rate = rate,
		.millis = rate * 1000,
		.filled_ms = loop_now_ms(l),
	};
	list_init(&b->waiters);
	timer_init(&b->timer, l, bucket_on_due);
}

void bucket_deinit(struct bucket *b)
{
	MUST(list_is_empty(&b->waiters));
	timer_stop(&b->timer);
}

void bucket_waiter_init(struct bucket_waiter *w, void (*on_tokens)(struct bucket_waiter *w))
{
	w->on_tokens = on_tokens;
	list_init(&w->link);
}

void bucket_leave(struct bucket_waiter *w)
{
	list_del(&w->link); /* the timer may fire for nobody */
}

size_t bucket_take(struct bucket *b, struct bucket_waiter *w, size_t n)
{
	size_t step = bucket_step(b), there;
	bool is_served = b->serving == w;

	MUST(n > 0);
	bucket_fill(b);
	there = (size_t) (b->millis / 1000);
	if (is_served)
		b->serving = NULL;
	if ((!is_served && !list_is_empty(&b->waiters)) || there < (n < step ? n : step)) {
		if (!list_is_linked(&w->link))
			list_add_tail(&b->waiters, &w->link);
		bucket_arm(b);
		return 0;
	}
	n = n < there ? n : there;
	n = n < LIMIT_TURN ? n : LIMIT_TURN;
	b->millis -= n * (uint64_t) 1000;
	return n;
}

void bucket_give_back(struct bucket *b, size_t n)
{
	b->millis += n * (uint64_t) 1000;
}
