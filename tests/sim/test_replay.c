/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay.c - every recorded session of stock frpc and frps, replayed to our machines.
 *
 * The client machine gets the server's bytes at the recorded times and the recorded randoms (IV,
 * nonce, hello), as the relay read them, byte by byte and at random splits; what it says is decoded
 * and compared with what frpc said, message by message and channel by channel.
 *
 * Compared as JSON, with absent, null, zero and empty the same. Not compared, since it differs by
 * intention:
 * - privilege_key and timestamp of Ping and NewWorkConn: ours are always signed, frpc's only with the
 *   server's additional scopes;
 * - the place of Ping among other messages: frpc sends it from a thread of its own; their number is;
 * - the order of the NewProxy and CloseProxy of different proxies: frpc walks a hash map;
 * - CloseProxy of a refused proxy: frpc sends one, we do not (the server holds nothing).
 * Messages above the client machine (UDP packets, visitors) are decoded and encoded again by the
 * channel alone. */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "proto/base/base64.h"
#include "proto/session/client.h"
#include "proto/session/work.h"
#include "tests/sim/recording.h"

#define N_HOWS 6 /* as recorded, byte by byte, random */
#define MAX_PROXIES 16

struct replay {
	struct recording r;
	struct rec_messages up, down; /* of the control channel */
	struct rec_keys keys;
	const struct rec_messages *hello; /* the first frames */
	struct msg login;
	struct msg proxies[MAX_PROXIES];
	bool is_refused[MAX_PROXIES];
	size_t n_proxies, n_pings, n_works, n_visitors, n_messages, n_binary;
};

static const enum prim_aead_kind both_kinds[][2] = {
	{ PRIM_AEAD_AES_256_GCM, PRIM_AEAD_XCHACHA20_POLY1305 },
	{ PRIM_AEAD_XCHACHA20_POLY1305, PRIM_AEAD_AES_256_GCM },
};

static void message_decode(const struct rec_message *m, struct msg *ret_m)
{
	assert_int_equal(msg_decode(m->type, buf_span(&m->body), ret_m, NULL), 0);
}

/* Decoded and encoded again it says the same. */
static void check_codec(const struct rec_message *m, enum wire wire)
{
	struct rec_messages again;
	json_t *want, *got;
	struct msg msg;
	struct buf b;

	message_decode(m, &msg);
	buf_init(&b, 1 << 17);
	assert_int_equal(frame_encode(wire, &msg, &b), 0);
	rec_decode(&again, wire, buf_span(&b), REC_DOWN, 2, NULL);
	assert_int_equal(again.n, 1);
	assert_int_equal(again.at[0].type, m->type);
	want = rec_normal(m->json, false);
	got = rec_normal(again.at[0].json, false);
	assert_true(json_equal(want, got));
	json_decref(want);
	json_decref(got);
	rec_messages_free(&again);
	buf_deinit(&b);
	msg_deinit(&msg);
}

static void check_codecs(struct replay *p, const struct rec_messages *m, size_t from)
{
	for (size_t i = from; i < m->n; i++) {
		if (m->at[i].kind != FRAME_MESSAGE)
			continue;
		check_codec(&m->at[i], p->r.wire);
		p->n_messages++;
	}
}

/* -- what the recording holds -------------------------------------------------------------------- */

static struct rec_stream *control_of(struct replay *p)
{
	return rec_stream(p->r.streams, &p->r.n_streams, p->r.is_mux ? 1 : 0);
}

static void find_hello(struct replay *p)
{
	struct rec_stream *s = control_of(p);
	struct hello_client offer = { .kinds = both_kinds[0], .n_kinds = 2 };
	struct hello_server hs;
	struct rec_messages *hello = calloc(2, sizeof(*hello));

	assert_non_null(hello);
	p->hello = hello;
	p->keys.token = rec_token(&p->r);
	if (p->r.wire == WIRE_V1)
		return;
	offer.offer_udp_binary = true;
	rec_decode(&hello[0], WIRE_V2, buf_span(&s->bytes[REC_UP]), REC_UP, 1, NULL);
	rec_decode(&hello[1], WIRE_V2, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, 1, NULL);
	assert_int_equal(hello[0].at[0].kind, FRAME_CLIENT_HELLO);
	assert_int_equal(hello[1].at[0].kind, FRAME_SERVER_HELLO);
	p->keys.client_hello = buf_span(&hello[0].at[0].body);
	p->keys.server_hello = buf_span(&hello[1].at[0].body);
	assert_int_equal(hello_decode_server(p->keys.server_hello, &offer, &hs, NULL), 0);
	p->keys.kind = hs.kind;
}

