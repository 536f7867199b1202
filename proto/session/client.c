/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - one session of an frp client: who gets which bytes, and what follows from them.
 * Floor 2.
 *
 * client_next() is the whole machine: it first does what is due (proxies to ask for, work
 * connections to open), then looks at the bytes it still holds (rest of a work's first data, of the
 * control channel), then asks the mux for more. */
#include "proto/session/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/session/clientstate.h"

#define CONTROL_PIECE 8192 /* of control bytes per ctl frame */

const char *client_cause_name(enum client_cause c)
{
	switch (c) {
	case CLIENT_CAUSE_NONE: return "none";
	case CLIENT_CAUSE_SERVER_CLOSED: return "server closed";
	case CLIENT_CAUSE_REPLACED: return "replaced";
	case CLIENT_CAUSE_REFUSED: return "refused";
	case CLIENT_CAUSE_UNHEARD: return "hello unheard";
	case CLIENT_CAUSE_LATE: return "login unanswered";
	case CLIENT_CAUSE_SILENT: return "path silent";
	case CLIENT_CAUSE_PROTOCOL: return "protocol error";
	case CLIENT_CAUSE_GOAWAY: return "server going away";
	case CLIENT_CAUSE_MEMORY: return "out of memory";
	case CLIENT_CAUSE_LEFT: return "left";
	}
	return "?";
}

static void client_die(struct client *c, enum client_cause cause, const char *text)
{
	if (c->state == CLIENT_STATE_DEAD)
		return;
	c->state = CLIENT_STATE_DEAD;
	c->cause = cause;
	(void) snprintf(c->text, sizeof(c->text), "%s", text); /* the server's may be long: cut */
	roster_stop(c->roster);
}

static void client_die_of(struct client *c, int err, const char *what)
{
	client_die(c, err == -ENOMEM ? CLIENT_CAUSE_MEMORY : CLIENT_CAUSE_PROTOCOL,
		   err == -ENOMEM ? "out of memory" : what);
}

/* -- start and end -- */

static int client_start(struct client *c)
{
	struct mux_params mp = { .n_streams_max = c->p.n_streams_max, .budget = c->p.budget };
	struct login_params lp = c->p.login;
	int err;

	lp.login.timestamp = c->p.wall_s;
	login_init(&c->login, &lp);
	if (c->p.is_mux) {
		err = mux_new(&c->mux, &mp);
		if (err != 0)
			return err;
		mux_tick(c->mux, c->now_ms); /* the wait for the first ACK starts now */
		c->works.mux = c->mux;
		err = mux_open(c->mux, c, &c->control);
		if (err != 0)
			return err;
		beat_probe(&c->beat, c->now_ms); /* the first round trip is known early */
	}
	return login_start(&c->login, &c->chan);
}

int client_new(struct client **ret_c, const struct client_params *p, struct roster *roster,
	       uint64_t now_ms)
{
	CLEANUP(client_free) struct client *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	c->p = *p;
	c->roster = roster;
	c->now_ms = now_ms;
	c->created_ms = now_ms;
	c->login_due_ms = now_ms + WAIT_LOGIN_MS - WAIT_CONFIRM_MS;
	c->login_held_ms = now_ms + WAIT_LOGIN_HELD_MS - WAIT_CONFIRM_MS;
	c->heartbeat_due_ms = UINT64_MAX;
	c->goaway_due_ms = UINT64_MAX;
	c->works.roster = roster;
	c->works.wire = p->login.wire;
	c->works.token = p->login.token;
	c->works.run_id = c->login.run_id;
	works_init(&c->works, now_ms);
	chan_init(&c->chan, p->login.wire, LIMIT_CONTROL_OUT);
	beat_init(&c->beat, now_ms);
	beat_set_busy(&c->beat, true); /* until logged in the path is watched closely */
	err = client_start(c);
	if (err != 0)
		return err;
	*ret_c = TAKE(c);
	return 0;
}

struct client *client_free(struct client *c)
{
	if (c == NULL)
		return NULL;
	works_deinit(&c->works);
	if (c->state != CLIENT_STATE_DEAD)
		roster_stop(c->roster);
	c->mux = mux_free(c->mux);
	msg_deinit(&c->msg);
	chan_deinit(&c->chan);
	login_deinit(&c->login);
	free(c);
	return NULL;
}

/* -- to the server -- */

