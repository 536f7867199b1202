/* SPDX-License-Identifier: Apache-2.0 */
/* roster.c - the proxies of one client at one server. Floor 2.
 *
 * The server answers in the order it was asked, and drops the connection rather than an answer. So
 * an ask that we give up (late, withdrawn, a partner refused) leaves an answer behind that is due
 * before those of all later asks: it is counted in n_stale and skipped when it comes. A server that
 * really swallows one answer would be misread for ever; hence is_heard: when an answer was skipped
 * and then its successor never came, the two were one, and the count starts anew. After such a
 * guess (and after a match by order only) a refusal is followed by a CloseProxy, which is harmless,
 * for it may have been another ask's.
 *
 * Whatever is live and not ASKED or UP gets its CloseProxy before anything new is asked: a name is
 * never asked for while it may be live, and a port that moves from one proxy to another is free in
 * time. */
#include "proto/session/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/jitter.h"
#include "proto/base/text.h"

#define ROSTER_PATIENCE_MS 60000 /* F21: a server forgets a dead session in 42 s at most */

static bool roster_is_closing(const struct roster_entry *e)
{
	return e->is_live && e->state != ROSTER_STATE_ASKED && e->state != ROSTER_STATE_UP;
}

/* The only place that changes state and is_live: the count of pending CloseProxy follows. */
static void roster_enter(struct roster *r, struct roster_entry *e, enum roster_state to,
			 bool is_live)
{
	static const bool legal[4][4] = {
		[ROSTER_STATE_OFF] = { true, true, false, false },
		[ROSTER_STATE_ASKED] = { true, false, true, true },
		[ROSTER_STATE_UP] = { true, false, false, true },
		[ROSTER_STATE_WAITING] = { true, true, false, true },
	};
	bool was_closing = roster_is_closing(e);

	MUST(legal[e->state][to]);
	e->state = to;
	e->is_live = is_live;
	r->n_closing += (size_t) roster_is_closing(e);
	r->n_closing -= (size_t) was_closing;
}

static void roster_wake(struct roster *r, uint64_t ms)
{
	if (r->wake_ms > ms)
		r->wake_ms = ms;
}

/* Leave ASKED or UP; what the server holds of it is to be closed unless it @is_gone there. */
static void roster_drop(struct roster *r, struct roster_entry *e, enum roster_cause cause,
			bool is_gone)
{
	enum roster_state to = cause == ROSTER_CAUSE_WITHDRAWN ? ROSTER_STATE_OFF
							       : ROSTER_STATE_WAITING;

	e->cause = cause;
	e->was_up = e->state == ROSTER_STATE_UP;
	if (e->state == ROSTER_STATE_ASKED && cause != ROSTER_CAUSE_REFUSED) {
		if (e->n_stale == 0)
			e->stale_seq = e->asked_seq;
		e->n_stale++;
	}
	roster_enter(r, e, to, e->is_live && !is_gone);
}

static uint64_t roster_wait(struct roster *r, const struct roster_entry *e, uint64_t now_ms)
{
	if (e->n_refused == 1)
		return 200;
	if (e->n_refused == 2)
		return 500;
	if (now_ms - e->refused_since_ms < ROSTER_PATIENCE_MS)
		return jitter_between(&r->rng, 1000, 2000);
	return jitter_between(&r->rng, 10000, 15000);
}

/* @e was refused or is late: it waits, and its partners with it. */
static void roster_fail(struct roster *r, struct roster_entry *e, enum roster_cause cause,
			uint64_t now_ms)
{
	if (e->n_refused++ == 0)
		e->refused_since_ms = now_ms;
	roster_drop(r, e, cause, /* is_gone= */ cause == ROSTER_CAUSE_REFUSED && !e->is_unsure);
	e->due_ms = now_ms + roster_wait(r, e, now_ms);
	for (size_t i = 0; r->all_or_none && i < r->n_entries; i++) {
		struct roster_entry *o = &r->entries[i];

		if (o == e || !o->is_wanted)
			continue;
		if (o->state == ROSTER_STATE_ASKED || o->state == ROSTER_STATE_UP)
			roster_drop(r, o, ROSTER_CAUSE_PARTNER, /* is_gone= */ false);
		o->due_ms = e->due_ms;
	}
	roster_wake(r, r->n_closing > 0 ? now_ms : e->due_ms);
}

