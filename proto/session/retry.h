/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - when to dial the server again. Time and randomness in, a deadline out; no clock, no
 * I/O. Floor 2.
 *
 * GLOSSARY
 * outage  from the loss of a session (or the start) to the next good login
 * try     one dial until it ends
 *
 * Classes: NETWORK (also a broken protocol): first try after U(0, 250 ms), then d = 0.5 s, 0.9 s
 * until 15 s of outage, 5 s until 2 min, 20 s after, each U(0.7 d, d). REFUSED (the server said no
 * to the login): 1, 2, 5, 10, 15, 15 ... s, 60 s after 2 min, spread alike. RIVAL (another agent
 * takes our place each time): 60 s, spread alike. After a session that had logged in one try at
 * once stands before all that (NETWORK), but good logins start at least WAIT_LOGIN_SPACING_MS
 * apart, so that a server which accepts and then breaks is asked at most that often. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum retry_state { RETRY_STATE_IDLE, RETRY_STATE_WAITING, RETRY_STATE_TRYING };
const char *retry_state_name(enum retry_state s);
enum retry_class { RETRY_NETWORK, RETRY_REFUSED, RETRY_RIVAL };

struct retry {
	/* read-only */
	enum retry_state state;
	unsigned n_tries; /* in this outage */
	uint64_t due_ms;  /* WAITING: when the next try may start */
	/* private; invariant: outage_since_ms <= due_ms */
	uint64_t rng;
	uint32_t pace; /* of this outage: where in 0.7 d .. d its waits lie */
	bool has_login, is_hurried;
	uint64_t outage_since_ms, login_ms, begun_ms;
	uint64_t refused_since_ms;
	unsigned n_refused; /* logins since the last good one, whatever failed in between */
};

/* IDLE; @seed makes the jitter (different on each machine and start). */
void retry_init(struct retry *r, uint64_t seed);
/* The session is gone, or the agent starts, or a try has failed: -> WAITING, due_ms says when. A
 * loss in IDLE starts an outage; one in WAITING changes nothing. @cause: the class of what
 * happened. */
void retry_lost(struct retry *r, enum retry_class cause, uint64_t now_ms);
/* Start a try: 0 (-> TRYING), or RETRY_E_EARLY. At most one is in flight. */
enum { RETRY_E_EARLY = 1 };
int retry_begin(struct retry *r, uint64_t now_ms);
/* The try ended in a good login: -> IDLE. */
void retry_done(struct retry *r, uint64_t now_ms);
/* Something changed (a link came up, a token file): the next try may start now (a short moment
 * after the last one, so that a link that flaps is no load). In TRYING: as soon as this
 * one fails. */
void retry_hurry(struct retry *r, uint64_t now_ms);