static void find_answers(struct replay *p)
{
	for (size_t i = 0; i < p->down.n; i++) {
		struct msg m;

		if (p->down.at[i].kind != FRAME_MESSAGE || p->down.at[i].type != MSG_NEW_PROXY_RESP)
			continue;
		message_decode(&p->down.at[i], &m);
		for (size_t k = 0; k < p->n_proxies; k++)
			if (strcmp(p->proxies[k].new_proxy.name, m.new_proxy_resp.name) == 0)
				p->is_refused[k] = m.new_proxy_resp.error != NULL;
		msg_deinit(&m);
	}
}

static void find_control(struct replay *p)
{
	struct rec_stream *s = control_of(p);

	rec_decode(&p->up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, REC_MAX_MESSAGES, &p->keys);
	rec_decode(&p->down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, REC_MAX_MESSAGES, &p->keys);
	assert_null(p->up.why);
	assert_null(p->down.why);
	assert_int_equal(p->up.n_taken, buf_len(&s->bytes[REC_UP]));
	assert_int_equal(p->down.n_taken, buf_len(&s->bytes[REC_DOWN]));
	for (size_t i = 0; i < p->up.n; i++) {
		if (p->up.at[i].kind != FRAME_MESSAGE)
			continue;
		p->n_pings += p->up.at[i].type == MSG_PING;
		if (p->up.at[i].type == MSG_LOGIN)
			message_decode(&p->up.at[i], &p->login);
		if (p->up.at[i].type == MSG_NEW_PROXY) {
			assert_true(p->n_proxies < MAX_PROXIES);
			message_decode(&p->up.at[i], &p->proxies[p->n_proxies++]);
		}
	}
	assert_int_equal(p->login.type, MSG_LOGIN);
	find_answers(p);
	check_codecs(p, &p->up, 0);
	check_codecs(p, &p->down, 0);
}

/* First messages of a work or visitor stream, and UDP packets behind them when nothing wraps them. */
static void find_stream(struct replay *p, struct rec_stream *s)
{
	struct rec_messages up, down;
	struct msg start;

	rec_decode(&up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, 1, NULL);
	assert_int_equal(up.n, 1);
	p->n_works += up.at[0].type == MSG_NEW_WORK_CONN;
	p->n_visitors += up.at[0].type == MSG_NEW_VISITOR_CONN;
	assert_true(up.at[0].type == MSG_NEW_WORK_CONN || up.at[0].type == MSG_NEW_VISITOR_CONN);
	rec_decode(&down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, 1, NULL);
	check_codecs(p, &up, 0);
	check_codecs(p, &down, 0);
	for (size_t i = 0; down.n == 1 && down.at[0].type == MSG_START_WORK_CONN && i < p->n_proxies; i++) {
		const struct msg_new_proxy *np = &p->proxies[i].new_proxy;

		message_decode(&down.at[0], &start);
		if (start.start_work_conn.proxy_name != NULL && strcmp(np->name, start.start_work_conn.proxy_name) == 0 &&
		    (strcmp(np->type, "udp") == 0 || strcmp(np->type, "sudp") == 0) && !np->use_encryption) {
			rec_messages_free(&up);
			rec_messages_free(&down);
			rec_decode(&up, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, REC_MAX_MESSAGES, NULL);
			rec_decode(&down, p->r.wire, buf_span(&s->bytes[REC_DOWN]), REC_DOWN, REC_MAX_MESSAGES, NULL);
			check_codecs(p, &up, 1);
			check_codecs(p, &down, 1);
			/* Binary packets of 0.71 are the only thing that may be refused. */
			p->n_binary += up.why != NULL || down.why != NULL;
			if (strncmp(p->r.name, "0.71", 4) != 0)
				assert_int_equal(p->n_binary, 0);
		}
		msg_deinit(&start);
	}
	rec_messages_free(&up);
	rec_messages_free(&down);
}