void roster_init(struct roster *r, uint64_t seed)
{
	*r = (struct roster){ .rng = seed, .wake_ms = UINT64_MAX };
}

/* @name NULL: none. Without memory the alias is lost, and users of the proxy are refused. */
static void roster_set_alias(struct roster_entry *e, const char *name)
{
	e->alias = mem_free(e->alias);
	if (name != NULL && strcmp(name, e->msg->name) != 0)
		e->alias = text_dup(name, strlen(name));
}

void roster_deinit(struct roster *r)
{
	for (size_t i = 0; i < r->n_entries; i++)
		free(r->entries[i].alias);
	free(r->entries);
	roster_init(r, r->rng);
}

/* All start together; with all_or_none a newcomer joins a group that waits. */
static uint64_t roster_first_due(const struct roster *r, const struct roster_entry *e,
				 uint64_t now_ms)
{
	uint64_t due_ms = now_ms;

	for (size_t i = 0; r->all_or_none && i < r->n_entries; i++) {
		const struct roster_entry *o = &r->entries[i];

		if (o != e && o->is_wanted && o->state == ROSTER_STATE_WAITING &&
		    o->due_ms > due_ms)
			due_ms = o->due_ms;
	}
	return due_ms;
}

int roster_reserve(struct roster *r, size_t n)
{
	struct roster_entry *grown;
	size_t cap = r->cap > 0 ? r->cap : 8;

	while (cap - r->n_entries < n)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	grown = realloc(r->entries, cap * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	r->entries = grown;
	r->cap = cap;
	return 0;
}

/* A place for one more: an old one, or a new one at the end. */
static int roster_find_place(struct roster *r, size_t *ret_i)
{
	for (size_t i = 0; r->n_removed > 0 && i < r->n_entries; i++) {
		if (r->entries[i].msg != NULL)
			continue;
		r->n_removed--;
		*ret_i = i;
		return 0;
	}
	if (roster_reserve(r, 1) != 0)
		return -ENOMEM;
	*ret_i = r->n_entries++;
	return 0;
}

int roster_add(struct roster *r, const struct msg_new_proxy *msg, void *user, size_t *ret_i)
{
	struct roster_entry *e;
	int err;

	if (r->n_entries - r->n_removed == LIMIT_PROXIES)
		return ROSTER_E_FULL;
	err = roster_find_place(r, ret_i);
	if (err != 0)
		return err;
	e = &r->entries[*ret_i];
	*e = (struct roster_entry){ .msg = msg, .user = user, .is_wanted = true };
	if (r->is_open) { /* the next roster_next() asks, or finds out when it may */
		e->due_ms = roster_first_due(r, e, 0);
		r->wake_ms = 0;
	}
	return 0;
}

void roster_replace(struct roster *r, size_t i, const struct msg_new_proxy *msg, void *user,
		    uint64_t now_ms)
{
	struct roster_entry *e = &r->entries[i];

	MUST(i < r->n_entries && e->msg != NULL);
	roster_want(r, i, false, now_ms);
	r->n_removed -= (size_t) e->is_removed;
	e->is_removed = false;
	e->msg = msg;
	e->user = user;
	e->n_refused = 0;
	roster_want(r, i, true, now_ms);
}

void roster_remove(struct roster *r, size_t i, uint64_t now_ms)
{
	struct roster_entry *e = &r->entries[i];

	MUST(i < r->n_entries && !e->is_removed);
	roster_want(r, i, false, now_ms);
	e->is_removed = true;
	r->n_removed++;
}

int roster_forget(struct roster *r, size_t i)
{
	struct roster_entry *e = &r->entries[i];

	MUST(i < r->n_entries && e->is_removed && e->msg != NULL);
	if (e->is_live || e->n_stale > 0)
		return ROSTER_E_BUSY;
	e->alias = mem_free(e->alias);
	e->msg = NULL;
	e->user = NULL;
	return 0;
}

void roster_start(struct roster *r, uint64_t now_ms)
{
	MUST(!r->is_open);
	r->is_open = true;
	r->wake_ms = now_ms;
	r->swept_ms = now_ms;
	r->cursor = 0;
	for (size_t i = 0; i < r->n_entries; i++)
		r->entries[i].due_ms = now_ms;
}

void roster_stop(struct roster *r)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		struct roster_entry *e = &r->entries[i];

		roster_enter(r, e, ROSTER_STATE_OFF, /* is_live= */ false);
		e->n_stale = 0;
		e->is_unsure = false;
		e->alias = mem_free(e->alias);
		e->cause = ROSTER_CAUSE_NONE;
		e->was_up = false;
	}
	r->wake_ms = UINT64_MAX;
	r->is_open = false;
}

