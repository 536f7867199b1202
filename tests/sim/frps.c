/* SPDX-License-Identifier: Apache-2.0 */
/* frps.c - a model of frps. Tests only. */
#include "tests/sim/frps.h"

#include <string.h>

#include "proto/wire/cfb.h"

#define FRPS_ANSWERS 256
#define FRPS_PROXIES 8
#define FRPS_PING_MS 30000
#define FRPS_PING_WAIT_MS 10000
#define FRPS_USER_WAIT_MS 10000

enum stream_kind { STREAM_NEW, STREAM_CONTROL, STREAM_POOLED, STREAM_JOINED };

struct frps_stream {
	struct frps_conn *conn;
	struct mux_stream *mux;
	enum stream_kind kind;
	struct chan chan;
	struct flow flow;
	struct list link;
};

struct frps_user {
	char proxy[32];
	uint64_t due_ms;
	struct list link;
};

struct frps_answer { /* what the control channel says next, and not before @due_ms */
	uint64_t due_ms;
	enum msg_type type;
	char name[32];
	const char *error; /* static */
};

struct frps_conn {
	struct frps *f;
	struct mux *mux;
	struct frps_stream *control;
	struct list link, streams, users;
	char run_id[24];
	bool is_logged, is_dead, is_up; /* up: LoginResp went out */
	char proxies[FRPS_PROXIES][32];
	struct frps_answer answers[FRPS_ANSWERS];
	size_t n_answers;
	uint64_t ping_ms, ping_due_ms;
};

void frps_init(struct frps *f, struct env *env)
{
	*f = (struct frps){ .env = env };
	list_init(&f->conns);
}

/* -- lives --------------------------------------------------------------------------------------
 */

static void carrier_forget(void *owner, void *h)
{
	struct frps_conn *c = owner;
	struct frps_stream *s = h;

	mux_forget(c->mux, s->mux);
	s->mux = NULL;
}

FLOW_DEFINE_OPS(carrier, mux, frps_conn, mux, frps_stream, mux);

static void stream_free(struct frps_stream *s)
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

int frps_accept(struct frps *f, struct frps_conn **ret_c)
{
	struct mux_params p = { .is_server = true };
	struct frps_conn *c = calloc(1, sizeof(*c));

	PROMISE(f->env, c != NULL);
	c->f = f;
	PROMISE(f->env, mux_new(&c->mux, &p) == 0);
	mux_tick(c->mux, f->env->now_ms);
	list_init(&c->streams);
	list_init(&c->users);
	list_add_tail(&f->conns, &c->link);
	c->ping_ms = f->env->now_ms + FRPS_PING_MS;
	c->ping_due_ms = UINT64_MAX;
	f->n_open++;
	*ret_c = c;
	return 0;
}

