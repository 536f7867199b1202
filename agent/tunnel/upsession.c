/* SPDX-License-Identifier: Apache-2.0 */
/* upsession.c - what the session's machine says and sends. Floor 5. */
#include <errno.h>
#include <stdio.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/tunnel/advice.h"
#include "agent/tunnel/upstate.h"
#include "agent/tunnel/upusers.h"

/* Per turn of the loop, in records: then the other sockets are looked at. */
#define FLUSH_RECORDS 16

/* -- what the machine says -- */

static void uplink_on_login(struct uplink *u, const char *version)
{
	const char *tls = conn_describe_tls(&u->link.conn);

	retry_done(&u->retry, loop_now_ms(u->loop));
	u->n_logins++;
	u->said[0] = '\0';
	runid_on_login(&u->runid, client_run_id(u->client), u->retry.n_tries);
	runfile_keep(&u->runfile, u->conf, u->runid.at);
	log_info(u->log, "login to server success", "server", u->addr, "version", version, "tls",
		 tls != NULL ? tls : "off");
	uplink_tell(u);
}

static void uplink_on_proxy_up(struct uplink *u, size_t i, const char *remote_addr)
{
	struct proxy *p = u->roster.entries[i].user;
	const char *alias = u->roster.entries[i].alias;
	bool is_pair_up;

	if (alias != NULL)
		log_info(u->log, "the server has changed the name of the proxy", "proxy",
			 p->conf->name, "to", alias);
	proxy_on_up(p, remote_addr);
	is_pair_up = u->roster.all_or_none && roster_is_all_up(&u->roster);
	for (size_t k = 0; is_pair_up && k < u->roster.n_entries; k++) {
		if (u->roster.entries[k].is_wanted)
			proxy_on_all_up(u->roster.entries[k].user);
	}
	uplink_tell(u);
}

static void uplink_on_dead(struct uplink *u, enum client_cause cause, const char *text)
{
	bool is_up = u->retry.state == RETRY_STATE_IDLE;
	enum retry_class class;

	if (cause == CLIENT_CAUSE_LEFT) {
		uplink_close(u);
		return;
	}
	if (uplink_doubt(u, cause, text))
		return;
	u->n_losses += is_up;
	class = runid_on_dead(&u->runid, is_up, cause, text, u->retry.n_tries,
			      loop_now_ms(u->loop));
	runfile_keep(&u->runfile, u->conf, u->runid.at);
	switch (class) {
	case RETRY_RIVAL:
		uplink_failed(u, class, "session lost",
			      "another agent has taken its place, twice within a minute",
			      advice_for_rival());
		break;
	case RETRY_REFUSED:
		uplink_failed(u, class, "the server refused the login", text,
			      advice_for_login(text));
		break;
	case RETRY_NETWORK:
		uplink_failed(u, class, is_up ? "session lost" : "login failed", text,
			      advice_for_cause(cause));
		break;
	}
}

/* It may be reached a thousand times a second. */
static void uplink_on_limit(struct uplink *u, const char *which)
{
	uint64_t n_others;
	char others[24];

	if (!log_limit_allows(&u->limits, loop_now_ms(u->loop), &n_others))
		return;
	(void) snprintf(others, sizeof(others), "%llu", (unsigned long long) n_others);
	log_warn(u->log, "a user is turned away: a limit is reached", "limit", which,
		 "refused_before", others, "remedy", advice_for_limit(which));
}

static void uplink_on_event(struct uplink *u, const struct client_event *ev)
{
	struct end_user *user = ev->user;

	switch (ev->kind) {
	case CLIENT_EV_LOGIN: uplink_on_login(u, ev->text); break;
	case CLIENT_EV_PROXY_UP: uplink_on_proxy_up(u, ev->proxy, ev->text); break;
	case CLIENT_EV_PROXY_DOWN:
		proxy_on_closed(u->roster.entries[ev->proxy].user);
		uplink_tell(u);
		break;
	case CLIENT_EV_PROXY_REFUSED:
		proxy_on_refused(u->roster.entries[ev->proxy].user, ev->text);
		uplink_tell(u);
		break;
	case CLIENT_EV_START: upusers_join(u, ev); break;
	case CLIENT_EV_DATA: user->ops->on_data(user, ev->data); break;
	case CLIENT_EV_FIN: user->ops->on_fin(user); break;
	case CLIENT_EV_RST: user->ops->on_rst(user); break;
	case CLIENT_EV_WORK_ERROR:
		log_debug(u->log, "work connection closed by the server", "text", ev->text);
		break;
	case CLIENT_EV_LIMIT: uplink_on_limit(u, ev->text); break;
	case CLIENT_EV_PONG_ERROR:
		log_debug(u->log, "the server refused a ping", "error", ev->text);
		break;
	case CLIENT_EV_VISIT_OPEN: user->ops->on_open(user); break;
	case CLIENT_EV_VISIT_REFUSED: user->ops->on_refused(user, ev->text); break;
	case CLIENT_EV_WANT_WORK: upusers_want_solo(u); break;
	case CLIENT_EV_DEAD: uplink_on_dead(u, ev->cause, ev->text); break;
	}
}

/* Let the machine say all it has to say. */
static void uplink_hear(struct uplink *u)
{
	struct client_event ev;

	while (u->client != NULL && client_next(u->client, &ev) == 0)
		uplink_on_event(u, &ev);
}

