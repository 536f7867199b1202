/* SPDX-License-Identifier: Apache-2.0 */
/* runid.h - under which run id do we log in, and when does it do harm? Floor 2.
 *
 * A login with the id of our last session takes its place, even when the server has not seen its
 * end. The id is random and the server's, never made of the token, never logged. It does harm in
 * two cases and is forgotten then: when a login with it fails for a reason in which it may have a
 * part (some servers park such a login behind the old session), and when another agent has it as
 * well. */
#pragma once
#include "proto/session/client.h"
#include "proto/session/retry.h"

struct runid {
	/* read-only */
	char at[LIMIT_RUN_ID + 1]; /* a secret; "": none */
	/* private */
	bool was_evicted;      /* the last session, by a login with the same id */
	bool was_server_there; /* all the time since: another agent did it, not a restart */
	uint64_t evicted_ms;
};

/* With what was kept of an earlier process; "": nothing. */
void runid_init(struct runid *r, const char *at);
void runid_deinit(struct runid *r); /* wipes: there is none any more */
/* A good login told @id, after @n_tries of them in this outage. */
void runid_on_login(struct runid *r, const char *id, unsigned n_tries);
/* A session has ended, or (not @was_up) a login, the @n_tries-th of this outage, by @cause and
 * @text of CLIENT_EV_DEAD. May forget the id. Returns what retry_lost() has to know: RETRY_RIVAL is
 * the second eviction within a minute by another agent. */
enum retry_class runid_on_dead(struct runid *r, bool was_up, enum client_cause cause,
			       const char *text, unsigned n_tries, uint64_t now_ms);
