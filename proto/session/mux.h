/* SPDX-License-Identifier: Apache-2.0 */
/* mux.h - one yamux session as a pure machine. Bytes in, events out; no I/O, no clock. Floor 2.
 *
 * GLOSSARY
 * credit     bytes one side may still send on a stream (yamux: window); at first LIMIT_WINDOW_MIN
 * grant      giving the peer credit back after its bytes were consumed
 * record     frames that leave together: up to LIMIT_RECORD bytes of them, which are one record of
 *            TLS, or LIMIT_BATCH while the peer takes all we send (mux_set_wide())
 * ctl        the small queue of pings, window updates, SYNs and urgent data: leaves before records
 * turn       the right of one stream to fill the record, given in the order of mux_turn()
 * lingering  a stream we finished and gave up while the peer's FIN is still due
 *
 * Up: mux_reserve() hands out memory inside the open record behind the place of a frame header,
 * mux_commit() closes the frame, mux_drain()/mux_drained() take the bytes away. Down: mux_feed()
 * lends bytes, mux_next() parses on demand. The source of every wire fact is yamux spec.md and what
 * frps does with it (version byte 0 throughout). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/span.h"

struct mux;
struct mux_stream; /* a handle: valid from open (or MUX_EV_OPENED) until mux_forget() */

struct mux_params {
	/* even stream ids, accepts the peer's SYNs; a client answers them with RST */
	bool is_server;
	size_t n_streams_max; /* 0: LIMIT_STREAMS */
	uint32_t window_max;  /* a stream's window grows up to this; 0: LIMIT_WINDOW_MAX */
	size_t budget; /* credit above LIMIT_WINDOW_MIN for all streams together; 0: LIMIT_BUDGET */
	size_t held_max;     /* bytes that wait for mux_consume(), of all streams together; 0:
			      * LIMIT_HELD. Beyond, the stream whose user took nothing for the longest
			      * time is reset */
	size_t inflight_max; /* bulk behind a mark that the peer has not read, for each ms of the
			      * round trip, of a client (inflight.h); 0: LIMIT_INFLIGHT */
};

enum mux_event_kind {
	MUX_EV_OPENED, /* server role: a new stream; ACKed already */
	MUX_EV_DATA,   /* @data, valid until the next call of mux_next() or mux_feed(); owes
			  mux_consume() */
	MUX_EV_FIN,    /* the peer sends no more; never before all its data */
	MUX_EV_RST, /* the stream is over in both directions; only mux_forget() is left to do. @why:
		       NULL, or static text: we reset it */
	MUX_EV_PONG,   /* the answer to mux_ping(@ping_id) */
	MUX_EV_GOAWAY, /* the peer accepts no new streams (code 0); open ones go on */
	MUX_EV_DEAD,   /* the session is over, @why says why (static text). The last event ever */
};

struct mux_event {
	enum mux_event_kind kind;
	struct mux_stream *stream;
	void *user; /* of the stream */
	struct span data;
	uint32_t ping_id;
	const char *why;
};

int mux_new(struct mux **ret_m, const struct mux_params *p); /* 0 or -ENOMEM */
struct mux *mux_free(struct mux *m); /* frees all streams; NULL is fine; returns NULL */
DEFINE_CLEANUP(struct mux, mux_free)

/* -- down: from the peer -- */

/* Lend @in until mux_next() has returned MUX_E_MORE; only then feed again. */
void mux_feed(struct mux *m, struct span in, uint64_t now_ms);
enum { MUX_E_MORE = 1 };
/* 0 and *ret_ev, or MUX_E_MORE: all of the input is eaten. Never calls back. */
int mux_next(struct mux *m, struct mux_event *ret_ev);
/* @n bytes of MUX_EV_DATA are done with (written to the local side, or dropped): credit may flow
 * back. */
void mux_consume(struct mux *m, struct mux_stream *s, size_t n);

/* -- streams -- */