static void replay_init(struct replay *p, const char *dir, const char *name)
{
	memset(p, 0, sizeof(*p));
	recording_load(&p->r, dir, name);
	find_hello(p);
	find_control(p);
	for (size_t i = 0; i < p->r.n_streams; i++)
		if (&p->r.streams[i] != control_of(p) && buf_len(&p->r.streams[i].bytes[REC_UP]) > 0)
			find_stream(p, &p->r.streams[i]);
}

static void replay_free(struct replay *p)
{
	for (size_t i = 0; i < p->n_proxies; i++)
		msg_deinit(&p->proxies[i]);
	msg_deinit(&p->login);
	rec_messages_free(&p->up);
	rec_messages_free(&p->down);
	if (p->r.wire == WIRE_V2) {
		rec_messages_free((struct rec_messages *) (uintptr_t) &p->hello[0]);
		rec_messages_free((struct rec_messages *) (uintptr_t) &p->hello[1]);
	}
	free((void *) (uintptr_t) p->hello);
	recording_free(&p->r);
}

/* -- our machine instead of frpc ------------------------------------------------------------------ */

struct run {
	struct replay *p;
	struct client *c;
	struct roster roster;
	size_t entry[MAX_PROXIES];
	struct rec_demux demux;	     /* of what we send */
	struct rec_stream *streams;  /* what we sent */
	size_t n_streams;
	uint64_t now_ms;
	struct work works[32]; /* without mux */
	size_t n_works;
	bool is_dead;
	enum client_cause cause;
	size_t n_seen_up; /* recorded control messages whose time has come */
};

static void run_listen(struct run *u)
{
	struct span out;

	while ((out = client_drain(u->c)).len > 0) {
		if (u->p->r.is_mux)
			rec_demux(&u->demux, u->streams, &u->n_streams, REC_UP, out);
		else
			assert_int_equal(buf_add(&rec_stream(u->streams, &u->n_streams, 0)->bytes[REC_UP], out), 0);
		client_drained(u->c, out.len);
	}
}

static void run_want_work(struct run *u)
{
	struct work *w = &u->works[u->n_works++];
	struct rec_stream *s = rec_stream(u->streams, &u->n_streams, (uint32_t) u->n_works);

	assert_true(u->n_works < 32);
	work_init(w, u->p->r.wire);
	assert_int_equal(work_start(w, client_run_id(u->c), rec_token(&u->p->r), 1), 0);
	assert_int_equal(buf_add(&s->bytes[REC_UP], work_out(w)), 0);
	work_sent(w, work_out(w).len);
}

static void run_events(struct run *u)
{
	struct client_event ev;

	while (client_next(u->c, &ev) == 0) {
		if (ev.kind == CLIENT_EV_WANT_WORK)
			run_want_work(u);
		if (ev.kind == CLIENT_EV_DATA)
			client_consume(u->c, ev.work, ev.data.len);
		if (ev.kind == CLIENT_EV_FIN || ev.kind == CLIENT_EV_RST) {
			client_fin(u->c, ev.work);
			client_forget(u->c, ev.work);
		}
		if (ev.kind == CLIENT_EV_PROXY_REFUSED) /* frpc asks again after 30 s only */
			roster_want(&u->roster, ev.proxy, false, u->now_ms);
		if (ev.kind == CLIENT_EV_DEAD) {
			u->is_dead = true;
			u->cause = ev.cause;
		}
	}
	run_listen(u);
}

static void run_until(struct run *u, uint64_t ms)
{
	while (!u->is_dead && client_deadline(u->c) <= ms) {
		if (client_deadline(u->c) > u->now_ms)
			u->now_ms = client_deadline(u->c);
		client_tick(u->c, u->now_ms);
		run_events(u);
	}
	u->now_ms = ms > u->now_ms ? ms : u->now_ms;
}

