/* SPDX-License-Identifier: Apache-2.0 */
/* muxup.c - what leaves a yamux session. Floor 2.
 *
 * Streams put payload into the record in turns; everything else is a flag of the stream, and
 * streams with flags stand in the emit list until mux_drain() writes their frames to ctl. So a
 * flood of events costs flags, not memory. */
#include <string.h>

#include "proto/session/muxstate.h"

void mux_try_fin(struct mux *m, struct mux_stream *s)
{
	struct mframe f = { .type = MFRAME_WINDOW, .flags = MFRAME_FIN, .stream_id = s->id };

	if (record_add_tail(&m->record, &f)) {
		s->up = STREAM_UP_FIN_SENT;
		turn_unwant(&m->turn, s);
	} else {
		mux_want(m, s);
	}
}

/* Write the due frames of @s to ctl. false: ctl is full, the rest stays due. */
static bool mux_emit_stream(struct mux *m, struct mux_stream *s)
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

void mux_want(struct mux *m, struct mux_stream *s)
{
	if (m->why == NULL && !s->is_reset && s->up != STREAM_UP_FIN_SENT)
		turn_want(&m->turn, s);
}

int mux_reserve(struct mux *m, struct mux_stream *s, uint8_t **ret_dst, size_t *ret_cap)
{
	size_t room = 0, left;

	if (m->why != NULL || s->is_reset || s->up != STREAM_UP_OPEN)
		return MUX_E_CLOSED;
	if (s->send_credit == 0) {
		s->wants_credit = true;
		return MUX_E_CREDIT;
	}
	if (s == m->turn.holder || (m->turn.n_waiting == 0 && !inflight_is_full(&m->inflight)))
		room = record_reserve(&m->record, ret_dst);
	if (room == 0) {
		mux_want(m, s);
		return MUX_E_ROOM;
	}
	left = inflight_left(&m->inflight);
	left = left > LIMIT_BATCH / 2 ? left : LIMIT_BATCH / 2; /* short turns may go beyond */
	room = room < left ? room : left;
	*ret_cap = room < s->send_credit ? room : s->send_credit;
	return 0;
}

/* @n bytes of bulk are in the record. Small messages that had a turn do not count: they could use
 * up what bulk may send. Only a client marks: its peer is the one whose reading can stay behind,
 * and a server's pings are counted. */
static void mux_mark(struct mux *m, size_t n)
{
	struct mframe f = { .type = MFRAME_PING, .flags = MFRAME_SYN };

	if (m->is_server)
		return;
	inflight_sent(&m->inflight, n);
	f.len = inflight_next_mark(&m->inflight);
	if (inflight_wants_mark(&m->inflight) && record_add_tail(&m->record, &f))
		inflight_marked(&m->inflight, m->now_ms);
}

void mux_commit(struct mux *m, struct mux_stream *s, size_t n)
{
	MUST(n <= s->send_credit);
	record_commit(&m->record, s->id, n);
	s->send_credit -= (uint32_t) n;
	if (s != m->turn.holder || !m->turn.is_fresh)
		mux_mark(m, n);
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
	if (list_is_linked(&s->emit_link) && !mux_emit_stream(m, s)) /* a SYN goes first */
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
		if (!turn_has_fresh(&m->turn) && inflight_is_full(&m->inflight))
			break; /* small messages pass */
		s = turn_pop(&m->turn);
		if (s->up == STREAM_UP_FIN_DUE) {
			mux_try_fin(m, s);
			(void) mux_drop_if_over(m, s);
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

void mux_set_wide(struct mux *m, bool is_wide)
{
	record_set_max(&m->record, is_wide ? LIMIT_BATCH : LIMIT_RECORD);
	m->turn.quantum = is_wide ? LIMIT_BATCH : LIMIT_TURN;
}

/* Write due frames to ctl while they fit. */
static void mux_emit(struct mux *m)
{
	struct mux_stream *s;

	while (!list_is_empty(&m->emit)) {
		s = container_of(m->emit.next, struct mux_stream, emit_link);
		if (!mux_emit_stream(m, s))
			return;
		(void) mux_drop_if_over(m, s);
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
