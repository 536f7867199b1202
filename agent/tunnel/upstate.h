/* SPDX-License-Identifier: Apache-2.0 */
/* upstate.h - the inside of an uplink, for the files that make it: uplink.c, upsession.c, reload.c,
 * facts.c. Floor 5. */
#pragma once
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/conf/schema.h"
#include "agent/net/wrap.h"
#include "agent/tunnel/joined.h"
#include "agent/tunnel/link.h"
#include "agent/tunnel/proxyset.h"
#include "agent/tunnel/runfile.h"
#include "agent/tunnel/solo.h"
#include "agent/tunnel/uplink.h"
#include "agent/tunnel/visitorset.h"
#include "agent/tunnel/workconn.h"
#include "proto/session/doubt.h"
#include "proto/session/retry.h"
#include "proto/session/roster.h"
#include "proto/session/runid.h"

enum uplink_state {
	UPLINK_STATE_IDLE,
	UPLINK_STATE_WAITING,
	UPLINK_STATE_OPENING,
	UPLINK_STATE_SESSION,
	UPLINK_STATE_LEAVING,
	UPLINK_STATE_CLOSING,
	UPLINK_STATE_ENDED,
};

struct token_fetch;

struct uplink {
	struct loop *loop; /* borrowed */
	struct log *log;   /* borrowed */
	struct conf *conf; /* a share */
	/* a share: what the link and the session borrow from; NULL: none */
	struct conf *session_conf;
	uplink_ended_fn *on_ended;
	void *arg;
	uplink_news_fn *on_news; /* NULL: nobody wants to know */
	void *news_arg;
	enum uplink_state state;
	bool is_ending; /* after CLOSING comes ENDED */
	enum uplink_end end;
	uint64_t n_logins, n_losses; /* good ones, ever; of sessions that were logged in */
	enum doubt doubt;	     /* until the first good login */
	struct runid runid;
	struct runfile runfile;
	struct token_fetch *fetch; /* under way: the link follows */
	char *token;		   /* a secret; as of the last dial; NULL: none yet */
	char addr[300];
	char said[600];		 /* the last failure that was logged: once per change */
	size_t n_run;		 /* bytes the socket has taken since it was full last */
	struct log_limit limits; /* of lines about limits of a session */
	uint64_t grace_due_ms;
	struct link_server server;
	struct retry retry;
	struct roster roster;
	struct proxyset proxies;
	struct visitorset visitors;
	struct timer timer;
	struct loop_task flush;
	struct link link;
	bool has_link;
	struct client *client;
	/* new settings of the server: in force when the old link and all its users are gone */
	bool has_next;
	struct link_server next;
	struct workconn_host works;
	struct solo_host solos;
	struct wrap_host wraps, solo_wraps; /* over streams; over connections of their own */
	struct joined_host users;
};

/* What facts.h tells has changed. */
void uplink_tell(struct uplink *u);
/* Tear down: relays are reset, the connection is closed; what follows comes from the loop. */
void uplink_close(struct uplink *u);
/* End all users, also those whose connections would outlive the session. */
void uplink_drop_users(struct uplink *u);
/* A try or a session has failed: says so, and when it is tried again; then closes. */
void uplink_failed(struct uplink *u, enum retry_class class, const char *words, const char *error,
		   const char *remedy);
/* Before the first good login: does the server know the wire protocol? When it certainly does not,
 * we end: nothing would change by itself. True: the try was only a question. */
bool uplink_doubt(struct uplink *u, enum client_cause cause, const char *text);
/* Goes on when everything of a closed connection is gone. */
void uplink_closed(struct uplink *u);
/* Sets the timer to what the state waits for. */
void uplink_arm(struct uplink *u);

/* upsession.c */

/* Hear what the machine has to say; what it has to send leaves at the end of this turn. */
void uplink_pump(struct uplink *u);
void uplink_on_flush(struct loop_task *t);
/* What work connections and relays ask of an uplink (@arg): send at the end of this turn; room in
 * the open record, by sending now: true when there is some. */
void uplink_flush_later(void *arg);
bool uplink_make_room(void *arg);
