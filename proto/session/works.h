/* SPDX-License-Identifier: Apache-2.0 */
/* works.h - the work connections of one session over the mux: asked for, parked, joined, forgotten;
 * and the visits that we ask for, which are the same once they are answered. Floor 2.
 *
 * Used by client.c only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/list.h"
#include "proto/session/client.h"
#include "proto/session/mux.h"
#include "proto/session/visit.h"
#include "proto/session/work.h"

/* What is said and heard before it is joined. */
union work_first {
	struct work work;
	struct visit visit; /* is_visit */
};

/* owned by works */
struct client_work {
	struct works *works;
	struct mux_stream *stream;
	union work_first *first; /* NULL: over, and its last message was looked at */
	void *user;
	bool is_visit, is_joined;
	bool is_refused;	 /* a visit of which only works_forget() is left */
	uint64_t due_ms;	 /* a visit's answer */
	struct list link;	 /* in all */
	struct list asked_link;	 /* in asked: a visit without an answer */
	struct list unsent_link; /* in unsent: its first message has not left yet */
};

/* invariant: n_unstarted + n_visits + n_joined = length of all */
struct works {
	/* set by owner */
	struct mux *mux;
	struct roster *roster;
	enum wire wire;
	struct span token;
	const char *run_id;
	/* read-only */
	size_t n_wanted, n_unstarted, n_joined;
	size_t n_visits; /* that are not joined */
	/* private */
	struct list all, unsent;
	struct list asked;	    /* in the order of due_ms */
	uint64_t tokens, tokens_ms; /* of the bucket that limits answers to ReqWorkConn */
	struct span in;		    /* lent bytes of @of_in not looked at yet */
	struct client_work *of_in;
	struct client_work *shown; /* its start message was shown by the last event */
	const char *limit;	   /* one that was reached and is not told yet, or NULL */
	char text[512];
};

/* Before anything else; the owner's fields are set by then. */
void works_init(struct works *ws, uint64_t now_ms);
void works_deinit(struct works *ws); /* before the mux goes */
/* The server asked for one more; beyond LIMIT_WORK_QUEUE it is not answered. */
void works_ask(struct works *ws);
/* Open what was asked for as far as the limits go; @stamp signs. 0 or -ENOMEM. */
int works_open(struct works *ws, uint64_t now_ms, int64_t stamp);
/* Ask for a visit; returns what client_open_visit() does. */
int works_visit(struct works *ws, const struct visit_params *p, void *user, uint64_t now_ms,
		int64_t stamp, struct client_work **ret_w);
/* First messages that found no room go out before the next drain. */
void works_flush(struct works *ws);
/* Bytes for @w, lent until works_next() returned WORKS_E_MORE. */
void works_feed(struct works *ws, struct client_work *w, struct span in);
/* 0 and START, DATA, WORK_ERROR, VISIT_OPEN or VISIT_REFUSED; WORKS_E_MORE; -ENOMEM. */
enum { WORKS_E_MORE = 1 };
int works_next(struct works *ws, struct client_event *ret_ev);
/* The peer ended @w. True: *ret_ev is FIN, RST or VISIT_REFUSED for its user; false: it was parked
 * and is gone. */
bool works_on_end(struct works *ws, struct client_work *w, bool is_reset,
		  struct client_event *ret_ev);
/* Nothing more arrives for now. True: *ret_ev is VISIT_REFUSED, since an answer is overdue. */
bool works_on_time(struct works *ws, uint64_t now_ms, struct client_event *ret_ev);
/* The last event is no longer looked at. */
void works_settle(struct works *ws);
void works_forget(struct works *ws, struct client_work *w);
/* When tokens for n_wanted are back, or a visit was not answered in time; UINT64_MAX: nothing waits
 * for time alone. */
uint64_t works_deadline(const struct works *ws);