/* Move what the control channel has to say into ctl, as far as credit and room go. */
static void control_flush(struct client *c)
{
	struct span piece;

	while (c->mux != NULL && (piece = span_head(chan_out(&c->chan), CONTROL_PIECE)).len > 0) {
		/* Credit or room: the next drain tries again; closed: the mux says why. */
		if (mux_write_urgent(c->mux, c->control, piece) != 0)
			return;
		chan_sent(&c->chan, piece.len);
	}
}

struct span client_drain(struct client *c)
{
	if (c->mux == NULL)
		return chan_out(&c->chan);
	control_flush(c);
	works_flush(&c->works);
	return mux_drain(c->mux);
}

void client_drained(struct client *c, size_t n)
{
	if (c->mux == NULL)
		chan_sent(&c->chan, n);
	else
		mux_drained(c->mux, n);
}

static void control_send(struct client *c, const struct msg *m, const char *what)
{
	int err = chan_send(&c->chan, m);

	if (err != 0)
		client_die_of(c, err, what);
}

/* For one more message, however long. */
static bool control_has_room(const struct client *c)
{
	return buf_len(&c->chan.out) + frame_max(c->p.login.wire) <= LIMIT_CONTROL_OUT;
}

static void heartbeat_send(struct client *c)
{
	struct msg m = { .type = MSG_PING };
	char digits[24], key[33];
	int n;

	m.ping.timestamp = client_stamp(c);
	n = snprintf(digits, sizeof(digits), "%lld", (long long) m.ping.timestamp);
	if (prim_md5_hex(c->p.login.token, span_of(digits, (size_t) n), key) != 0) {
		client_die(c, CLIENT_CAUSE_MEMORY, "out of memory");
		return;
	}
	m.ping.privilege_key = key; /* signed always: a server without the scope ignores it */
	control_send(c, &m, "a Ping cannot be sent");
	if (c->heartbeat_due_ms != UINT64_MAX)
		c->heartbeat_due_ms = c->now_ms + c->p.heartbeat_ms;
}

/* Ask for or close the next proxy that is due. True: *ret_ev is an event. */
static bool roster_step(struct client *c, struct client_event *ret_ev)
{
	struct msg m = { .type = MSG_NEW_PROXY };
	struct roster_entry *e;
	bool is_close;
	size_t i;

	if (!control_has_room(c))
		return false; /* goes on when some of it has left */
	if (roster_next(c->roster, c->now_ms, &i, &is_close) != 0) {
		c->is_roster_due = false;
		return false;
	}
	e = &c->roster->entries[i];
	if (!is_close) {
		m.new_proxy = *e->msg;
		control_send(c, &m, "a proxy's registration is longer than the protocol allows");
		return false;
	}
	m.type = MSG_CLOSE_PROXY;
	m.close_proxy.name = roster_name(c->roster, i);
	control_send(c, &m, "a CloseProxy cannot be sent");
	*ret_ev = (struct client_event){
		.kind = e->cause == ROSTER_CAUSE_LATE ? CLIENT_EV_PROXY_REFUSED
						      : CLIENT_EV_PROXY_DOWN,
		.proxy = i,
		.text = "the server did not answer",
	};
	return e->cause == ROSTER_CAUSE_LATE || (e->cause == ROSTER_CAUSE_PARTNER && e->was_up);
}

/* -- control channel -- */

/* The login was answered. True: *ret_ev is an event. */
static bool login_ended(struct client *c, struct client_event *ret_ev)
{
	if (c->login.state != LOGIN_STATE_DONE) {
		client_die(c,
			   c->login.state == LOGIN_STATE_REFUSED ? CLIENT_CAUSE_REFUSED
								 : CLIENT_CAUSE_PROTOCOL,
			   c->login.error);
		return false;
	}
	c->state = CLIENT_STATE_UP;
	beat_hasten(&c->beat, c->p.ping_ms != 0 ? c->p.ping_ms : UINT64_MAX,
		    c->p.dead_ms != 0 ? c->p.dead_ms : UINT64_MAX);
	roster_start(c->roster, c->now_ms);
	c->is_roster_due = true;
	if (c->p.heartbeat_ms != UINT64_MAX)
		c->heartbeat_due_ms = c->now_ms; /* at once after the login, as frpc does */
	*ret_ev = (struct client_event){ .kind = CLIENT_EV_LOGIN, .text = c->login.server_version };
	return true;
}

