/* SPDX-License-Identifier: Apache-2.0 */
/* fake_session.c - a frps as the script wants it, on one connection.
 *
 *   first bytes -> pipe -> Login: the control pipe | NewWorkConn: parked, until "start" joins it
 *
 * Memory that runs out ends the program: it lives as long as a test. */
#include "tests/peer/fake_session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <jansson.h>

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/text.h"
#include "proto/session/chan.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "proto/wire/hello.h"
#include "tests/peer/fake_pipe.h"

#define HEAD_SHOWN 64 /* bytes of payload told with each event */

/* ---- news ------------------------------------------------------------------------------------ */

void fake_say(const struct fake_session *s, const char *what, const char *more_format, ...)
{
	va_list args;

	printf("{\"ev\":\"%s\",\"conn\":%u", what, s->id);
	va_start(args, more_format);
	vprintf(more_format, args);
	va_end(args);
	printf("}\n");
	fflush(stdout);
}

static void say_message(const struct fake_pipe *p, const struct frame *f)
{
	const char *type = f->kind == FRAME_MESSAGE ? msg_type_name(f->type) : "ClientHello";
	json_t *body = json_loadb((const char *) f->body.p, f->body.len, 0, NULL);
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	fake_say(p->session, "message", ",\"stream\":%u,\"type\":\"%s\",\"wire\":%d,\"body\":%s",
		 p->id, type, (int) p->wire, text != NULL ? text : "null");
	free(text);
	json_decref(body);
}