/* Give up the asks whose answer is late. */
static void roster_sweep(struct roster *r, uint64_t now_ms)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		struct roster_entry *e = &r->entries[i];

		if (e->state != ROSTER_STATE_ASKED || now_ms < e->due_ms)
			continue;
		roster_fail(r, e, ROSTER_CAUSE_LATE, now_ms);
		if (e->is_heard) { /* what was skipped was the answer to this one */
			e->n_stale = 0;
			e->is_unsure = true;
		}
	}
	r->swept_ms = now_ms;
}

static bool roster_is_due(const struct roster_entry *e, uint64_t now_ms)
{
	return e->is_wanted && (e->state == ROSTER_STATE_OFF || e->state == ROSTER_STATE_WAITING) &&
	       now_ms >= e->due_ms;
}

static void roster_ask(struct roster *r, struct roster_entry *e, uint64_t now_ms)
{
	roster_enter(r, e, ROSTER_STATE_ASKED, /* is_live= */ true);
	e->due_ms = now_ms + WAIT_PROXY_RESP_MS;
	e->is_heard = false;
	e->asked_seq = ++r->seq;
	roster_wake(r, e->due_ms);
}

/* Nothing is left to do now: when will there be? */
static void roster_sleep(struct roster *r)
{
	r->wake_ms = UINT64_MAX;
	r->cursor = 0;
	for (size_t i = 0; i < r->n_entries; i++) {
		const struct roster_entry *e = &r->entries[i];

		if (e->state == ROSTER_STATE_ASKED || (e->is_wanted && e->state != ROSTER_STATE_UP))
			roster_wake(r, e->due_ms);
	}
}

int roster_next(struct roster *r, uint64_t now_ms, size_t *ret_i, bool *ret_close)
{
	if (!r->is_open || now_ms < r->wake_ms)
		return ROSTER_E_NONE;
	if (now_ms != r->swept_ms) /* once for each time: a long list is asked for in one turn */
		roster_sweep(r, now_ms);
	for (size_t n = 0; n < r->n_entries; n++) {
		size_t i = (r->cursor + n) % r->n_entries;
		struct roster_entry *e = &r->entries[i];

		if (r->n_closing > 0 ? !roster_is_closing(e) : !roster_is_due(e, now_ms))
			continue;
		*ret_i = i;
		*ret_close = r->n_closing > 0;
		if (*ret_close)
			roster_enter(r, e, e->state, /* is_live= */ false);
		else
			roster_ask(r, e, now_ms);
		r->cursor = i + 1;
		return 0;
	}
	roster_sleep(r);
	return ROSTER_E_NONE;
}

/* The entry whose ask, given up or not, waits longest for its answer; NULL: none. */
static struct roster_entry *roster_oldest(struct roster *r)
{
	struct roster_entry *oldest = NULL;
	uint64_t oldest_seq = UINT64_MAX;

