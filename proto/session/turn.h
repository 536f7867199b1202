/* SPDX-License-Identifier: Apache-2.0 */
/* turn.h - in which order streams may fill the record: fresh ones first, then bulk round robin (as
 * fq_codel's lists). Floor 2.
 *
 * Used by the mux only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "proto/session/stream.h"

struct turn {
	/* read-only */
	size_t n_waiting;
	struct mux_stream *holder; /* whose turn it is; NULL: nobody's */
	bool is_fresh;		   /* that turn is one of a small message */
	/* of bulk: bytes of one turn, LIMIT_TURN at first; its owner may change it */
	size_t quantum;
	/* private */
	struct list fresh, bulk;
};

void turn_init(struct turn *t);
/* Queue @s; idempotent. */
void turn_want(struct turn *t, struct mux_stream *s);
/* Out of the queue; idempotent. */
void turn_unwant(struct turn *t, struct mux_stream *s);
/* The holder's turn is over: unless it queued again it counts as fresh when it comes back. */
void turn_end(struct turn *t);
/* Is the next stream in the queue a fresh one? */
bool turn_has_fresh(const struct turn *t);
/* Take the next stream out of the queue; @t->n_waiting > 0. */
struct mux_stream *turn_pop(struct turn *t);
/* Give the turn to @s. Returns how many bytes it may send. */
size_t turn_begin(struct turn *t, struct mux_stream *s);
