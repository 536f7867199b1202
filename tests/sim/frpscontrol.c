/* SPDX-License-Identifier: Apache-2.0 */
/* frpscontrol.c - the model of frps: logins, run ids, names, answers. Tests only. */
#include "tests/sim/frpsconn.h"

#include <inttypes.h>
#include <string.h>

#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"

#define FRPS_BREAK_MS 20    /* from the answer to a login to the end, of a server that breaks */
#define FRPS_UNPARK_MS 50   /* a parked login looks again */
#define FRPS_GUESS_LEN 1024 /* of a hello */

/* -- names -- */

static char *conn_find(struct frps_conn *c, const char *name)
{
	for (size_t i = 0; c->is_logged && i < FRPS_PROXIES; i++)
		if (strcmp(c->proxies[i], name) == 0)
			return c->proxies[i];
	return NULL;
}

bool frps_holds(const struct frps_conn *c, const char *name)
{
	for (size_t i = 0; c->is_logged && i < FRPS_PROXIES; i++)
		if (strcmp(c->proxies[i], name) == 0)
			return true;
	return false;
}

bool frps_has_proxy(const struct frps *f, const char *name)
{
	for (struct list *l = f->conns.next; l != &f->conns; l = l->next)
		if (frps_holds(container_of(l, struct frps_conn, link), name))
			return true;
	return false;
}

/* -- to the client -- */

void frps_answer(struct frps_conn *c, enum msg_type type, const char *name, const char *error)
{
	struct env *e = c->f->env;
	struct frps_answer *a = &c->answers[c->n_answers];
	uint64_t after_ms = c->n_answers > 0 ? a[-1].due_ms : 0;

	PROMISE(e, c->n_answers < FRPS_ANSWERS); /* the client asks with measure */
	*a = (struct frps_answer){ .type = type, .error = error, .due_ms = e->now_ms };
	if (c->f->rules.slow_ms > 0) {
		env_hit(e, FAULT_SLOW_ANSWER);
		if (c->mux == NULL) /* a Pong is all that tells of its life */
			*c->harm |= HARM_SILENCE;
		a->due_ms += env_random(e, (uint32_t) c->f->rules.slow_ms);
	}
	if (a->due_ms < after_ms)
		a->due_ms = after_ms;
	(void) snprintf(a->name, sizeof(a->name), "%s", name);
	c->n_answers++;
}

void frps_flush_control(struct frps_conn *c)
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
	frps_flush_control(c);
}

bool frps_work_flood(struct frps_conn *c)
{
	struct msg m = { .type = MSG_REQ_WORK_CONN };
	uint32_t n = 50 + env_random(c->f->env, 100);

	if (!c->is_logged)
		return false;
	while (n-- > 0)
		control_say(c, &m);
	return true;
}

/* -- from the client -- */

static void conn_new_proxy(struct frps_conn *c, const struct msg_new_proxy *p)
{
	struct env *e = c->f->env;
	const char *error = NULL;
	char *slot = NULL;

	PROMISE(e, conn_find(c, p->name) == NULL); /* asked for while it may be live */
	if (frps_has_proxy(c->f, p->name)) {
		env_hit(e, FAULT_NAME_TAKEN);
		error = "proxy already exists";
	} else if (env_chance(e, c->f->rules.refuse_proxy_pct)) {
		env_hit(e, FAULT_REFUSED_PROXY);
		error = "port unavailable";
	}
	for (size_t i = 0; i < FRPS_PROXIES && slot == NULL; i++)
		slot = c->proxies[i][0] == '\0' ? c->proxies[i] : NULL;
	PROMISE(e, slot != NULL);
	if (error == NULL)
		(void) snprintf(slot, sizeof(c->proxies[0]), "%s", p->name);
	if (c->f->rules.forgets_answers && env_chance(e, 20)) {
		env_hit(e, FAULT_LOST_ANSWER);
		return;
	}
	frps_answer(c, MSG_NEW_PROXY_RESP, p->name, error);
}