void frps_lost(struct frps_conn *c)
{
	struct frps_stream *s;
	struct frps_user *u;

	while (!list_is_empty(&c->streams)) {
		s = container_of(c->streams.next, struct frps_stream, link);
		flow_on_loss(&s->flow);
		stream_free(s);
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

void frps_deinit(struct frps *f)
{
	while (!list_is_empty(&f->conns))
		frps_lost(container_of(f->conns.next, struct frps_conn, link));
}

/* -- names --------------------------------------------------------------------------------------
 */

static char *conn_find(struct frps_conn *c, const char *name)
{
	for (size_t i = 0; i < FRPS_PROXIES; i++)
		if (c->is_logged && strcmp(c->proxies[i], name) == 0)
			return c->proxies[i];
	return NULL;
}

bool frps_has_proxy(const struct frps *f, const char *name)
{
	for (struct list *l = f->conns.next; l != &f->conns; l = l->next)
		if (conn_find(container_of(l, struct frps_conn, link), name) != NULL)
			return true;
	return false;
}

/* -- control ------------------------------------------------------------------------------------
 */

static void conn_answer(struct frps_conn *c, enum msg_type type, const char *name,
			const char *error)
{
	struct env *e = c->f->env;
	struct frps_answer *a = &c->answers[c->n_answers];
	uint64_t after = c->n_answers > 0 ? a[-1].due_ms : 0;

	PROMISE(e, c->n_answers < FRPS_ANSWERS); /* the client asks with measure */
	*a = (struct frps_answer){ .type = type, .error = error, .due_ms = e->now_ms };
	if (c->f->rules.slow_ms > 0)
		a->due_ms += env_random(e, (uint32_t) c->f->rules.slow_ms);
	if (a->due_ms < after)
		a->due_ms = after;
	(void) snprintf(a->name, sizeof(a->name), "%s", name);
	c->n_answers++;
}

static void control_flush(struct frps_conn *c)
{
	struct span out;

	while (c->control != NULL && c->control->mux != NULL &&
	       (out = chan_out(&c->control->chan)).len > 0) {
		size_t n = 1 + env_random(c->f->env, (uint32_t) out.len);

		if (mux_write_urgent(c->mux, c->control->mux, span_head(out, n)) != 0)
			return;
		chan_sent(&c->control->chan, n);
	}
}

static void control_say(struct frps_conn *c, const struct msg *m)
{
	if (c->control == NULL)
		return;
	PROMISE(c->f->env, chan_send(&c->control->chan, m) == 0);
	control_flush(c);
}

static void conn_new_proxy(struct frps_conn *c, const struct msg_new_proxy *p)
{
	const char *error = NULL;
	char *slot = NULL;

	if (frps_has_proxy(c->f, p->name))
		error = "proxy already exists";
	else if (env_chance(c->f->env, c->f->rules.refuse_proxy_pct))
		error = "port unavailable";
	for (size_t i = 0; i < FRPS_PROXIES && slot == NULL; i++)
		slot = c->proxies[i][0] == '\0' ? c->proxies[i] : NULL;
	PROMISE(c->f->env, slot != NULL);
	if (error == NULL)
		(void) snprintf(slot, sizeof(c->proxies[0]), "%s", p->name);
	if (c->f->rules.forgets_answers && env_chance(c->f->env, 20))
		return;
	conn_answer(c, MSG_NEW_PROXY_RESP, p->name, error);
}

static void conn_on_control(struct frps_conn *c, const struct msg *m)
{
	char *slot;

	switch ((unsigned) m->type) {
	case MSG_NEW_PROXY: conn_new_proxy(c, &m->new_proxy); break;
	case MSG_CLOSE_PROXY:
		slot = conn_find(c, m->close_proxy.name);
		if (slot != NULL)
			slot[0] = '\0';
		break;
	case MSG_PING:
		PROMISE(c->f->env, m->ping.privilege_key != NULL);
		conn_answer(c, MSG_PONG, "", NULL);
		break;
	default: PROMISE(c->f->env, msg_type_name(m->type) == NULL); /* a client sends no other */
	}
}

static void conn_on_login(struct frps_conn *c, struct frps_stream *s, const struct msg_login *l)
{
	struct env *e = c->f->env;

	PROMISE(e, c->control == NULL);
	c->control = s;
	s->kind = STREAM_CONTROL;
	if (c->f->rules.goes_silent)
		return;
	if (l->run_id != NULL)
		(void) snprintf(c->run_id, sizeof(c->run_id), "%s", l->run_id);
	else
		(void) snprintf(c->run_id, sizeof(c->run_id), "run%u", ++c->f->run_ids);
	conn_answer(c, MSG_LOGIN_RESP, "",
		    env_chance(e, c->f->rules.refuse_login_pct) ? "no" : NULL);
}

/* The session of the same run id that is still there; NULL: none. */
static struct frps_conn *conn_older(struct frps_conn *c)
{
	for (struct list *i = c->f->conns.next; i != &c->f->conns; i = i->next) {
		struct frps_conn *o = container_of(i, struct frps_conn, link);

		if (o != c && o->is_logged && strcmp(o->run_id, c->run_id) == 0)
			return o;
	}
	return NULL;
}

static void conn_drop_control(struct frps_conn *c)
{
	if (c->control == NULL)
		return;
	mux_fin(c->mux, c->control->mux);
	stream_free(c->control);
	c->is_logged = false; /* its names are free */
	c->n_answers = 0;
}

static void conn_logged(struct frps_conn *c)
{
	static const uint8_t iv[16] = { 1, 2, 3, 4 };
	struct env *e = c->f->env;
	struct layer *layer;

	c->is_logged = c->is_up = true;
	c->f->login_ms[c->f->n_logins++ % 64] = e->now_ms;
	PROMISE(e, cfb_new(&layer, span_str(FRPS_TOKEN), iv) == 0);
	chan_set_layer(&c->control->chan, layer);
	conn_answer(c, MSG_REQ_WORK_CONN, "", NULL);
	if (c->f->rules.closes_after_login) {
		conn_answer(c, MSG_NONE, "", NULL); /* the end, when the answer has left */
		c->answers[c->n_answers - 1].due_ms += 20;
	}
}

/* True: it was said; false: not yet. */
static bool conn_say(struct frps_conn *c, const struct frps_answer *a)
{
	struct msg m = { .type = a->type };
	struct frps_conn *older;

	if (a->type == MSG_NONE) {
		c->is_dead = true;
		return true;
	}
	if (a->type == MSG_LOGIN_RESP && a->error == NULL) {
		older = conn_older(c);
		if (older != NULL && c->f->rules.is_parking)
			return false;
		if (older != NULL)
			conn_drop_control(older);
		m.login_resp.run_id = c->run_id;
	} else if (a->type == MSG_LOGIN_RESP) {
		m.login_resp.error = a->error;
	} else if (a->type == MSG_NEW_PROXY_RESP) {
		m.new_proxy_resp.name = a->name;
		m.new_proxy_resp.error = a->error;
		m.new_proxy_resp.remote_addr = a->error == NULL ? ":1" : NULL;
	}
	control_say(c, &m);
	if (m.type == MSG_LOGIN_RESP && m.login_resp.error == NULL)
		conn_logged(c);
	else if (m.type == MSG_LOGIN_RESP)
		conn_drop_control(c);
	return true;
}

static void conn_say_due(struct frps_conn *c)
{
	struct frps_answer a;

	while (c->n_answers > 0 && c->answers[0].due_ms <= c->f->env->now_ms) {
		a = c->answers[0];
		if (!conn_say(c, &a)) {
			c->answers[0].due_ms = c->f->env->now_ms + 50; /* parked: look again */
			return;
		}
		if (c->n_answers == 0)
			return; /* the control channel ended */
		c->n_answers--;
		memmove(c->answers, c->answers + 1, c->n_answers * sizeof(c->answers[0]));
	}
}

/* -- users --------------------------------------------------------------------------------------
 */

static void user_join(struct frps_conn *c, struct frps_stream *s, const char *proxy)
{
	struct frps *f = c->f;
	struct msg m = { .type = MSG_START_WORK_CONN };
	uint32_t size = env_chance(f->env, f->rules.big_pct) ? 1u << 20
			: env_chance(f->env, 30)	     ? 65536
							     : 2000;
	static const enum flow_kind kinds[] = { FLOW_USER_PATIENT, FLOW_USER_PATIENT,
						FLOW_USER_PATIENT, FLOW_USER_HALF,
						FLOW_USER_ABORTS };

	m.start_work_conn.proxy_name = proxy;
	m.start_work_conn.src_addr = "127.0.0.1";
	m.start_work_conn.src_port = 5;
	PROMISE(f->env, chan_send(&s->chan, &m) == 0);
	PROMISE(f->env, mux_write_urgent(c->mux, s->mux, chan_out(&s->chan)) == 0);
	chan_deinit(&s->chan);
	s->kind = STREAM_JOINED;
	s->flow = (struct flow){ .env = f->env, .ops = &carrier_ops, .owner = c, .handle = s };
	s->flow.kind = kinds[env_random(f->env, f->rules.is_gentle ? 4 : 5)];
	flow_init_user(&s->flow, ++f->user_ids, env_random(f->env, size), env_random(f->env, size));
	f->n_users++;
	conn_answer(c, MSG_REQ_WORK_CONN, "", NULL); /* as frps: one more for the pool */
}

static struct frps_stream *conn_pooled(struct frps_conn *c)
{
	for (struct list *i = c->streams.next; i != &c->streams; i = i->next) {
		struct frps_stream *s = container_of(i, struct frps_stream, link);

		if (s->kind == STREAM_POOLED)
			return s;
	}
	return NULL;
}

static void conn_serve_users(struct frps_conn *c)
{
	struct frps_stream *s;
	struct frps_user *u;

	while (!list_is_empty(&c->users) && (s = conn_pooled(c)) != NULL) {
		u = container_of(c->users.next, struct frps_user, link);
		user_join(c, s, u->proxy);
		list_del(&u->link);
		free(u);
	}
}

static const char *conn_any_proxy(struct frps_conn *c)
{
	size_t from = env_random(c->f->env, FRPS_PROXIES);

	for (size_t i = 0; i < FRPS_PROXIES; i++)
		if (c->proxies[(from + i) % FRPS_PROXIES][0] != '\0')
			return c->proxies[(from + i) % FRPS_PROXIES];
	return NULL;
}

void frps_user(struct frps *f)
{
	for (struct list *i = f->conns.next; i != &f->conns; i = i->next) {
		struct frps_conn *c = container_of(i, struct frps_conn, link);
		const char *name = conn_any_proxy(c);
		struct frps_user *u;

		if (!c->is_logged || c->n_answers > FRPS_ANSWERS / 2 || name == NULL)
			continue;
		u = calloc(1, sizeof(*u));
		PROMISE(f->env, u != NULL);
		(void) snprintf(u->proxy, sizeof(u->proxy), "%s", name);
		u->due_ms = f->env->now_ms + FRPS_USER_WAIT_MS;
		list_add_tail(&c->users, &u->link);
		if (conn_pooled(c) == NULL)
			conn_answer(c, MSG_REQ_WORK_CONN, "", NULL);
		conn_serve_users(c);
		return;
	}
}

static void conn_expire_users(struct frps_conn *c)
{
	struct frps_user *u;

	while (!list_is_empty(&c->users)) {
		u = container_of(c->users.next, struct frps_user, link);
		if (u->due_ms > c->f->env->now_ms)
			return;
		c->f->n_timeouts++;
		list_del(&u->link);
		free(u);
	}
}

size_t frps_n_busy(const struct frps *f)
{
	size_t n = 0;

	for (struct list *i = f->conns.next; i != &f->conns; i = i->next) {
		struct frps_conn *c = container_of(i, struct frps_conn, link);

		n += !list_is_empty(&c->users);
		for (struct list *k = c->streams.next; k != &c->streams; k = k->next)
			n += container_of(k, struct frps_stream, link)->kind == STREAM_JOINED;
	}
	return n;
}

/* -- bytes --------------------------------------------------------------------------------------
 */

static void conn_on_work(struct frps_conn *c, struct frps_stream *s, const struct msg *m)
{
	struct env *e = c->f->env;
	size_t n = 0;

	PROMISE(e, m->type == MSG_NEW_WORK_CONN);
	PROMISE(e,
		m->new_work_conn.run_id != NULL && strcmp(m->new_work_conn.run_id, c->run_id) == 0);
	PROMISE(e, m->new_work_conn.privilege_key != NULL);
	for (struct list *i = c->streams.next; i != &c->streams; i = i->next)
		n += container_of(i, struct frps_stream, link)->kind == STREAM_POOLED;
	if (!c->is_logged || n >= FRPS_POOL_MAX) {
		mux_fin(c->mux, s->mux);
		stream_free(s);
		return;
	}
	s->kind = STREAM_POOLED;
	conn_serve_users(c);
}

/* The first message of a stream, or one of the control channel. */
static void stream_on_message(struct frps_stream *s, const struct msg *m)
{
	struct frps_conn *c = s->conn;

	if (s->kind == STREAM_CONTROL)
		conn_on_control(c, m);
	else if (m->type == MSG_LOGIN)
		conn_on_login(c, s, &m->login);
	else
		conn_on_work(c, s, m);
}

static void stream_on_data(struct frps_stream *s, struct span in)
{
	struct frps_conn *c = s->conn;
	struct msg m;
	int err;

	if (s->kind == STREAM_JOINED) {
		flow_on_data(&s->flow, in);
		return;
	}
	mux_consume(c->mux, s->mux, in.len);
	for (;;) {
		bool is_last;

		/* Nothing follows a first message before its answer: @in is empty then. */
		err = chan_next(&s->chan, &in, &m);
		if (err == CHAN_E_MORE)
			return;
		PROMISE(c->f->env, err == 0);
		is_last = s->kind == STREAM_NEW && m.type != MSG_LOGIN;
		PROMISE(c->f->env, !is_last || in.len == 0);
		stream_on_message(s, &m);
		msg_deinit(&m);
		if (is_last)
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
		conn_drop_control(c);
		return;
	}
	mux_fin(c->mux, s->mux);
	stream_free(s);
}

static void conn_on_opened(struct frps_conn *c, struct mux_stream *ms)
{
	struct frps_stream *s = calloc(1, sizeof(*s));

	PROMISE(c->f->env, s != NULL);
	s->conn = c;
	s->mux = ms;
	chan_init(&s->chan, WIRE_V1, 65536);
	list_add_tail(&c->streams, &s->link);
	mux_set_user(ms, s);
}

void frps_feed(struct frps_conn *c, struct span in)
{
	struct mux_event ev;

	mux_feed(c->mux, in, c->f->env->now_ms);
	while (mux_next(c->mux, &ev) == 0) {
		switch (ev.kind) {
		case MUX_EV_OPENED: conn_on_opened(c, ev.stream); break;
		case MUX_EV_DATA: stream_on_data(ev.user, ev.data); break;
		case MUX_EV_FIN: conn_on_end(c, ev.user, false); break;
		case MUX_EV_RST: conn_on_end(c, ev.user, true); break;
		case MUX_EV_PONG: c->ping_due_ms = UINT64_MAX; break;
		case MUX_EV_GOAWAY: break;
		case MUX_EV_DEAD: c->is_dead = true; break;
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
	control_flush(c);
	conn_turns(c);
	return mux_drain(c->mux);
}

void frps_drained(struct frps_conn *c, size_t n)
{
	mux_drained(c->mux, n);
}

bool frps_is_dead(const struct frps_conn *c)
{
	return c->is_dead;
}

size_t frps_n_streams(const struct frps_conn *c)
{
	struct mux_facts facts;

	mux_facts(c->mux, &facts);
	return facts.n_streams;
}

void frps_spoil(struct frps *f)
{
	uint8_t junk[32];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t) env_random(f->env, 256);
	for (struct list *i = f->conns.next; i != &f->conns; i = i->next) {
		struct frps_conn *c = container_of(i, struct frps_conn, link);

		if (c->control != NULL)
			(void) mux_write_urgent(c->mux, c->control->mux,
						span_of(junk, sizeof(junk)));
	}
}

void frps_goaway(struct frps *f)
{
	for (struct list *i = f->conns.next; i != &f->conns; i = i->next)
		mux_goaway(container_of(i, struct frps_conn, link)->mux, 0);
}

/* -- time ---------------------------------------------------------------------------------------
 */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t frps_deadline(const struct frps_conn *c)
{
	uint64_t due = earlier(mux_deadline(c->mux), earlier(c->ping_ms, c->ping_due_ms));

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

	if (c->ping_due_ms <= now_ms)
		c->is_dead = true;
	if (c->ping_ms > now_ms)
		return;
	c->ping_ms = now_ms + FRPS_PING_MS;
	if (mux_ping(c->mux, env_random(c->f->env, 1000)) == 0)
		c->ping_due_ms = now_ms + FRPS_PING_WAIT_MS;
}

void frps_act(struct frps_conn *c)
{
	struct list *i, *next;

	mux_tick(c->mux, c->f->env->now_ms);
	conn_ping(c);
	conn_say_due(c);
	conn_expire_users(c);
	for (i = c->streams.next; i != &c->streams; i = next) {
		struct frps_stream *s = container_of(i, struct frps_stream, link);

		next = i->next;
		if (s->kind == STREAM_JOINED && s->flow.due_ms <= c->f->env->now_ms)
			flow_act(&s->flow);
		if (s->kind == STREAM_JOINED && s->flow.is_over)
			stream_free(s);
	}
}
