/* SPDX-License-Identifier: Apache-2.0 */
/* mux.c - yamux session. Bytes in, events out; no I/O, no clock. Floor 2.
 *
 * Down: bytes -> 12-byte header -> (body as events) -> the header's FIN or RST as an event, so that
 * FIN never overtakes data.
 *
 * Up: streams put payload into the record in turns; everything else is a flag of the stream, and
 * streams with flags stand in the emit list until mux_drain() writes their frames to ctl. So a
 * flood of events costs flags, not memory. */
#include "proto/session/mux.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/list.h"
#include "proto/base/map.h"
#include "proto/session/record.h"
#include "proto/session/stream.h"
#include "proto/session/turn.h"

/* Of LIMIT_CTL: refusals of foreign SYNs may not fill what streams and pings need. */
#define CTL_FOR_RST 8192

struct mux {
	bool is_server, is_peer_gone, is_dead_told, has_rtt;
	const char *why; /* not NULL: dead */
	size_t n_streams_max, budget, budget_used, n_unacked;
	uint32_t window_max, next_id;
	uint64_t now_ms, rtt_ms, n_ignored;
	uint64_t pings_since_ms;
	unsigned n_pings;
	/* the frame being read */
	struct span in;
	uint8_t header[MFRAME_LEN];
	size_t header_len;
	struct mux_stream *cur; /* whose body it is; NULL: nobody's */
	uint32_t body_left;
	uint16_t flags_left;
	/* streams */
	struct map streams;
	struct turn turn;
	struct list emit;		/* have frames for ctl */
	struct list unacked, lingering; /* oldest first */
	struct record record;
};

int mux_new(struct mux **ret_m, const struct mux_params *p)
{
	struct mux *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->is_server = p->is_server;
	m->n_streams_max = p->n_streams_max != 0 ? p->n_streams_max : LIMIT_STREAMS;
	m->budget = p->budget != 0 ? p->budget : LIMIT_BUDGET;
	m->window_max = p->window_max != 0 ? p->window_max : LIMIT_WINDOW_MAX;
	m->next_id = p->is_server ? 2 : 1;
	map_init(&m->streams);
	turn_init(&m->turn);
	list_init(&m->emit);
	list_init(&m->unacked);
	list_init(&m->lingering);
	record_init(&m->record);
	*ret_m = m;
	return 0;
}

struct mux *mux_free(struct mux *m)
{
	struct mux_stream *s;
	size_t it = 0;

	if (m == NULL)
		return NULL;
	while ((s = map_next(&m->streams, &it)) != NULL)
		free(s);
	map_deinit(&m->streams);
	record_deinit(&m->record);
	free(m);
	return NULL;
}

/* The session is over: nothing more is read, and only what is in ctl already may still leave. */
static void mux_die(struct mux *m, const char *why)
{
	struct mframe f = { .type = MFRAME_GOAWAY, .len = 1 }; /* yamux spec.md: protocol error */

	if (m->why != NULL)
		return;
	m->why = why;
	(void) record_add_ctl(&m->record, &f, 0); /* a courtesy; the connection closes anyway */
}

/* -- life of a stream -- */

static void stream_queue_emit(struct mux *m, struct mux_stream *s)
{
	if (!list_is_linked(&s->emit_link))
		list_add_tail(&m->emit, &s->emit_link);
}

static void stream_acked(struct mux *m, struct mux_stream *s)
{
	if (s->is_acked)
		return;
	s->is_acked = true;
	m->n_unacked--;
	if (!s->is_forgotten)
		list_del(&s->wait_link);
}

static void stream_drop(struct mux *m, struct mux_stream *s)
{
	stream_acked(m, s);
	turn_unwant(&m->turn, s);
	list_del(&s->emit_link);
	list_del(&s->wait_link);
	if (m->turn.holder == s)
		m->turn.holder = NULL;
	if (m->cur == s)
		m->cur = NULL;
	m->budget_used -= stream_charge(s);
	(void) map_del(&m->streams, s->id);
	free(s);
}

/* True when it is gone. */
static bool stream_drop_if_over(struct mux *m, struct mux_stream *s)
{
	if (!s->is_forgotten || !stream_is_over(s) || list_is_linked(&s->emit_link))
		return false;
	stream_drop(m, s);
	return true;
}

