/* SPDX-License-Identifier: Apache-2.0 */
/* rerun.c - our client machine in the place of a recorded frpc. Tests only. */
#include "tests/sim/rerun.h"

#include "proto/base/base64.h"

static const enum prim_aead_kind both_kinds[][2] = {
	{ PRIM_AEAD_AES_256_GCM, PRIM_AEAD_XCHACHA20_POLY1305 },
	{ PRIM_AEAD_XCHACHA20_POLY1305, PRIM_AEAD_AES_256_GCM },
};

static void run_listen(struct run *u)
{
	struct span out;

	while ((out = client_drain(u->c)).len > 0) {
		if (u->p->r.is_mux)
			rec_demux(&u->demux, u->streams, &u->n_streams, REC_UP, out);
		else
			assert_int_equal(
				buf_add(&rec_stream(u->streams, &u->n_streams, 0)->bytes[REC_UP],
					out),
				0);
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

void run_init(struct run *u, struct replay *p)
{
	struct client_params cp = { .is_mux = p->r.is_mux, .heartbeat_ms = UINT64_MAX };

	memset(u, 0, sizeof(*u));
	u->p = p;
	u->left = SIZE_MAX;
	if (p->n_pings > 0) /* the recorder's configuration: 1 s in some, else the default */
		cp.heartbeat_ms = p->n_pings > 1 ? 1000 : 30000;
	u->now_ms = 5000000;
	u->streams = calloc(REC_MAX_STREAMS, sizeof(*u->streams));
	assert_non_null(u->streams);
	roster_init(&u->roster, 1);
	for (size_t i = 0; i < p->n_proxies; i++)
		assert_int_equal(
			roster_add(&u->roster, &p->proxies[i].new_proxy, NULL, &u->entry[i]), 0);
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
		cp.login.hello.offer_udp_binary = json_object_get(json_object_get(caps, "message"),
								  "udpPacketCodecs") != NULL;
		buf_init(&random, 64);
		assert_int_equal(base64_decode(span_str(unit_str(crypto, "clientRandom")),
					       cp.login.hello.random, 32, &n),
				 0);
		assert_int_equal(n, 32);
		buf_deinit(&random);
	}
	assert_int_equal(client_new(&u->c, &cp, &u->roster, u->now_ms), 0);
	run_events(u);
}

void run_free(struct run *u)
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
	struct rec_stream *s = replay_control(u->p);
	struct rec_messages m;
	struct msg close;

	rec_decode(&m, u->p->r.wire, span_head(buf_span(&s->bytes[REC_UP]), n_up_bytes), REC_UP,
		   REC_MAX_MESSAGES, &u->p->keys);
	for (; u->n_seen_up < m.n; u->n_seen_up++) {
		const struct rec_message *at = &m.at[u->n_seen_up];

		if (at->kind != FRAME_MESSAGE || at->type != MSG_CLOSE_PROXY)
			continue;
		rec_message_decode(at, &close);
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

/* How much of a piece still arrives. */
static struct span run_rest(struct run *u, const struct rec_piece *piece)
{
	struct span in = piece->conn == 0 ? span_head(piece->bytes, u->left) : piece->bytes;

	if (piece->conn == 0 && u->left != SIZE_MAX)
		u->left -= in.len;
	return in;
}

/* Cut at every split; each piece in a block of its own. */
static void run_arrive(struct run *u, const struct rec_piece *piece, struct unit_split *split)
{
	struct span in = run_rest(u, piece);

	while (in.len > 0 && !u->is_dead) {
		size_t n = unit_piece(split, in.len);
		uint8_t *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, in.p, n);
		run_feed(u, piece->conn, span_of(copy, n));
		free(copy);
		in = span_skip(in, n);
	}
	if (u->left > 0 || u->is_dead)
		return;
	client_lost(u->c, "connection reset");
	run_events(u);
	assert_true(u->is_dead);
}

/* Streams of visitors are left out and the ids behind them close up: our machine opens none. */
static void visitors_hide(struct replay *p, struct rec_demux *d, uint32_t *hidden, struct span in,
			  struct buf *out)
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
		d->body_left = d->header[1] == 0
				       ? (uint32_t) d->header[9] << 16 |
						 (uint32_t) d->header[10] << 8 | d->header[11]
				       : 0;
		*hidden = d->id == 0 ? 1 : d->id; /* 0: hide */
		for (size_t i = 0; i < p->r.n_streams && d->id != 0; i++) {
			struct rec_messages m;

			rec_decode(&m, p->r.wire, buf_span(&p->r.streams[i].bytes[REC_UP]), REC_UP,
				   1, NULL);
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

void run_pieces(struct run *u, struct unit_split split)
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
			assert_int_equal(buf_add(&rec_stream(sent, &n_sent, (uint32_t) piece.conn)
							  ->bytes[REC_UP],
						 piece.bytes),
					 0);
		if (piece.dir == REC_UP) {
			run_follow(u,
				   buf_len(&rec_stream(sent, &n_sent, r->is_mux ? 1 : 0)
						    ->bytes[REC_UP]),
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