static void run_init(struct run *u, struct replay *p)
{
	struct client_params cp = { .is_mux = p->r.is_mux, .heartbeat_ms = UINT64_MAX };

	memset(u, 0, sizeof(*u));
	u->p = p;
	if (p->n_pings > 0) /* the recorder's configuration: 1 s in some, else the default */
		cp.heartbeat_ms = p->n_pings > 1 ? 1000 : 30000;
	u->now_ms = 5000000;
	u->streams = calloc(REC_MAX_STREAMS, sizeof(*u->streams));
	assert_non_null(u->streams);
	roster_init(&u->roster, 1);
	for (size_t i = 0; i < p->n_proxies; i++)
		assert_int_equal(roster_add(&u->roster, &p->proxies[i].new_proxy, NULL, &u->entry[i]), 0);
	cp.wall_s = p->login.login.timestamp;
	cp.login.wire = p->r.wire;
	cp.login.token = rec_token(&p->r);
	cp.login.login = p->login.login;
	cp.login.login.privilege_key = NULL;
	memcpy(cp.login.iv, p->up.nonce, sizeof(cp.login.iv));
	memcpy(cp.login.nonce, p->up.nonce, sizeof(cp.login.nonce));
	if (p->r.wire == WIRE_V2) {
		const json_t *caps = json_object_get(p->hello[0].at[0].json, "capabilities");
		const json_t *crypto = json_object_get(caps, "crypto");
		const json_t *algorithms = json_object_get(crypto, "algorithms");
		const char *first = json_string_value(json_array_get(algorithms, 0));
		struct buf random;
		size_t n;

		cp.login.hello.kinds = both_kinds[first[0] == 'x'];
		cp.login.hello.n_kinds = json_array_size(algorithms);
		cp.login.hello.tcp_mux = p->r.is_mux;
		cp.login.hello.offer_udp_binary =
			json_object_get(json_object_get(caps, "message"), "udpPacketCodecs") != NULL;
		buf_init(&random, 64);
		assert_int_equal(base64_decode(span_str(unit_str(crypto, "clientRandom")), cp.login.hello.random, 32, &n), 0);
		assert_int_equal(n, 32);
		buf_deinit(&random);
	}
	assert_int_equal(client_new(&u->c, &cp, &u->roster, u->now_ms), 0);
	run_events(u);
}

static void run_free(struct run *u)
{
	for (size_t i = 0; i < u->n_works; i++)
		work_deinit(&u->works[i]);
	rec_streams_free(u->streams, u->n_streams);
	u->c = client_free(u->c);
	roster_deinit(&u->roster);
}

static bool run_has_wanted(const struct run *u)
{
	for (size_t i = 0; i < u->roster.n_entries; i++)
		if (u->roster.entries[i].is_wanted)
			return true;
	return false;
}

/* The script: when frpc closed its proxies, ours are withdrawn; when all are closed and frpc opened
 * its last work connection (@is_last), it was about to end, and so are we. */
static void run_follow(struct run *u, size_t n_up_bytes, bool is_last)
{
	struct rec_stream *s = control_of(u->p);
	struct rec_messages m;
	struct msg close;

	rec_decode(&m, u->p->r.wire, span_head(buf_span(&s->bytes[REC_UP]), n_up_bytes), REC_UP, REC_MAX_MESSAGES,
		   &u->p->keys);
	for (; u->n_seen_up < m.n; u->n_seen_up++) {
		const struct rec_message *at = &m.at[u->n_seen_up];

		if (at->kind != FRAME_MESSAGE || at->type != MSG_CLOSE_PROXY)
			continue;
		message_decode(at, &close);
		for (size_t i = 0; i < u->p->n_proxies; i++)
			if (strcmp(u->p->proxies[i].new_proxy.name, close.close_proxy.name) == 0)
				roster_want(&u->roster, u->entry[i], false, u->now_ms);
		msg_deinit(&close);
		client_sync(u->c, u->now_ms);
		run_events(u);
	}
	rec_messages_free(&m);
	if (is_last && client_is_up(u->c) && !run_has_wanted(u))
		client_leave(u->c, u->now_ms);
}

