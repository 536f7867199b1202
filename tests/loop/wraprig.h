/* SPDX-License-Identifier: Apache-2.0 */
/* wraprig.h - a wrap between a lower end that stalls and a user that dawdles, and the server behind
 * the lower end. Tests only; one includer per program. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/wrap.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/cfb.h"
#include "proto/wire/snappy.h"
#include "tests/loop/fail.h"

#define SECRET "vector-token"
#define WINDOW (256 * 1024)
#define BUF_MAX (64 << 20)

struct rig {
	struct loop *loop;
	struct wrap_host host;
	uint32_t seed;
	/* the lower end, and the server behind it */
	struct end_user *wrap;
	struct buf up_wire; /* what the wrap sent */
	uint8_t place[LIMIT_TURN];
	bool is_stuck, is_open, is_waiting, is_fin, is_rst, is_forgotten;
	size_t credit; /* for the wrap to receive */
	struct layer *cfb, *snappy;
	struct buf down_wire; /* not delivered yet */
	/* the upper end and its user */
	struct end e;
	struct end_user user;
	struct buf to_send, down; /* what it has to say; what it got */
	size_t n_owed, n_owed_max, n_turns;
	bool is_asking; /* it waits for a turn */
	bool is_lazy;	/* consumes nothing */
	bool has_fin, has_rst;
	bool resets_in_data;
};

static inline uint32_t rnd(struct rig *r)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return r->seed >> 8;
}

/* -- the lower end -- */

static inline void lower_set_user(struct end e, struct end_user *u)
{
	((struct rig *) e.carrier)->wrap = u;
}

static inline int lower_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	struct rig *r = e.carrier;

	assert_false(r->is_open || r->is_fin || r->is_forgotten);
	if (r->is_stuck || rnd(r) % 4 == 0) {
		r->is_waiting = true;
		return END_E_WAIT;
	}
	r->is_open = true;
	*ret_dst = r->place;
	*ret_cap = rnd(r) % LIMIT_TURN + 1;
	return 0;
}

static inline void lower_commit(struct end e, size_t n)
{
	struct rig *r = e.carrier;

	assert_true(r->is_open);
	r->is_open = false;
	assert_int_equal(buf_add(&r->up_wire, span_of(r->place, n)), 0);
}

static inline void lower_want(struct end e)
{
	((struct rig *) e.carrier)->is_waiting = true;
}

static inline void lower_consume(struct end e, size_t n)
{
	struct rig *r = e.carrier;

	assert_false(r->is_rst || r->is_forgotten);
	r->credit += n;
	assert_in_range(r->credit, 0, WINDOW);
}

static inline void lower_fin(struct end e)
{
	struct rig *r = e.carrier;

	assert_false(r->is_open || r->is_fin || r->is_rst || r->is_forgotten);
	r->is_fin = true;
}

static inline void lower_rst(struct end e)
{
	struct rig *r = e.carrier;

	assert_false(r->is_forgotten);
	r->is_rst = true;
}

static inline void lower_forget(struct end e)
{
	struct rig *r = e.carrier;

	assert_false(r->is_forgotten);
	r->is_forgotten = true;
	r->wrap = NULL;
}

static const struct end_ops lower_ops = {
	.set_user = lower_set_user,
	.reserve = lower_reserve,
	.commit = lower_commit,
	.want = lower_want,
	.consume = lower_consume,
	.fin = lower_fin,
	.rst = lower_rst,
	.forget = lower_forget,
};

/* -- the user -- */

static inline void user_on_data(struct end_user *u, struct span data)
{
	struct rig *r = container_of(u, struct rig, user);
	size_t n;

	assert_false(r->has_fin || r->has_rst);
	assert_true(data.len > 0);
	while (buf_add(&r->down, data) != 0)
		assert_true(fail_at == 0 || buf_len(&r->down) + data.len <= BUF_MAX);
	r->n_owed += data.len;
	r->n_owed_max = r->n_owed > r->n_owed_max ? r->n_owed : r->n_owed_max;
	if (r->resets_in_data) {
		end_rst(r->e);
		end_forget(r->e);
		r->has_rst = true;
		return;
	}
	n = r->is_lazy ? 0 : rnd(r) % (r->n_owed + 1);
	if (n > 0) {
		r->n_owed -= n;
		end_consume(r->e, n);
	}
}

