/* SPDX-License-Identifier: Apache-2.0 */
/* mux.c - yamux session: its streams from open to free, and what the time does to them. What
 * arrives is read in muxdown.c, what leaves is written in muxup.c. No I/O, no clock. Floor 2. */
#include "proto/session/mux.h"

#include <stdlib.h>
#include <string.h>

#include "proto/session/muxstate.h"

int mux_new(struct mux **ret_m, const struct mux_params *p)
{
	struct mux *m = malloc(sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	memset(m, 0, offsetof(struct mux, record)); /* which takes pages as it is filled */
	m->is_server = p->is_server;
	m->n_streams_max = p->n_streams_max != 0 ? p->n_streams_max : LIMIT_STREAMS;
	m->budget = p->budget != 0 ? p->budget : LIMIT_BUDGET;
	m->held_max = p->held_max != 0 ? p->held_max : LIMIT_HELD;
	m->window_max = p->window_max != 0 ? p->window_max : LIMIT_WINDOW_MAX;
	m->next_id = p->is_server ? 2 : 1;
	map_init(&m->streams);
	turn_init(&m->turn);
	inflight_init(&m->inflight, p->inflight_max != 0 ? p->inflight_max : LIMIT_INFLIGHT);
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

void mux_die(struct mux *m, const char *why)
{
	struct mframe f = { .type = MFRAME_GOAWAY, .len = 1 }; /* yamux spec.md: protocol error */

	if (m->why != NULL)
		return;
	m->why = why;
	(void) record_add_ctl(&m->record, &f, 0); /* a courtesy; the connection closes anyway */
}

/* -- life of a stream -- */

static void mux_drop(struct mux *m, struct mux_stream *s)
{
	mux_stream_acked(m, s);
	turn_unwant(&m->turn, s);
	list_del(&s->emit_link);
	list_del(&s->wait_link);
	if (m->turn.holder == s)
		m->turn.holder = NULL;
	if (m->cur == s)
		m->cur = NULL;
	m->budget_used -= stream_charge(s);
	mux_release(m, s);
	(void) map_del(&m->streams, s->id);
	free(s);
}

bool mux_drop_if_over(struct mux *m, struct mux_stream *s)
{
	if (!s->is_forgotten || !stream_is_over(s) || list_is_linked(&s->emit_link))
		return false;
	mux_drop(m, s);
	return true;
}

int mux_add_stream(struct mux *m, uint32_t id, void *user, struct mux_stream **ret_s)
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
	err = mux_add_stream(m, m->next_id, user, &s);
	if (err != 0)
		return err;
	m->next_id += 2;
	m->n_unacked++;
	list_add_tail(&m->unacked, &s->wait_link);
	s->syn_due = true;
	mux_queue_emit(m, s);
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

void mux_fin(struct mux *m, struct mux_stream *s)
{
	if (m->why != NULL || s->is_reset || s->up != STREAM_UP_OPEN)
		return;
	s->up = STREAM_UP_FIN_DUE;
	mux_try_fin(m, s);
}

void mux_rst(struct mux *m, struct mux_stream *s)
{
	if (m->why != NULL || stream_is_over(s))
		return;
	s->is_reset = true;
	s->rst_due = true;
	mux_release(m, s);
	mux_stream_acked(m, s); /* nothing answers a SYN that was taken back */
	turn_unwant(&m->turn, s);
	mux_queue_emit(m, s);
}

/* What windows may still grow by: what those of the streams that are open now may bring at once,
 * should nobody take it, stays within held_max. Streams to come are not foreseen; with 1,024 open,
 * idle ones too, no window grows. */
static size_t mux_budget_left(const struct mux *m)
{
	size_t most = m->streams.n_items * LIMIT_WINDOW_MIN + m->budget_used;
	size_t room = m->held_max > most ? m->held_max - most : 0;
	size_t left = m->budget - m->budget_used;

	return left < room ? left : room;
}

void mux_account(struct mux *m, struct mux_stream *s, size_t n)
{
	size_t before = stream_charge(s);
	uint32_t grant;

	grant = stream_consume(s, (uint32_t) n, m->now_ms, m->rtt_ms, m->window_max,
			       mux_budget_left(m));
	m->budget_used += stream_charge(s) - before;
	if (grant == 0)
		return;
	s->grant_due += grant;
	mux_queue_emit(m, s);
}

void mux_release(struct mux *m, struct mux_stream *s)
{
	m->n_held -= s->held;
	s->held = 0;
}

void mux_consume(struct mux *m, struct mux_stream *s, size_t n)
{
	uint32_t less = n < s->held ? (uint32_t) n : s->held; /* not after a release */

	s->held -= less;
	m->n_held -= less;
	if (m->why == NULL && !s->is_reset)
		mux_account(m, s, n);
}

void mux_forget(struct mux *m, struct mux_stream *s)
{
	MUST(!s->is_forgotten);
	if (s->up == STREAM_UP_OPEN)
		mux_rst(m, s);
	list_del(&s->wait_link);
	s->is_forgotten = true;
	s->user = NULL;
	mux_release(m, s);
	if (m->why != NULL) {
		mux_drop(m, s);
		return;
	}
	if (mux_drop_if_over(m, s) || stream_is_over(s))
		return;
	s->since_ms = m->now_ms;
	list_add_tail(&m->lingering, &s->wait_link);
}

/* -- time and facts -- */

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
	uint64_t c = inflight_deadline(&m->inflight);

	if (m->why != NULL)
		return UINT64_MAX;
	a = a < b ? a : b;
	return a < c ? a : c;
}

void mux_tick(struct mux *m, uint64_t now_ms)
{
	struct mux_stream *s;

	m->now_ms = now_ms;
	if (m->why != NULL)
		return;
	inflight_tick(&m->inflight, now_ms);
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
	if (rtt_ms == 0)
		return;
	inflight_set_rtt(&m->inflight, rtt_ms);
	/* The shortest: what is longer was waiting, not way. */
	if (!m->has_rtt || rtt_ms < m->rtt_ms)
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
		.n_held = m->n_held,
		.n_ignored = m->n_ignored,
	};
}