void uplink_pump(struct uplink *u)
{
	uplink_hear(u);
	if (u->client != NULL)
		loop_task_queue(u->loop, &u->flush);
}

/* -- its bytes, to the connection -- */

static bool uplink_is_wide(const struct uplink *u)
{
	return u->n_run >= LIMIT_LINK_RUN;
}

static size_t uplink_queue_max(const struct uplink *u)
{
	return uplink_is_wide(u) ? LIMIT_LINK_BATCH : LIMIT_LINK_QUEUED;
}

static void uplink_write(struct uplink *u)
{
	size_t n = conn_n_queued(&u->link.conn);

	conn_flush(&u->link.conn);
	if (conn_n_queued(&u->link.conn) > 0)
		u->n_run = 0;
	else if (n >= LIMIT_LINK_QUEUED - LIMIT_RECORD && !uplink_is_wide(u))
		u->n_run += n; /* small messages would never fill it */
	client_set_wide(u->client, uplink_is_wide(u));
}

/* Has the connection room for the next of @len bytes? What does not fit as a whole is not begun
 * behind others: nothing could overtake it. */
static bool uplink_has_room(const struct uplink *u, size_t len)
{
	size_t n = conn_n_queued(&u->link.conn), max = uplink_queue_max(u);

	return n == 0 || (n < max - LIMIT_RECORD && (len <= LIMIT_RECORD || len < max - n));
}

/* Move the machine's bytes to the connection while there is room. 0: nothing is left to move, or
 * UPLINK_E_FULL: first what was moved is written, or UPLINK_E_LOST. */
enum { UPLINK_E_FULL = 1, UPLINK_E_LOST = 2 };
static int uplink_drain(struct uplink *u)
{
	struct conn *conn = &u->link.conn;
	bool is_whole = false;
	struct span out;
	size_t n_now;
	int err;

	while (!is_whole && (out = client_drain(u->client)).len > 0) {
		if (!uplink_has_room(u, out.len))
			return UPLINK_E_FULL;
		/* without TLS a long record leaves from where it is */
		is_whole = u->server.tls == NULL && out.len > LIMIT_RECORD && uplink_is_wide(u) &&
			   conn_n_queued(conn) == 0;
		out = span_head(out, is_whole ? LIMIT_BATCH : LIMIT_RECORD);
		err = is_whole ? conn_write(conn, out, &n_now) : conn_send(conn, out);
		if (err > 0 && conn_n_queued(conn) > 0)
			return UPLINK_E_FULL;
		if (err < 0)
			client_lost(u->client, err == -ENOMEM ? "out of memory" : "TLS is broken");
		if (err != 0)
			return UPLINK_E_LOST;
		client_drained(u->client, out.len);
	}
	return is_whole ? UPLINK_E_FULL : 0;
}

/* Give turns to those who wait. True: somebody had one. */
static bool uplink_give_turns(struct uplink *u)
{
	bool had_turn = false;
	struct end_user *user;
	size_t quantum;
	void *p;

	while (client_turn(u->client, &p, &quantum) == 0) {
		user = p;
		had_turn = true;
		user->ops->on_turn(user, quantum);
	}
	return had_turn;
}

/* Send what this turn of the loop has produced, control first; then as many turns of bulk as the
 * socket takes, a bounded number of records. True: there is more, and the timer goes on with it. */
static bool uplink_flush(struct uplink *u)
{
	size_t n = 0;
	int err = UPLINK_E_FULL;

	while (err == UPLINK_E_FULL && n < FLUSH_RECORDS * LIMIT_RECORD) {
		n += uplink_queue_max(u);
		while ((err = uplink_drain(u)) == 0 && uplink_give_turns(u))
			;
		uplink_write(u);
		if (conn_n_queued(&u->link.conn) > 0)
			return false; /* it goes on when that has left */
	}
	if (err != UPLINK_E_FULL)
		return false;
	loop_task_cancel(&u->flush);		    /* asked for by those who had turns: */
	timer_set(&u->timer, loop_now_ms(u->loop)); /* first a look at other sockets */
	return true;
}

void uplink_on_flush(struct loop_task *t)
{
	struct uplink *u = container_of(t, struct uplink, flush);
	bool is_more;

	if (u->client == NULL) {
		uplink_closed(u);
		return;
	}
	proxyset_sweep(&u->proxies);
	uplink_arm(u);
	is_more = uplink_flush(u);
	if (u->state == UPLINK_STATE_LEAVING && client_n_joined(u->client) == 0 &&
	    list_is_empty(&u->users.all) && list_is_empty(&u->solos.solos))
		client_bye(u->client);
	uplink_hear(u);
	if (u->client != NULL && !is_more && conn_n_queued(&u->link.conn) == 0 &&
	    client_drain(u->client).len > 0)
		loop_task_queue(u->loop, &u->flush); /* what was heard has made more */
}

/* -- what work connections and relays ask of us -- */

void uplink_flush_later(void *arg)
{
	struct uplink *u = arg;

	loop_task_queue(u->loop, &u->flush);
}

bool uplink_make_room(void *arg)
{
	struct uplink *u = arg;

	if (uplink_drain(u) == UPLINK_E_FULL)
		uplink_write(u);
	return uplink_drain(u) == 0;
}
