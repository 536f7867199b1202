/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - one session of an frp client over one connection: mux, login, control channel,
 * proxies, work connections. Bytes and time in, bytes and events out. Floor 2.
 *
 *   OPENING --LoginResp ok--> UP --control end, mux end, dead path--> DEAD
 *      |                       |--client_leave--> LEAVING --client_bye--> DEAD
 *      +--refused, bad, late----------------------------------------> DEAD
 *
 * GLOSSARY
 * work    one work connection: opened because the server asked (ReqWorkConn), parked until
 *         StartWorkConn names a proxy, then joined: raw bytes between a user of that proxy and our
 *         local service
 * visit   a work that we ask for, to reach a proxy of another client through the server
 * joined  a work that was started, or a visit that was answered, and not forgotten yet */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/session/login.h"
#include "proto/session/roster.h"
#include "proto/session/visit.h"

struct client;
struct client_work; /* a handle: valid from CLIENT_EV_START or client_open_visit() until
		     * client_forget() or client_free() */

struct client_params {
	struct login_params login; /* login.timestamp and privilege_key are filled in */
	int64_t wall_s; /* Unix seconds at client_new(); later stamps add the monotonic time */
	bool is_mux;	/* false: the caller dials each work connection (CLIENT_EV_WANT_WORK) */
	size_t n_streams_max;		       /* 0: LIMIT_STREAMS */
	size_t budget, held_max, inflight_max; /* of the mux (mux.h) */
	uint64_t heartbeat_ms;		       /* frp Ping interval; UINT64_MAX: never */
	uint64_t ping_ms, dead_ms; /* of silence, when sooner than by default (beat.h); 0: not */
};

enum client_cause {
	CLIENT_CAUSE_NONE,
	/* control stream ended, or the connection (the caller says so) */
	CLIENT_CAUSE_SERVER_CLOSED,
	CLIENT_CAUSE_REPLACED, /* only the control stream ended while the session lives: another
				  login took the run id */
	CLIENT_CAUSE_REFUSED,  /* the server refused the login: text */
	CLIENT_CAUSE_UNHEARD,  /* it closed the channel at a v2 hello, without a word: as a server
				  that knows v1 only; or it is no frps, or ending */
	CLIENT_CAUSE_LATE,     /* no LoginResp in time */
	CLIENT_CAUSE_SILENT,   /* dead path */
	CLIENT_CAUSE_PROTOCOL, /* the peer's bytes make no sense: text */
	CLIENT_CAUSE_GOAWAY,   /* the server asked us to go: drained, or waited long enough */
	CLIENT_CAUSE_MEMORY,
	CLIENT_CAUSE_LEFT, /* after client_bye() */
};
const char *client_cause_name(enum client_cause c);

enum client_event_kind {
	CLIENT_EV_LOGIN,	 /* logged in */
	CLIENT_EV_PROXY_UP,	 /* @proxy; @text = remote_addr */
	CLIENT_EV_PROXY_DOWN,	 /* @proxy was up and is closed because a partner was refused */
	CLIENT_EV_PROXY_REFUSED, /* @proxy; @text = the server's error, raw */
	CLIENT_EV_WANT_WORK,	 /* no mux only: dial one more connection */
	CLIENT_EV_START, /* @work is joined to @proxy; @start has the addresses (valid until the
			    next call) */
	CLIENT_EV_WORK_ERROR, /* the server closed a parked work with an error text (pool full:
				 normal) */
	CLIENT_EV_LIMIT,      /* @text: which one was reached (static); a user was turned away */
	CLIENT_EV_DATA,	      /* @work, @data (valid until the next call); owes client_consume() */
	CLIENT_EV_FIN,	      /* @work: the peer sends no more */
	CLIENT_EV_RST,	      /* @work: over in both directions; only client_forget() is left */
	CLIENT_EV_PONG_ERROR, /* @text: the server refused a Ping; the session goes on */
	CLIENT_EV_VISIT_OPEN, /* @work was answered: it is joined from here on */
	CLIENT_EV_VISIT_REFUSED, /* @work, @text: the server's error, or ours; only client_forget()
				    is left */
	CLIENT_EV_DEAD, /* @cause, @text. The last event; works still joined must be reset by the
			   caller */
};