static int stream_add(struct mux *m, uint32_t id, void *user, struct mux_stream **ret_s)
{
	struct mux_stream *s = malloc(sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	stream_init(s, id, user, m->now_ms);
	err = map_put(&m->streams, id, s);
	if (err != 0) {
		free(s);
		return err;
	}
	*ret_s = s;
	return 0;
}

/* Write the due frames of @s to ctl. false: ctl is full, the rest stays due. */
static bool stream_emit(struct mux *m, struct mux_stream *s)
{
	struct mframe f;

	while (stream_due_frame(s, &f)) {
		if (record_add_ctl(&m->record, &f, RECORD_FOR_PINGS) != 0)
			return false;
		stream_emitted(s, &f);
	}
	list_del(&s->emit_link);
	return true;
}

int mux_open(struct mux *m, void *user, struct mux_stream **ret_s)
{
	struct mux_stream *s;
	int err;

	if (m->why != NULL || m->is_peer_gone || m->next_id > UINT32_MAX - 2)
		return MUX_E_CLOSED;
	if (m->streams.n_items >= m->n_streams_max)
		return MUX_E_STREAMS;
	if (m->n_unacked >= LIMIT_STREAMS_UNACKED)
		return MUX_E_UNACKED;
	err = stream_add(m, m->next_id, user, &s);
	if (err != 0)
		return err;
	m->next_id += 2;
	m->n_unacked++;
	list_add_tail(&m->unacked, &s->wait_link);
	s->syn_due = true;
	stream_queue_emit(m, s);
	*ret_s = s;
	return 0;
}

void mux_set_user(struct mux_stream *s, void *user)
{
	s->user = user;
}

uint32_t mux_stream_id(const struct mux_stream *s)
{
	return s->id;
}

/* FIN rides behind the data in the record; without room it waits for a turn. */
static void stream_try_fin(struct mux *m, struct mux_stream *s)
{
	struct mframe f = { .type = MFRAME_WINDOW, .flags = MFRAME_FIN, .stream_id = s->id };

	if (record_add_tail(&m->record, &f)) {
		s->up = STREAM_UP_FIN_SENT;
		turn_unwant(&m->turn, s);
	} else {
		mux_want(m, s);
	}
}

void mux_fin(struct mux *m, struct mux_stream *s)
{
	if (m->why != NULL || s->is_reset || s->up != STREAM_UP_OPEN)
		return;
	s->up = STREAM_UP_FIN_DUE;
	stream_try_fin(m, s);
}

void mux_rst(struct mux *m, struct mux_stream *s)
{
	if (m->why != NULL || stream_is_over(s))
		return;
	s->is_reset = true;
	s->rst_due = true;
	stream_acked(m, s); /* nothing answers a SYN that was taken back */
	turn_unwant(&m->turn, s);
	stream_queue_emit(m, s);
}

static void stream_account(struct mux *m, struct mux_stream *s, size_t n)
{
	size_t before = stream_charge(s);
	uint32_t grant;

	grant = stream_consume(s, (uint32_t) n, m->now_ms, m->rtt_ms, m->window_max,
			       m->budget - m->budget_used);
	m->budget_used += stream_charge(s) - before;
	if (grant == 0)
		return;
	s->grant_due += grant;
	stream_queue_emit(m, s);
}

void mux_consume(struct mux *m, struct mux_stream *s, size_t n)
{
	if (m->why == NULL && !s->is_reset)
		stream_account(m, s, n);
}

void mux_forget(struct mux *m, struct mux_stream *s)
{
	MUST(!s->is_forgotten);
	if (s->up == STREAM_UP_OPEN)
		mux_rst(m, s);
	list_del(&s->wait_link);
	s->is_forgotten = true;
	s->user = NULL;
	if (m->why != NULL) {
		stream_drop(m, s);
		return;
	}
	if (stream_drop_if_over(m, s) || stream_is_over(s))
		return;
	s->since_ms = m->now_ms;
	list_add_tail(&m->lingering, &s->wait_link);
}

/* -- down: from the peer -- */

void mux_feed(struct mux *m, struct span in, uint64_t now_ms)
{
	MUST(m->in.len == 0);
	m->in = in;
	m->now_ms = now_ms;
}

/* A SYN arrived. The stream, or NULL: refused or fatal. */
static struct mux_stream *mux_on_syn(struct mux *m, const struct mframe *f)
{
	struct mframe rst = { .type = MFRAME_WINDOW,
			      .flags = MFRAME_RST,
			      .stream_id = f->stream_id };
	struct mux_stream *s;

	if (f->stream_id == 0 || map_get(&m->streams, f->stream_id) != NULL) {
		mux_die(m, "yamux: SYN for a stream that exists");
		return NULL;
	}
	if (m->is_server && f->stream_id % 2 == 0) { /* mux_open() would meet it */
		mux_die(m, "yamux: SYN with an id of ours");
		return NULL;
	}
	if (!m->is_server || m->streams.n_items >= m->n_streams_max) {
		(void) record_add_ctl(&m->record, &rst,
				      CTL_FOR_RST); /* in a flood they go unanswered */
		return NULL;
	}
	if (stream_add(m, f->stream_id, NULL, &s) != 0) {
		mux_die(m, "out of memory");
		return NULL;
	}
	s->is_acked = true;
	s->ack_due = true;
	stream_queue_emit(m, s);
	return s;
}

static void mux_on_window(struct mux *m, struct mux_stream *s, uint32_t delta)
{
	if (!stream_add_credit(s, delta)) {
		mux_die(m, "yamux: window update beyond 32 bits");
		return;
	}
	if (s->wants_credit && s->send_credit > 0) {
		s->wants_credit = false;
		mux_want(m, s);
	}
}

static bool mux_on_ping(struct mux *m, const struct mframe *f, struct mux_event *ret_ev)
{
	struct mframe pong = { .type = MFRAME_PING, .flags = MFRAME_ACK, .len = f->len };

	if ((f->flags & MFRAME_SYN) == 0) {
		*ret_ev = (struct mux_event){ .kind = MUX_EV_PONG, .ping_id = f->len };
		return (f->flags & MFRAME_ACK) != 0;
	}
	if (m->now_ms - m->pings_since_ms >= 1000) {
		m->pings_since_ms = m->now_ms;
		m->n_pings = 0;
	}
	m->n_pings++;
	if (m->n_pings > LIMIT_PINGS_PER_S)
		mux_die(m, "yamux: ping flood");
	else if (record_add_ctl(&m->record, &pong, 0) != 0)
		mux_die(m, "yamux: no room to answer a ping");
	return false;
}

static bool mux_on_goaway(struct mux *m, const struct mframe *f, struct mux_event *ret_ev)
{
	if (f->len != 0) {
		mux_die(m, "yamux: the server ended the session (GoAway with an error code)");
		return false;
	}
	m->is_peer_gone = true;
	*ret_ev = (struct mux_event){ .kind = MUX_EV_GOAWAY };
	return true;
}

/* Data for @s (NULL: nobody's) is announced. */
static void mux_begin_body(struct mux *m, struct mux_stream *s, uint32_t len)
{
	m->body_left = len;
	if (s == NULL)
		return;
	if (len > s->recv_credit) {
		mux_die(m, "yamux: more data than its window allows");
		return;
	}
	stream_receive(s, len, m->now_ms);
}

/* A whole header is in m->header. True: *ret_ev is an event. */
static bool mux_on_header(struct mux *m, struct mux_event *ret_ev)
{
	struct mux_stream *s;
	struct mframe f;
	bool is_new;

	if (mframe_decode(m->header, &f) != 0) {
		mux_die(m, "yamux: not a frame (version or type unknown)");
		return false;
	}
	if (f.type == MFRAME_PING)
		return mux_on_ping(m, &f, ret_ev);
	if (f.type == MFRAME_GOAWAY)
		return mux_on_goaway(m, &f, ret_ev);
	is_new = (f.flags & MFRAME_SYN) != 0;
	s = is_new ? mux_on_syn(m, &f) : map_get(&m->streams, f.stream_id);
	if (m->why != NULL)
		return false;
	m->cur = s;
	if (f.type == MFRAME_DATA)
		mux_begin_body(m, s, f.len);
	if (s == NULL) {
		m->n_ignored++;
		return false;
	}
	stream_acked(m, s);
	if (f.type == MFRAME_WINDOW)
		mux_on_window(m, s, f.len);
	m->flags_left = f.flags & (MFRAME_FIN | MFRAME_RST);
	*ret_ev = (struct mux_event){ .kind = MUX_EV_OPENED, .stream = s };
	return is_new && m->why == NULL;
}

/* Some of the body is here. True: *ret_ev is an event. */
static bool mux_on_body(struct mux *m, struct mux_event *ret_ev)
{
	struct span data = span_head(m->in, m->body_left);
	struct mux_stream *s = m->cur;

	m->in = span_skip(m->in, data.len);
	m->body_left -= (uint32_t) data.len;
	if (s == NULL || s->is_reset || s->is_fin_seen)
		return false;
	if (s->is_forgotten) { /* read to its end for the FIN behind it */
		stream_account(m, s, data.len);
		return false;
	}
	*ret_ev = (struct mux_event){
		.kind = MUX_EV_DATA, .stream = s, .user = s->user, .data = data
	};
	return true;
}

/* The frame's FIN or RST, after its body. True: *ret_ev is an event. */
static bool mux_on_flags(struct mux *m, struct mux_event *ret_ev)
{
	uint16_t flags = m->flags_left;
	struct mux_stream *s = m->cur;

	m->flags_left = 0;
	if (s == NULL || s->is_reset)
		return false;
	if ((flags & MFRAME_RST) != 0) {
		s->is_reset = true;
		turn_unwant(&m->turn, s);
	} else if (s->is_fin_seen) {
		mux_die(m, "yamux: second FIN on a stream");
		return false;
	} else {
		s->is_fin_seen = true;
	}
	if (s->is_forgotten) {
		(void) stream_drop_if_over(m, s);
		return false;
	}
	*ret_ev = (struct mux_event){ .kind = s->is_reset ? MUX_EV_RST : MUX_EV_FIN,
				      .stream = s,
				      .user = s->user };
	return true;
}

static bool mux_take_header(struct mux *m)
{
	struct span part = span_head(m->in, MFRAME_LEN - m->header_len);

	if (part.len > 0)
		memcpy(m->header + m->header_len, part.p, part.len);
	m->header_len += part.len;
	m->in = span_skip(m->in, part.len);
	if (m->header_len < MFRAME_LEN)
		return false;
	m->header_len = 0;
	return true;
}

int mux_next(struct mux *m, struct mux_event *ret_ev)
{
	while (m->why == NULL) {
		if (m->body_left > 0) {
			if (m->in.len == 0)
				return MUX_E_MORE;
			if (mux_on_body(m, ret_ev))
				return 0;
		} else if (m->flags_left != 0) {
			if (mux_on_flags(m, ret_ev))
				return 0;
		} else {
			if (!mux_take_header(m))
				return MUX_E_MORE;
			if (mux_on_header(m, ret_ev))
				return 0;
		}
	}
	m->in.len = 0;
	if (m->is_dead_told)
		return MUX_E_MORE;
	m->is_dead_told = true;
	*ret_ev = (struct mux_event){ .kind = MUX_EV_DEAD, .why = m->why };
	return 0;
}

/* -- up: to the peer -- */

bool mux_has_waiting(const struct mux *m)
{
	return m->turn.n_waiting > 0;
}

void mux_want(struct mux *m, struct mux_stream *s)
{
	if (m->why == NULL && !s->is_reset && s->up != STREAM_UP_FIN_SENT)
		turn_want(&m->turn, s);
}

int mux_reserve(struct mux *m, struct mux_stream *s, uint8_t **ret_dst, size_t *ret_cap)
{
	size_t room;

	if (m->why != NULL || s->is_reset || s->up != STREAM_UP_OPEN)
		return MUX_E_CLOSED;
	if (s->send_credit == 0) {
		s->wants_credit = true;
		return MUX_E_CREDIT;
	}
	room = s == m->turn.holder || m->turn.n_waiting == 0 ? record_reserve(&m->record, ret_dst)
							     : 0;
	if (room == 0) {
		mux_want(m, s);
		return MUX_E_ROOM;
	}
	*ret_cap = room < s->send_credit ? room : s->send_credit;
	return 0;
}

void mux_commit(struct mux *m, struct mux_stream *s, size_t n)
{
	MUST(n <= s->send_credit);
	record_commit(&m->record, s->id, n);
	s->send_credit -= (uint32_t) n;
}

int mux_write(struct mux *m, struct mux_stream *s, struct span data, size_t *ret_n)
{
	size_t cap, n = 0;
	uint8_t *dst;
	int err = 0;

	while (n < data.len) {
		err = mux_reserve(m, s, &dst, &cap);
		if (err != 0)
			break;
		if (cap > data.len - n)
			cap = data.len - n;
		memcpy(dst, data.p + n, cap);
		mux_commit(m, s, cap);
		n += cap;
	}
	*ret_n = n;
	return err;
}

int mux_write_urgent(struct mux *m, struct mux_stream *s, struct span data)
{
	int err;

	if (m->why != NULL || s->is_reset || s->up != STREAM_UP_OPEN)
		return MUX_E_CLOSED;
	if (s->send_credit < data.len)
		return MUX_E_CREDIT;
	if (list_is_linked(&s->emit_link) && !stream_emit(m, s)) /* a SYN goes first */
		return MUX_E_ROOM;
	err = record_add_urgent(&m->record, s->id, data);
	if (err != 0)
		return err < 0 ? err : MUX_E_ROOM;
	s->send_credit -= (uint32_t) data.len;
	return 0;
}

int mux_ping(struct mux *m, uint32_t ping_id)
{
	struct mframe f = { .type = MFRAME_PING, .flags = MFRAME_SYN, .len = ping_id };

	if (m->why != NULL)
		return MUX_E_CLOSED;
	return record_add_ctl(&m->record, &f, 0) == 0 ? 0 : MUX_E_ROOM;
}

void mux_goaway(struct mux *m, uint32_t code)
{
	struct mframe f = { .type = MFRAME_GOAWAY, .len = code };

	if (m->why == NULL)
		(void) record_add_ctl(&m->record, &f, 0); /* a courtesy */
}

int mux_turn(struct mux *m, struct mux_stream **ret_s, void **ret_user, size_t *ret_quantum)
{
	struct mux_stream *s;
	uint8_t *dst;

	turn_end(&m->turn);
	while (m->why == NULL && m->turn.n_waiting > 0 && record_reserve(&m->record, &dst) > 0) {
		s = turn_pop(&m->turn);
		if (s->up == STREAM_UP_FIN_DUE) {
			stream_try_fin(m, s);
			(void) stream_drop_if_over(m, s);
			continue;
		}
		if (s->send_credit == 0) {
			s->wants_credit = true;
			continue;
		}
		*ret_quantum = turn_begin(&m->turn, s);
		*ret_s = s;
		*ret_user = s->user;
		return 0;
	}
	return MUX_E_MORE;
}

/* Write due frames to ctl while they fit. */
static void mux_emit(struct mux *m)
{
	struct mux_stream *s;

	while (!list_is_empty(&m->emit)) {
		s = container_of(m->emit.next, struct mux_stream, emit_link);
		if (!stream_emit(m, s))
			return;
		(void) stream_drop_if_over(m, s);
	}
}

struct span mux_drain(struct mux *m)
{
	struct span out;

	if (m->why == NULL)
		mux_emit(m);
	out = record_drain(&m->record);
	if (m->record.sent > 0 || buf_len(&m->record.ctl) > 0)
		return out;
	if (m->why == NULL && list_is_empty(&m->emit))
		return out;
	/* Payload may not overtake a SYN; alive, ctl took not one frame. */
	mux_die(m, "out of memory");
	return span_of(NULL, 0);
}

void mux_drained(struct mux *m, size_t n)
{
	record_drained(&m->record, n);
}

/* -- time and facts
 * -----------------------------------------------------------------------------------------------
 */

static uint64_t list_deadline(const struct list *l, uint64_t wait_ms)
{
	if (list_is_empty(l))
		return UINT64_MAX;
	return container_of(l->next, struct mux_stream, wait_link)->since_ms + wait_ms;
}

uint64_t mux_deadline(const struct mux *m)
{
	uint64_t a = list_deadline(&m->unacked, WAIT_SYN_ACK_MS);
	uint64_t b = list_deadline(&m->lingering, WAIT_LINGER_MS);

	if (m->why != NULL)
		return UINT64_MAX;
	return a < b ? a : b;
}

void mux_tick(struct mux *m, uint64_t now_ms)
{
	struct mux_stream *s;

	m->now_ms = now_ms;
	if (m->why != NULL)
		return;
	if (list_deadline(&m->unacked, WAIT_SYN_ACK_MS) <= now_ms)
		mux_die(m, "yamux: a new stream was not acknowledged");
	while (m->why == NULL && list_deadline(&m->lingering, WAIT_LINGER_MS) <= now_ms) {
		s = container_of(m->lingering.next, struct mux_stream, wait_link);
		list_del(&s->wait_link);
		mux_rst(m, s);
	}
}

void mux_set_rtt(struct mux *m, uint64_t rtt_ms)
{
	if (!m->has_rtt ||
	    rtt_ms < m->rtt_ms) /* the shortest: what is longer was waiting, not way */
		m->rtt_ms = rtt_ms;
	m->has_rtt = true;
}

void mux_facts(const struct mux *m, struct mux_facts *ret_f)
{
	*ret_f = (struct mux_facts){
		.n_streams = m->streams.n_items,
		.n_unacked = m->n_unacked,
		.n_waiting = m->turn.n_waiting,
		.budget_used = m->budget_used,
		.n_ignored = m->n_ignored,
	};
}
