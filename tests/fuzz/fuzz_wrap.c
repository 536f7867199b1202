/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_wrap.c - layers between a lower end and a user who both do whatever they may, and a server
 * that says anything. Credit is given for what was received and for nothing else; what the user
 * committed is what the server can decode. The input is a list of steps, behind one byte that picks
 * the layers. */
#include "agent/base/loop.h"
#include "agent/net/wrap.h"
#include "proto/base/buf.h"
#include "proto/wire/cfb.h"
#include "proto/wire/snappy.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "key"
#define WIRE_MAX (1 << 20)
#define SAID_MAX (WIRE_MAX / 2)
#define WINDOW ((size_t) 256 * 1024)

struct rig {
	/* the lower end */
	struct end_user *wrap;
	uint8_t place[64];
	bool is_open, is_waiting, is_stuck, is_fin, is_rst, is_forgotten;
	uint64_t received, credited; /* wire bytes */
	struct buf up;		     /* what the wrap sent */
	/* the user */
	struct end e;
	struct end_user user;
	uint64_t owed;
	bool is_asking, has_fin, has_rst, gave_up;
	uint8_t in_data; /* what it does when it is handed data */
	struct buf said;
	/* the server's layers */
	struct layer *cfb, *snappy;
};

/* -- the lower end -- */

static struct rig *rig_of(struct end e)
{
	return e.carrier;
}

static void lower_set_user(struct end e, struct end_user *u)
{
	rig_of(e)->wrap = u;
}

static int lower_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	struct rig *r = rig_of(e);

	MUST(!r->is_open && !r->is_fin && !r->is_forgotten);
	if (r->is_stuck) {
		r->is_waiting = true;
		return END_E_WAIT;
	}
	r->is_open = true;
	*ret_dst = r->place;
	*ret_cap = sizeof(r->place);
	return 0;
}

static void lower_commit(struct end e, size_t n)
{
	struct rig *r = rig_of(e);

	MUST(r->is_open && n <= sizeof(r->place));
	r->is_open = false;
	MUST(buf_add(&r->up, span_of(r->place, n)) == 0);
}

static void lower_want(struct end e)
{
	rig_of(e)->is_waiting = true;
}

static void lower_consume(struct end e, size_t n)
{
	struct rig *r = rig_of(e);

	MUST(!r->is_rst && !r->is_forgotten);
	r->credited += n;
	MUST(r->credited <= r->received);
}

static void lower_fin(struct end e)
{
	struct rig *r = rig_of(e);

	MUST(!r->is_open && !r->is_fin && !r->is_rst && !r->is_forgotten);
	r->is_fin = true;
}

static void lower_rst(struct end e)
{
	struct rig *r = rig_of(e);

	MUST(!r->is_forgotten);
	r->is_rst = true;
}

static void lower_forget(struct end e)
{
	struct rig *r = rig_of(e);

	MUST(!r->is_forgotten);
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

static void give_up(struct rig *r)
{
	if (!r->gave_up) {
		r->gave_up = true;
		end_forget(r->e);
	}
}

static void consume(struct rig *r, uint64_t n)
{
	n = n < r->owed ? n : r->owed;
	r->owed -= n;
	if (n > 0 && !r->gave_up)
		end_consume(r->e, (size_t) n);
}

static void user_on_data(struct end_user *u, struct span data)
{
	struct rig *r = container_of(u, struct rig, user);

	MUST(!r->has_fin && !r->has_rst && !r->gave_up && data.len > 0);
	r->owed += data.len;
	switch (r->in_data % 8) {
	case 0: consume(r, r->owed); break;
	case 1: consume(r, 1); break;
	case 2: end_fin(r->e); break;
	case 3:
		end_rst(r->e);
		r->has_rst = true;
		break;
	case 4: give_up(r); break;
	default: break; /* later */
	}
}

static void user_on_fin(struct end_user *u)
{
	struct rig *r = container_of(u, struct rig, user);

	MUST(!r->has_fin && !r->has_rst && !r->gave_up);
	r->has_fin = true;
}

static void user_on_rst(struct end_user *u)
{
	struct rig *r = container_of(u, struct rig, user);

	MUST(!r->has_rst && !r->gave_up);
	r->has_rst = true;
}

static void say(struct rig *r, size_t n)
{
	uint8_t *dst;
	size_t cap;

	if (r->gave_up || r->has_rst || buf_len(&r->said) > SAID_MAX)
		return;
	if (end_reserve(r->e, &dst, &cap) != 0) {
		r->is_asking = true;
		return;
	}
	n = n < cap ? n : cap;
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t) (i % 7 + n);
	MUST(buf_add(&r->said, span_of(dst, n)) == 0);
	end_commit(r->e, n);
}

static void user_on_turn(struct end_user *u, size_t quantum)
{
	struct rig *r = container_of(u, struct rig, user);

	MUST(quantum > 0 && r->is_asking && !r->gave_up);
	r->is_asking = false;
	say(r, quantum);
}

static const struct end_user_ops user_ops = {
	.on_data = user_on_data,
	.on_fin = user_on_fin,
	.on_rst = user_on_rst,
	.on_turn = user_on_turn,
};

/* -- the server -- */

static void deliver(struct rig *r, struct span bytes)
{
	if (r->wrap == NULL || r->is_rst || bytes.len > WINDOW - (r->received - r->credited))
		return;
	r->received += bytes.len;
	r->wrap->ops->on_data(r->wrap, bytes);
}

