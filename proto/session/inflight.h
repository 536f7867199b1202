/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.h - how many bytes of bulk are on their way that the peer has not read yet. A queue in
 * the peer's socket delays small messages as one of ours does, and TCP does not tell of it: a mark
 * (a mux ping behind the data) is answered when all before it was read. Floor 2.
 *
 *   CLEAR --half the limit was sent--> MARKED --answer, or held back for too long--> CLEAR
 *
 * MARKED holds bulk back from the limit on, but not for longer than WAIT_MARK_MS more than a round
 * trip: an answer may be late for what is on the way back, and the way may have become longer. Then
 * the mark is given up, and the next one goes: bulk always has one limit in such a time, about 45
 * MB/s. The limit grows with each millisecond of the shortest round trip: a distant peer is
 * left to TCP. Used by the mux only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids of marks have this bit: those of other pings do not. */
#define INFLIGHT_MARK 0x80000000u

struct inflight {
	/* private */
	size_t max;
	bool is_marked;
	uint32_t mark;	    /* id of the last one */
	size_t n_sent;	    /* bytes since then */
	uint64_t marked_ms; /* when it was sent, or before */
	uint64_t rtt_ms;    /* the shortest; 0: not measured yet */
};

/* @max: bytes for each millisecond. */
void inflight_init(struct inflight *f, size_t max);
/* @n bytes of bulk are on their way. */
void inflight_sent(struct inflight *f, size_t n);
/* Should a mark go out now? Its id is inflight_next_mark(); inflight_marked() when it could. */
bool inflight_wants_mark(const struct inflight *f);
uint32_t inflight_next_mark(const struct inflight *f);
void inflight_marked(struct inflight *f, uint64_t now_ms);
/* The answer to ping @id arrived. True: the ping was a mark. */
bool inflight_pong(struct inflight *f, uint32_t id, uint64_t now_ms);
/* A round trip was measured otherwise; 0: it was not. */
void inflight_set_rtt(struct inflight *f, uint64_t rtt_ms);
/* How many bytes of bulk may go until a mark is due, or bulk must wait; SIZE_MAX: any number. */
size_t inflight_left(const struct inflight *f);
/* Must bulk wait for the answer? */
bool inflight_is_full(const struct inflight *f);
void inflight_tick(struct inflight *f, uint64_t now_ms);
/* Absolute ms of the next inflight_tick(), UINT64_MAX: never. */
uint64_t inflight_deadline(const struct inflight *f);
