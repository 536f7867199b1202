/* SPDX-License-Identifier: Apache-2.0 */
/* runid.c - the run id in memory. Floor 2. */
#include "proto/session/runid.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/secret.h"

#define RUNID_RIVAL_MS 60000 /* two evictions within it */

void runid_init(struct runid *r, const char *at)
{
	*r = (struct runid){ .was_evicted = false };
	(void) snprintf(r->at, sizeof(r->at), "%s", at);
}

void runid_deinit(struct runid *r)
{
	secret_wipe(r->at, sizeof(r->at));
}

void runid_on_login(struct runid *r, const char *id, unsigned n_tries)
{
	/* A server that was restarted refuses the first try: it evicted nobody. */
	r->was_server_there = r->was_evicted && n_tries <= 1;
	(void) snprintf(r->at, sizeof(r->at), "%s", id);
}

static void runid_forget(struct runid *r)
{
	r->was_evicted = false;
	runid_deinit(r);
}

/* Not answered, it may be parked behind an old session with that id; and whatever a server has
 * against it, the third try goes without. */
static bool runid_may_have_failed(enum client_cause cause, const char *text, unsigned n_tries)
{
	if (cause == CLIENT_CAUSE_REFUSED)
		return strstr(text, "run id") != NULL; /* frp server/service.go: "invalid run id" */
	return cause == CLIENT_CAUSE_LATE || cause == CLIENT_CAUSE_SILENT || n_tries >= 2;
}

/* True: another agent did it. */
static bool runid_on_evicted(struct runid *r, uint64_t now_ms)
{
	bool is_rival = r->was_server_there && r->was_evicted &&
			now_ms - r->evicted_ms <= RUNID_RIVAL_MS;

	r->was_evicted = true;
	r->was_server_there = false;
	r->evicted_ms = now_ms;
	if (is_rival)
		runid_forget(r);
	return is_rival;
}

enum retry_class runid_on_dead(struct runid *r, bool was_up, enum client_cause cause,
			       const char *text, unsigned n_tries, uint64_t now_ms)
{
	if (!was_up && runid_may_have_failed(cause, text, n_tries))
		runid_forget(r);
	if (was_up && cause == CLIENT_CAUSE_REPLACED && runid_on_evicted(r, now_ms))
		return RETRY_RIVAL;
	return cause == CLIENT_CAUSE_REFUSED ? RETRY_REFUSED : RETRY_NETWORK;
}