/* The work connection that the server's bytes on recorded connection @conn belong to. */
static struct work *run_work(struct run *u, size_t conn)
{
	size_t n = 0;

	for (size_t i = 0; i < u->p->r.n_streams; i++) {
		struct rec_stream *s = &u->p->r.streams[i];
		struct rec_messages m;
		bool is_work;

		if (s->id == 0)
			continue;
		rec_decode(&m, u->p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, 1, NULL);
		is_work = m.n == 1 && m.at[0].type == MSG_NEW_WORK_CONN;
		rec_messages_free(&m);
		if (is_work && s->id == conn)
			return n < u->n_works ? &u->works[n] : NULL;
		n += is_work;
	}
	return NULL;
}

static void run_feed(struct run *u, size_t conn, struct span bytes)
{
	struct work *w;

	if (conn == 0) {
		client_feed(u->c, bytes, u->now_ms);
		run_events(u);
		return;
	}
	w = run_work(u, conn);
	if (w != NULL && w->state == WORK_STATE_PARKED)
		assert_true(work_next(w, &bytes) >= 0);
}

/* Cut at every split; each piece in a block of its own. */
static void run_arrive(struct run *u, const struct rec_piece *piece, struct unit_split *split)
{
	struct span in = piece->bytes;

	while (in.len > 0 && !u->is_dead) {
		size_t n = unit_piece(split, in.len);
		uint8_t *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, in.p, n);
		run_feed(u, piece->conn, span_of(copy, n));
		free(copy);
		in = span_skip(in, n);
	}
}

/* Streams of visitors are left out and the ids behind them close up: our machine opens none. */
static void visitors_hide(struct replay *p, struct rec_demux *d, uint32_t *hidden, struct span in, struct buf *out)
{
	while (in.len > 0) {
		size_t n = d->body_left < in.len ? d->body_left : in.len;

		if (n > 0) {
			if (*hidden != 0)
				assert_int_equal(buf_add(out, span_head(in, n)), 0);
			d->body_left -= (uint32_t) n;
			in = span_skip(in, n);
			continue;
		}
		d->header[d->header_len++] = in.p[0];
		in = span_skip(in, 1);
		if (d->header_len < 12)
			continue;
		d->header_len = 0;
		d->id = (uint32_t) d->header[6] << 8 | d->header[7];
		d->body_left = d->header[1] == 0 ? (uint32_t) d->header[9] << 16 | (uint32_t) d->header[10] << 8 | d->header[11] : 0;
		*hidden = d->id == 0 ? 1 : d->id; /* 0: hide */
		for (size_t i = 0; i < p->r.n_streams && d->id != 0; i++) {
			struct rec_messages m;

			rec_decode(&m, p->r.wire, buf_span(&p->r.streams[i].bytes[REC_UP]), REC_UP, 1, NULL);
			if (m.n == 1 && m.at[0].type == MSG_NEW_VISITOR_CONN) {
				if (p->r.streams[i].id == d->id)
					*hidden = 0;
				else if (p->r.streams[i].id < d->id)
					d->header[7] = (uint8_t) (d->header[7] - 2);
			}
			rec_messages_free(&m);
		}
		if (*hidden != 0)
			assert_int_equal(buf_add(out, span_of(d->header, 12)), 0);
	}
}