static void conn_pinged(struct frps_conn *c)
{
	c->pinged_ms = c->f->env->now_ms;
	if (c->mux == NULL)
		c->ping_due_ms = c->pinged_ms + FRPS_BEAT_MS;
}

void frps_on_control(struct frps_conn *c, const struct msg *m)
{
	struct env *e = c->f->env;
	char *slot;

	switch ((unsigned) m->type) {
	case MSG_NEW_PROXY: conn_new_proxy(c, &m->new_proxy); break;
	case MSG_CLOSE_PROXY:
		slot = conn_find(c, m->close_proxy.name);
		if (slot != NULL)
			slot[0] = '\0';
		break;
	case MSG_PING:
		PROMISE(e, m->ping.privilege_key != NULL);
		conn_pinged(c);
		frps_answer(c, MSG_PONG, "", NULL);
		break;
	default: PROMISE(e, msg_type_name(m->type) == NULL); /* a client sends no other */
	}
}

/* -- login -- */

void frps_on_hello(struct frps_stream *s, struct span body)
{
	struct hello_server answer = { .kind = PRIM_AEAD_AES_256_GCM };
	struct frps_conn *c = s->conn;
	struct env *e = c->f->env;
	enum prim_aead_kind kinds[2];
	struct hello_client hello;
	struct buf payload, frame;
	const char *why;

	PROMISE(e, hello_decode_client(body, &hello, kinds, &why) == 0 && hello.n_kinds > 0);
	c->aead = answer.kind = kinds[0];
	for (size_t i = 0; i < sizeof(answer.random); i++)
		answer.random[i] = (uint8_t) env_random(e, 256);
	buf_init(&payload, FRPS_GUESS_LEN);
	buf_init(&frame, FRPS_GUESS_LEN);
	PROMISE(e, hello_encode_server(&answer, &payload) == 0);
	PROMISE(e, frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&payload), &frame) == 0);
	PROMISE(e, chan_send_raw(&s->chan, buf_span(&frame)) == 0);
	PROMISE(e, hello_derive(span_str(FRPS_TOKEN), body, buf_span(&payload), c->aead,
				&c->keys) == 0);
	buf_deinit(&payload);
	buf_deinit(&frame);
}

static void check_login(struct env *e, const struct msg_login *l)
{
	char stamp[24], key[33];

	(void) snprintf(stamp, sizeof(stamp), "%" PRId64, l->timestamp);
	PROMISE(e, prim_md5_hex(span_str(FRPS_TOKEN), span_str(stamp), key) == 0);
	PROMISE(e, l->privilege_key != NULL && strcmp(l->privilege_key, key) == 0);
}

void frps_on_login(struct frps_stream *s, const struct msg_login *l)
{
	struct frps_conn *c = s->conn;
	struct env *e = c->f->env;
	bool is_refused;

	PROMISE(e, c->control == NULL);
	check_login(e, l);
	c->control = s;
	s->kind = STREAM_CONTROL;
	if (c->f->rules.goes_silent) {
		env_hit(e, FAULT_MUTE_LOGIN);
		*c->harm |= HARM_MUTE;
		return;
	}
	if (l->run_id != NULL && l->run_id[0] != '\0')
		(void) snprintf(c->run_id, sizeof(c->run_id), "%s", l->run_id);
	else
		(void) snprintf(c->run_id, sizeof(c->run_id), "run%u", ++c->f->run_ids);
	is_refused = env_chance(e, c->f->rules.refuse_login_pct);
	if (is_refused) {
		env_hit(e, FAULT_REFUSED_LOGIN);
		*c->harm |= HARM_REFUSAL;
	}
	frps_answer(c, MSG_LOGIN_RESP, "", is_refused ? "no" : NULL);
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

void frps_drop_control(struct frps_conn *c)
{
	if (c->control == NULL)
		return;
	c->is_logged = false; /* its names are free */
	c->n_answers = 0;
	if (c->mux == NULL) {
		*c->harm |= HARM_CUT;
		c->is_closing = true;
		return;
	}
	mux_fin(c->mux, c->control->mux);
	frps_stream_free(c->control);
}

bool frps_evict(struct frps_conn *c)
{
	if (!c->is_logged)
		return false;
	*c->harm |= HARM_EVICTION;
	c->f->is_touched = true;
	frps_drop_control(c);
	return true;
}

static void conn_set_layer(struct frps_conn *c)
{
	struct env *e = c->f->env;
	struct layer *layer;
	uint8_t random[24];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t) env_random(e, 256);
	if (c->control->wire == WIRE_V2) {
		struct aead_params p = {
			.kind = c->aead,
			.key_out = c->keys.server_to_client,
			.key_in = c->keys.client_to_server,
			.nonce = random,
		};

		PROMISE(e, aead_new(&layer, &p) == 0);
	} else {
		PROMISE(e, cfb_new(&layer, span_str(FRPS_TOKEN), random) == 0);
	}
	chan_set_layer(&c->control->chan, layer);
}