enum {
	MUX_E_STREAMS = 1, /* n_streams_max are open */
	MUX_E_UNACKED = 2, /* LIMIT_STREAMS_UNACKED SYNs wait for their ACK */
	MUX_E_CLOSED = 3, /* the session is dead, the peer went away, ids are used up, or the stream
			     is finished */
	MUX_E_CREDIT = 4, /* no credit; the stream gets a turn when some has come */
	MUX_E_ROOM = 5,	  /* the record (or ctl) is full: drain, or wait for a turn */
};
/* 0, -ENOMEM, MUX_E_STREAMS, MUX_E_UNACKED, MUX_E_CLOSED. @user comes back in events. */
int mux_open(struct mux *m, void *user, struct mux_stream **ret_s);
void mux_set_user(struct mux_stream *s, void *user);
uint32_t mux_stream_id(const struct mux_stream *s);
/* Finish our direction after all that was committed; the FIN waits for a turn by itself.
 * Idempotent. */
void mux_fin(struct mux *m, struct mux_stream *s);
/* End both directions at once: what is not drained yet is taken back where possible. Idempotent. */
void mux_rst(struct mux *m, struct mux_stream *s);
/* The handle is given up; no event names it any more. A stream that was not finished is reset; one
 * that was finished lingers inside until the peer's FIN, and what still arrives is dropped and
 * counted as consumed. */
void mux_forget(struct mux *m, struct mux_stream *s);

/* -- up: to the peer -- */

/* Memory for the next bytes of the stream, 1..LIMIT_BATCH of them, inside the open record; valid
 * until any other call on @m. 0, MUX_E_CREDIT, MUX_E_ROOM or MUX_E_CLOSED; after CREDIT and ROOM
 * the stream is queued for a turn. */
int mux_reserve(struct mux *m, struct mux_stream *s, uint8_t **ret_dst, size_t *ret_cap);
/* @n <= cap bytes were written there; 0: none came. */
void mux_commit(struct mux *m, struct mux_stream *s, size_t n);
/* Like reserve + commit for bytes that exist already: takes what credit and room allow, *ret_n of
 * it (copied). 0 (all taken), or CREDIT, ROOM, CLOSED with *ret_n < s.len; queued for a turn as
 * above. */
int mux_write(struct mux *m, struct mux_stream *s, struct span data, size_t *ret_n);
/* The same through ctl, ahead of the record: for the control stream and first messages. All or
 * nothing. Do not mix with mux_reserve() on one stream while record bytes of it are not drained. */
int mux_write_urgent(struct mux *m, struct mux_stream *s, struct span data);
/* 0, or MUX_E_ROOM, MUX_E_CLOSED. The answer comes as MUX_EV_PONG. */
int mux_ping(struct mux *m, uint32_t ping_id);
/* Announce the end (GoAway @code); nothing else changes. */
void mux_goaway(struct mux *m, uint32_t code);

/* Whose turn is it? 0 and the stream, which should now reserve/commit at most *ret_quantum bytes
 * (or 0 of them when it has none: then it leaves the queue); MUX_E_MORE: nobody waits, or there is
 * no room. A stream that still has more to send after its quantum calls mux_want(). Streams that
 * just became busy come first, with LIMIT_TURN_NEW. */
int mux_turn(struct mux *m, struct mux_stream **ret_s, void **ret_user, size_t *ret_quantum);
/* Queue the stream for a turn. */
void mux_want(struct mux *m, struct mux_stream *s);

/* Does the peer take all that is sent, at once? Then records and turns of bulk are long
 * (LIMIT_BATCH), else short (LIMIT_RECORD and LIMIT_TURN, as at first): nothing can overtake a
 * record. */
void mux_set_wide(struct mux *m, bool is_wide);

/* The next bytes to send, ctl first; empty when there are none. Valid until any other call
 * on @m. */
struct span mux_drain(struct mux *m);
/* @n of them are sent. */
void mux_drained(struct mux *m, size_t n);

/* -- time -- */

/* When mux_tick() wants to be called next (absolute ms), UINT64_MAX: never. */
uint64_t mux_deadline(const struct mux *m);
/* Resets lingering streams whose FIN never came, ends a session whose SYN is not ACKed. */
void mux_tick(struct mux *m, uint64_t now_ms);
/* A round trip was measured (0: it was not); windows grow by the shortest one. */
void mux_set_rtt(struct mux *m, uint64_t rtt_ms);

/* -- facts -- */

struct mux_facts {
	size_t n_streams; /* with those that linger */
	size_t n_unacked;
	size_t n_waiting; /* for a turn */
	size_t budget_used, n_held;
	uint64_t n_ignored; /* frames for unknown streams */
};
void mux_facts(const struct mux *m, struct mux_facts *ret_f);