/* @plain as the peer's layers write it. */
static void deliver_encoded(struct rig *r, struct span plain)
{
	struct buf mid, wire;

	buf_init(&mid, WIRE_MAX);
	buf_init(&wire, WIRE_MAX);
	MUST((r->snappy != NULL ? layer_encode(r->snappy, plain, &mid) : buf_add(&mid, plain)) ==
	     0);
	MUST((r->cfb != NULL ? layer_encode(r->cfb, buf_span(&mid), &wire)
			     : buf_add(&wire, buf_span(&mid))) == 0);
	deliver(r, buf_span(&wire));
	buf_deinit(&mid);
	buf_deinit(&wire);
}

/* All of @in through @l, or as it is without one. */
static void decode_all(struct layer *l, struct span in, struct buf *out)
{
	uint8_t dst[4096];
	size_t n = 1;

	if (l == NULL) {
		MUST(buf_add(out, in) == 0);
		return;
	}
	while (in.len > 0 || n > 0) {
		MUST(layer_decode(l, &in, dst, sizeof(dst), &n) == 0);
		MUST(buf_add(out, span_of(dst, n)) == 0);
	}
}

/* What was sent is a beginning of what was said; all of it when it ended well. */
static void check_up(struct rig *r)
{
	struct buf mid, plain;

	buf_init(&mid, WIRE_MAX);
	buf_init(&plain, WIRE_MAX);
	decode_all(r->cfb, buf_span(&r->up), &mid);
	decode_all(r->snappy, buf_span(&mid), &plain);
	MUST(buf_len(&plain) <= buf_len(&r->said));
	MUST(!r->is_fin || buf_len(&plain) == buf_len(&r->said));
	fuzz_must_be_equal(buf_span(&plain), span_head(buf_span(&r->said), buf_len(&plain)));
	buf_deinit(&mid);
	buf_deinit(&plain);
}

/* -- steps -- */

static struct loop *the_loop(void)
{
	static struct loop *loop;

	if (loop == NULL)
		MUST(loop_new(&loop, /* log= */ NULL) == 0);
	return loop;
}

static void turn(struct rig *r, size_t quantum)
{
	if (r->wrap == NULL || r->is_rst || !r->is_waiting)
		return;
	r->is_waiting = false;
	r->wrap->ops->on_turn(r->wrap, quantum);
}

static void user_step(struct rig *r, uint8_t what, uint8_t arg)
{
	if (r->gave_up)
		return;
	switch (what % 6) {
	case 0: say(r, (size_t) arg * 64); break;
	case 1: consume(r, arg == 255 ? r->owed : arg); break;
	case 2:
		if (!r->has_rst)
			end_fin(r->e);
		break;
	case 3:
		r->is_asking = true;
		end_want(r->e);
		break;
	case 4:
		end_rst(r->e);
		r->has_rst = true;
		break;
	default: give_up(r); break;
	}
}

static void step(struct rig *r, struct span *in)
{
	uint8_t what = fuzz_take_byte(in), arg = fuzz_take_byte(in);
	struct span body = span_head(*in, arg);

	switch (what % 8) {
	case 0: /* anything */
		*in = span_skip(*in, body.len);
		deliver(r, body);
		break;
	case 1: /* something that can be read */
		*in = span_skip(*in, body.len);
		if (body.len > 0)
			deliver_encoded(r, body);
		break;
	case 2: /* the end, once */
		if (r->wrap != NULL && !r->is_rst && arg == 1)
			r->wrap->ops->on_fin(r->wrap);
		else if (r->wrap != NULL && !r->is_rst && arg == 2) {
			r->is_rst = true;
			r->wrap->ops->on_rst(r->wrap);
		}
		break;
	case 3: user_step(r, what / 8, arg); break;
	case 4: r->in_data = arg; break;
	case 5: r->is_stuck = arg % 2 != 0; break;
	case 6: turn(r, (size_t) arg + 1); break;
	default: (void) uv_run(&the_loop()->uv, UV_RUN_NOWAIT); break;
	}
}

/* The user goes; a wrap that has something to send stays until it is sent. */
static void finish(struct rig *r)
{
	r->in_data = 0;
	give_up(r);
	r->is_stuck = false;
	for (unsigned i = 0; i < 5000 && !r->is_forgotten; i++) {
		r->is_waiting = true;
		turn(r, LIMIT_TURN);
		(void) uv_run(&the_loop()->uv, UV_RUN_NOWAIT);
	}
	MUST(r->is_forgotten);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t iv[16] = { 1, 2, 3 };
	struct span in = span_of(data, size);
	uint8_t layers = fuzz_take_byte(&in) % 3 + 1;
	struct wrap_host host = { .loop = the_loop() };
	struct wrap_params p = { .name = "p",
				 .use_encryption = (layers & 1) != 0,
				 .use_compression = (layers & 2) != 0,
				 .secret = span_str(SECRET) };
	struct rig r = { .user.ops = &user_ops };
	struct end lower = { .ops = &lower_ops, .carrier = &r };
	bool has_fin = false;

	if (size > 4096)
		return 0;
	list_init(&host.wraps);
	buf_init(&r.up, WIRE_MAX);
	buf_init(&r.said, WIRE_MAX);
	MUST((layers & 1) == 0 || cfb_new(&r.cfb, span_str(SECRET), iv) == 0);
	MUST((layers & 2) == 0 || snappy_new(&r.snappy) == 0);
	MUST(wrap_new(&host, lower, &p, &r.e) == 0);
	end_set_user(r.e, &r.user);
	while (in.len > 0) {
		has_fin = has_fin || (in.len > 1 && in.p[0] % 8 == 2 && in.p[1] == 1);
		step(&r, &in);
		if (has_fin)
			break; /* nothing comes behind it but what the end of this does */
	}
	finish(&r);
	check_up(&r);
	MUST(list_is_empty(&host.wraps));
	(void) layer_free(r.cfb);    /* always NULL */
	(void) layer_free(r.snappy); /* always NULL */
	buf_deinit(&r.up);
	buf_deinit(&r.said);
	return 0;
}