static void conn_logged(struct frps_conn *c)
{
	c->is_logged = true;
	c->is_parked = false;
	c->f->n_logins++;
	if (c->mux == NULL)
		env_hit(c->f->env, FAULT_NO_MUX);
	conn_pinged(c);
	conn_set_layer(c);
	frps_answer(c, MSG_REQ_WORK_CONN, "", NULL);
	if (c->f->rules.closes_after_login) {
		*c->harm |= HARM_CUT;
		frps_answer(c, MSG_NONE, "", NULL); /* the end, when the answer has left */
		c->answers[c->n_answers - 1].due_ms += FRPS_BREAK_MS;
	}
	if (c->f->on_login != NULL)
		c->f->on_login(c->f->arg);
}

static bool conn_is_locked(struct frps_conn *c)
{
	for (size_t i = 0; i < c->f->n_locked; i++)
		if (strcmp(c->f->locked[i], c->run_id) == 0)
			return true;
	return false;
}

void frps_unpark(struct frps_conn *c)
{
	struct frps *f = c->f;

	if (!c->is_parked || f->kind != FRPS_LOCKS || conn_is_locked(c))
		return;
	PROMISE(f->env, f->n_locked < sizeof(f->locked) / sizeof(f->locked[0]));
	(void) snprintf(f->locked[f->n_locked++], sizeof(f->locked[0]), "%s", c->run_id);
}

/* May the login be accepted now? */
static bool conn_may_log_in(struct frps_conn *c)
{
	struct frps_conn *older = conn_older(c);
	bool is_locked = conn_is_locked(c);

	if (!is_locked && (older == NULL || c->f->kind == FRPS_TAKES_OVER)) {
		if (older != NULL)
			(void) frps_evict(older);
		return true;
	}
	*c->harm |= HARM_MUTE;
	if (!c->is_parked)
		env_hit(c->f->env, is_locked ? FAULT_LOCKED_LOGIN : FAULT_PARKED_LOGIN);
	c->is_parked = true;
	return false;
}

/* -- answers -- */

/* True: it was said; false: not yet. */
static bool conn_say(struct frps_conn *c, const struct frps_answer *a)
{
	struct msg m = { .type = a->type };

	if (a->type == MSG_NONE) {
		env_hit(c->f->env, FAULT_BREAK);
		c->is_dead = true;
		return true;
	}
	if (a->type == MSG_LOGIN_RESP && a->error == NULL) {
		if (!conn_may_log_in(c))
			return false;
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
		frps_drop_control(c);
	return true;
}

void frps_say_due(struct frps_conn *c)
{
	struct frps_answer a;

	while (c->n_answers > 0 && c->answers[0].due_ms <= c->f->env->now_ms) {
		a = c->answers[0];
		if (!conn_say(c, &a)) {
			c->answers[0].due_ms = c->f->env->now_ms + FRPS_UNPARK_MS;
			return;
		}
		if (c->n_answers == 0)
			return; /* the control channel ended */
		c->n_answers--;
		memmove(c->answers, c->answers + 1, c->n_answers * sizeof(c->answers[0]));
	}
}