static void say_data(const struct fake_pipe *p, struct span data)
{
	char head[2 * HEAD_SHOWN + 1];

	text_hex(span_head(data, HEAD_SHOWN), head, sizeof(head));
	fake_say(p->session, "data", ",\"stream\":%u,\"len\":%zu,\"total\":%llu,\"head\":\"%s\"",
		 p->id, data.len, (unsigned long long) p->n_received, head);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static struct fake_pipe *pipe_new(struct fake_session *s, struct mux_stream *stream)
{
	struct fake_pipe *p = calloc(1, sizeof(*p));

	MUST(p != NULL);
	p->session = s;
	p->stream = stream;
	p->id = stream != NULL ? mux_stream_id(stream) : 0;
	list_init(&p->link);
	list_add_tail(&s->pipes, &p->link);
	return p;
}

static void pipe_free(struct fake_pipe *p)
{
	if (p->session->control == p)
		p->session->control = NULL;
	list_del(&p->link);
	if (p->wire != 0)
		chan_deinit(&p->chan);
	free(p);
}

/* Bytes on the pipe, behind its layer if it has one. */
void fake_pipe_put(struct fake_pipe *p, struct span bytes)
{
	int r;

	if (p->wire == 0) {
		p->wire = WIRE_V1;
		chan_init(&p->chan, p->wire, FAKE_OUT_MAX);
	}
	if (p->chan.layer != NULL)
		r = layer_encode(p->chan.layer, bytes, &p->chan.out);
	else
		r = chan_send_raw(&p->chan, bytes);
	MUST(r == 0);
}

void fake_pipe_put_frame(struct fake_pipe *p, uint8_t type, struct span body)
{
	uint8_t head[10] = { type };

	if (p->wire == WIRE_V2) {
		bytes_put_u16(head, 16); /* message; frp pkg/proto/wire */
		bytes_put_u16(head + 2, 0);
		bytes_put_u32(head + 4, (uint32_t) body.len + 2);
		bytes_put_u16(head + 8, (uint16_t) msg_type_of_byte(type));
		fake_pipe_put(p, span_of(head, 10));
	} else {
		bytes_put_u64(head + 1, body.len);
		fake_pipe_put(p, span_of(head, 9));
	}
	fake_pipe_put(p, body);
}

void fake_pipe_send(struct fake_pipe *p, const struct msg *m)
{
	int r = chan_send(&p->chan, m);

	MUST(r == 0);
}

/* As much of what waits as credit allows, at most @max. */
static void pipe_flush(struct fake_pipe *p, size_t max)
{
	struct span out = p->wire != 0 ? chan_out(&p->chan) : span_of(NULL, 0);
	size_t n = 0;

	if (out.len == 0)
		return;
	if (p->stream == NULL) {
		MUST(buf_add(&p->session->out, out) == 0);
		n = out.len;
	} else {
		(void) mux_write(p->session->mux, p->stream, span_head(out, max),
				 &n); /* the rest has its turn */
	}
	chan_sent(&p->chan, n);
	if (p->stream != NULL && n < out.len)
		mux_want(p->session->mux, p->stream);
}

/* ---- the session's output -------------------------------------------------------------------- */

static void session_drain(struct fake_session *s)
{
	struct span out;

	for (out = mux_drain(s->mux); out.len > 0; out = mux_drain(s->mux)) {
		MUST(buf_add(&s->out, out) == 0);
		mux_drained(s->mux, out.len);
	}
}

/* All that can leave goes to s->out; afterwards the mux is between two frames. */
void fake_session_flush(struct fake_session *s)
{
	struct list *at;
	struct mux_stream *stream;
	void *user;
	size_t quantum;

	if (s->mux == NULL) {
		for (at = s->pipes.next; at != &s->pipes; at = at->next)
			pipe_flush(container_of(at, struct fake_pipe, link), SIZE_MAX);
		return;
	}
	for (at = s->pipes.next; at != &s->pipes; at = at->next) {
		struct fake_pipe *p = container_of(at, struct fake_pipe, link);

		if (p->wire != 0 && chan_out(&p->chan).len > 0)
			mux_want(s->mux, p->stream);
	}
	session_drain(s);
	while (mux_turn(s->mux, &stream, &user, &quantum) == 0) {
		pipe_flush(user, quantum);
		session_drain(s);
	}
}

static void session_put_raw(struct fake_session *s, struct span bytes)
{
	fake_session_flush(s);
	MUST(buf_add(&s->out, bytes) == 0);
}

void fake_session_put_mframe(struct fake_session *s, const struct mframe *f)
{
	uint8_t bytes[MFRAME_LEN];

	mframe_encode(f, bytes);
	MUST(buf_add(&s->out, span_of(bytes, sizeof(bytes))) == 0);
}

/* ---- steps of the script --------------------------------------------------------------------- */

/* True: go on as a stock server does. */
bool fake_session_step(struct fake_session *s, struct fake_pipe *p, const struct fake_step *step)
{
	struct span bytes = span_of(step->bytes, step->len);

	switch (step->act) {
	case FAKE_ACT_ANSWER:
	case FAKE_ACT_REFUSE: return true;
	case FAKE_ACT_SILENT: return false;
	case FAKE_ACT_FREEZE: s->is_frozen = true; return false;
	case FAKE_ACT_FIN: s->want_fin = true; return false;
	case FAKE_ACT_RST: s->want_rst = true; return false;
	case FAKE_ACT_RAW: session_put_raw(s, bytes); return false;
	case FAKE_ACT_BYTES:
		if (p != NULL)
			fake_pipe_put(p, bytes);
		return false;
	case FAKE_ACT_FRAME:
		if (p != NULL)
			fake_pipe_put_frame(p, step->type, bytes);
		return false;
	}
	return false;
}

static const char *refusal(const struct fake_step *step)
{
	return step->act == FAKE_ACT_REFUSE ? (const char *) step->bytes : NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void random_bytes(uint8_t *p, size_t n)
{
	MUST(getrandom(p, n, 0) == (ssize_t) n);
}

static void on_client_hello(struct fake_pipe *p, struct span body)
{
	struct hello_client hello;
	struct hello_server answer = { .kind = PRIM_AEAD_AES_256_GCM };
	enum prim_aead_kind kinds[2];
	struct buf payload, frame;
	const char *why;

	if (hello_decode_client(body, &hello, kinds, &why) != 0) {
		fake_say(p->session, "bad", ",\"why\":\"%s\"", why);
		return;
	}
	p->kind = answer.kind = kinds[0];
	random_bytes(answer.random, sizeof(answer.random));
	buf_init(&payload, LIMIT_V2_BODY);
	buf_init(&frame, LIMIT_V2_BODY + 64);
	MUST(hello_encode_server(&answer, &payload) == 0);
	MUST(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&payload), &frame) == 0);
	fake_pipe_put(p, buf_span(&frame));
	MUST(hello_derive(p->session->script->token, body, buf_span(&payload), p->kind, &p->keys) ==
	     0);
	buf_deinit(&payload);
	buf_deinit(&frame);
}

