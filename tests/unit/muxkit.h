/* SPDX-License-Identifier: Apache-2.0 */
/* muxkit.h - yamux frames written and read by hand, events as text. Tests only. */
#pragma once
#include "tests/unit/unit.h"

#include <inttypes.h>

#include "proto/base/bytes.h"
#include "proto/session/mux.h"
#include "proto/wire/mframe.h"

enum { KIT_SYN = 1, KIT_ACK = 2, KIT_FIN = 4, KIT_RST = 8 };

/* A growing text of what happened. */
struct kit_log {
	char text[1 << 16];
	size_t len;
	uint64_t now_ms;
	bool want_consume; /* give credit back at once */
	uint32_t data_id;  /* of the DATA that the text ends with; 0: none */
	size_t data_len;
	uint32_t data_sum;
	size_t data_at;
	struct mux_stream *streams[64]; /* by id / 2, as MUX_EV_OPENED or the test has it */
};

static inline void kit_add(struct kit_log *l, const char *what, uint64_t a, uint64_t b)
{
	int n = snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s %" PRIu64 " %" PRIu64 ";",
			 what, a, b);

	assert_true(n > 0 && (size_t) n < sizeof(l->text) - l->len);
	l->len += (size_t) n;
	l->data_id = 0;
}

/* Neighbouring pieces of data are one entry, whatever the split. */
static inline void kit_add_data(struct kit_log *l, uint32_t id, struct span data)
{
	if (l->data_id != id) {
		l->data_len = 0;
		l->data_sum = 1;
		l->data_at = l->len;
	}
	for (size_t i = 0; i < data.len; i++)
		l->data_sum = l->data_sum * 31 + data.p[i];
	l->data_len += data.len;
	l->len = l->data_at;
	(void) snprintf(l->text + l->len, sizeof(l->text) - l->len,
			"DATA %" PRIu32 " %zu %08" PRIx32 ";", id, l->data_len, l->data_sum);
	l->len += strlen(l->text + l->len);
	l->data_id = id;
}

static inline void kit_event(struct kit_log *l, struct mux *m, const struct mux_event *ev)
{
	uint32_t id = ev->stream != NULL ? mux_stream_id(ev->stream) : 0;

	switch (ev->kind) {
	case MUX_EV_OPENED:
		kit_add(l, "OPENED", id, 0);
		if (id / 2 < UNIT_N(l->streams))
			l->streams[id / 2] = ev->stream;
		break;
	case MUX_EV_DATA:
		assert_true(ev->data.len > 0);
		kit_add_data(l, id, ev->data);
		if (l->want_consume)
			mux_consume(m, ev->stream, ev->data.len);
		break;
	case MUX_EV_FIN: kit_add(l, "FIN", id, 0); break;
	case MUX_EV_RST: kit_add(l, "RST", id, 0); break;
	case MUX_EV_PONG: kit_add(l, "PONG", ev->ping_id, 0); break;
	case MUX_EV_GOAWAY: kit_add(l, "GOAWAY", 0, 0); break;
	case MUX_EV_DEAD:
		assert_non_null(ev->why);
		kit_add(l, "DEAD", 0, 0);
		break;
	}
}

/* Feed @in cut as @s says; each piece lies in a block of its own, so that a read beyond is seen. */
static inline void kit_feed_split(struct mux *m, struct span in, struct unit_split s,
				  struct kit_log *l)
{
	struct mux_event ev;

	while (in.len > 0) {
		size_t n = unit_piece(&s, in.len);
		uint8_t *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, in.p, n);
		mux_feed(m, span_of(copy, n), l->now_ms);
		while (mux_next(m, &ev) == 0)
			kit_event(l, m, &ev);
		free(copy);
		in = span_skip(in, n);
	}
}

static inline void kit_feed(struct mux *m, struct buf *in, struct kit_log *l)
{
	kit_feed_split(m, buf_span(in), unit_split_of(0), l);
	buf_eat(in, buf_len(in));
}

/* -- frames by hand -- */

static inline void kit_raw(struct buf *b, uint8_t version, uint8_t type, uint16_t flags,
			   uint32_t id, uint32_t len)
{
	uint8_t *p;

	assert_int_equal(buf_reserve(b, MFRAME_LEN, &p), 0);
	p[0] = version;
	p[1] = type;
	bytes_put_u16(p + 2, flags);
	bytes_put_u32(p + 4, id);
	bytes_put_u32(p + 8, len);
	buf_commit(b, MFRAME_LEN);
}

static inline void kit_window(struct buf *b, uint16_t flags, uint32_t id, uint32_t delta)
{
	kit_raw(b, 0, MFRAME_WINDOW, flags, id, delta);
}

static inline void kit_ping(struct buf *b, uint16_t flags, uint32_t ping_id)
{
	kit_raw(b, 0, MFRAME_PING, flags, 0, ping_id);
}

