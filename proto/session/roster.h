/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - which proxies are wanted, asked for, up or refused, and when to ask again. Floor 2.
 *
 *            start/due           NewProxyResp ok
 *   OFF ------------------> ASKED ------------> UP
 *    ^ withdraw               | error, timeout   | withdraw, partner refused
 *    +------- WAITING <-------+                  v CloseProxy
 *              ^ due -> ASKED                  OFF / WAITING
 *
 * With all_or_none the proxies live and die together: when one is refused, the others that are up
 * are closed at once and all wait for the same moment. A name is asked for only when it is not live
 * at the server (a repeated NewProxy is refused). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/wire/msg.h"

enum roster_state { ROSTER_STATE_OFF, ROSTER_STATE_ASKED, ROSTER_STATE_UP, ROSTER_STATE_WAITING };

/* Why an entry is not UP. */
enum roster_cause {
	ROSTER_CAUSE_NONE,
	ROSTER_CAUSE_WITHDRAWN,
	ROSTER_CAUSE_REFUSED,
	ROSTER_CAUSE_LATE,    /* no answer in time */
	ROSTER_CAUSE_PARTNER, /* all_or_none: another one was refused or late */
};

struct roster_entry {
	/* set by owner */
	const struct msg_new_proxy *msg; /* wire form; borrowed: outlives the entry */
	void *user;
	bool is_wanted; /* false: withdrawn (unhealthy, removed, shutting down) */
	/* read-only */
	bool is_removed; /* see roster_remove(); with @msg NULL its place is free */
	enum roster_state state;
	enum roster_cause cause;
	bool was_up;	    /* when it left ASKED or UP last, it was UP */
	unsigned n_refused; /* in a row */
	char *alias; /* owned; what a plugin of the server has made of the name; NULL: nothing */
	/* private */
	uint64_t due_ms; /* ASKED: answer due; OFF and wanted, WAITING: ask */
	uint64_t refused_since_ms;
	bool is_live;	    /* the server may hold the name: asked and not closed since */
	bool is_heard;	    /* a stale answer came during this ask */
	bool is_unsure;	    /* an answer was matched by a guess: a refused name may be live */
	unsigned n_stale;   /* answers due to asks that were given up */
	uint64_t asked_seq; /* of the last ask */
	uint64_t stale_seq; /* of the oldest one given up */
};

struct roster {
	/* set by owner */
	bool all_or_none;
	/* read-only */
	struct roster_entry *entries; /* owned; index = handle, stable until roster_forget */
	size_t n_entries;	      /* free places included */
	/* private; invariant: nothing is due before wake_ms */
	size_t cap, n_removed;
	uint64_t rng, seq, wake_ms;
	uint64_t swept_ms; /* time of the last look for late answers */
	size_t n_closing;  /* entries that are live and neither ASKED nor UP */
	size_t cursor;	   /* where the search for work goes on */
	bool is_open;	   /* between roster_start and roster_stop */
};

void roster_init(struct roster *r, uint64_t seed);
void roster_deinit(struct roster *r);
/* Make an entry, wanted and OFF. 0, -ENOMEM, or ROSTER_E_FULL (LIMIT_PROXIES). */
enum { ROSTER_E_FULL = 1 };
int roster_add(struct roster *r, const struct msg_new_proxy *msg, void *user, size_t *ret_i);
/* Make room, so that the next @n roster_add() do not fail for want of memory. 0, -ENOMEM. */
int roster_reserve(struct roster *r, size_t n);
/* Entry @i has changed, or is wanted again after roster_remove(): what the server holds of it is
 * closed, then it is asked for as @msg says, which has the same name. Forgets refusals. */
void roster_replace(struct roster *r, size_t i, const struct msg_new_proxy *msg, void *user,
		    uint64_t now_ms);
/* Withdraw it for ever; @msg and @user are needed until roster_forget(). */
void roster_remove(struct roster *r, size_t i, uint64_t now_ms);
/* A removed one: 0, it is closed at the server and forgotten, its place may be used again; or
 * ROSTER_E_BUSY: it is still needed. */
enum { ROSTER_E_BUSY = 1 };
int roster_forget(struct roster *r, size_t i);
/* The control channel is up: everything wanted may be asked for from @now_ms on. */
void roster_start(struct roster *r, uint64_t now_ms);
/* The control channel is gone: all OFF; refusal counters stay. */
void roster_stop(struct roster *r);
/* What to send next, if anything: 0 and *ret_i with *ret_close false: send NewProxy (now ASKED);
 * true: send CloseProxy (the entry's cause and was_up say why; closes come before asks).
 * ROSTER_E_NONE: nothing now. Call until NONE after every other call. */
enum { ROSTER_E_NONE = 1 };
int roster_next(struct roster *r, uint64_t now_ms, size_t *ret_i, bool *ret_close);
/* A NewProxyResp arrived. Matched by name, else to the oldest ask that is unanswered, which has
 * that name as its alias then. @error NULL or "": accepted. 0 and *ret_i, which is UP or WAITING
 * now; ROSTER_E_STRANGER: nobody asked (ignored); ROSTER_E_STALE: the answer to an ask that was
 * given up. */
enum { ROSTER_E_STRANGER = 2, ROSTER_E_STALE = 3 };
int roster_answer(struct roster *r, const char *name, const char *error, uint64_t now_ms,
		  size_t *ret_i);
/* What the server calls it: the name asked for, or its alias. Valid until the next call. */
const char *roster_name(const struct roster *r, size_t i);
/* Find by the wire name, else by an alias; ROSTER_E_NONE when unknown. */
int roster_find(const struct roster *r, const char *name, size_t *ret_i);
/* Want it, or withdraw it (CloseProxy follows by roster_next). */
void roster_want(struct roster *r, size_t i, bool is_wanted, uint64_t now_ms);
bool roster_is_all_up(const struct roster *r); /* every wanted entry is UP, and there is one */
/* When roster_next() may have something: absolute ms, never too late, at times too early.
 * UINT64_MAX: never by itself. */
uint64_t roster_deadline(const struct roster *r);
