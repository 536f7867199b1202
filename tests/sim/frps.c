/* SPDX-License-Identifier: Apache-2.0 */
/* frps.c - a model of frps: connections, streams, time. Tests only. */
#include "tests/sim/frps.h"

#include <string.h>

#include "tests/sim/frpsconn.h"

#define FRPS_PING_MS 30000
#define FRPS_PING_WAIT_MS 10000
#define FRPS_STREAM_OUT 65536

/* -- lives -- */

void frps_init(struct frps *f, struct env *env)
{
	*f = (struct frps){ .env = env, .is_mux = true };
	list_init(&f->conns);
}

void frps_deinit(struct frps *f)
{
	while (!list_is_empty(&f->conns))
		frps_lost(container_of(f->conns.next, struct frps_conn, link));
}

void frps_restart(struct frps *f)
{
	frps_deinit(f);
	f->n_locked = 0;
}

void frps_stream_free(struct frps_stream *s)
{
	struct frps *f = s->conn->f;

	if (s->kind == STREAM_JOINED) {
		f->n_whole += s->flow.is_whole;
		f->n_cut += !s->flow.is_whole;
	}
	if (s->mux != NULL)
		mux_forget(s->conn->mux, s->mux);
	if (s->conn->control == s)
		s->conn->control = NULL;
	list_del(&s->link);
	chan_deinit(&s->chan);
	free(s);
}

static struct frps_stream *stream_new(struct frps_conn *c, struct mux_stream *ms)
{
	struct frps_stream *s = calloc(1, sizeof(*s));

	PROMISE(c->f->env, s != NULL);
	s->conn = c;
	s->mux = ms;
	list_add_tail(&c->streams, &s->link);
	return s;
}

/* How it speaks, and how it knows that the client is there. */
static void conn_start(struct frps_conn *c)
{
	struct mux_params p = { .is_server = true };
	uint64_t now_ms = c->f->env->now_ms;

	if (!c->f->is_mux) {
		(void) stream_new(c, NULL);
		c->ping_ms = UINT64_MAX;
		c->ping_due_ms = now_ms + FRPS_BEAT_MS;
		return;
	}
	PROMISE(c->f->env, mux_new(&c->mux, &p) == 0);
	mux_tick(c->mux, now_ms);
	c->ping_ms = now_ms + FRPS_PING_MS;
	c->ping_due_ms = UINT64_MAX;
}

struct frps_conn *frps_accept(struct frps *f, unsigned *harm)
{
	struct frps_conn *c = calloc(1, sizeof(*c));

	PROMISE(f->env, c != NULL);
	c->f = f;
	c->harm = harm;
	list_init(&c->streams);
	list_init(&c->users);
	list_add_tail(&f->conns, &c->link);
	conn_start(c);
	f->n_open++;
	return c;
}

void frps_lost(struct frps_conn *c)
{
	struct frps_stream *s;
	struct frps_user *u;

	frps_unpark(c);
	while (!list_is_empty(&c->streams)) {
		s = container_of(c->streams.next, struct frps_stream, link);
		flow_on_loss(&s->flow);
		frps_stream_free(s);
	}
	while (!list_is_empty(&c->users)) {
		u = container_of(c->users.next, struct frps_user, link);
		list_del(&u->link);
		free(u);
	}
	list_del(&c->link);
	c->f->n_open--;
	c->mux = mux_free(c->mux);
	free(c);
}

/* -- streams -- */

/* The first byte tells the wire version; a v2 stream begins with a magic. */
static void stream_begin(struct frps_stream *s, struct span *in)
{
	size_t n;

	if (s->wire == 0) {
		s->wire = in->p[0] == (uint8_t) FRAME_MAGIC[0] ? WIRE_V2 : WIRE_V1;
		s->magic_due = s->wire == WIRE_V2 ? FRAME_MAGIC_LEN : 0;
		chan_init(&s->chan, s->wire, FRPS_STREAM_OUT);
	}
	n = s->magic_due < in->len ? s->magic_due : in->len;
	PROMISE(s->conn->f->env,
		memcmp(in->p, &FRAME_MAGIC[FRAME_MAGIC_LEN - s->magic_due], n) == 0);
	*in = span_skip(*in, n);
	s->magic_due -= n;
}

