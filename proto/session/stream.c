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
	s->measured_ms = now_ms;
	s->consumed_ms = now_ms;
	s->since_ms = now_ms;
	list_init(&s->turn_link);
	list_init(&s->emit_link);
	list_init(&s->wait_link);
}

/* How much is given back at a time. What is consumed and not given back is not on its way to be
 * used: on a long path by small steps, on a short one by halves, where a frame more costs more than
 * the wait. */
static uint32_t stream_step(const struct mux_stream *s, uint64_t rtt_ms)
{
	return rtt_ms < LIMIT_RTT_SHORT_MS ? s->window / 2 : s->window / 16;
}

/* What is not given back is a smaller window. Credit that is charged counts until then. */
static void stream_shrink(struct mux_stream *s, uint32_t to)
{
	uint32_t less = s->window - to;

	less = less > s->grantable ? s->grantable : less;
	s->window -= less;
	s->grantable -= less;
}

static void stream_withhold(struct mux_stream *s)
{
	uint32_t n = s->excess < s->grantable ? s->excess : s->grantable;

	s->excess -= n;
	s->grantable -= n;
}

/* The window for which the bytes consumed in @took_ms queue for WAIT_QUEUE_MS: all that the peer
 * may send lies in front of whatever it has to say besides, and on a thin line that is seconds. */
static uint32_t stream_thin_window(const struct mux_stream *s, uint64_t took_ms, uint64_t rtt_ms)
{
	uint64_t want = s->measured * (rtt_ms + WAIT_QUEUE_MS) / (took_ms + 1);

	if (want < LIMIT_WINDOW_THIN)
		return LIMIT_WINDOW_THIN;
	return want < LIMIT_WINDOW_MIN ? (uint32_t) want : LIMIT_WINDOW_MIN;
}

/* True: the line is, or was, too thin for the least window that a path has else. */
static bool stream_fit_thin(struct mux_stream *s, uint64_t took_ms, uint64_t rtt_ms)
{
	uint32_t want = stream_thin_window(s, took_ms, rtt_ms);

	if (took_ms > 2 * (rtt_ms + WAIT_QUEUE_MS) && want < s->window) {
		if (s->window > LIMIT_WINDOW_MIN) {
			stream_shrink(s, LIMIT_WINDOW_MIN);
		} else {
			s->excess += s->window - want;
			s->window = want;
		}
		return true;
	}
	if (s->window >= LIMIT_WINDOW_MIN)
		return false;
	if (want > s->window) {
		s->grantable += want - s->window;
		s->window = want;
	}
	return true;
}

/* Half a window was consumed since the last look. At full speed a window is used up per round trip:
 * half of it in about one or less means that the window may be what limits, and in much more that
 * the reader does. On a short path the smallest window is enough, and a socket's buffer that
 * swallows the first megabytes is no proof of a reader. */
static void stream_fit_window(struct mux_stream *s, uint64_t took_ms, uint64_t rtt_ms,
			      uint32_t window_max, uint64_t budget_left)
{
	uint32_t more;

	if (stream_fit_thin(s, took_ms, rtt_ms) || rtt_ms < LIMIT_RTT_SHORT_MS)
		return;
	if (took_ms <= rtt_ms + rtt_ms / 4 && s->window < window_max) {
		more = window_max - s->window;
		more = more > 3 * s->window ? 3 * s->window : more;
		more = more > budget_left ? (uint32_t) budget_left : more;
		s->window += more;
		s->grantable += more;
	} else if (took_ms > 8 * rtt_ms) {
		stream_shrink(s, LIMIT_WINDOW_MIN);
	}
}

void stream_receive(struct mux_stream *s, uint32_t n, uint64_t now_ms)
{
	bool is_empty = s->recv_credit + s->grantable >= s->window + s->excess;

	if (is_empty && now_ms - s->consumed_ms > WAIT_BUSY_MS) {
		s->measured = 0;
		s->measured_ms = now_ms;
	}
	s->recv_credit -= n;
}

uint32_t stream_consume(struct mux_stream *s, uint32_t n, uint64_t now_ms, uint64_t rtt_ms,
			uint32_t window_max, uint64_t budget_left)
{
	uint32_t grant;

	s->consumed_ms = now_ms;
	s->grantable += n;
	s->measured += n;
	stream_withhold(s);
	if (s->is_fin_seen || s->grantable < stream_step(s, rtt_ms))
		return 0;
	if (s->measured >= s->window / 2) {
		stream_fit_window(s, now_ms - s->measured_ms, rtt_ms, window_max, budget_left);
		s->measured = 0;
		s->measured_ms = now_ms;
		stream_withhold(s);
	}
	grant = s->grantable;
	s->grantable = 0;
	s->recv_credit += grant;
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