static void secure(struct fake_pipe *p)
{
	struct layer *layer = NULL;
	uint8_t random[24];

	random_bytes(random, sizeof(random));
	if (p->wire == WIRE_V2) {
		struct aead_params a = { .kind = p->kind,
					 .key_out = p->keys.server_to_client,
					 .key_in = p->keys.client_to_server,
					 .nonce = random };

		MUST(aead_new(&layer, &a) == 0);
	} else {
		MUST(cfb_new(&layer, p->session->script->token, random) == 0);
	}
	chan_set_layer(&p->chan, layer);
}

static void on_login(struct fake_pipe *p, const struct msg_login *m)
{
	struct fake_session *s = p->session;
	const struct fake_step *step = &s->script->at[FAKE_STAGE_LOGIN];
	struct msg answer = { .type = MSG_LOGIN_RESP };

	p->role = FAKE_ROLE_CONTROL;
	s->control = p;
	if (!fake_session_step(s, p, step))
		return;
	answer.login_resp.version = "0.65.0";
	answer.login_resp.error = refusal(step);
	if (answer.login_resp.error == NULL)
		answer.login_resp.run_id = m->run_id != NULL ? m->run_id : "0123456789abcdef";
	fake_pipe_send(p, &answer);
	if (answer.login_resp.error != NULL)
		return;
	secure(p);
	s->is_up = true;
	(void) fake_session_step(s, p,
				 &s->script->at[FAKE_STAGE_UP]); /* nothing follows by itself */
}

static void on_new_proxy(struct fake_pipe *p, const struct msg_new_proxy *m)
{
	const struct fake_script *script = p->session->script;
	const struct fake_step *step = &script->at[FAKE_STAGE_PROXY];
	struct msg answer = { .type = MSG_NEW_PROXY_RESP };
	char addr[32];

	if (script->proxy == NULL || strcmp(script->proxy, m->name) == 0) {
		if (!fake_session_step(p->session, p, step))
			return;
		answer.new_proxy_resp.error = refusal(step);
	}
	(void) snprintf(addr, sizeof(addr), ":%lld",
			(long long) m->remote_port); /* 20 digits fit */
	answer.new_proxy_resp.name = m->name;
	if (answer.new_proxy_resp.error == NULL)
		answer.new_proxy_resp.remote_addr = addr;
	fake_pipe_send(p, &answer);
}

static void on_new_work_conn(struct fake_pipe *p)
{
	const struct fake_step *step = &p->session->script->at[FAKE_STAGE_WORK];
	struct msg answer = { .type = MSG_START_WORK_CONN };

	p->role = FAKE_ROLE_PARKED;
	if (!fake_session_step(p->session, p, step))
		return;
	answer.start_work_conn.error = refusal(step);
	if (answer.start_work_conn.error != NULL)
		fake_pipe_send(p, &answer);
}

static void on_message(struct fake_pipe *p, const struct frame *f)
{
	struct msg pong = { .type = MSG_PONG };
	struct msg m;
	const char *why;

	say_message(p, f);
	if (f->kind == FRAME_CLIENT_HELLO) {
		on_client_hello(p, f->body);
		return;
	}
	if (msg_decode(f->type, f->body, &m, &why) != 0) {
		fake_say(p->session, "bad", ",\"stream\":%u,\"why\":\"%s\"", p->id, why);
		return;
	}
	if (m.type == MSG_LOGIN && p->role == FAKE_ROLE_NEW)
		on_login(p, &m.login);
	else if (m.type == MSG_NEW_WORK_CONN && p->role == FAKE_ROLE_NEW)
		on_new_work_conn(p);
	else if (m.type == MSG_NEW_PROXY && p->role == FAKE_ROLE_CONTROL)
		on_new_proxy(p, &m.new_proxy);
	else if (m.type == MSG_PING && p->role == FAKE_ROLE_CONTROL)
		fake_pipe_send(p, &pong);
	msg_deinit(&m);
}

/* ---- input ----------------------------------------------------------------------------------- */

/* The first byte tells the wire version; a v2 pipe begins with a magic. */
static void pipe_begin(struct fake_pipe *p, struct span *in)
{
	size_t n;

	if (p->wire == 0 && in->len > 0) {
		p->wire = in->p[0] == (uint8_t) FRAME_MAGIC[0] ? WIRE_V2 : WIRE_V1;
		p->magic_due = p->wire == WIRE_V2 ? FRAME_MAGIC_LEN : 0;
		chan_init(&p->chan, p->wire, FAKE_OUT_MAX);
	}
	n = p->magic_due < in->len ? p->magic_due : in->len;
	*in = span_skip(*in, n);
	p->magic_due -= n;
}

