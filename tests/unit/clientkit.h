/* SPDX-License-Identifier: Apache-2.0 */
/* clientkit.h - a server whose every message is written by a test, and the client session at its
 * other end. Tests only. */
#pragma once
#include "proto/session/client.h"
#include "proto/session/mux.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "tests/unit/unit.h"

#define TOKEN "secret"
#define N_WORKS 2100 /* more than LIMIT_WORK_PER_S */

/* The other end, and what the client said and reported. */
struct peer {
	struct client *c;
	struct roster roster;
	struct client_params params;
	struct mux *mux;
	struct mux_stream *streams[2 * N_WORKS]; /* by id */
	struct chan chan;
	size_t n_new_proxies, n_closes, n_pings, n_works, n_visits, n_fins, n_rsts;
	struct hello_client offer;
	struct buf hello; /* payload of the ClientHello */
	uint64_t now_ms;
	char log[4096]; /* the client's events */
	struct client_work *works[N_WORKS];
	size_t n_started;
	bool is_blocked;   /* nothing leaves the client */
	uint8_t said[512]; /* the last bytes on a stream that is not the control */
	size_t n_said;
};

static const struct msg_new_proxy one = { .name = "one", .type = "tcp", .remote_port = 1 };
static const struct msg_new_proxy two = { .name = "two", .type = "tcp", .remote_port = 2 };
static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM };

static inline void peer_on_message(struct peer *p, const struct msg *m)
{
	p->n_new_proxies += m->type == MSG_NEW_PROXY;
	p->n_closes += m->type == MSG_CLOSE_PROXY;
	p->n_pings += m->type == MSG_PING;
	p->n_works += m->type == MSG_NEW_WORK_CONN;
}

static inline void peer_on_control(struct peer *p, struct span in)
{
	struct frame f;
	struct msg m;

	if (p->params.login.wire == WIRE_V2 && buf_len(&p->hello) == 0) {
		assert_memory_equal(in.p, FRAME_MAGIC, FRAME_MAGIC_LEN);
		in = span_skip(in, FRAME_MAGIC_LEN);
		assert_int_equal(chan_next_frame(&p->chan, &in, &f), 0);
		assert_int_equal(f.kind, FRAME_CLIENT_HELLO);
		assert_int_equal(buf_add(&p->hello, f.body), 0);
	}
	while (chan_next(&p->chan, &in, &m) == 0) {
		peer_on_message(p, &m);
		msg_deinit(&m);
	}
}

/* What the client has to say. */
static inline void peer_listen(struct peer *p)
{
	struct mux_event ev;
	struct span out;

	while (!p->is_blocked && (out = client_drain(p->c)).len > 0) {
		if (p->mux == NULL) {
			peer_on_control(p, out);
			client_drained(p->c, out.len);
			continue;
		}
		mux_feed(p->mux, out, p->now_ms);
		while (mux_next(p->mux, &ev) == 0) {
			assert_int_not_equal(ev.kind, MUX_EV_DEAD);
			if (ev.kind == MUX_EV_OPENED && mux_stream_id(ev.stream) < 2 * N_WORKS)
				p->streams[mux_stream_id(ev.stream)] = ev.stream;
			p->n_fins += ev.kind == MUX_EV_FIN;
			p->n_rsts += ev.kind == MUX_EV_RST;
			if (ev.kind != MUX_EV_DATA)
				continue;
			mux_consume(p->mux, ev.stream, ev.data.len);
			if (ev.stream == p->streams[1])
				peer_on_control(p, ev.data);
			else if (ev.data.p[0] == 'w')
				p->n_works++;
			else if (ev.data.p[0] == 'v')
				p->n_visits++;
			p->n_said = span_head(ev.data, sizeof(p->said)).len;
			memcpy(p->said, ev.data.p, p->n_said);
		}
		client_drained(p->c, out.len);
	}
}

static inline void peer_log(struct peer *p, const char *what, const char *text)
{
	size_t len = strlen(p->log);

	(void) snprintf(p->log + len, sizeof(p->log) - len, "%s %s;", what,
			text != NULL ? text : "");
}

static inline void peer_events(struct peer *p)
{
	static const char *const names[] = { "LOGIN", "UP",	 "DOWN",  "REFUSED", "WANT",
					     "START", "ERROR",	 "LIMIT", "DATA",    "FIN",
					     "RST",   "PONGERR", "VISIT", "NOVISIT", "DEAD" };
	struct client_event ev;
	char number[32];

	while (client_next(p->c, &ev) == 0) {
		(void) snprintf(number, sizeof(number), "%zu",
				ev.kind == CLIENT_EV_DATA ? ev.data.len : ev.proxy);
		if (ev.kind == CLIENT_EV_START)
			p->works[p->n_started++] = ev.work;
		if (ev.kind == CLIENT_EV_DATA)
			client_consume(p->c, ev.work, ev.data.len);
		peer_log(p, names[ev.kind],
			 ev.kind == CLIENT_EV_DEAD	      ? client_cause_name(ev.cause)
			 : ev.kind == CLIENT_EV_WORK_ERROR    ? ev.text
			 : ev.kind == CLIENT_EV_LIMIT	      ? ev.text
			 : ev.kind == CLIENT_EV_PONG_ERROR    ? ev.text
			 : ev.kind == CLIENT_EV_VISIT_REFUSED ? ev.text
			 : ev.kind == CLIENT_EV_PROXY_REFUSED ? ev.text
							      : number);
	}
}