static bool proxy_answered(struct client *c, const struct msg_new_proxy_resp *r,
			   struct client_event *ret_ev)
{
	bool is_refused = r->error != NULL && r->error[0] != '\0';
	size_t i;

	c->is_roster_due = true;
	if (roster_answer(c->roster, r->name, r->error, c->now_ms, &i) != 0)
		return false; /* nobody asked, or not any more */
	*ret_ev = (struct client_event){
		.kind = is_refused ? CLIENT_EV_PROXY_REFUSED : CLIENT_EV_PROXY_UP,
		.proxy = i,
		.text = is_refused ? r->error : (r->remote_addr != NULL ? r->remote_addr : ""),
	};
	return true;
}

/* A whole message of the server is in c->msg. True: *ret_ev is an event. */
static bool control_message(struct client *c, struct client_event *ret_ev)
{
	switch (c->msg.type) {
	case MSG_REQ_WORK_CONN:
		if (c->state != CLIENT_STATE_UP)
			return false;
		if (c->mux == NULL) {
			*ret_ev = (struct client_event){ .kind = CLIENT_EV_WANT_WORK };
			return true;
		}
		works_ask(&c->works);
		return false;
	case MSG_NEW_PROXY_RESP: return proxy_answered(c, &c->msg.new_proxy_resp, ret_ev);
	case MSG_PONG:
		*ret_ev = (struct client_event){ .kind = CLIENT_EV_PONG_ERROR,
						 .text = c->msg.pong.error };
		return c->msg.pong.error != NULL && c->msg.pong.error[0] != '\0';
	case MSG_NONE:
	case MSG_LOGIN:
	case MSG_LOGIN_RESP:
	case MSG_NEW_PROXY:
	case MSG_CLOSE_PROXY:
	case MSG_NEW_WORK_CONN:
	case MSG_START_WORK_CONN:
	case MSG_NEW_VISITOR_CONN:
	case MSG_NEW_VISITOR_CONN_RESP:
	case MSG_PING:
	case MSG_UDP_PACKET:
	case MSG_NAT_HOLE_VISITOR:
	case MSG_NAT_HOLE_CLIENT:
	case MSG_NAT_HOLE_RESP:
	case MSG_NAT_HOLE_SID:
	case MSG_NAT_HOLE_REPORT:
		return false; /* types that mean nothing here are ignored by both sides */
	}
	return false;
}

/* Bytes of the control channel. True: *ret_ev is an event. */
static bool control_step(struct client *c, struct client_event *ret_ev)
{
	int err;

	if (c->state == CLIENT_STATE_OPENING) {
		err = login_next(&c->login, &c->chan, &c->control_in);
		c->is_control_due = err == 0;
		if (err == LOGIN_E_MORE)
			return false;
		if (err == 0)
			return login_ended(c, ret_ev);
		client_die_of(c, err, "the login cannot be read");
		return false;
	}
	msg_deinit(&c->msg); /* one that made no event */
	err = chan_next(&c->chan, &c->control_in, &c->msg);
	if (err == CHAN_E_MORE) {
		c->is_control_due = false;
		return false;
	}
	if (err != 0) {
		client_die_of(c, err,
			      c->chan.why != NULL ? c->chan.why
						  : "the control channel cannot be read");
		return false;
	}
	return control_message(c, ret_ev);
}

/* Why the server closed the control channel. */
static enum client_cause closed_cause(const struct client *c)
{
	return c->state == CLIENT_STATE_OPENING && c->login.state == LOGIN_STATE_HELLO_SENT
		       ? CLIENT_CAUSE_UNHEARD
		       : CLIENT_CAUSE_SERVER_CLOSED;
}

static void control_ended(struct client *c)
{
	if (c->state == CLIENT_STATE_OPENING)
		client_die(c, closed_cause(c),
			   "the server closed the channel before it answered the login");
	else if (c->state == CLIENT_STATE_BYE)
		client_die(c, CLIENT_CAUSE_LEFT, "");
	else
		client_die(c, CLIENT_CAUSE_REPLACED, "the server ended the control channel");
}

/* -- events of the mux -- */