static void stream_on_message(struct frps_stream *s, const struct msg *m)
{
	struct env *e = s->conn->f->env;

	if (s->kind == STREAM_CONTROL) {
		frps_on_control(s->conn, m);
		return;
	}
	PROMISE(e, s->kind == STREAM_NEW);
	switch ((unsigned) m->type) {
	case MSG_LOGIN: frps_on_login(s, &m->login); break;
	case MSG_NEW_WORK_CONN: frps_on_work(s, &m->new_work_conn); break;
	case MSG_NEW_VISITOR_CONN: frps_on_visit(s, &m->new_visitor_conn); break;
	default: PROMISE(e, msg_type_name(m->type) == NULL); /* no other comes first */
	}
}

/* One whole frame. False: the stream has no more of them. */
static bool stream_on_frame(struct frps_stream *s, const struct frame *f, struct span in)
{
	struct env *e = s->conn->f->env;
	struct msg m;
	bool is_last;

	if (f->kind == FRAME_CLIENT_HELLO) {
		PROMISE(e, s->kind == STREAM_NEW);
		frps_on_hello(s, f->body);
		return true;
	}
	PROMISE(e, f->kind == FRAME_MESSAGE);
	PROMISE(e, msg_decode(f->type, f->body, &m, NULL) == 0);
	/* Nothing follows a first message before its answer: @in is empty then. */
	is_last = s->kind == STREAM_NEW && m.type != MSG_LOGIN;
	PROMISE(e, !is_last || in.len == 0);
	stream_on_message(s, &m);
	msg_deinit(&m);
	return !is_last;
}

static void stream_on_data(struct frps_stream *s, struct span in)
{
	struct frps_conn *c = s->conn;
	struct frame f;
	int err;

	if (s->kind == STREAM_JOINED) {
		flow_on_data(&s->flow, in);
		return;
	}
	if (c->mux != NULL)
		mux_consume(c->mux, s->mux, in.len);
	stream_begin(s, &in);
	while (s->magic_due == 0) {
		err = chan_next_frame(&s->chan, &in, &f);
		if (err == CHAN_E_MORE)
			return;
		PROMISE(c->f->env, err == 0);
		if (!stream_on_frame(s, &f, in))
			return;
	}
}

static void conn_on_end(struct frps_conn *c, struct frps_stream *s, bool is_reset)
{
	if (s->kind == STREAM_JOINED) {
		if (is_reset)
			flow_on_rst(&s->flow);
		else
			flow_on_fin(&s->flow);
		return;
	}
	if (s->kind == STREAM_CONTROL) {
		frps_drop_control(c);
		return;
	}
	mux_fin(c->mux, s->mux);
	frps_stream_free(s);
}

/* -- bytes -- */

/* The stream that is the connection. */
static struct frps_stream *conn_stream(struct frps_conn *c)
{
	return container_of(c->streams.next, struct frps_stream, link);
}

void frps_feed(struct frps_conn *c, struct span in)
{
	struct mux_event ev;

	if (c->mux == NULL) {
		if (!c->is_closing)
			stream_on_data(conn_stream(c), in);
		return;
	}
	mux_feed(c->mux, in, c->f->env->now_ms);
	while (mux_next(c->mux, &ev) == 0) {
		switch (ev.kind) {
		case MUX_EV_OPENED: mux_set_user(ev.stream, stream_new(c, ev.stream)); break;
		case MUX_EV_DATA: stream_on_data(ev.user, ev.data); break;
		case MUX_EV_FIN: conn_on_end(c, ev.user, false); break;
		case MUX_EV_RST: conn_on_end(c, ev.user, true); break;
		case MUX_EV_PONG: c->ping_due_ms = UINT64_MAX; break;
		case MUX_EV_GOAWAY: break;
		case MUX_EV_DEAD:
			/* The client keeps to the rules; it says so when we do not. */
			PROMISE(c->f->env, (*c->harm & (HARM_NONSENSE | HARM_MEMORY)) != 0);
			c->is_dead = true;
			break;
		}
	}
}

static void conn_turns(struct frps_conn *c)
{
	struct mux_stream *ms;
	size_t quantum;
	void *user;

	while (mux_turn(c->mux, &ms, &user, &quantum) == 0)
		flow_on_turn(&((struct frps_stream *) user)->flow, quantum);
}

