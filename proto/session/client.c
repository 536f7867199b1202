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

#include "proto/session/clientstate.h"

#define ASK_AGAIN_MAX 7 /* round trips: over in seconds on the longest path */

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

void client_die(struct client *c, enum client_cause cause, const char *text)
{
	if (c->state == CLIENT_STATE_DEAD)
		return;
	c->state = CLIENT_STATE_DEAD;
	c->cause = cause;
	(void) snprintf(c->text, sizeof(c->text), "%s", text); /* the server's may be long: cut */
	roster_stop(c->roster);
}

/* -- start and end -- */

static int client_start(struct client *c)
{
	struct mux_params mp = { .n_streams_max = c->p.n_streams_max,
				 .budget = c->p.budget,
				 .held_max = c->p.held_max,
				 .inflight_max = c->p.inflight_max };
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

struct span client_drain(struct client *c)
{
	if (c->state == CLIENT_STATE_DEAD)
		return span_of(NULL, 0);
	if (c->mux == NULL)
		return chan_out(&c->chan);
	client_flush_control(c);
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

void client_set_wide(struct client *c, bool is_wide)
{
	if (c->mux != NULL)
		mux_set_wide(c->mux, is_wide);
}

/* -- events of the mux -- */

/* Windows grow by the shortest round trip. A busy start makes a near server look distant: then it
 * is asked some times more. */
static void client_on_pong(struct client *c, uint32_t ping_id)
{
	beat_pong(&c->beat, ping_id, c->now_ms);
	mux_set_rtt(c->mux, c->beat.rtt_ms);
	if (c->beat.rtt_ms < LIMIT_RTT_SHORT_MS || c->n_asked_again == ASK_AGAIN_MAX)
		return;
	c->n_asked_again++;
	beat_probe(&c->beat, c->now_ms);
}

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
		if (me->why != NULL)
			c->works.limit = me->why;
		if (!is_control)
			return works_on_end(&c->works, me->user, me->kind == MUX_EV_RST, ret_ev);
		client_on_control_end(c);
		return false;
	case MUX_EV_PONG: client_on_pong(c, me->ping_id); return false;
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
		client_die(c, c->mux == NULL ? client_closed_cause(c) : CLIENT_CAUSE_SERVER_CLOSED,
			   text);
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
		if (client_step_roster(c, ret_ev))
			return true;
		if (!client_has_control_room(c))
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
		return client_step_control(c, ret_ev);
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
	return client_has_control_room(c) ? c->now_ms : UINT64_MAX;
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
			client_send_heartbeat(c);
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
		client_send_heartbeat(c);
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
	client_flush_control(c);
	if (c->mux != NULL)
		mux_fin(c->mux, c->control);
}