static inline void user_on_fin(struct end_user *u)
{
	struct rig *r = container_of(u, struct rig, user);

	assert_false(r->has_fin || r->has_rst);
	r->has_fin = true;
}

static inline void user_on_rst(struct end_user *u)
{
	struct rig *r = container_of(u, struct rig, user);

	assert_false(r->has_rst);
	r->has_rst = true;
}

/* Say up to @max bytes, as a relay does. */
static inline void user_say(struct rig *r, size_t max)
{
	uint8_t *dst;
	size_t cap, n;

	while (buf_len(&r->to_send) > 0 && max > 0 && !r->has_rst) {
		if (end_reserve(r->e, &dst, &cap) != 0) {
			r->is_asking = true;
			return;
		}
		n = rnd(r) % (cap < max ? cap : max) + 1;
		n = span_head(buf_span(&r->to_send), n).len;
		if (rnd(r) % 8 == 0)
			n = 0; /* nothing came */
		memcpy(dst, buf_span(&r->to_send).p, n);
		buf_eat(&r->to_send, n);
		max -= n;
		end_commit(r->e, n);
	}
	if (buf_len(&r->to_send) > 0) {
		r->is_asking = true;
		end_want(r->e);
	}
}

static inline void user_on_turn(struct end_user *u, size_t quantum)
{
	struct rig *r = container_of(u, struct rig, user);

	assert_true(quantum > 0);
	assert_true(r->is_asking); /* nobody else is called */
	r->is_asking = false;
	r->n_turns++;
	user_say(r, quantum);
}

static const struct end_user_ops user_ops = {
	.on_data = user_on_data,
	.on_fin = user_on_fin,
	.on_rst = user_on_rst,
	.on_turn = user_on_turn,
};

/* -- the rig -- */

struct kind {
	bool enc, comp;
	uint64_t rate;
};

