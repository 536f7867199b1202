/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mux.h - the body of fuzz_mux_client and fuzz_mux_server: a session that reads any bytes at
 * any split while its user does anything that is legal. Tests only.
 *
 * The input is a list of steps, one byte each with its operands behind it. What the mux sends is
 * read by an observer that holds it to the rules of yamux; bytes that the peer got wrong may end
 * the session, never break a rule. */
#pragma once
#include "proto/base/bytes.h"
#include "proto/base/map.h"
#include "proto/session/mux.h"
#include "proto/wire/mframe.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_HANDLES 24

struct fuzz_handle {
	struct mux_stream *s; /* NULL: free */
	size_t unconsumed;
	bool is_over; /* RST was seen: no event may name it any more */
	bool is_fin_seen;
};

struct fuzz_mux {
	struct mux *m;
	bool is_server, is_wide, is_dead;
	struct fuzz_handle handles[FUZZ_HANDLES];
	uint64_t now_ms;
	/* what was sent: by stream id % 4096, enough for what one input can open */
	uint8_t has_syn[4096], has_fin[4096];
	uint8_t header[MFRAME_LEN];
	size_t header_len, body_left;
};

static inline struct fuzz_handle *fuzz_of(struct fuzz_mux *f, const struct mux_stream *s)
{
	for (size_t i = 0; i < FUZZ_HANDLES; i++)
		if (f->handles[i].s == s)
			return &f->handles[i];
	MUST(s == NULL); /* an event of a stream that nobody holds */
	return NULL;
}

static inline void fuzz_forget(struct fuzz_mux *f, struct fuzz_handle *h)
{
	mux_forget(f->m, h->s);
	*h = (struct fuzz_handle){ .s = NULL };
}

static inline void fuzz_event(struct fuzz_mux *f, const struct mux_event *ev)
{
	struct fuzz_handle *h = NULL;

	MUST(!f->is_dead);
	if (ev->kind == MUX_EV_OPENED) {
		MUST(f->is_server);
		for (size_t i = 0; i < FUZZ_HANDLES && h == NULL; i++)
			h = f->handles[i].s == NULL ? &f->handles[i] : NULL;
		if (h == NULL)
			mux_forget(f->m, ev->stream);
		else
			h->s = ev->stream;
		return;
	}
	if (ev->stream != NULL) {
		h = fuzz_of(f, ev->stream);
		MUST(!h->is_over);
		MUST(ev->kind == MUX_EV_DATA || ev->kind == MUX_EV_FIN || ev->kind == MUX_EV_RST);
		MUST(!h->is_fin_seen || ev->kind == MUX_EV_RST);
	}
	if (ev->kind == MUX_EV_DATA) {
		MUST(ev->data.len > 0);
		h->unconsumed += ev->data.len;
		MUST(h->unconsumed <= LIMIT_WINDOW_MAX);
	}
	if (ev->kind == MUX_EV_FIN)
		h->is_fin_seen = true;
	if (ev->kind == MUX_EV_RST)
		h->is_over = true;
	if (ev->kind == MUX_EV_DEAD) {
		MUST(ev->why != NULL);
		f->is_dead = true;
	}
}

static inline void fuzz_feed(struct fuzz_mux *f, struct span in)
{
	struct mux_event ev;
	uint8_t *copy = malloc(in.len + 1);

	MUST(copy != NULL);
	if (in.len > 0)
		memcpy(copy, in.p, in.len);
	mux_feed(f->m, span_of(copy, in.len), f->now_ms);
	while (mux_next(f->m, &ev) == 0)
		fuzz_event(f, &ev);
	free(copy);
}

static inline bool fuzz_is_held(const struct fuzz_mux *f, uint32_t id)
{
	for (size_t i = 0; i < FUZZ_HANDLES; i++)
		if (f->handles[i].s != NULL && !f->handles[i].is_over &&
		    mux_stream_id(f->handles[i].s) == id)
			return true;
	return false;
}

/* A whole header of ours. */
static inline void fuzz_sent(struct fuzz_mux *f)
{
	uint32_t id = bytes_get_u32(f->header + 4), k = id % 4096;
	uint16_t flags = bytes_get_u16(f->header + 2);

	MUST(f->header[0] == 0 && f->header[1] <= 3);
	f->body_left = f->header[1] == MFRAME_DATA ? bytes_get_u32(f->header + 8) : 0;
	if (f->header[1] >= 2 || id >= 4096 || f->is_server)
		return; /* the peer may open an id again after its end */
	if ((flags & MFRAME_SYN) != 0) {
		MUST(!f->has_syn[k]);
		f->has_syn[k] = 1;
	}
	/* Peers ignore what was written to a stream that was taken back before its SYN left. */
	MUST(f->has_syn[k] || (flags & MFRAME_RST) != 0 || !fuzz_is_held(f, id));
	MUST(f->header[1] != MFRAME_DATA || !f->has_fin[k]);
	if ((flags & MFRAME_FIN) != 0) {
		MUST(!f->has_fin[k]);
		f->has_fin[k] = 1;
	}
}

