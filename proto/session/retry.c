/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - the schedule of tries. Floor 2.
 *
 *   IDLE --lost--> WAITING --begin--> TRYING --done--> IDLE
 *                     ^------lost-------| */
#include "proto/session/retry.h"

#include "proto/base/err.h"
#include "proto/base/jitter.h"
#include "proto/base/limits.h"

#define RETRY_FIRST_MS 250 /* a thousand agents lose one server in the same moment */
#define RETRY_HURRY_MS 600 /* between tries that are hurried: <= 10 in 5 s even if a link flaps */
#define RETRY_REFUSED_LONG_MS 120000
/* Two agents that evict each other do it once a minute, and people read of it. */
#define RETRY_RIVAL_MS 60000

const char *retry_state_name(enum retry_state s)
{
	switch (s) {
	case RETRY_STATE_IDLE: return "idle";
	case RETRY_STATE_WAITING: return "waiting";
	case RETRY_STATE_TRYING: return "trying";
	}
	return "?";
}

static void retry_enter(struct retry *r, enum retry_state to)
{
	static const enum retry_state next[] = {
		[RETRY_STATE_IDLE] = RETRY_STATE_WAITING,
		[RETRY_STATE_WAITING] = RETRY_STATE_TRYING,
	};

	MUST(r->state == RETRY_STATE_TRYING ? to != RETRY_STATE_TRYING : to == next[r->state]);
	r->state = to;
}

/* Uniform in 0.7 d .. d over the agents, but the same part of it through one outage: a herd then
 * spreads by the sum of its waits, not by the root of their number. */
static uint64_t retry_spread(const struct retry *r, uint64_t d_ms)
{
	uint64_t part_ms = d_ms * 3 / 10;

	return d_ms - part_ms + ((part_ms * r->pace) >> 32);
}

static uint64_t retry_network_wait(struct retry *r, uint64_t outage_ms)
{
	unsigned n_tries = r->n_tries;

	if (r->has_login) { /* one more try at the front, at once: often only the path was cut */
		if (n_tries == 0)
			return 0;
		n_tries--;
	}
	if (n_tries == 0)
		return jitter_between(&r->rng, 0, RETRY_FIRST_MS);
	if (n_tries == 1)
		return retry_spread(r, 500);
	/* 1 s less the time of dial, TLS, login and proxies on a busy machine: all is back at most
	 * 1 s after the server. */
	if (outage_ms < 15000)
		return retry_spread(r, 900);
	if (outage_ms < 120000)
		return retry_spread(r, 5000);
	return retry_spread(r, 20000);
}

static uint64_t retry_refused_wait(struct retry *r, uint64_t now_ms)
{
	static const uint64_t steps_ms[] = { 1000, 2000, 5000, 10000, 15000 };
	const unsigned n_steps = sizeof(steps_ms) / sizeof(steps_ms[0]);

	if (r->n_refused == 0)
		r->refused_since_ms = now_ms;
	if (now_ms - r->refused_since_ms >= RETRY_REFUSED_LONG_MS)
		return retry_spread(r, 60000);
	if (r->n_refused < n_steps)
		r->n_refused++;
	return retry_spread(r, steps_ms[r->n_refused - 1]);
}

static uint64_t retry_wait(struct retry *r, enum retry_class cause, uint64_t now_ms)
{
	switch (cause) {
	case RETRY_NETWORK: break;
	case RETRY_REFUSED: return retry_refused_wait(r, now_ms);
	case RETRY_RIVAL: return retry_spread(r, RETRY_RIVAL_MS);
	}
	return retry_network_wait(r, now_ms - r->outage_since_ms);
}

/* Never before @ms. */
static void retry_not_before(struct retry *r, uint64_t ms)
{
	if (r->due_ms < ms)
		r->due_ms = ms;
}

static void retry_keep_spacing(struct retry *r)
{
	if (r->has_login)
		retry_not_before(r, r->login_ms + WAIT_LOGIN_SPACING_MS);
}

void retry_init(struct retry *r, uint64_t seed)
{
	*r = (struct retry){ .rng = seed };
}

void retry_lost(struct retry *r, enum retry_class cause, uint64_t now_ms)
{
	if (r->state == RETRY_STATE_WAITING)
		return;
	if (r->state == RETRY_STATE_IDLE) {
		r->outage_since_ms = now_ms;
		r->n_tries = 0;
		r->pace = (uint32_t) (jitter_next(&r->rng) >> 32);
	}
	r->due_ms = now_ms + retry_wait(r, cause, now_ms);
	retry_keep_spacing(r);
	retry_enter(r, RETRY_STATE_WAITING);
	if (r->is_hurried)
		retry_hurry(r, now_ms);
}

int retry_begin(struct retry *r, uint64_t now_ms)
{
	MUST(r->state == RETRY_STATE_WAITING);
	if (now_ms < r->due_ms)
		return RETRY_E_EARLY;
	r->n_tries++;
	r->begun_ms = now_ms;
	r->is_hurried = false;
	retry_enter(r, RETRY_STATE_TRYING);
	return 0;
}

void retry_done(struct retry *r, uint64_t now_ms)
{
	retry_enter(r, RETRY_STATE_IDLE);
	r->has_login = true;
	r->is_hurried = false;
	r->login_ms = now_ms;
	r->n_refused = 0;
}

void retry_hurry(struct retry *r, uint64_t now_ms)
{
	uint64_t due_ms = r->due_ms;

	if (r->state == RETRY_STATE_IDLE)
		return;
	r->is_hurried = true;
	if (r->state == RETRY_STATE_TRYING)
		return;
	r->due_ms = now_ms;
	if (r->n_tries > 0)
		retry_not_before(r, r->begun_ms + RETRY_HURRY_MS);
	retry_keep_spacing(r);
	if (r->due_ms > due_ms)
		r->due_ms = due_ms; /* it was nearer already */
}
