/* SPDX-License-Identifier: Apache-2.0 */
/* beat.h - is the path alive? One liveness clock: any received byte is life. Floor 2.
 *
 * A ping goes out after WAIT_PING_BUSY_MS of silence while a stream is joined, after
 * WAIT_PING_IDLE_MS while none is; the path is dead after WAIT_DEAD_MS of silence. A deadline that
 * fires more than WAIT_LATE_MS late (paused process, busy machine) is no verdict: probe, and wait
 * WAIT_PROBE_MS. The verdict itself takes two ticks WAIT_CONFIRM_MS apart, so that bytes which
 * already wait in the socket of a process that was paused are read before it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum beat_state { BEAT_STATE_QUIET, BEAT_STATE_PINGED, BEAT_STATE_DEAD };
const char *beat_state_name(enum beat_state s);

struct beat {
	/* read-only */
	enum beat_state state;
	uint64_t rtt_ms; /* of the last answered ping; 0: not measured yet */
	/* private; invariant: heard_ms <= now */
	bool is_busy;
	uint64_t ping_busy_ms, ping_idle_ms, dead_wait_ms;
	bool want_probe;
	bool is_confirming; /* the first of the two ticks was there */
	bool is_unanswered; /* the last ping */
	uint32_t ping_id;   /* of the last ping */
	uint64_t heard_ms;  /* last byte */
	uint64_t pinged_ms;
	uint64_t dead_ms; /* verdict if nothing is heard; moved by a probe */
};

void beat_init(struct beat *b, uint64_t now_ms);
/* Ping and give up sooner than by default, after so much silence; longer waits change nothing. */
void beat_hasten(struct beat *b, uint64_t ping_ms, uint64_t dead_ms);
/* Bytes arrived. */
void beat_heard(struct beat *b, uint64_t now_ms);
/* The answer to ping @ping_id arrived: measures the round trip. */
void beat_pong(struct beat *b, uint32_t ping_id, uint64_t now_ms);
/* A stream is joined (true) or none is (false): may move the deadline. */
void beat_set_busy(struct beat *b, bool is_busy);
/* 0: nothing to do; BEAT_E_PING: send a ping with id b->ping_id now; BEAT_E_DEAD: the path is dead
 * (state DEAD). */
enum { BEAT_E_PING = 1, BEAT_E_DEAD = 2 };
int beat_tick(struct beat *b, uint64_t now_ms);
/* Ask for a ping now, whatever the silence (start of the session, resume after a pause):
 * beat_tick() will return it. */
void beat_probe(struct beat *b, uint64_t now_ms);
/* Absolute ms of the next beat_tick(); UINT64_MAX when dead. */
uint64_t beat_deadline(const struct beat *b);