struct client_event {
	enum client_event_kind kind;
	size_t proxy; /* roster index */
	struct client_work *work;
	void *user; /* of the work */
	const struct msg_start_work_conn *start;
	struct span data;
	enum client_cause cause;
	const char *text; /* valid until the next call; peer's bytes: escape before showing */
};

/* @roster is borrowed: outlives the client; it is started at login and stopped at the end. 0,
 * -ENOMEM, -EINVAL or FRAME_E_BAD (the Login message cannot be encoded). */
int client_new(struct client **ret_c, const struct client_params *p, struct roster *roster,
	       uint64_t now_ms);
struct client *client_free(struct client *c);
DEFINE_CLEANUP(struct client, client_free)

/* Lend bytes from the server until client_next() has returned CLIENT_E_MORE. */
void client_feed(struct client *c, struct span in, uint64_t now_ms);
enum { CLIENT_E_MORE = 1 };
int client_next(struct client *c, struct client_event *ret_ev);
/* The connection ended (EOF or error @text): DEAD follows from client_next(). */
void client_lost(struct client *c, const char *text);

/* Bytes for the server (see mux_drain); none of a session that is over. */
struct span client_drain(struct client *c);
void client_drained(struct client *c, size_t n);
/* Does the server take all that is sent, at once (see mux_set_wide)? */
void client_set_wide(struct client *c, bool is_wide);

uint64_t client_deadline(const struct client *c);
/* Deadlines, pings, pending work connections, proxies to ask for. Call at the deadline, then
 * client_next() until MORE and client_drain(). */
void client_tick(struct client *c, uint64_t now_ms);
/* After the roster was changed by its owner: sends what follows from it. */
void client_sync(struct client *c, uint64_t now_ms);

/* Facts after login. */
bool client_is_up(const struct client *c);
const char *client_run_id(const struct client *c); /* a secret */
const char *client_server_version(const struct client *c);
size_t client_n_joined(const struct client *c);
uint64_t client_rtt_ms(const struct client *c);

/* Ask for a connection to a proxy of another client (stcp, sudp), over the mux only. VISIT_OPEN or
 * VISIT_REFUSED follows within WAIT_VISIT_MS, unless it is forgotten before; nothing may be sent
 * until then. 0, -ENOMEM, -EINVAL, or nothing is open: CLIENT_E_BUSY (too many streams: later),
 * CLIENT_E_DOWN (not logged in, or leaving), CLIENT_E_LONG (names too long for the wire). */
enum { CLIENT_E_BUSY = 2, CLIENT_E_DOWN = 3, CLIENT_E_LONG = 4 };
int client_open_visit(struct client *c, const struct visit_params *p, void *user,
		      struct client_work **ret_w);

/* Works; the same calls as mux.h has for streams. */
void client_work_set_user(struct client_work *w, void *user);
void client_consume(struct client *c, struct client_work *w, size_t n);
int client_reserve(struct client *c, struct client_work *w, uint8_t **ret_dst, size_t *ret_cap);
void client_commit(struct client *c, struct client_work *w, size_t n);
void client_want(struct client *c, struct client_work *w);
int client_turn(struct client *c, void **ret_user, size_t *ret_quantum);
void client_fin(struct client *c, struct client_work *w);
void client_rst(struct client *c, struct client_work *w);
void client_forget(struct client *c, struct client_work *w);

/* Shutting down: CloseProxy for all, ReqWorkConn unanswered from now on, pings go on; joined works
 * live. */
void client_leave(struct client *c, uint64_t now_ms);
/* FIN the control stream; DEAD (LEFT) follows when it is drained. */
void client_bye(struct client *c);
