/* SPDX-License-Identifier: Apache-2.0 */
/* clientcontrol.c - the control channel of a client: the login, proxies, heartbeats. Floor 2. */
#include <stdio.h>

#include "proto/session/clientstate.h"

#define CONTROL_PIECE 8192 /* of control bytes per ctl frame */

static void client_die_of(struct client *c, int err, const char *what)
{
	client_die(c, err == -ENOMEM ? CLIENT_CAUSE_MEMORY : CLIENT_CAUSE_PROTOCOL,
		   err == -ENOMEM ? "out of memory" : what);
}

void client_flush_control(struct client *c)
{
	struct span piece;

	while (c->mux != NULL && (piece = span_head(chan_out(&c->chan), CONTROL_PIECE)).len > 0) {
		/* Credit or room: the next drain tries again; closed: the mux says why. */
		if (mux_write_urgent(c->mux, c->control, piece) != 0)
			return;
		chan_sent(&c->chan, piece.len);
	}
}

static void control_send(struct client *c, const struct msg *m, const char *what)
{
	int err = chan_send(&c->chan, m);

	if (err != 0)
		client_die_of(c, err, what);
}

bool client_has_control_room(const struct client *c)
{
	return buf_len(&c->chan.out) + frame_max(c->p.login.wire) <= LIMIT_CONTROL_OUT;
}

void client_send_heartbeat(struct client *c)
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

bool client_step_roster(struct client *c, struct client_event *ret_ev)
{
	struct msg m = { .type = MSG_NEW_PROXY };
	struct roster_entry *e;
	bool is_close;
	size_t i;

	if (!client_has_control_room(c))
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

bool client_step_control(struct client *c, struct client_event *ret_ev)
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

enum client_cause client_closed_cause(const struct client *c)
{
	return c->state == CLIENT_STATE_OPENING && c->login.state == LOGIN_STATE_HELLO_SENT
		       ? CLIENT_CAUSE_UNHEARD
		       : CLIENT_CAUSE_SERVER_CLOSED;
}

void client_on_control_end(struct client *c)
{
	if (c->state == CLIENT_STATE_OPENING)
		client_die(c, client_closed_cause(c),
			   "the server closed the channel before it answered the login");
	else if (c->state == CLIENT_STATE_BYE)
		client_die(c, CLIENT_CAUSE_LEFT, "");
	else
		client_die(c, CLIENT_CAUSE_REPLACED, "the server ended the control channel");
}
