/* SPDX-License-Identifier: Apache-2.0 */
/* muxstate.h - the inside of a mux, for the files that make it: mux.c, muxdown.c, muxup.c.
 * Floor 2. */
#pragma once
#include "proto/base/list.h"
#include "proto/base/map.h"
#include "proto/session/inflight.h"
#include "proto/session/mux.h"
#include "proto/session/record.h"
#include "proto/session/stream.h"
#include "proto/session/turn.h"

struct mux {
	/* from mux_params */
	bool is_server;
	size_t n_streams_max, budget, held_max;
	uint32_t window_max;
	/* session */
	bool is_peer_gone; /* it said GoAway: no new streams */
	bool is_dead_told, has_rtt;
	const char *why; /* not NULL: dead */
	uint64_t now_ms, rtt_ms;
	uint64_t pings_since_ms; /* n_pings of the peer came since then */
	unsigned n_pings;
	uint64_t n_ignored; /* frames for unknown streams */
	/* the frame being read */
	struct span in;
	uint8_t header[MFRAME_LEN];
	size_t header_len;
	struct mux_stream *cur; /* whose body it is; NULL: nobody's */
	uint32_t body_left;
	uint16_t flags_left;
	/* streams */
	struct map streams; /* id -> struct mux_stream, owned */
	uint32_t next_id;   /* of ours */
	size_t n_unacked;   /* those of ours whose SYN has no ACK, forgotten ones too */
	size_t budget_used; /* credit above LIMIT_WINDOW_MIN of all together */
	size_t n_held;	    /* bytes of all together that their users are not done with */
	struct turn turn;
	struct inflight inflight;
	struct list emit;		/* have frames for ctl */
	struct list unacked, lingering; /* oldest first */
	struct record record;		/* the last one: mux_new() leaves it alone */
};

/* The session is over: nothing more is read, and only what is in ctl already may still leave. The
 * first @why (static text) counts. */
void mux_die(struct mux *m, const char *why);

/* A stream that knows of nothing yet, in the map. 0 or -ENOMEM. */
int mux_add_stream(struct mux *m, uint32_t id, void *user, struct mux_stream **ret_s);
/* Free it when nobody and nothing needs it any more. True when it is gone. */
bool mux_drop_if_over(struct mux *m, struct mux_stream *s);
/* Its user is done with all of it, or will be without a word. */
void mux_release(struct mux *m, struct mux_stream *s);
/* @n bytes that arrived are done with: the credit for them may become due. */
void mux_account(struct mux *m, struct mux_stream *s, size_t n);
/* FIN rides behind the data in the record; without room it waits for a turn. */
void mux_try_fin(struct mux *m, struct mux_stream *s);

/* Frames of @s are due: mux_drain() writes them to ctl. */
static inline void mux_queue_emit(struct mux *m, struct mux_stream *s)
{
	if (!list_is_linked(&s->emit_link))
		list_add_tail(&m->emit, &s->emit_link);
}

/* The peer knows @s, or never will. */
static inline void mux_stream_acked(struct mux *m, struct mux_stream *s)
{
	if (s->is_acked)
		return;
	s->is_acked = true;
	m->n_unacked--;
	if (!s->is_forgotten)
		list_del(&s->wait_link);
}
