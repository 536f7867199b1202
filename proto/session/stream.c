/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - credit and half-close of one yamux stream. Floor 2. */
#include "proto/session/stream.h"

#include <string.h>

void stream_init(struct mux_stream *s, uint32_t id, void *user, uint64_t now_ms)
{
	memset(s, 0, sizeof(*s));
	s->id = id;
	s->user = user;
	s->send_credit = LIMIT_WINDOW_MIN;
	s->recv_credit = LIMIT_WINDOW_MIN;
	s->window = LIMIT_WINDOW_MIN;
	s->granted_ms = now_ms;
	s->since_ms = now_ms;
	list_init(&s->turn_link);
	list_init(&s->emit_link);
	list_init(&s->wait_link);
}

/* A window is used up per round trip at full speed, and we grant by halves: a grant within one
 * round trip of the last one means that the window, not the reader, is what limits. On a short path
 * the smallest window is enough, and a socket's buffer that swallows the first megabytes is no
 * proof of a reader. */
static uint32_t window_growth(const struct mux_stream *s, uint64_t now_ms, uint64_t rtt_ms,
			      uint32_t window_max, uint64_t budget_left)
{
	uint32_t more = s->window;

	if (rtt_ms < LIMIT_RTT_SHORT_MS || now_ms - s->granted_ms > rtt_ms ||
	    s->window >= window_max)
		return 0;
	if (more > window_max - s->window)
		more = window_max - s->window;
	return more > budget_left ? (uint32_t) budget_left : more;
}

uint32_t stream_consume(struct mux_stream *s, uint32_t n, uint64_t now_ms, uint64_t rtt_ms,
			uint32_t window_max, uint64_t budget_left, uint32_t *ret_grown)
{
	uint32_t grant;

	*ret_grown = 0;
	s->grantable += n;
	if (s->grantable < s->window / 2 || s->is_fin_seen)
		return 0;
	*ret_grown = window_growth(s, now_ms, rtt_ms, window_max, budget_left);
	s->window += *ret_grown;
	grant = s->grantable + *ret_grown;
	s->grantable = 0;
	s->recv_credit += grant;
	s->granted_ms = now_ms;
	return grant;
}

bool stream_add_credit(struct mux_stream *s, uint32_t delta)
{
	if (delta > UINT32_MAX - s->send_credit)
		return false;
	s->send_credit += delta;
	return true;
}

bool stream_due_frame(const struct mux_stream *s, struct mframe *ret_f)
{
	struct mframe f = { .type = MFRAME_WINDOW, .stream_id = s->id };

	if (s->is_reset && s->syn_due)
		return false;
	f.flags = (uint16_t) ((s->syn_due ? MFRAME_SYN : 0) | (s->ack_due ? MFRAME_ACK : 0));
	f.len = s->is_reset ? 0 : s->grant_due;
	if (f.flags == 0 && f.len == 0) {
		if (!s->rst_due)
			return false;
		f.flags = MFRAME_RST;
	}
	*ret_f = f;
	return true;
}

void stream_emitted(struct mux_stream *s, const struct mframe *f)
{
	if ((f->flags & MFRAME_RST) != 0) {
		s->rst_due = false;
		return;
	}
	s->syn_due = false;
	s->ack_due = false;
	s->grant_due = 0;
}

bool stream_is_over(const struct mux_stream *s)
{
	return s->is_reset || (s->up == STREAM_UP_FIN_SENT && s->is_fin_seen);
}