static void run_pieces(struct run *u, struct unit_split split)
{
	struct recording *r = &u->p->r;
	struct rec_demux up, down;
	uint32_t hidden = 0;
	struct rec_stream *sent = calloc(REC_MAX_STREAMS, sizeof(*sent));
	size_t n_sent = 0;
	uint64_t begin_ms = u->now_ms;

	memset(&up, 0, sizeof(up));
	memset(&down, 0, sizeof(down));
	assert_non_null(sent);
	for (size_t i = 0; i < r->n_pieces && !u->is_dead; i++) {
		struct rec_piece piece = r->pieces[i];
		struct buf seen;

		run_until(u, begin_ms + piece.ms);
		if (piece.dir == REC_UP && r->is_mux)
			rec_demux(&up, sent, &n_sent, REC_UP, piece.bytes);
		else if (piece.dir == REC_UP)
			assert_int_equal(buf_add(&rec_stream(sent, &n_sent, (uint32_t) piece.conn)->bytes[REC_UP], piece.bytes), 0);
		if (piece.dir == REC_UP) {
			run_follow(u, buf_len(&rec_stream(sent, &n_sent, r->is_mux ? 1 : 0)->bytes[REC_UP]),
				   n_sent == 1 + u->p->n_works + u->p->n_visitors);
			continue;
		}
		buf_init(&seen, 1 << 20);
		if (u->p->n_visitors > 0 && r->is_mux) {
			visitors_hide(u->p, &down, &hidden, piece.bytes, &seen);
			piece.bytes = buf_span(&seen);
		}
		run_arrive(u, &piece, &split);
		buf_deinit(&seen);
	}
	rec_streams_free(sent, n_sent);
}

/* -- comparing ------------------------------------------------------------------------------------ */

/* Key of a message for the comparison; NULL: not compared. */
static char *message_key(const struct replay *p, const struct rec_message *m)
{
	bool is_signed = m->type == MSG_PING || m->type == MSG_NEW_WORK_CONN;
	const char *name = json_string_value(json_object_get(m->json, "proxy_name"));
	json_t *normal;
	char *text, *key;
	size_t len;

	for (size_t i = 0; i < p->n_proxies && m->kind == FRAME_MESSAGE && m->type == MSG_CLOSE_PROXY; i++)
		if (p->is_refused[i] && strcmp(p->proxies[i].new_proxy.name, name) == 0)
			return NULL;
	normal = rec_normal(m->json, m->kind == FRAME_MESSAGE && is_signed);
	text = json_dumps(normal, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(normal);
	assert_non_null(text);
	len = strlen(text) + 32;
	key = malloc(len);
	assert_non_null(key);
	(void) snprintf(key, len, "%d.%02d %s", m->kind, m->kind == FRAME_MESSAGE ? (int) m->type : 0, text);
	free(text);
	return key;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Both lists as sorted keys: by kind and type, so that the order of types is checked apart. */
static size_t message_keys(const struct replay *p, const struct rec_messages *m, char **keys)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		keys[n] = message_key(p, &m->at[i]);
		n += keys[n] != NULL;
	}
	qsort(keys, n, sizeof(*keys), compare_texts);
	return n;
}

static void compare_messages(const struct replay *p, const struct rec_messages *want, const struct rec_messages *got)
{
	char *a[REC_MAX_MESSAGES], *b[REC_MAX_MESSAGES];
	size_t n_want = message_keys(p, want, a), n_got = message_keys(p, got, b);
	bool is_ask_late = false;

	for (size_t i = 0; i < n_want || i < n_got; i++) {
		if (i >= n_want || i >= n_got || strcmp(a[i], b[i]) != 0)
			fail_msg("%s: frpc said %s, we said %s", p->r.name, i < n_want ? a[i] : "nothing more",
				 i < n_got ? b[i] : "nothing more");
	}
	for (size_t i = 0; i < n_want; i++) {
		free(a[i]);
		free(b[i]);
	}
	/* Hello, Login, then NewProxy, then CloseProxy. */
	for (size_t i = 0; i < got->n; i++) {
		if (got->at[i].kind != FRAME_MESSAGE)
			assert_int_equal(i, 0);
		else if (got->at[i].type == MSG_LOGIN)
			assert_int_equal(i, p->r.wire == WIRE_V2);
		else if (got->at[i].type == MSG_CLOSE_PROXY)
			is_ask_late = true;
		else if (got->at[i].type == MSG_NEW_PROXY)
			assert_false(is_ask_late);
	}
}