static inline void fuzz_drain(struct fuzz_mux *f, size_t max)
{
	struct span s = mux_drain(f->m);

	s = span_head(s, max);
	for (size_t i = 0; i < s.len && !f->is_dead; i++) {
		if (f->body_left > 0) {
			f->body_left--;
			continue;
		}
		f->header[f->header_len++] = s.p[i];
		if (f->header_len == MFRAME_LEN) {
			f->header_len = 0;
			fuzz_sent(f);
		}
	}
	mux_drained(f->m, s.len);
}

static inline void fuzz_write(struct fuzz_mux *f, struct fuzz_handle *h, size_t n)
{
	static const uint8_t bytes[4096];
	size_t sent;
	int err = mux_write(f->m, h->s, span_of(bytes, n % sizeof(bytes)), &sent);

	MUST(sent <= n && (err != 0 || sent == n % sizeof(bytes)));
	MUST(err == 0 || err == MUX_E_CREDIT || err == MUX_E_ROOM || err == MUX_E_CLOSED);
}

static inline void fuzz_turn(struct fuzz_mux *f, size_t n)
{
	struct mux_stream *s;
	size_t quantum, cap;
	uint8_t *dst;
	void *user;

	if (mux_turn(f->m, &s, &user, &quantum) != 0)
		return;
	(void) fuzz_of(f, s);
	MUST(quantum == (f->is_wide ? LIMIT_BATCH : LIMIT_TURN) || quantum == LIMIT_TURN_NEW);
	if (mux_reserve(f->m, s, &dst, &cap) != 0)
		return;
	MUST(cap >= 1 && cap <= (f->is_wide ? LIMIT_BATCH : LIMIT_RECORD));
	n = n < cap ? n : cap;
	memset(dst, 1, n);
	mux_commit(f->m, s, n);
	if (n % 2 == 0)
		mux_want(f->m, s);
}

static inline void fuzz_user(struct fuzz_mux *f, uint8_t what, uint8_t which, uint8_t n)
{
	struct fuzz_handle *h = &f->handles[which % FUZZ_HANDLES];

	if (h->s == NULL) {
		if (what % 8 == 0 && !f->is_server)
			(void) mux_open(f->m, NULL, &h->s); /* may be refused */
		return;
	}
	switch (what % 8) {
	case 0: fuzz_write(f, h, n * (size_t) 16); break;
	case 1: mux_fin(f->m, h->s); break;
	case 2:
		mux_rst(f->m, h->s);
		h->is_over = true;
		break;
	case 3: fuzz_forget(f, h); break;
	case 4:
		n = h->unconsumed < n ? (uint8_t) h->unconsumed : n;
		mux_consume(f->m, h->s, n);
		h->unconsumed -= n;
		break;
	case 5:
		mux_consume(f->m, h->s, h->unconsumed);
		h->unconsumed = 0;
		break;
	case 6: mux_want(f->m, h->s); break;
	default:
		(void) mux_ping(f->m, n); /* may be refused */
		f->is_wide = n % 4 == 0;
		mux_set_wide(f->m, f->is_wide);
		break;
	}
}

static inline void fuzz_step(struct fuzz_mux *f, struct span *in)
{
	uint8_t step = fuzz_take_byte(in);
	struct span piece;

	switch (step % 4) {
	case 0: /* bytes of the peer */
		piece = span_head(*in, (size_t) (step / 4) + 1);
		*in = span_skip(*in, piece.len);
		fuzz_feed(f, piece);
		break;
	case 1: fuzz_user(f, (uint8_t) (step / 4), fuzz_take_byte(in), fuzz_take_byte(in)); break;
	case 2:
		fuzz_turn(f, fuzz_take_byte(in));
		fuzz_drain(f, step / 4 < 32 ? (size_t) step : SIZE_MAX);
		break;
	default:
		f->now_ms += (uint64_t) fuzz_take_byte(in) << (step / 4 % 12);
		mux_tick(f->m, f->now_ms);
		MUST(mux_deadline(f->m) > f->now_ms);
		break;
	}
}

static inline int fuzz_mux(bool is_server, const uint8_t *data, size_t size)
{
	struct mux_params p = { .is_server = is_server, .n_streams_max = 40, .budget = 1 << 20 };
	struct fuzz_mux *f = calloc(1, sizeof(*f));
	struct span in = span_of(data, size);
	struct mux_facts facts;

	MUST(f != NULL && mux_new(&f->m, &p) == 0);
	f->is_server = is_server;
	f->now_ms = 123456789;
	mux_tick(f->m, f->now_ms);
	while (in.len > 0) {
		fuzz_step(f, &in);
		mux_facts(f->m, &facts);
		MUST(facts.n_streams <= 40 && facts.budget_used <= 1 << 20);
	}
	for (size_t i = 0; i < FUZZ_HANDLES; i++)
		if (f->handles[i].s != NULL)
			fuzz_forget(f, &f->handles[i]);
	while (!f->is_dead && mux_drain(f->m).len > 0)
		fuzz_drain(f, SIZE_MAX);
	f->m = mux_free(f->m);
	free(f);
	return 0;
}
