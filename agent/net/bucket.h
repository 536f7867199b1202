/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h - a token bucket that several connections share: bandwidthLimit of one proxy. Floor 4.
 *
 * A token is a byte. The bucket holds one second's worth and is full at first, as that of stock
 * frp. Who finds too few stands in line and is called when it is his turn; each turn takes
 * LIMIT_TURN at most, so that many connections share evenly. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/base/timer.h"
#include "proto/base/list.h"

/* Embedded in its owner. */
struct bucket_waiter {
	/* set by owner */
	void (*on_tokens)(struct bucket_waiter *w);
	/* private */
	struct list link;
};

struct bucket {
	/* private */
	struct loop *loop;
	uint64_t rate;	 /* tokens per second, > 0 */
	uint64_t millis; /* thousandths of tokens that are there, <= rate * 1000 */
	uint64_t filled_ms;
	struct list waiters;
	struct bucket_waiter *serving; /* its turn */
	struct timer timer;
};

/* @rate > 0 bytes per second. */
void bucket_init(struct bucket *b, struct loop *l, uint64_t rate);
/* Nobody stands in line any more. */
void bucket_deinit(struct bucket *b);
void bucket_waiter_init(struct bucket_waiter *w, void (*on_tokens)(struct bucket_waiter *w));
/* Out of the line; also when not in it. */
void bucket_leave(struct bucket_waiter *w);
/* Take 1 to @n > 0 tokens; 0: not now, @w stands in line and on_tokens() follows, from the loop. */
size_t bucket_take(struct bucket *b, struct bucket_waiter *w, size_t n);
/* @n of those taken were not used. */
void bucket_give_back(struct bucket *b, size_t n);
