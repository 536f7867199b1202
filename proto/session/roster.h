/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - which proxies are wanted, asked for, up or refused, and when to ask again. Floor 2.
 *
 *            start/due           NewProxyResp ok
 *   OFF ------------------> ASKED ------------> UP
 *    ^ withdraw               | error, timeout   | withdraw, partner refused
 *    +------- WAITING <-------+                  v CloseProxy
 *              ^ due -> ASKED                  OFF / WAITING
 *
 * With all_or_none the proxies live and die together: when one is refused, the others that are up are closed at once and all
 * wait for the same moment. A name is asked for only when it is not live at the server (a repeated NewProxy is refused). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/wire/msg.h"

enum roster_state { ROSTER_STATE_OFF, ROSTER_STATE_ASKED, ROSTER_STATE_UP, ROSTER_STATE_WAITING };
const char *roster_state_name(enum roster_state s);

struct roster_entry {
	/* set by owner */
	const struct msg_new_proxy *msg; /* wire form, name with the user prefix; borrowed: outlives the entry */
	void *user;
	bool is_wanted; /* false: withdrawn (unhealthy, removed, shutting down) */
	/* read-only */
	enum roster_state state;
	unsigned n_refused; /* in a row */
	/* private */
	uint64_t due_ms;	/* ASKED: answer due; WAITING: ask again */
	uint64_t refused_since_ms;
	bool is_live;	/* the server may hold the name: asked and not closed since */
	unsigned n_stale; /* answers to asks that were given up */
	uint64_t asked_seq;
};

struct roster {
	/* set by owner */
	bool all_or_none;
	/* read-only */
	struct roster_entry *entries; /* owned; index = handle, stable until roster_deinit */
	size_t n_entries;
	/* private */
	size_t cap;
	uint64_t rng, seq;
	bool is_open; /* between roster_start and roster_stop */
};

void roster_init(struct roster *r, uint64_t seed);
void roster_deinit(struct roster *r);
/* Append an entry, wanted and OFF. 0, -ENOMEM, or ROSTER_E_FULL (LIMIT_PROXIES). */
enum { ROSTER_E_FULL = 1 };
int roster_add(struct roster *r, const struct msg_new_proxy *msg, void *user, size_t *ret_i);
/* The control channel is up: everything wanted may be asked for from @now_ms on. */
void roster_start(struct roster *r, uint64_t now_ms);
/* The control channel is gone: all OFF; refusal counters stay. */
void roster_stop(struct roster *r);
/* What to send next, if anything: 0 and *ret_i with *ret_close false: send NewProxy (now ASKED); true: send CloseProxy.
 * ROSTER_E_NONE: nothing now. Call until NONE after every other call. */
enum { ROSTER_E_NONE = 1 };
int roster_next(struct roster *r, uint64_t now_ms, size_t *ret_i, bool *ret_close);
/* A NewProxyResp arrived. Matched by name, else to the oldest ask that is unanswered. @error NULL or "": accepted.
 * 0 and *ret_i; ROSTER_E_STRANGER: nobody asked (ignored); ROSTER_E_STALE: the answer to an ask that was given up. */
enum { ROSTER_E_STRANGER = 2, ROSTER_E_STALE = 3 };
int roster_answer(struct roster *r, const char *name, const char *error, uint64_t now_ms, size_t *ret_i);
/* Find by the wire name; ROSTER_E_NONE when unknown. */
int roster_find(const struct roster *r, const char *name, size_t *ret_i);
/* Want it, or withdraw it (CloseProxy follows by roster_next). */
void roster_want(struct roster *r, size_t i, bool is_wanted, uint64_t now_ms);
bool roster_is_all_up(const struct roster *r); /* every wanted entry is UP, and there is one */
uint64_t roster_deadline(const struct roster *r);
