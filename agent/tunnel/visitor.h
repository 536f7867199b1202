/* SPDX-License-Identifier: Apache-2.0 */
/* visitor.h - the near end of somebody's stcp or sudp proxy: a port here whose users are brought
 * there, each by a visit of his own (sudp: all by one). Floor 5.
 *
 * It listens from its start to its end, also while there is no session: users are closed at once
 * then. A port that is taken is tried again every WAIT_VISITOR_BIND_MS. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/timer.h"
#include "agent/conf/schema.h"
#include "agent/net/wrap.h"
#include "agent/tunnel/joined.h"
#include "proto/base/list.h"
#include "proto/session/visit.h"

struct conn;
struct listener;
struct visitudp;

/* What visitors need of their uplink; outlives them and their users. */
struct visitor_host {
	struct loop *loop;
	struct joined_host *users;
	/* Ask for a visit; @p is not needed afterwards. The end needs a user before the loop runs,
	 * which hears on_open() or on_refused(). 0, negated errno, or: no session, too many
	 * unanswered, names too long for the wire. */
	int (*open)(void *arg, const struct visit_params *p, struct end *ret_e);
	/* wrap_new() with the host of what carries @lower. */
	int (*wrap)(void *arg, struct end lower, const struct wrap_params *p, struct end *ret_e);
	void *arg;
};
enum { VISITOR_E_DOWN = 1, VISITOR_E_BUSY = 2, VISITOR_E_LONG = 3 };

/* Shared by its set and its users; the last one frees it. */
struct visitor {
	/* read-only */
	struct visitor_host *host;	 /* borrowed */
	const struct conf_visitor *conf; /* of @whole */
	struct conf *whole;		 /* a share */
	/* the set's */
	struct list link;
	/* private */
	struct listener *listener; /* stcp; NULL: not listening */
	struct visitudp *udp;	   /* sudp; the same */
	struct timer timer;	   /* not listening: the next try; else: users wait */
	size_t n_asked;		   /* visits without an answer */
	unsigned n_shares;	   /* beside the first owner */
	int bind_err;		   /* the last one, which was logged */
	char said[160];		   /* the last refusal that was logged */
};

/* @conf is one of @whole's, which is shared. 0 or -ENOMEM. */
int visitor_new(struct visitor **ret_v, struct visitor_host *h, const struct conf *whole,
		const struct conf_visitor *conf);
/* Listen, now or when that is possible. Idempotent. */
void visitor_start(struct visitor *v);
/* Listen no more; users of streams live on. Idempotent. */
void visitor_stop(struct visitor *v);
/* Stop; it goes with its last user. NULL is fine; returns NULL. */
struct visitor *visitor_free(struct visitor *v);
/* The same settings at another place: the old configuration may go. */
void visitor_set_conf(struct visitor *v, const struct conf *whole, const struct conf_visitor *conf);

/* For its users. */

/* Ask for a visit. 0, or as visitor_host.open, and told to the log. */
int visitor_open(struct visitor *v, struct end *ret_e);
/* The user who waits, into @c; he takes a share. 0 or negated errno (as listen_take()). */
int visitor_take(struct visitor *v, struct conn *c);
/* His visit was answered: put the layers over *e. 0 or negated errno (*e is untouched then). */
int visitor_answered(struct visitor *v, struct end *e);
/* His visit was refused: @text is the server's, raw. Logged once per change of the text. */
void visitor_refused(struct visitor *v, const char *text);
/* He, who was taken, does not wait for an answer any more. */
void visitor_asked_enough(struct visitor *v);
/* He is gone: his share. */
void visitor_let_go(struct visitor *v);