static const struct kind kinds[] = {
	{ true, false, 0 },	  { false, true, 0 },	  { true, true, 0 },
	{ false, false, 400000 }, { true, true, 400000 },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static inline int rig_init(struct rig *r, const struct kind *k, struct bucket *bucket,
			   uint32_t seed)
{
	struct wrap_params p = {
		.name = "ssh",
		.use_encryption = k->enc,
		.use_compression = k->comp,
		.secret = span_str(SECRET),
		.bucket = bucket,
	};
	struct end lower = { .ops = &lower_ops, .carrier = r };
	static const uint8_t iv[16] = { 1, 2, 3 };
	struct loop *loop = r->loop;
	unsigned fail = fail_at;
	int err;

	memset(r, 0, sizeof(*r));
	r->loop = loop;
	r->seed = seed;
	r->credit = WINDOW;
	r->host.loop = loop;
	list_init(&r->host.wraps);
	buf_init(&r->up_wire, BUF_MAX);
	buf_init(&r->down_wire, BUF_MAX);
	buf_init(&r->to_send, BUF_MAX);
	buf_init(&r->down, BUF_MAX);
	r->user.ops = &user_ops;
	fail_at = 0;
	if (k->enc)
		assert_int_equal(cfb_new(&r->cfb, span_str(SECRET), iv), 0);
	if (k->comp)
		assert_int_equal(snappy_new(&r->snappy), 0);
	fail_at = fail;
	err = wrap_new(&r->host, lower, &p, &r->e);
	if (err == 0)
		end_set_user(r->e, &r->user);
	return err;
}

static inline void rig_deinit(struct rig *r)
{
	assert_true(list_is_empty(&r->host.wraps));
	(void) layer_free(r->cfb);
	(void) layer_free(r->snappy);
	buf_deinit(&r->up_wire);
	buf_deinit(&r->down_wire);
	buf_deinit(&r->to_send);
	buf_deinit(&r->down);
}

/* The loop's tasks and timers that are due. */
static inline void spin(struct rig *r)
{
	(void) uv_run(&r->loop->uv, UV_RUN_NOWAIT); /* whether handles are left */
}

/* Half of it compresses. */
static inline void fill(struct rig *r, struct buf *b, size_t n)
{
	while (n > 0) {
		size_t len = rnd(r) % 5000 + 1, i;
		bool is_dull = rnd(r) % 2 == 0;
		uint8_t *p;

		len = len < n ? len : n;
		assert_int_equal(buf_reserve(b, len, &p), 0);
		for (i = 0; i < len; i++)
			p[i] = (uint8_t) (is_dull ? (uint32_t) "abcdefgh"[i % 8] : rnd(r));
		buf_commit(b, len);
		n -= len;
	}
}

/* The server says @plain, in writes of random size, each flushed. */
static inline void server_encode(struct rig *r, struct span plain)
{
	while (plain.len > 0) {
		struct span piece = span_head(plain, rnd(r) % 40000 + 1);
		struct buf mid;

		buf_init(&mid, BUF_MAX);
		plain = span_skip(plain, piece.len);
		if (r->snappy != NULL)
			assert_int_equal(layer_encode(r->snappy, piece, &mid), 0);
		else
			assert_int_equal(buf_add(&mid, piece), 0);
		if (r->cfb != NULL)
			assert_int_equal(layer_encode(r->cfb, buf_span(&mid), &r->down_wire), 0);
		else
			assert_int_equal(buf_add(&r->down_wire, buf_span(&mid)), 0);
		buf_deinit(&mid);
	}
}

/* What the server reads of the wrap's bytes. */
static inline void server_decode(struct rig *r, struct span wire, struct buf *out)
{
	uint8_t mid[8192], plain[8192];

	while (wire.len > 0) {
		struct span in = span_head(wire, sizeof(mid)), s = in;
		size_t n = 1;

		wire = span_skip(wire, in.len);
		if (r->cfb != NULL) {
			assert_int_equal(layer_decode(r->cfb, &in, mid, sizeof(mid), &n), 0);
			s = span_of(mid, n);
		}
		if (r->snappy == NULL)
			assert_int_equal(buf_add(out, s), 0);
		for (n = 1; r->snappy != NULL && (s.len > 0 || n > 0);) {
			assert_int_equal(layer_decode(r->snappy, &s, plain, sizeof(plain), &n), 0);
			assert_int_equal(buf_add(out, span_of(plain, n)), 0);
		}
	}
}

static inline void deliver(struct rig *r, size_t max)
{
	struct span s = span_head(buf_span(&r->down_wire), max < r->credit ? max : r->credit);
	uint8_t *copy;

	if (s.len == 0 || r->wrap == NULL || r->is_rst)
		return;
	copy = malloc(s.len); /* valid inside the call only */
	assert_non_null(copy);
	memcpy(copy, s.p, s.len);
	buf_eat(&r->down_wire, s.len);
	r->credit -= s.len;
	r->wrap->ops->on_data(r->wrap, span_of(copy, s.len));
	free(copy);
}

static inline void give_turn(struct rig *r)
{
	if (!r->is_waiting || r->is_stuck || r->wrap == NULL)
		return;
	r->is_waiting = false;
	r->wrap->ops->on_turn(r->wrap, rnd(r) % 2 == 0 ? LIMIT_TURN_NEW : LIMIT_TURN);
}

static inline void consume(struct rig *r, size_t n)
{
	if (n == 0 || r->has_rst)
		return;
	r->n_owed -= n;
	end_consume(r->e, n);
}

static inline void step(struct rig *r)
{
	r->is_stuck = rnd(r) % 8 == 0;
	switch (rnd(r) % 4) {
	case 0: deliver(r, rnd(r) % 3 == 0 ? rnd(r) % 40 + 1 : rnd(r) % 70000 + 1); break;
	case 1: give_turn(r); break;
	case 2: consume(r, rnd(r) % (r->n_owed + 1)); break;
	default:
		if (!r->is_asking)
			user_say(r, LIMIT_TURN);
	}
	spin(r);
}

static inline bool is_done(struct rig *r, size_t n_down)
{
	return buf_len(&r->to_send) == 0 && buf_len(&r->down) == n_down && r->n_owed == 0;
}

static inline struct loop *new_loop(void)
{
	struct loop *l = NULL;

	assert_int_equal(loop_new(&l, /* log= */ NULL), 0);
	return l;
}

static inline void assert_same(struct span a, struct span b)
{
	assert_int_equal(a.len, b.len);
	if (a.len > 0)
		assert_memory_equal(a.p, b.p, a.len);
}