struct span frps_drain(struct frps_conn *c)
{
	struct span out;

	if (c->mux == NULL) {
		out = chan_out(&conn_stream(c)->chan);
		c->is_dead = c->is_dead || (c->is_closing && out.len == 0);
		return out;
	}
	frps_flush_control(c);
	conn_turns(c);
	return mux_drain(c->mux);
}

void frps_drained(struct frps_conn *c, size_t n)
{
	if (c->mux == NULL)
		chan_sent(&conn_stream(c)->chan, n);
	else
		mux_drained(c->mux, n);
}

bool frps_is_dead(const struct frps_conn *c)
{
	return c->is_dead;
}

size_t frps_n_streams(const struct frps_conn *c)
{
	struct mux_facts facts;

	if (c->mux == NULL)
		return 0;
	mux_facts(c->mux, &facts);
	return facts.n_streams;
}

uint64_t frps_pinged_ms(const struct frps_conn *c)
{
	return c->pinged_ms;
}

/* -- faults -- */

bool frps_spoil(struct frps_conn *c)
{
	uint8_t junk[32];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t) env_random(c->f->env, 256);
	if (c->control == NULL)
		return false;
	if (c->mux == NULL)
		PROMISE(c->f->env,
			chan_send_raw(&c->control->chan, span_of(junk, sizeof(junk))) == 0);
	else if (mux_write_urgent(c->mux, c->control->mux, span_of(junk, sizeof(junk))) != 0)
		return false;
	*c->harm |= HARM_NONSENSE;
	return true;
}

bool frps_goaway(struct frps_conn *c)
{
	if (c->mux == NULL)
		return false;
	*c->harm |= HARM_GOAWAY;
	mux_goaway(c->mux, 0);
	return true;
}

bool frps_ping_flood(struct frps_conn *c)
{
	if (c->mux == NULL)
		return false;
	*c->harm |= HARM_NONSENSE;
	for (uint32_t i = 0; i <= LIMIT_PINGS_PER_S + 10; i++)
		if (mux_ping(c->mux, i) != 0)
			return false;
	return true;
}

/* -- time -- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t frps_deadline(const struct frps_conn *c)
{
	uint64_t due = earlier(c->ping_ms, c->ping_due_ms);

	if (c->mux != NULL)
		due = earlier(due, mux_deadline(c->mux));
	if (c->n_answers > 0)
		due = earlier(due, c->answers[0].due_ms);
	if (!list_is_empty(&c->users))
		due = earlier(due, container_of(c->users.next, struct frps_user, link)->due_ms);
	for (struct list *i = c->streams.next; i != &c->streams; i = i->next) {
		struct frps_stream *s = container_of(i, struct frps_stream, link);

		if (s->kind == STREAM_JOINED)
			due = earlier(due, s->flow.is_over ? 0 : s->flow.due_ms);
	}
	return due;
}

static void conn_ping(struct frps_conn *c)
{
	uint64_t now_ms = c->f->env->now_ms;

	if (c->ping_due_ms <= now_ms) {
		/* Pings are answered. */
		PROMISE(c->f->env, (*c->harm & (HARM_SILENCE | HARM_PAUSE)) != 0);
		c->is_dead = true;
	}
	if (c->ping_ms > now_ms)
		return;
	c->ping_ms = now_ms + FRPS_PING_MS;
	if (mux_ping(c->mux, env_random(c->f->env, 1000)) == 0)
		c->ping_due_ms = now_ms + FRPS_PING_WAIT_MS;
}

void frps_act(struct frps_conn *c)
{
	struct list *i, *next;

	if (c->mux != NULL)
		mux_tick(c->mux, c->f->env->now_ms);
	conn_ping(c);
	frps_say_due(c);
	frps_expire_users(c);
	for (i = c->streams.next; i != &c->streams; i = next) {
		struct frps_stream *s = container_of(i, struct frps_stream, link);

		next = i->next;
		if (s->kind == STREAM_JOINED && s->flow.due_ms <= c->f->env->now_ms)
			flow_act(&s->flow);
		if (s->kind == STREAM_JOINED && s->flow.is_over)
			frps_stream_free(s);
	}
}
