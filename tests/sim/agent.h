/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - the machines of one agent, driven as the real one drives them: retry, run id, roster
 * and client, with services that check each byte. Tests only.
 *
 * What the machines promise to their driver is checked all the time: one login at a time, logins
 * apart, silence found in time, no session that ends without a reason. */
#pragma once
#include "proto/session/client.h"
#include "proto/session/retry.h"
#include "proto/session/runid.h"
#include "tests/sim/net.h"

#define AGENT_N_PROXIES 2
#define AGENT_N_CAUSES (CLIENT_CAUSE_LEFT + 1)
#define AGENT_TRIES_MAX 10     /* in AGENT_TRIES_MS, whatever happens */
#define AGENT_TRIES_MS 5000    /* faults F28 */
#define AGENT_SILENCE_MS 15000 /* faults F3: at the latest a dead path is found */
#define AGENT_RIVAL_MS 60000   /* within it a second eviction is a rival's work */
#define AGENT_CALM_MS 42000    /* no dial after that */

struct agent {
	/* set by owner */
	struct env *env;
	struct net *net;
	struct frps *frps;
	size_t number;
	enum wire wire;
	bool keeps_run_id;   /* from one session to the next, and when it is killed */
	size_t inflight_max; /* client_params; 0: as in the field */
	size_t fails_in;     /* so many allocations of its machines succeed, then one fails;
			      * SIZE_MAX: none fails */
	uint64_t next_ms;    /* when something is due; 0: to be looked at */
	/* read-only */
	struct roster roster;
	struct retry retry;
	struct runid runid;
	struct client *client; /* NULL: none */
	struct net_conn *conn;
	uint64_t dial_due_ms; /* UINT64_MAX: no dial */
	uint64_t paused_until_ms;
	bool is_left;
	size_t n_tries, n_logins, n_deaths, n_starts, n_downs, n_failed;
	size_t n_wakes; /* moments at which the session had something to do */
	size_t deaths[AGENT_N_CAUSES];
	enum client_cause last_cause;
	uint64_t try_ms[AGENT_TRIES_MAX]; /* when the last ones began */
	/* private */
	struct msg_new_proxy proxies[AGENT_N_PROXIES];
	char names[AGENT_N_PROXIES][32];
	struct list services;
	uint64_t login_ms, heard_ms, resumed_ms, wake_ms;
	uint64_t evicted_ms;   /* the last session, and nothing failed since; 0: it was not */
	uint64_t rival_due_ms; /* not dialed before, for a rival was found */
	size_t n_tries_lived;  /* since it was started last */
};

/* A process that starts: it has no session yet, and dials soon. */
void agent_init(struct agent *a);
void agent_deinit(struct agent *a);
/* When agent_act() has something to do. */
uint64_t agent_due(const struct agent *a);
/* Does what is due. */
void agent_act(struct agent *a);
/* Bytes of its connection, or the end of it. */
void agent_receive(struct agent *a, struct span bytes);
void agent_on_end(struct agent *a);
/* Let the machines say and send what they have. */
void agent_pump(struct agent *a);
bool agent_is_paused(const struct agent *a);

bool agent_is_up(const struct agent *a); /* all proxies, as it sees it, and the server has them */
bool agent_is_quiet(const struct agent *a);
const char *agent_proxy(const struct agent *a, size_t i); /* its name */

/* What is done to it. */
void agent_pause(struct agent *a, uint64_t ms);
/* Its process dies and is started again. Its connection ends, unless the path is dead. */
void agent_kill(struct agent *a);
/* Withdraw all proxies, or want them again. */
void agent_want(struct agent *a, bool is_wanted);
/* A reload changes one proxy. */
void agent_reload(struct agent *a);
/* A visit to a proxy of somebody else. False: not now. */
bool agent_visit(struct agent *a, uint32_t big_pct);
void agent_leave(struct agent *a); /* closes its proxies; what is joined lives */
void agent_bye(struct agent *a);   /* ends the session */