static inline void kit_data(struct buf *b, uint16_t flags, uint32_t id, size_t n, uint32_t *seed)
{
	uint8_t *p;

	kit_raw(b, 0, MFRAME_DATA, flags, id, (uint32_t) n);
	if (n == 0)
		return;
	assert_int_equal(buf_reserve(b, n, &p), 0);
	unit_fill(seed, p, n);
	buf_commit(b, n);
}

/* -- what the mux sends -- */

/* Take all that waits, @piece bytes at a time (0: whatever there is). */
static inline void kit_drain(struct mux *m, size_t piece, struct buf *out)
{
	struct span s;

	while ((s = mux_drain(m)).len > 0) {
		size_t n = piece > 0 && piece < s.len ? piece : s.len;

		assert_int_equal(buf_add(out, span_of(s.p, n)), 0);
		mux_drained(m, n);
	}
}

/* The frames in @b as text: "S" SYN, "A" ACK, "F" FIN, "R" RST stand before the type's letter. */
static inline void kit_frames(struct buf *b, struct kit_log *l)
{
	static const char *const types[] = { "data", "win", "ping", "goaway" };

	while (buf_len(b) > 0) {
		const uint8_t *p = buf_span(b).p;
		struct mframe f;
		char what[16];

		assert_true(buf_len(b) >= MFRAME_LEN);
		assert_int_equal(mframe_decode(p, &f), 0);
		(void) snprintf(what, sizeof(what), "%s%s%s%s%s", f.flags & KIT_SYN ? "S" : "",
				f.flags & KIT_ACK ? "A" : "", f.flags & KIT_FIN ? "F" : "",
				f.flags & KIT_RST ? "R" : "", types[f.type]);
		buf_eat(b, MFRAME_LEN);
		kit_add(l, what, f.stream_id, f.len);
		if (f.type == MFRAME_DATA) {
			assert_true(buf_len(b) >= f.len);
			buf_eat(b, f.len);
		}
	}
}

/* Drain @m and compare with @want. */
static inline void kit_expect_sent(struct mux *m, const char *want)
{
	struct kit_log *l = calloc(1, sizeof(*l));
	struct buf out;

	assert_non_null(l);
	buf_init(&out, 1 << 24);
	kit_drain(m, 0, &out);
	kit_frames(&out, l);
	assert_string_equal(l->text, want);
	buf_deinit(&out);
	free(l);
}

static inline void kit_expect_events(struct kit_log *l, const char *want)
{
	assert_string_equal(l->text, want);
	l->len = 0;
	l->text[0] = '\0';
	l->data_id = 0;
}

/* -- a mux with what it needs -- */

struct fixture {
	struct mux *m;
	struct kit_log *log;
	struct buf in;
	uint32_t seed;
};

static inline void fixture_init_with(struct fixture *f, const struct mux_params *p)
{
	assert_int_equal(mux_new(&f->m, p), 0);
	f->log = calloc(1, sizeof(*f->log));
	assert_non_null(f->log);
	f->log->now_ms = 1000000; /* a monotonic clock starts anywhere */
	mux_tick(f->m, f->log->now_ms);
	buf_init(&f->in, 1 << 25);
	f->seed = 4711;
}

static inline void fixture_init(struct fixture *f, bool is_server)
{
	struct mux_params p = { .is_server = is_server };

	fixture_init_with(f, &p);
}

static inline void fixture_deinit(struct fixture *f)
{
	f->m = mux_free(f->m);
	free(f->log);
	buf_deinit(&f->in);
}

static inline struct mux_stream *open_acked(struct fixture *f)
{
	struct mux_stream *s;

	assert_int_equal(mux_open(f->m, f, &s), 0);
	kit_window(&f->in, KIT_ACK, mux_stream_id(s), 0);
	kit_feed(f->m, &f->in, f->log);
	return s;
}

static inline void drain_all(struct fixture *f)
{
	struct buf out;

	buf_init(&out, 1 << 25);
	kit_drain(f->m, 0, &out);
	buf_deinit(&out);
}

static inline size_t n_streams(const struct mux *m)
{
	struct mux_facts facts;

	mux_facts(m, &facts);
	return facts.n_streams;
}

static inline void expect_dead(struct fixture *f)
{
	struct mux_stream *s;
	size_t n;

	assert_non_null(strstr(f->log->text, "DEAD"));
	f->log->len = 0;
	kit_ping(&f->in, KIT_SYN, 9);
	kit_feed(f->m, &f->in, f->log);
	assert_int_equal(f->log->len, 0); /* the last event ever */
	assert_int_equal(mux_open(f->m, NULL, &s), MUX_E_CLOSED);
	assert_int_equal(mux_deadline(f->m), UINT64_MAX);
	if (f->log->streams[0] != NULL)
		assert_int_equal(mux_write(f->m, f->log->streams[0], span_str("x"), &n),
				 MUX_E_CLOSED);
}

/* Feed what is in f->in: it must end the session. */
static inline void feed_deadly(struct fixture *f)
{
	kit_feed(f->m, &f->in, f->log);
	expect_dead(f);
	fixture_deinit(f);
}
