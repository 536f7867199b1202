/* SPDX-License-Identifier: Apache-2.0 */
/* beat.c - the liveness clock of a session: when to ping, when to give the path up. Floor 2.
 *
 *   QUIET --silence, probe--> PINGED --silence--> DEAD
 *     ^-------any byte-----------|
 *
 * A tick that comes late says nothing about the path: the process did not run. It pings (again) and
 * moves the verdict. libuv runs timers before it polls, so even a tick in time may stand in front
 * of unread bytes; hence the verdict takes a second tick. */
#include "proto/session/beat.h"

#include "proto/base/err.h"
#include "proto/base/limits.h"

const char *beat_state_name(enum beat_state s)
{
	switch (s) {
	case BEAT_STATE_QUIET: return "quiet";
	case BEAT_STATE_PINGED: return "pinged";
	case BEAT_STATE_DEAD: return "dead";
	}
	return "?";
}

static void beat_enter(struct beat *b, enum beat_state to)
{
	static const bool legal[3][3] = {
		[BEAT_STATE_QUIET] = { [BEAT_STATE_QUIET] = true, [BEAT_STATE_PINGED] = true },
		[BEAT_STATE_PINGED] = { true, true, true },
	};

	MUST(legal[b->state][to]);
	b->state = to;
}

/* Nothing is dead before @ms. */
static void beat_spare(struct beat *b, uint64_t ms)
{
	if (b->dead_ms < ms) {
		b->dead_ms = ms;
		b->is_confirming = false;
	}
}

static int beat_ping(struct beat *b, uint64_t now_ms)
{
	beat_enter(b, BEAT_STATE_PINGED);
	b->want_probe = false;
	b->is_unanswered = true;
	b->ping_id++;
	b->pinged_ms = now_ms;
	return BEAT_E_PING;
}

static uint64_t beat_ping_due(const struct beat *b)
{
	return b->heard_ms + (b->is_busy ? b->ping_busy_ms : b->ping_idle_ms);
}

void beat_init(struct beat *b, uint64_t now_ms)
{
	*b = (struct beat){
		.heard_ms = now_ms,
		.dead_ms = now_ms + WAIT_DEAD_MS,
		.ping_busy_ms = WAIT_PING_BUSY_MS,
		.ping_idle_ms = WAIT_PING_IDLE_MS,
		.dead_wait_ms = WAIT_DEAD_MS,
	};
}

void beat_hasten(struct beat *b, uint64_t ping_ms, uint64_t dead_ms)
{
	if (dead_ms / 2 < ping_ms) /* a verdict needs a ping before it */
		ping_ms = dead_ms / 2;
	b->ping_idle_ms = ping_ms < b->ping_idle_ms ? ping_ms : b->ping_idle_ms;
	b->ping_busy_ms = ping_ms < b->ping_busy_ms ? ping_ms : b->ping_busy_ms;
	if (dead_ms >= b->dead_wait_ms)
		return;
	b->dead_wait_ms = dead_ms;
	b->dead_ms = b->heard_ms + dead_ms;
}

void beat_heard(struct beat *b, uint64_t now_ms)
{
	if (b->state == BEAT_STATE_DEAD)
		return;
	beat_enter(b, BEAT_STATE_QUIET);
	b->heard_ms = now_ms;
	b->dead_ms = now_ms + b->dead_wait_ms;
	b->is_confirming = false;
}

void beat_pong(struct beat *b, uint32_t ping_id, uint64_t now_ms)
{
	if (!b->is_unanswered || ping_id != b->ping_id)
		return;
	b->is_unanswered = false;
	b->rtt_ms = now_ms > b->pinged_ms ? now_ms - b->pinged_ms : 1; /* 0 means unknown */
}

void beat_set_busy(struct beat *b, bool is_busy)
{
	b->is_busy = is_busy;
}

int beat_tick(struct beat *b, uint64_t now_ms)
{
	if (b->state == BEAT_STATE_DEAD)
		return 0;
	if (b->want_probe)
		return beat_ping(b, now_ms);
	if (b->state == BEAT_STATE_QUIET) {
		uint64_t due_ms = beat_ping_due(b);

		if (now_ms < due_ms)
			return 0;
		if (now_ms - due_ms > WAIT_LATE_MS)
			beat_spare(b, now_ms + WAIT_PROBE_MS);
		return beat_ping(b, now_ms);
	}
	if (now_ms < b->dead_ms)
		return 0;
	if (now_ms - b->dead_ms > WAIT_LATE_MS) {
		beat_spare(b, now_ms + WAIT_PROBE_MS);
		return beat_ping(b, now_ms);
	}
	if (!b->is_confirming) {
		b->is_confirming = true;
		b->dead_ms = now_ms + WAIT_CONFIRM_MS;
		return 0;
	}
	beat_enter(b, BEAT_STATE_DEAD);
	return BEAT_E_DEAD;
}

void beat_probe(struct beat *b, uint64_t now_ms)
{
	if (b->state == BEAT_STATE_DEAD)
		return;
	b->want_probe = true;
	beat_spare(b, now_ms + WAIT_PROBE_MS);
}

uint64_t beat_deadline(const struct beat *b)
{
	if (b->state == BEAT_STATE_DEAD)
		return UINT64_MAX;
	if (b->want_probe)
		return b->heard_ms; /* in the past: at once */
	return b->state == BEAT_STATE_QUIET ? beat_ping_due(b) : b->dead_ms;
}
