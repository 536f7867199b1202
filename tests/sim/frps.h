/* SPDX-License-Identifier: Apache-2.0 */
/* frps.h - a model of frps made of our own machines in the server's role: names are unique, answers
 * come in order and late, work connections are asked for and pooled, users send and receive checked
 * bytes. Tests only. */
#pragma once
#include "proto/base/list.h"
#include "proto/session/chan.h"
#include "proto/session/mux.h"
#include "tests/sim/env.h"
#include "tests/sim/flow.h"

#define FRPS_TOKEN "sim-token"
#define FRPS_POOL_MAX 11 /* min(pool_count, 5) + 10 */

struct frps_rules {
	uint32_t refuse_login_pct, refuse_proxy_pct;
	bool is_parking; /* frps 0.65-0.70.0: a login waits for the old session of its run id */
	bool closes_after_login; /* breaks as soon as it accepted */
	bool goes_silent;	 /* never answers a login */
	bool is_gentle;		 /* users do not abort */
	bool forgets_answers;	 /* now and then a NewProxyResp is swallowed */
	uint64_t slow_ms;	 /* an answer takes up to so long */
	uint32_t big_pct;	 /* of users who move up to 1 MiB */
};

struct frps {
	/* set by owner */
	struct env *env;
	struct frps_rules rules;
	/* read-only */
	size_t n_logins, n_open, n_users, n_whole, n_cut, n_timeouts;
	uint64_t login_ms[64]; /* when the good ones came, the last 64 */
	struct list conns;
	/* private */
	uint32_t run_ids, user_ids;
};

void frps_init(struct frps *f, struct env *env);
/* The process dies: all connections with it. */
void frps_deinit(struct frps *f);

struct frps_conn;
int frps_accept(struct frps *f, struct frps_conn **ret_c);
/* Lend bytes; all of them are eaten. */
void frps_feed(struct frps_conn *c, struct span in);
/* The connection ended. */
void frps_lost(struct frps_conn *c);
struct span frps_drain(struct frps_conn *c);
void frps_drained(struct frps_conn *c, size_t n);
/* Must the owner close it (frps_lost())? */
bool frps_is_dead(const struct frps_conn *c);
uint64_t frps_deadline(const struct frps_conn *c);
void frps_act(struct frps_conn *c);
/* Streams that the mux still knows. */
size_t frps_n_streams(const struct frps_conn *c);

/* A user comes to one of the proxies, if there is one. */
void frps_user(struct frps *f);
/* Users of a connection that is not closed yet and who wait or are served. */
size_t frps_n_busy(const struct frps *f);
/* Nonsense on the control channels; GoAway 0 on all connections. */
void frps_spoil(struct frps *f);
void frps_goaway(struct frps *f);
/* Is a proxy of this name registered? */
bool frps_has_proxy(const struct frps *f, const char *name);