/* Translate one event of the mux. True: *ret_ev is an event. */
static bool client_on_mux(struct client *c, const struct mux_event *me, struct client_event *ret_ev)
{
	bool is_control = me->stream != NULL && me->stream == c->control;

	switch (me->kind) {
	case MUX_EV_DATA:
		if (is_control) {
			c->control_in = me->data;
			c->is_control_due = true;
			mux_consume(c->mux, c->control, me->data.len);
		} else {
			works_feed(&c->works, me->user, me->data);
		}
		return false;
	case MUX_EV_FIN:
	case MUX_EV_RST:
		if (!is_control)
			return works_on_end(&c->works, me->user, me->kind == MUX_EV_RST, ret_ev);
		control_ended(c);
		return false;
	case MUX_EV_PONG:
		beat_pong(&c->beat, me->ping_id, c->now_ms);
		mux_set_rtt(c->mux, c->beat.rtt_ms);
		return false;
	case MUX_EV_GOAWAY:
		if (c->goaway_due_ms == UINT64_MAX) /* a second one moves nothing */
			c->goaway_due_ms = c->now_ms + WAIT_GOAWAY_MS;
		return false;
	case MUX_EV_DEAD: client_die(c, CLIENT_CAUSE_PROTOCOL, me->why); return false;
	case MUX_EV_OPENED: /* cannot be: a client's mux refuses SYNs */ return false;
	}
	return false;
}

/* -- the machine -- */

void client_feed(struct client *c, struct span in, uint64_t now_ms)
{
	c->now_ms = now_ms;
	if (in.len > 0) {
		c->has_heard = true;
		beat_heard(&c->beat, now_ms);
	}
	if (c->state == CLIENT_STATE_DEAD)
		return;
	if (c->mux != NULL)
		mux_feed(c->mux, in, now_ms);
	else
		c->control_in = in;
	c->is_control_due = c->control_in.len > 0;
}

void client_lost(struct client *c, const char *text)
{
	if (c->state == CLIENT_STATE_BYE)
		client_die(c, CLIENT_CAUSE_LEFT, text);
	else /* a mux that ends says nothing of the channel in it */
		client_die(c, c->mux == NULL ? closed_cause(c) : CLIENT_CAUSE_SERVER_CLOSED, text);
}

/* What the last event showed is no longer needed. */
static void client_settle(struct client *c)
{
	msg_deinit(&c->msg);
	works_settle(&c->works);
}

static bool client_step_due(struct client *c, struct client_event *ret_ev)
{
	while (c->is_roster_due &&
	       (c->state == CLIENT_STATE_UP || c->state == CLIENT_STATE_LEAVING)) {
		if (roster_step(c, ret_ev))
			return true;
		if (!control_has_room(c))
			break;
	}
	if (c->state == CLIENT_STATE_UP && works_open(&c->works, c->now_ms, client_stamp(c)) != 0)
		client_die(c, CLIENT_CAUSE_MEMORY, "out of memory");
	if (c->goaway_due_ms != UINT64_MAX &&
	    (c->works.n_joined == 0 || c->goaway_due_ms <= c->now_ms))
		client_die(c, CLIENT_CAUSE_GOAWAY, "the server takes no new streams (GoAway)");
	if (c->state == CLIENT_STATE_BYE && client_drain(c).len == 0)
		client_die(c, CLIENT_CAUSE_LEFT, "");
	return false;
}

/* True: *ret_ev is an event; false: nothing, and *ret_more says whether there is still input. */
static bool client_step_input(struct client *c, struct client_event *ret_ev, bool *ret_more)
{
	struct mux_event me;
	int err = works_next(&c->works, ret_ev);

	*ret_more = true;
	if (err < 0)
		client_die(c, CLIENT_CAUSE_MEMORY, "out of memory");
	if (err != WORKS_E_MORE)
		return err == 0;
	if (c->is_control_due)
		return control_step(c, ret_ev);
	if (c->mux != NULL && mux_next(c->mux, &me) == 0)
		return client_on_mux(c, &me, ret_ev);
	*ret_more = false;
	return works_on_time(&c->works, c->now_ms, ret_ev);
}