	for (size_t i = 0; i < r->n_entries; i++) {
		struct roster_entry *e = &r->entries[i];
		uint64_t seq = e->n_stale > 0 ? e->stale_seq : e->asked_seq;

		if ((e->n_stale > 0 || e->state == ROSTER_STATE_ASKED) && seq < oldest_seq) {
			oldest = e;
			oldest_seq = seq;
		}
	}
	return oldest;
}

/* By the name that is asked for. */
static int roster_find_asked(const struct roster *r, const char *name, size_t *ret_i)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		const struct msg_new_proxy *msg = r->entries[i].msg;

		if (msg != NULL && msg->name != NULL && strcmp(msg->name, name) == 0) {
			*ret_i = i;
			return 0;
		}
	}
	return ROSTER_E_NONE;
}

int roster_answer(struct roster *r, const char *name, const char *error, uint64_t now_ms,
		  size_t *ret_i)
{
	bool is_refused = error != NULL && error[0] != '\0';
	struct roster_entry *e;
	size_t i;

	if (!r->is_open)
		return ROSTER_E_STRANGER;
	if (name != NULL && roster_find_asked(r, name, &i) == 0) {
		e = &r->entries[i];
	} else { /* a plugin of the server may have changed the name */
		e = roster_oldest(r);
		if (e == NULL)
			return ROSTER_E_STRANGER;
		e->is_unsure = true;
	}
	if (e->n_stale > 0) {
		e->n_stale--;
		e->stale_seq = e->asked_seq;
		e->is_heard = true;
		return ROSTER_E_STALE;
	}
	if (e->state != ROSTER_STATE_ASKED && !(e->state == ROSTER_STATE_UP && is_refused))
		return ROSTER_E_STALE;
	if (is_refused) {
		roster_fail(r, e, ROSTER_CAUSE_REFUSED, now_ms);
	} else {
		roster_enter(r, e, ROSTER_STATE_UP, /* is_live= */ true);
		e->cause = ROSTER_CAUSE_NONE;
		e->n_refused = 0;
		roster_set_alias(e, name);
	}
	*ret_i = (size_t) (e - r->entries);
	return 0;
}

const char *roster_name(const struct roster *r, size_t i)
{
	const struct roster_entry *e = &r->entries[i];

	return e->alias != NULL ? e->alias : e->msg->name;
}

int roster_find(const struct roster *r, const char *name, size_t *ret_i)
{
	if (roster_find_asked(r, name, ret_i) == 0)
		return 0;
	for (size_t i = 0; i < r->n_entries; i++) {
		if (r->entries[i].alias != NULL && strcmp(r->entries[i].alias, name) == 0) {
			*ret_i = i;
			return 0;
		}
	}
	return ROSTER_E_NONE;
}

void roster_want(struct roster *r, size_t i, bool is_wanted, uint64_t now_ms)
{
	struct roster_entry *e = &r->entries[i];

	MUST(i < r->n_entries);
	if (e->is_wanted == is_wanted)
		return;
	e->is_wanted = is_wanted;
	if (!r->is_open)
		return;
	if (is_wanted)
		e->due_ms = roster_first_due(r, e, now_ms);
	else if (e->state == ROSTER_STATE_ASKED || e->state == ROSTER_STATE_UP)
		roster_drop(r, e, ROSTER_CAUSE_WITHDRAWN, /* is_gone= */ false);
	else
		roster_enter(r, e, ROSTER_STATE_OFF, e->is_live);
	roster_wake(r, now_ms);
}

bool roster_is_all_up(const struct roster *r)
{
	bool has_wanted = false;

	for (size_t i = 0; i < r->n_entries; i++) {
		if (!r->entries[i].is_wanted)
			continue;
		if (r->entries[i].state != ROSTER_STATE_UP)
			return false;
		has_wanted = true;
	}
	return has_wanted;
}

uint64_t roster_deadline(const struct roster *r)
{
	return r->wake_ms;
}
