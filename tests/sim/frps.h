/* SPDX-License-Identifier: Apache-2.0 */
/* frps.h - a model of frps made of our own machines in the server's role: names are unique, answers
 * come in order and late, work connections are asked for and pooled, users send and receive checked
 * bytes, visits of a client are joined to a service. Without a mux it has the control channel only:
 * nobody comes to its proxies. Tests only. */
#pragma once
#include "proto/base/list.h"
#include "proto/session/chan.h"
#include "proto/session/mux.h"
#include "tests/sim/env.h"
#include "tests/sim/flow.h"

#define FRPS_TOKEN "sim-token"
#define FRPS_POOL_MAX 11 /* min(pool_count, 5) + 10 */
#define FRPS_SECRET "sim-secret"

/* What a login does whose run id has a session already. */
enum frps_kind {
	FRPS_TAKES_OVER, /* up to 0.64, 0.70.1 and later: ends the old one */
	FRPS_PARKS,	 /* 0.65.0: waits until the old one is gone */
	FRPS_LOCKS, /* 0.69.0-0.70.0: the same, and one that dies waiting locks its run id out */
};

struct frps_rules {
	uint32_t refuse_login_pct, refuse_proxy_pct;
	bool closes_after_login; /* breaks as soon as it accepted */
	bool goes_silent;	 /* never answers a login */
	bool is_gentle;		 /* neither users nor services abort */
	bool forgets_answers;	 /* now and then a NewProxyResp is swallowed */
	uint64_t slow_ms;	 /* an answer takes up to so long */
	uint32_t big_pct;	 /* of users who move up to 1 MiB */
};

struct frps {
	/* set by owner */
	struct env *env;
	enum frps_kind kind;
	bool is_mux;
	struct frps_rules rules;
	/* read-only */
	size_t n_logins, n_open, n_users, n_whole, n_cut, n_timeouts;
	struct list conns;
	bool is_touched; /* a connection has something to send although nothing was due there */
	void (*on_login)(void *arg); /* NULL: nobody wants to know */
	void *arg;
	/* private */
	uint32_t run_ids, flow_ids;
	char locked[16][24];
	size_t n_locked;
};

void frps_init(struct frps *f, struct env *env);
/* The process dies: all connections with it, and all it knows. */
void frps_deinit(struct frps *f);
/* The same; it is there again. */
void frps_restart(struct frps *f);

struct frps_conn;
/* @harm is borrowed: what the server does to the session is noted there. */
struct frps_conn *frps_accept(struct frps *f, unsigned *harm);
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
/* Streams that the mux still knows; 0 without one. */
size_t frps_n_streams(const struct frps_conn *c);
/* When the last Ping of the control channel came, or the login; 0: neither yet. */
uint64_t frps_pinged_ms(const struct frps_conn *c);

/* A user comes to one of the proxies, if there is one. */
void frps_user(struct frps *f);
/* The flow of the next one. */
uint32_t frps_new_flow(struct frps *f);
/* Users of a connection that is not closed yet and who wait or are served. */
size_t frps_n_busy(const struct frps *f);
/* Is a proxy of this name registered, by this session? */
bool frps_holds(const struct frps_conn *c, const char *name);
/* By any. */
bool frps_has_proxy(const struct frps *f, const char *name);

/* Faults, on one connection. False: it had no place for it. */
bool frps_spoil(struct frps_conn *c); /* nonsense on the control channel */
bool frps_goaway(struct frps_conn *c);
bool frps_ping_flood(struct frps_conn *c);
bool frps_work_flood(struct frps_conn *c);
bool frps_reset_stream(struct frps_conn *c); /* of a user */
bool frps_evict(struct frps_conn *c);	     /* a stranger logs in with its run id */
