/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - one yamux stream: credit in both directions, half-close, and when its memory is free
 * again. Floor 2.
 *
 *   our direction:    OPEN --mux_fin--> FIN_DUE --emitted--> FIN_SENT
 *   peer's direction: OPEN --FIN arrives--> FIN_SEEN
 *   either:           --RST sent or seen--> RESET
 * The object goes when it is forgotten by its user and both directions are over and nothing of it
 * waits to be emitted.
 *
 * Used by the mux only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/wire/mframe.h"

enum stream_up { STREAM_UP_OPEN, STREAM_UP_FIN_DUE, STREAM_UP_FIN_SENT };

/* invariants: recv_credit + unconsumed + grantable <= window + excess; credit above
 * LIMIT_WINDOW_MIN is charged to the budget */
struct mux_stream {
	uint32_t id;
	void *user;
	enum stream_up up;
	bool is_fin_seen, is_reset, is_forgotten;
	bool is_acked;			/* by the peer, or opened by it */
	bool syn_due, ack_due, rst_due; /* to be emitted through ctl */
	bool wants_credit;		/* a turn is due when credit comes */
	bool is_bulk;			/* had a turn and wanted more: waits behind fresh streams */
	uint32_t send_credit;
	uint32_t recv_credit; /* what the peer may still send */
	uint32_t grantable;   /* consumed and not given back yet */
	uint32_t grant_due;   /* to be emitted as a window update */
	uint32_t window;      /* target of recv_credit + unconsumed + grantable */
	uint32_t excess;      /* they are more by this: it is not given back */
	uint32_t held;	      /* given to the user, who is not done with them */
	uint32_t measured;    /* consumed since measured_ms: how fast, decides on the window */
	uint64_t measured_ms, consumed_ms; /* the latter: the last time */
	uint64_t since_ms;		   /* in the unacked or the lingering list: since when */
	struct list turn_link, emit_link, wait_link;
};

void stream_init(struct mux_stream *s, uint32_t id, void *user, uint64_t now_ms);

/* What of its window is charged to the budget. */
static inline uint32_t stream_charge(const struct mux_stream *s)
{
	return s->window > LIMIT_WINDOW_MIN ? s->window - LIMIT_WINDOW_MIN : 0;
}

/* @n bytes of its credit are used: they are here, or on their way behind the head of a frame. */
void stream_receive(struct mux_stream *s, uint32_t n, uint64_t now_ms);
/* @n consumed bytes may be given back now or later. Returns what has to be granted now (0: not
 * yet). The window may have become larger, by up to @budget_left (charge it), or smaller. */
uint32_t stream_consume(struct mux_stream *s, uint32_t n, uint64_t now_ms, uint64_t rtt_ms,
			uint32_t window_max, uint64_t budget_left);
/* Add the peer's grant. false: the sum leaves 32 bits, which no honest peer does. */
bool stream_add_credit(struct mux_stream *s, uint32_t delta);
/* The next frame that is due through ctl, in the only legal order: SYN or ACK with the grant, then
 * RST. False: none. stream_emitted() once it was added. A stream that was reset before its SYN left
 * has none: the peer never heard of it. */
bool stream_due_frame(const struct mux_stream *s, struct mframe *ret_f);
void stream_emitted(struct mux_stream *s, const struct mframe *f);
/* Are both directions over, as far as frames go? */
bool stream_is_over(const struct mux_stream *s);
