/* SPDX-License-Identifier: Apache-2.0 */
/* solo.h - a work connection of its own, for tcpMux = false: dialed, announced, parked, then joined
 * as a struct end; or a visit of its own: dialed, asked for, answered. Floor 5.
 *
 *            link ready, NewWorkConn           StartWorkConn
 *   OPENING -------------------------> PARKED ----------------> JOINED
 *      |       (NewVisitorConn)          |  (NewVisitorConnResp)   | forgotten
 *      +--------failed, closed-----------+-----------> CLOSING <---+
 */
#pragma once
#include "agent/net/end.h"
#include "agent/tunnel/link.h"
#include "proto/base/list.h"
#include "proto/session/visit.h"
#include "proto/session/work.h"

struct solo;

/* What all of one uplink share. */
struct solo_host {
	struct link_server *server;
	struct log *log;
	const char *run_id; /* of the session, as it is when the link is ready */
	const char *const *token;
	struct list solos; /* each stands in it until its memory is free */
	size_t n_unjoined; /* of these n_visits */
	size_t n_visits;
	/* StartWorkConn came: give the end a user (end_set_user), or end_forget() it. Bytes that
	 * follow come right after. */
	void (*on_start)(void *arg, struct end e, const struct msg_start_work_conn *start);
	/* One is gone. */
	void (*on_gone)(void *arg);
	void *arg;
};

/* Open one more. 0, -ENOMEM, or SOLO_E_FULL: LIMIT_DIALS of them are not joined yet. */
enum { SOLO_E_FULL = 1 };
int solo_open(struct solo_host *h);
/* Ask for a visit; @p is copied. The end needs a user before the loop runs, which hears on_open()
 * within WAIT_VISIT_MS of the connection, or on_refused(), in which it forgets the end. Returns
 * what solo_open() does. */
int solo_open_visit(struct solo_host *h, const struct visit_params *p, struct end *ret_e);
/* The session is gone: those that are not joined are closed (their run id is worth nothing; visits
 * are refused), joined ones live on. */
void solo_close_unjoined(struct solo_host *h);
/* The agent ends: all of them. Their users must have forgotten them. */
void solo_close_all(struct solo_host *h);
