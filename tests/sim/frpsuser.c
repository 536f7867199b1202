/* SPDX-License-Identifier: Apache-2.0 */
/* frpsuser.c - the model of frps: users, the pool of work connections, visits. Tests only. */
#include "tests/sim/frpsconn.h"

#include <string.h>

#include "proto/base/text.h"

static void carrier_forget(void *owner, void *h)
{
	struct frps_conn *c = owner;
	struct frps_stream *s = h;

	mux_forget(c->mux, s->mux);
	s->mux = NULL;
}

FLOW_DEFINE_OPS(carrier, mux, frps_conn, mux, frps_stream, mux);

uint32_t frps_new_flow(struct frps *f)
{
	return ++f->flow_ids;
}

/* The stream's first message was answered with @m: raw bytes follow, @first of them at once. */
static void stream_join(struct frps_stream *s, const struct msg *m, struct span first)
{
	struct env *e = s->conn->f->env;

	PROMISE(e, chan_send(&s->chan, m) == 0);
	PROMISE(e, first.len == 0 || chan_send_raw(&s->chan, first) == 0);
	PROMISE(e, mux_write_urgent(s->conn->mux, s->mux, chan_out(&s->chan)) == 0);
	chan_deinit(&s->chan);
	s->kind = STREAM_JOINED;
}

static void stream_carry(struct frps_stream *s, enum flow_kind kind)
{
	s->flow = (struct flow){
		.env = s->conn->f->env,
		.ops = &carrier_ops,
		.owner = s->conn,
		.handle = s,
		.kind = kind,
	};
}

static void user_join(struct frps_conn *c, struct frps_stream *s, const char *proxy)
{
	static const enum flow_kind kinds[] = { FLOW_USER_PATIENT, FLOW_USER_PATIENT,
						FLOW_USER_PATIENT, FLOW_USER_HALF,
						FLOW_USER_ABORTS };
	struct msg m = { .type = MSG_START_WORK_CONN };
	uint32_t id = frps_new_flow(c->f), size, n_up, n_down;
	struct span first = span_of(NULL, 0);
	struct env *e = c->f->env;

	stream_carry(s, kinds[env_random(e, c->f->rules.is_gentle ? 4 : 5)]);
	size = flow_size(e, c->f->rules.big_pct);
	n_up = env_random(e, size);
	n_down = env_random(e, size);
	flow_init_user(&s->flow, id, n_up, n_down);
	if (env_chance(e, 30))
		first = flow_take_first(&s->flow);
	m.start_work_conn.proxy_name = proxy;
	m.start_work_conn.src_addr = "127.0.0.1";
	m.start_work_conn.src_port = id; /* tells the service who comes */
	stream_join(s, &m, first);
	c->f->n_users++;
	frps_answer(c, MSG_REQ_WORK_CONN, "", NULL); /* as frps: one more for the pool */
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

static void conn_add_user(struct frps_conn *c, const char *proxy)
{
	struct frps_user *u = calloc(1, sizeof(*u));

	PROMISE(c->f->env, u != NULL);
	(void) snprintf(u->proxy, sizeof(u->proxy), "%s", proxy);
	u->due_ms = c->f->env->now_ms + FRPS_USER_WAIT_MS;
	list_add_tail(&c->users, &u->link);
	if (conn_pooled(c) == NULL)
		frps_answer(c, MSG_REQ_WORK_CONN, "", NULL);
	conn_serve_users(c);
}

static bool conn_takes_users(const struct frps_conn *c)
{
	return c->mux != NULL && c->is_logged && c->n_answers <= FRPS_ANSWERS / 2;
}

void frps_user(struct frps *f)
{
	struct list *i = f->conns.next;

	if (f->n_open == 0)
		return;
	for (uint32_t n = env_random(f->env, (uint32_t) f->n_open); n > 0; n--)
		i = i->next;
	for (size_t n = 0; n <= f->n_open; n++, i = i->next) { /* and once past the head */
		struct frps_conn *c = container_of(i, struct frps_conn, link);
		const char *proxy;

		if (i == &f->conns || !conn_takes_users(c))
			continue;
		proxy = conn_any_proxy(c);
		if (proxy != NULL) {
			conn_add_user(c, proxy);
			return;
		}
	}
}

void frps_expire_users(struct frps_conn *c)
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

bool frps_reset_stream(struct frps_conn *c)
{
	for (struct list *i = c->streams.next; i != &c->streams; i = i->next) {
		struct frps_stream *s = container_of(i, struct frps_stream, link);

		if (s->kind == STREAM_JOINED && !s->flow.is_over) {
			flow_abort(&s->flow);
			return true;
		}
	}
	return false;
}

void frps_on_work(struct frps_stream *s, const struct msg_new_work_conn *m)
{
	struct frps_conn *c = s->conn;
	struct env *e = c->f->env;
	size_t n = 0;

	PROMISE(e, m->run_id != NULL && strcmp(m->run_id, c->run_id) == 0);
	PROMISE(e, m->privilege_key != NULL);
	for (struct list *i = c->streams.next; i != &c->streams; i = i->next)
		n += container_of(i, struct frps_stream, link)->kind == STREAM_POOLED;
	if (!c->is_logged || n >= FRPS_POOL_MAX) {
		mux_fin(c->mux, s->mux);
		frps_stream_free(s);
		return;
	}
	s->kind = STREAM_POOLED;
	conn_serve_users(c);
}

/* The name of the proxy that is visited is the number of the flow; one in eight is refused. */
void frps_on_visit(struct frps_stream *s, const struct msg_new_visitor_conn *m)
{
	struct msg answer = { .type = MSG_NEW_VISITOR_CONN_RESP };
	struct frps_conn *c = s->conn;
	struct env *e = c->f->env;
	uint64_t id;

	PROMISE(e, m->run_id != NULL && strcmp(m->run_id, c->run_id) == 0);
	PROMISE(e, m->sign_key != NULL && m->proxy_name != NULL);
	PROMISE(e, text_parse_u64(m->proxy_name, 1, UINT32_MAX, &id) == 0);
	answer.new_visitor_conn_resp.proxy_name = m->proxy_name;
	if (env_chance(e, 12)) {
		answer.new_visitor_conn_resp.error = "no such proxy";
		PROMISE(e, chan_send(&s->chan, &answer) == 0);
		(void) mux_write_urgent(c->mux, s->mux, chan_out(&s->chan));
		mux_fin(c->mux, s->mux);
		frps_stream_free(s);
		return;
	}
	stream_join(s, &answer, span_of(NULL, 0));
	stream_carry(s, FLOW_SERVICE);
	s->flow.is_visited = true;
	flow_init_service(&s->flow, (uint32_t) id);
}
