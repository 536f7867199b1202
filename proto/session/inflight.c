/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.c - marks in the data, and what is behind the last one. Floor 2. */
#include "proto/session/inflight.h"

#include "proto/base/limits.h"

void inflight_init(struct inflight *f, size_t max)
{
	*f = (struct inflight){ .max = max, .mark = INFLIGHT_MARK };
}

void inflight_sent(struct inflight *f, size_t n)
{
	f->n_sent += n;
}

uint32_t inflight_next_mark(const struct inflight *f)
{
	return (f->mark + 1) | INFLIGHT_MARK;
}

bool inflight_wants_mark(const struct inflight *f)
{
	return !f->is_marked && f->n_sent >= f->max / 2;
}

void inflight_marked(struct inflight *f, uint64_t now_ms)
{
	f->is_marked = true;
	f->mark = inflight_next_mark(f);
	f->n_sent = 0;
	f->marked_ms = now_ms;
}

void inflight_set_rtt(struct inflight *f, uint64_t rtt_ms)
{
	if (rtt_ms > 0 && (f->rtt_ms == 0 || rtt_ms < f->rtt_ms))
		f->rtt_ms = rtt_ms;
}

bool inflight_pong(struct inflight *f, uint32_t id, uint64_t now_ms)
{
	if ((id & INFLIGHT_MARK) == 0)
		return false;
	if (f->is_marked && id == f->mark) {
		f->is_marked = false;
		inflight_set_rtt(f, now_ms > f->marked_ms ? now_ms - f->marked_ms : 1);
	}
	return true;
}

size_t inflight_left(const struct inflight *f)
{
	size_t most = f->max / 2;

	/* a round trip may be any number */
	if (f->is_marked && (f->rtt_ms == 0 || f->rtt_ms > SIZE_MAX / f->max))
		return SIZE_MAX;
	if (f->is_marked)
		most = f->max * f->rtt_ms;
	return f->n_sent < most ? most - f->n_sent : 0;
}

bool inflight_is_full(const struct inflight *f)
{
	return f->is_marked && inflight_left(f) == 0;
}

void inflight_tick(struct inflight *f, uint64_t now_ms)
{
	if (inflight_deadline(f) <= now_ms)
		f->is_marked = false;
}

uint64_t inflight_deadline(const struct inflight *f)
{
	return inflight_is_full(f) ? f->marked_ms + f->rtt_ms + WAIT_MARK_MS : UINT64_MAX;
}