/* Time passes, deadlines are kept; none may stay in the past. */
static inline void peer_run(struct peer *p, uint64_t ms)
{
	uint64_t end_ms = p->now_ms + ms, due_ms;

	for (unsigned n = 0;; n++) {
		assert_true(n < 10000);
		peer_events(p);
		peer_listen(p);
		due_ms = client_deadline(p->c);
		if (due_ms > end_ms) {
			p->now_ms = end_ms;
			return;
		}
		p->now_ms = due_ms > p->now_ms ? due_ms : p->now_ms;
		client_tick(p->c, p->now_ms);
	}
}

/* The mux's bytes to the client, whole or byte by byte. */
static inline void peer_talk(struct peer *p, bool is_bytewise)
{
	struct span out;

	while ((out = mux_drain(p->mux)).len > 0) {
		size_t n = is_bytewise ? 1 : out.len;

		client_feed(p->c, span_head(out, n), p->now_ms);
		mux_drained(p->mux, n);
		peer_events(p);
	}
	peer_listen(p);
}

static inline void peer_send_on(struct peer *p, uint32_t id, struct span bytes)
{
	if (p->mux != NULL) {
		assert_int_equal(mux_write_urgent(p->mux, p->streams[id], bytes), 0);
		peer_talk(p, false);
	} else {
		client_feed(p->c, bytes, p->now_ms);
		peer_events(p);
		peer_listen(p);
	}
}

static inline void peer_flush(struct peer *p)
{
	uint8_t *copy;
	size_t len;

	while ((len = chan_out(&p->chan).len) > 0) {
		len = len < 8192 ? len : 8192;
		copy = malloc(len);
		assert_non_null(copy);
		memcpy(copy, chan_out(&p->chan).p, len);
		chan_sent(&p->chan, len);
		peer_send_on(p, 1, span_of(copy, len));
		free(copy);
	}
}

static inline void peer_say(struct peer *p, const struct msg *m)
{
	assert_int_equal(chan_send(&p->chan, m), 0);
	peer_flush(p);
}

static inline void peer_say_type(struct peer *p, enum msg_type type)
{
	struct msg m = { .type = type };

	peer_say(p, &m);
}

static inline void peer_init(struct peer *p, enum wire wire, bool is_mux)
{
	struct mux_params mp = { .is_server = true };
	size_t i;

	memset(p, 0, sizeof(*p));
	p->now_ms = 777000000; /* a monotonic clock starts anywhere */
	roster_init(&p->roster, 5);
	p->roster.all_or_none = true;
	assert_int_equal(roster_add(&p->roster, &one, NULL, &i), 0);
	assert_int_equal(roster_add(&p->roster, &two, NULL, &i), 0);
	if (is_mux)
		assert_int_equal(mux_new(&p->mux, &mp), 0);
	buf_init(&p->hello, 65536);
	chan_init(&p->chan, wire, 1 << 20);
	p->params.is_mux = is_mux;
	p->params.heartbeat_ms = 30000;
	p->params.login.wire = wire;
	p->params.login.token = span_str(TOKEN);
	p->params.login.login.version = "0.65.0";
	p->params.login.hello = (struct hello_client){ .kinds = kinds, .n_kinds = 1 };
	assert_int_equal(client_new(&p->c, &p->params, &p->roster, p->now_ms), 0);
	peer_run(p, 0);
}

static inline void peer_deinit(struct peer *p)
{
	p->c = client_free(p->c);
	p->mux = mux_free(p->mux);
	roster_deinit(&p->roster);
	chan_deinit(&p->chan);
	buf_deinit(&p->hello);
}

static inline void peer_expect(struct peer *p, const char *log)
{
	assert_string_equal(p->log, log);
	p->log[0] = '\0';
}

/* Say hello, accept the login and switch the channel. */
static inline void peer_accept(struct peer *p)
{
	struct msg m = { .type = MSG_LOGIN_RESP,
			 .login_resp = { .version = "0.65.0", .run_id = "abc" } };
	struct hello_server hs = { .kind = PRIM_AEAD_AES_256_GCM };
	struct buf payload, frame;
	struct hello_keys keys;
	struct aead_params ap = { .kind = hs.kind,
				  .key_out = keys.server_to_client,
				  .key_in = keys.client_to_server,
				  .nonce = hs.random };
	struct layer *layer;

	buf_init(&payload, 65536);
	buf_init(&frame, 65536);
	if (p->params.login.wire == WIRE_V2) {
		assert_int_equal(hello_encode_server(&hs, &payload), 0);
		assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&payload), &frame),
				 0);
		assert_int_equal(chan_send_raw(&p->chan, buf_span(&frame)), 0);
		assert_int_equal(hello_derive(span_str(TOKEN), buf_span(&p->hello),
					      buf_span(&payload), hs.kind, &keys),
				 0);
		assert_int_equal(aead_new(&layer, &ap), 0);
	} else {
		assert_int_equal(cfb_new(&layer, span_str(TOKEN), hs.random), 0);
	}
	assert_int_equal(chan_send(&p->chan, &m), 0);
	chan_set_layer(&p->chan, layer);
	peer_flush(p);
	buf_deinit(&payload);
	buf_deinit(&frame);
}

static inline void peer_answer(struct peer *p, const char *name, const char *error)
{
	struct msg m = { .type = MSG_NEW_PROXY_RESP,
			 .new_proxy_resp = { .name = name, .error = error } };

	peer_say(p, &m);
}

static inline void peer_up(struct peer *p, enum wire wire, bool is_mux)
{
	peer_init(p, wire, is_mux);
	peer_accept(p);
	peer_run(p, 0);
	assert_int_equal(p->n_new_proxies, 2);
	peer_answer(p, "one", NULL);
	peer_answer(p, "two", NULL);
	peer_expect(p, "LOGIN 0;UP 0;UP 1;");
}
