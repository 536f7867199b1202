/* SPDX-License-Identifier: Apache-2.0 */
/* muxdown.c - what arrives on a yamux session. Bytes in, events out. Floor 2.
 *
 * bytes -> 12-byte header -> (body as events) -> the header's FIN or RST as an event, so that FIN
 * never overtakes data. */
#include <string.h>

#include "proto/session/muxstate.h"

/* Of LIMIT_CTL: refusals of foreign SYNs may not fill what streams and pings need. */
#define CTL_FOR_RST 8192

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
		/* In a flood they go unanswered. */
		(void) record_add_ctl(&m->record, &rst, CTL_FOR_RST);
		return NULL;
	}
	if (mux_add_stream(m, f->stream_id, NULL, &s) != 0) {
		mux_die(m, "out of memory");
		return NULL;
	}
	s->is_acked = true;
	s->ack_due = true;
	mux_queue_emit(m, s);
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
		return (f->flags & MFRAME_ACK) != 0 &&
		       !inflight_pong(&m->inflight, f->len, m->now_ms);
	}
	if (m->now_ms - m->pings_since_ms >= 1000) {
		m->pings_since_ms = m->now_ms;
		m->n_pings = 0;
	}
	m->n_pings++;
	if (m->n_pings > LIMIT_PINGS_PER_S && !m->is_server)
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
	mux_stream_acked(m, s);
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
		mux_account(m, s, data.len);
		return false;
	}
	s->held += (uint32_t) data.len;
	m->n_held += data.len;
	*ret_ev = (struct mux_event){
		.kind = MUX_EV_DATA, .stream = s, .user = s->user, .data = data
	};
	return true;
}

/* Users hold more than there is memory for: the one that took nothing for the longest time goes. To
 * open no more streams instead would let those that hang keep all others out. */
static void mux_shed(struct mux *m, struct mux_event *ret_ev)
{
	struct mux_stream *s, *worst = NULL;
	size_t it = 0;

	while ((s = map_next(&m->streams, &it)) != NULL)
		if (s->held > 0 && (worst == NULL || s->consumed_ms < worst->consumed_ms))
			worst = s;
	MUST(worst != NULL); /* n_held is their sum, and no reset one holds anything */
	mux_rst(m, worst);
	*ret_ev = (struct mux_event){
		.kind = MUX_EV_RST,
		.stream = worst,
		.user = worst->user,
		.why = "memory for what services do not read",
	};
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
		mux_release(m, s);
		turn_unwant(&m->turn, s);
	} else if (s->is_fin_seen) {
		mux_die(m, "yamux: second FIN on a stream");
		return false;
	} else {
		s->is_fin_seen = true;
	}
	if (s->is_forgotten) {
		(void) mux_drop_if_over(m, s);
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
		if (m->n_held > m->held_max) {
			mux_shed(m, ret_ev);
			return 0;
		}
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