static void pipe_feed(struct fake_pipe *p, struct span in)
{
	struct frame f;
	int r;

	pipe_begin(p, &in);
	while (p->wire != 0 && p->magic_due == 0 && p->role != FAKE_ROLE_JOINED) {
		if (p->role == FAKE_ROLE_PARKED && in.len == 0)
			break;
		r = chan_next_frame(&p->chan, &in, &f);
		if (r == CHAN_E_BAD)
			fake_say(p->session, "bad", ",\"stream\":%u,\"why\":\"%s\"", p->id,
				 p->chan.why);
		if (r != 0)
			return;
		on_message(p, &f);
	}
	if (in.len > 0 && p->role == FAKE_ROLE_JOINED) {
		p->n_received += in.len;
		say_data(p, in);
	}
}

static void on_mux_event(struct fake_session *s, const struct mux_event *ev)
{
	struct fake_pipe *p = ev->user;

	switch (ev->kind) {
	case MUX_EV_OPENED:
		p = pipe_new(s, ev->stream);
		mux_set_user(ev->stream, p);
		fake_say(s, "stream", ",\"stream\":%u", p->id);
		break;
	case MUX_EV_DATA:
		pipe_feed(p, ev->data);
		mux_consume(s->mux, ev->stream, ev->data.len);
		break;
	case MUX_EV_FIN:
		fake_say(s, "fin", ",\"stream\":%u", p->id);
		if (p->role == FAKE_ROLE_JOINED) /* its user decides */
			break;
		mux_fin(s->mux, ev->stream);
		mux_forget(s->mux, ev->stream);
		pipe_free(p);
		break;
	case MUX_EV_RST:
		fake_say(s, "rst", ",\"stream\":%u", p->id);
		mux_forget(s->mux, ev->stream);
		pipe_free(p);
		break;
	case MUX_EV_PONG: fake_say(s, "pong", ",\"id\":%u", ev->ping_id); break;
	case MUX_EV_GOAWAY: fake_say(s, "goaway", "%s", ""); break;
	case MUX_EV_DEAD: fake_say(s, "dead", ",\"why\":\"%s\"", ev->why); break;
	}
}

void fake_session_feed(struct fake_session *s, struct span in, uint64_t now_ms)
{
	const struct fake_step *step = &s->script->at[FAKE_STAGE_MUX];
	struct mux_event ev;

	if (!s->was_fed) {
		s->was_fed = true;
		if (!fake_session_step(s, NULL, step))
			s->is_deaf = true;
	}
	if (s->is_deaf)
		return;
	if (s->mux == NULL) {
		struct fake_pipe *p = list_is_empty(&s->pipes)
					      ? pipe_new(s, NULL)
					      : container_of(s->pipes.next, struct fake_pipe, link);

		pipe_feed(p, in);
	} else {
		mux_feed(s->mux, in, now_ms);
		while (mux_next(s->mux, &ev) == 0)
			on_mux_event(s, &ev);
	}
	fake_session_flush(s);
}

void fake_session_tick(struct fake_session *s, uint64_t now_ms)
{
	if (s->mux != NULL && !s->is_deaf) {
		mux_tick(s->mux, now_ms);
		fake_session_flush(s);
	}
}

int fake_session_init(struct fake_session *s, unsigned id, struct fake_script *script)
{
	struct mux_params p = { .is_server = true };

	*s = (struct fake_session){ .id = id, .script = script };
	list_init(&s->link);
	list_init(&s->pipes);
	buf_init(&s->out, FAKE_OUT_MAX);
	return script->is_mux ? mux_new(&s->mux, &p) : 0;
}

void fake_session_deinit(struct fake_session *s)
{
	while (!list_is_empty(&s->pipes))
		pipe_free(container_of(s->pipes.next, struct fake_pipe, link));
	s->mux = mux_free(s->mux);
	buf_deinit(&s->out);
}

void fake_session_start(struct fake_session *s)
{
	const struct fake_step *step = &s->script->at[FAKE_STAGE_TCP];

	if (!fake_session_step(s, NULL, step))
		s->is_deaf = true;
}