/* NewWorkConn of every recorded work connection, in their order. */
static void compare_works(const struct run *u)
{
	const struct replay *p = u->p;
	size_t n = 0;

	for (size_t i = 0; i < p->r.n_streams; i++) {
		struct rec_messages want, got;

		if (p->r.streams[i].id == (p->r.is_mux ? 1u : 0u) || buf_len(&p->r.streams[i].bytes[REC_UP]) == 0)
			continue;
		rec_decode(&want, p->r.wire, buf_span(&p->r.streams[i].bytes[REC_UP]), REC_UP, 1, NULL);
		if (want.at[0].type == MSG_NEW_WORK_CONN) {
			n++;
			if (n >= u->n_streams)
				fail_msg("%s: %zu work connections, frpc had more", p->r.name, n - 1);
			rec_decode(&got, p->r.wire, buf_span(&u->streams[n].bytes[REC_UP]), REC_UP, 1, NULL);
			compare_messages(p, &want, &got);
			rec_messages_free(&got);
		}
		rec_messages_free(&want);
	}
	if (n + 1 != u->n_streams)
		fail_msg("%s: %zu work connections, frpc had %zu", p->r.name, u->n_streams - 1, n);
}

static void replay_once(struct replay *p, unsigned how)
{
	struct rec_messages got;
	struct rec_stream *s;
	struct run u;

	run_init(&u, p);
	run_pieces(&u, unit_split_of(how));
	s = rec_stream(u.streams, &u.n_streams, p->r.is_mux ? 1 : 0);
	rec_decode(&got, p->r.wire, buf_span(&s->bytes[REC_UP]), REC_UP, REC_MAX_MESSAGES, &p->keys);
	assert_null(got.why);
	compare_messages(p, &p->up, &got);
	compare_works(&u);
	rec_messages_free(&got);
	if (strstr(p->r.name, "wrong-token") != NULL)
		assert_int_equal(u.cause, CLIENT_CAUSE_REFUSED);
	else
		assert_true(!u.is_dead || u.cause == CLIENT_CAUSE_SERVER_CLOSED || u.cause == CLIENT_CAUSE_REPLACED);
	run_free(&u);
}

static void replay_session(const char *dir, const char *name)
{
	static struct replay p;

	replay_init(&p, dir, name);
	for (unsigned how = 0; how < N_HOWS; how++)
		replay_once(&p, how);
	(void) printf("# %s: %zu pieces, %zu messages, %zu work connections, %zu visitors%s%s\n", name, p.r.n_pieces,
		      p.n_messages, p.n_works, p.n_visitors, p.n_visitors > 0 ? " (opened by the channel alone)" : "",
		      p.n_binary > 0 ? "; binary UDP packets are not decoded yet" : "");
	replay_free(&p);
}

static void test_every_recorded_session(void **state)
{
	char root[2048], path[4096], name[600];
	struct dirent **groups, **scenarios;
	size_t n_replayed = 0;
	int n_groups, n_scenarios;

	(void) state;
	(void) snprintf(root, sizeof(root), "%s/sessions", unit_vectors_dir());
	n_groups = scandir(root, &groups, NULL, alphasort);
	assert_true(n_groups > 2);
	for (int i = 0; i < n_groups; i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", root, groups[i]->d_name);
		n_scenarios = groups[i]->d_name[0] == '.' ? -1 : scandir(path, &scenarios, NULL, alphasort);
		for (int k = 0; k < n_scenarios; k++) {
			if (scenarios[k]->d_name[0] != '.') {
				(void) snprintf(name, sizeof(name), "%s/%s", groups[i]->d_name, scenarios[k]->d_name);
				(void) snprintf(path, sizeof(path), "%s/%s", root, name);
				replay_session(path, name);
				n_replayed++;
			}
			free(scenarios[k]);
		}
		if (n_scenarios >= 0)
			free(scenarios);
		free(groups[i]);
	}
	free(groups);
	(void) printf("# %zu sessions replayed, %d ways each, none left out\n", n_replayed, N_HOWS);
	assert_true(n_replayed >= 52);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_recorded_session) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