int client_next(struct client *c, struct client_event *ret_ev)
{
	bool has_more = true;

	client_settle(c);
	while (c->state != CLIENT_STATE_DEAD) {
		if (client_step_due(c, ret_ev))
			return 0;
		if (c->state == CLIENT_STATE_DEAD)
			break;
		if (!has_more) {
			beat_set_busy(&c->beat,
				      c->state == CLIENT_STATE_OPENING || c->works.n_joined > 0);
			return CLIENT_E_MORE;
		}
		if (client_step_input(c, ret_ev, &has_more))
			return 0;
	}
	if (c->is_dead_told)
		return CLIENT_E_MORE;
	c->is_dead_told = true;
	*ret_ev = (struct client_event){ .kind = CLIENT_EV_DEAD,
					 .cause = c->cause,
					 .text = c->text };
	return 0;
}

/* -- time -- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* At once while something is due and can be sent; without room the next drain makes it due. */
static uint64_t client_roster_deadline(const struct client *c)
{
	if (!c->is_roster_due)
		return roster_deadline(c->roster);
	return control_has_room(c) ? c->now_ms : UINT64_MAX;
}

uint64_t client_deadline(const struct client *c)
{
	uint64_t due;

	if (c->state == CLIENT_STATE_DEAD)
		return UINT64_MAX;
	due = min_u64(c->goaway_due_ms, c->heartbeat_due_ms);
	if (c->state == CLIENT_STATE_OPENING)
		due = min_u64(due, c->login_due_ms);
	else if (c->state != CLIENT_STATE_BYE)
		due = min_u64(due, client_roster_deadline(c));
	if (c->mux != NULL)
		due = min_u64(due, mux_deadline(c->mux));
	due = min_u64(due, works_deadline(&c->works));
	return min_u64(due, beat_deadline(&c->beat));
}

/* A login may be parked behind an old session of ours: it is held while the server's mux shows
 * life. As with the path (beat.h) a tick that comes late is no verdict, and the verdict takes a
 * second tick: the answer may wait in the socket of a process that did not run. */
static void login_tick(struct client *c)
{
	if (c->state != CLIENT_STATE_OPENING || c->login_due_ms > c->now_ms)
		return;
	if (c->now_ms - c->login_due_ms > WAIT_LATE_MS) {
		c->login_due_ms = c->now_ms + WAIT_PROBE_MS;
	} else if (c->has_heard && c->mux != NULL && c->now_ms < c->login_held_ms) {
		c->login_due_ms = c->login_held_ms;
		c->is_login_confirming = false;
	} else if (!c->is_login_confirming) {
		c->login_due_ms = c->now_ms + WAIT_CONFIRM_MS;
		c->is_login_confirming = true;
	} else {
		client_die(c, CLIENT_CAUSE_LATE, "the server did not answer the login");
	}
}

static void beat_act(struct client *c)
{
	switch (beat_tick(&c->beat, c->now_ms)) {
	case BEAT_E_PING:
		/* No room for it: the queue is full of what nobody reads. */
		if (c->mux != NULL)
			(void) mux_ping(c->mux, c->beat.ping_id);
		else if (c->state != CLIENT_STATE_OPENING)
			heartbeat_send(c);
		break;
	case BEAT_E_DEAD:
		client_die(c, CLIENT_CAUSE_SILENT, "nothing arrives from the server any more");
		break;
	default: break;
	}
}

void client_tick(struct client *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	if (c->state == CLIENT_STATE_DEAD)
		return;
	c->is_roster_due = c->is_roster_due || roster_deadline(c->roster) <= now_ms;
	if (c->heartbeat_due_ms <= now_ms)
		heartbeat_send(c);
	if (c->mux != NULL)
		mux_tick(c->mux, now_ms);
	login_tick(c);
	if (c->state != CLIENT_STATE_DEAD)
		beat_act(c);
}

void client_sync(struct client *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	c->is_roster_due = true;
}

/* -- leaving -- */

void client_leave(struct client *c, uint64_t now_ms)
{
	size_t i;

	c->now_ms = now_ms;
	if (c->state != CLIENT_STATE_UP)
		return;
	c->state = CLIENT_STATE_LEAVING;
	c->works.n_wanted = 0;
	for (i = 0; i < c->roster->n_entries; i++)
		roster_want(c->roster, i, false, now_ms);
	c->is_roster_due = true;
}

void client_bye(struct client *c)
{
	if (c->state == CLIENT_STATE_DEAD || c->state == CLIENT_STATE_BYE)
		return;
	c->state = CLIENT_STATE_BYE;
	c->works.n_wanted = 0;
	control_flush(c);
	if (c->mux != NULL)
		mux_fin(c->mux, c->control);
}
