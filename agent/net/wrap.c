/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.c - layers between a user connection and what carries it. Floor 4.
 *
 *   OPEN --lower RST, end_rst, a layer fails--> over: nothing passes, only end_forget() is left
 *     |---end_forget() with nothing pending---> gone
 *     +---end_forget() behind an end_fin()----> lingers until what is pending has left, then gone
 */
#include "agent/net/wrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/outq.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/wire/cfb.h"
#include "proto/wire/prim.h"
#include "proto/wire/snappy.h"

#define PIECE LIMIT_TURN /* plain bytes taken at once, and wire bytes decoded at once */
/* Compressed bytes decoded at once: 64 plain bytes may come of 3, so up to 88 KiB of this, and the
 * chunk that was gathered before. */
#define PIECE_COMPRESSED 4096
#define PENDING_MAX (PRIM_AES_BLOCK + SNAPPY_ROOM(PIECE)) /* the wire bytes of one piece */

struct wrap {
	struct end_user user; /* of lower */
	struct wrap_host *host;
	struct list link; /* in host */
	struct end lower;
	struct end_user *upper;	    /* NULL: not known yet, or it forgot us */
	struct layer *cfb, *snappy; /* owned; NULL: not asked for */
	struct bucket *bucket;	    /* NULL: no limit */
	struct bucket_waiter up_waiter, down_waiter;
	struct loop_task task;
	struct timer timer; /* of a lingering one */
	unsigned n_busy;    /* callbacks under way: not freed below them */
	bool is_over, is_rst_due, is_forgotten, is_gone;
	/* up */
	uint8_t *scratch; /* given out by reserve */
	struct buf pending;
	bool is_turn_wanted; /* by the upper user */
	bool is_fin_due, is_fin_sent;
	/* down */
	struct outq held;
	uint64_t wire_owed, plain_owed;
	bool is_fin_held, is_fin_told;
	char name[80];
};

/* -- life -- */

static void wrap_free(struct wrap *w)
{
	list_del(&w->link);
	loop_task_cancel(&w->task);
	timer_stop(&w->timer);
	bucket_leave(&w->up_waiter);
	bucket_leave(&w->down_waiter);
	free(w->scratch);
	buf_deinit(&w->pending);
	outq_deinit(&w->held);
	(void) layer_free(w->cfb);    /* always NULL */
	(void) layer_free(w->snappy); /* always NULL */
	free(w);
}

static void wrap_enter(struct wrap *w)
{
	w->n_busy++;
}

static void wrap_leave(struct wrap *w)
{
	if (--w->n_busy == 0 && w->is_gone)
		wrap_free(w);
}

/* Nothing passes any more. */
static void wrap_end(struct wrap *w)
{
	w->is_over = true;
	bucket_leave(&w->up_waiter);
	bucket_leave(&w->down_waiter);
	buf_deinit(&w->pending);
	outq_deinit(&w->held);
}

/* The upper user forgot us, and nothing is left to do. */
static void wrap_close(struct wrap *w)
{
	if (w->is_gone)
		return;
	w->is_gone = true;
	wrap_end(w);
	end_forget(w->lower);
	if (w->n_busy == 0)
		wrap_free(w);
}

/* A layer failed: the user hears of it from the loop. */
static void wrap_fail(struct wrap *w, const char *why)
{
	if (w->is_over)
		return;
	log_debug(w->host->log, "payload cannot be passed on, connection reset", "proxy", w->name,
		  "why", why);
	wrap_end(w);
	end_rst(w->lower);
	w->is_rst_due = true;
	loop_task_queue(w->host->loop, &w->task);
}

/* -- up: to the server -- */

/* The wire bytes of @plain to w->pending, which is empty. 0 or -ENOMEM. */
static int wrap_encode(struct wrap *w, struct span plain)
{
	struct buf mid;
	int err;

	if (w->cfb == NULL && w->snappy == NULL)
		return buf_add(&w->pending, plain);
	if (w->snappy == NULL)
		return layer_encode(w->cfb, plain, &w->pending);
	if (w->cfb == NULL)
		return layer_encode(w->snappy, plain, &w->pending);
	buf_init(&mid, PENDING_MAX);
	err = layer_encode(w->snappy, plain, &mid);
	if (err == 0)
		err = layer_encode(w->cfb, buf_span(&mid), &w->pending);
	buf_deinit(&mid);
	return err;
}

/* Hand on what is pending, up to @quantum bytes; returns how many went. What is left goes on by
 * itself: with a turn of the lower end, or with tokens. */
static size_t wrap_push(struct wrap *w, size_t quantum)
{
	size_t n_all = 0, n, n_tokens, cap;
	uint8_t *dst;

	while (buf_len(&w->pending) > 0 && n_all < quantum) {
		n = span_head(buf_span(&w->pending), quantum - n_all).len;
		n_tokens = w->bucket != NULL ? bucket_take(w->bucket, &w->up_waiter, n) : n;
		if (n_tokens == 0)
			return n_all;
		n = 0;
		if (end_reserve(w->lower, &dst, &cap) == 0) {
			n = n_tokens < cap ? n_tokens : cap;
			memcpy(dst, buf_span(&w->pending).p, n);
			end_commit(w->lower, n);
			buf_eat(&w->pending, n);
			n_all += n;
		}
		if (w->bucket != NULL)
			bucket_give_back(w->bucket, n_tokens - n);
		if (n == 0)
			return n_all;
	}
	if (buf_len(&w->pending) > 0) {
		end_want(w->lower);
		return n_all;
	}
	buf_deinit(&w->pending);
	if (w->is_fin_due && !w->is_fin_sent) {
		w->is_fin_sent = true;
		end_fin(w->lower);
		if (w->is_forgotten)
			wrap_close(w);
	}
	return n_all;
}

/* The same without a turn; the upper user gets one when all has left. */
static void wrap_push_unasked(struct wrap *w)
{
	if (w->is_over)
		return;
	(void) wrap_push(w, PIECE); /* what is left goes on by itself */
	if (!w->is_over && buf_len(&w->pending) == 0 && w->is_turn_wanted)
		end_want(w->lower);
}

static void wrap_on_turn(struct end_user *u, size_t quantum)
{
	struct wrap *w = container_of(u, struct wrap, user);
	size_t n;

	if (w->is_over)
		return;
	wrap_enter(w);
	n = wrap_push(w, quantum);
	if (w->is_over || buf_len(&w->pending) > 0 || !w->is_turn_wanted || w->upper == NULL) {
		/* nobody's turn */
	} else if (n >= quantum) {
		end_want(w->lower);
	} else {
		w->is_turn_wanted = false;
		w->upper->ops->on_turn(w->upper, quantum - n);
	}
	wrap_leave(w);
}

static void wrap_on_up_tokens(struct bucket_waiter *waiter)
{
	struct wrap *w = container_of(waiter, struct wrap, up_waiter);

	wrap_enter(w);
	wrap_push_unasked(w);
	wrap_leave(w);
}

static int wrap_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	struct wrap *w = e.item;

	if (w->is_over || w->is_fin_due)
		return END_E_WAIT; /* for ever: on_rst() follows, or the user has finished */
	if (buf_len(&w->pending) > 0) {
		w->is_turn_wanted = true;
		return END_E_WAIT;
	}
	if (w->scratch == NULL)
		w->scratch = malloc(PIECE);
	if (w->scratch == NULL) {
		wrap_fail(w, "out of memory");
		return END_E_WAIT;
	}
	*ret_dst = w->scratch;
	*ret_cap = PIECE;
	return 0;
}

static void wrap_commit(struct end e, size_t n)
{
	struct wrap *w = e.item;

	if (n > 0 && !w->is_over) {
		MUST(w->scratch != NULL && n <= PIECE);
		if (wrap_encode(w, span_of(w->scratch, n)) != 0)
			wrap_fail(w, "out of memory");
		else
			wrap_push_unasked(w);
	}
	free(w->scratch); /* most connections are silent most of the time */
	w->scratch = NULL;
}

static void wrap_want(struct end e)
{
	struct wrap *w = e.item;

	if (w->is_over)
		return;
	w->is_turn_wanted = true;
	if (buf_len(&w->pending) == 0)
		end_want(w->lower);
}

static void wrap_fin(struct end e)
{
	struct wrap *w = e.item;

	if (w->is_over || w->is_fin_due)
		return;
	w->is_fin_due = true;
	if (buf_len(&w->pending) > 0)
		return;
	w->is_fin_sent = true;
	end_fin(w->lower);
}

/* -- down: from the server -- */

static bool wrap_takes(const struct wrap *w)
{
	return !w->is_over && w->upper != NULL && w->plain_owed < WRAP_OWED_MAX;
}

static void hand_up(struct wrap *w, struct span plain)
{
	if (plain.len == 0 || w->is_over || w->upper == NULL)
		return;
	w->plain_owed += plain.len;
	w->upper->ops->on_data(w->upper, plain);
}

/* Decompress all of @in and hand it up. */
static void wrap_decompress(struct wrap *w, struct span in)
{
	uint8_t plain[PIECE];
	size_t n = 1;
	int err;

	while (!w->is_over && (in.len > 0 || n > 0)) {
		err = layer_decode(w->snappy, &in, plain, sizeof(plain), &n);
		if (err != 0) {
			wrap_fail(w, err < 0 ? "out of memory" : w->snappy->why);
			return;
		}
		hand_up(w, span_of(plain, n));
	}
}

/* Decode all of @in, at most PIECE wire bytes. */
static void wrap_decode(struct wrap *w, struct span in)
{
	uint8_t mid[PIECE];
	size_t n;

	w->wire_owed += in.len;
	if (w->cfb != NULL) {
		if (layer_decode(w->cfb, &in, mid, sizeof(mid), &n) != 0) {
			wrap_fail(w, "out of memory");
			return;
		}
		MUST(in.len == 0); /* no more comes out than went in, and there was room for that */
		in = span_of(mid, n);
	}
	if (w->snappy != NULL)
		wrap_decompress(w, in);
	else
		hand_up(w, in);
	if (!w->is_over && w->plain_owed == 0 && w->wire_owed > 0) {
		n = (size_t) w->wire_owed;
		w->wire_owed = 0;
		end_consume(w->lower, n); /* nothing came of them, or it is consumed already */
	}
}

/* How many of @n > 0 wire bytes may be decoded now: 0 to one piece. */
static size_t wrap_allowance(struct wrap *w, size_t n)
{
	size_t max = w->snappy != NULL ? PIECE_COMPRESSED : PIECE;

	n = n < max ? n : max;
	return w->bucket != NULL ? bucket_take(w->bucket, &w->down_waiter, n) : n;
}

static void wrap_tell_fin(struct wrap *w)
{
	if (w->is_over || w->upper == NULL || !w->is_fin_held || w->is_fin_told ||
	    w->held.n_bytes > 0)
		return;
	if (w->snappy != NULL && !snappy_is_whole(w->snappy)) {
		wrap_fail(w, "the stream ended inside a compressed chunk");
		return;
	}
	w->is_fin_told = true;
	w->upper->ops->on_fin(w->upper);
}

/* Decode what was held, as far as it goes now. */
static void wrap_run_held(struct wrap *w)
{
	uint8_t piece[PIECE];
	uv_buf_t front;
	size_t n;

	while (wrap_takes(w) && outq_peek(&w->held, &front, 1) > 0) {
		n = wrap_allowance(w, front.len);
		if (n == 0)
			return;
		memcpy(piece, front.base, n); /* a reset by the user frees the queue */
		outq_eat(&w->held, n);
		wrap_decode(w, span_of(piece, n));
	}
	wrap_tell_fin(w);
}

static void wrap_on_data(struct end_user *u, struct span data)
{
	struct wrap *w = container_of(u, struct wrap, user);
	size_t n;

	if (w->is_over)
		return;
	if (w->is_forgotten) {
		end_consume(w->lower, data.len);
		return;
	}
	wrap_enter(w);
	while (data.len > 0 && w->held.n_bytes == 0 && wrap_takes(w)) {
		n = wrap_allowance(w, data.len);
		if (n == 0)
			break;
		wrap_decode(w, span_head(data, n));
		data = span_skip(data, n);
	}
	if (data.len > 0 && !w->is_over && w->is_forgotten)
		end_consume(w->lower, data.len);
	else if (data.len > 0 && !w->is_over && outq_add(&w->held, data) != 0)
		wrap_fail(w, "no room for what the server sent");
	wrap_leave(w);
}

static void wrap_on_fin(struct end_user *u)
{
	struct wrap *w = container_of(u, struct wrap, user);

	wrap_enter(w);
	w->is_fin_held = true;
	wrap_tell_fin(w);
	wrap_leave(w);
}

static void wrap_on_rst(struct end_user *u)
{
	struct wrap *w = container_of(u, struct wrap, user);

	wrap_enter(w);
	wrap_end(w);
	if (w->is_forgotten)
		wrap_close(w);
	else if (w->upper != NULL && !w->is_rst_due)
		w->upper->ops->on_rst(w->upper);
	else
		w->is_rst_due = true;
	wrap_leave(w);
}

static void wrap_on_down_tokens(struct bucket_waiter *waiter)
{
	struct wrap *w = container_of(waiter, struct wrap, down_waiter);

	wrap_enter(w);
	wrap_run_held(w);
	wrap_leave(w);
}

static void wrap_consume(struct end e, size_t n)
{
	struct wrap *w = e.item;
	uint64_t give;

	MUST(n <= w->plain_owed);
	give = n == w->plain_owed ? w->wire_owed : w->wire_owed * n / w->plain_owed;
	w->plain_owed -= n;
	w->wire_owed -= give;
	if (w->is_over)
		return;
	if (give > 0)
		end_consume(w->lower, (size_t) give);
	if (w->held.n_bytes > 0 && w->plain_owed < WRAP_OWED_MAX)
		loop_task_queue(w->host->loop, &w->task);
}

/* -- both -- */

/* At the end of a turn: what could not be told or done from inside a call. */
static void wrap_on_task(struct loop_task *t)
{
	struct wrap *w = container_of(t, struct wrap, task);

	wrap_enter(w);
	if (w->is_rst_due && w->upper != NULL) {
		w->is_rst_due = false;
		w->upper->ops->on_rst(w->upper);
	} else {
		wrap_run_held(w);
	}
	wrap_leave(w);
}

static void wrap_set_user(struct end e, struct end_user *u)
{
	struct wrap *w = e.item;

	w->upper = u;
	if (w->is_rst_due || w->is_fin_held || w->held.n_bytes > 0)
		loop_task_queue(w->host->loop, &w->task);
}

static void wrap_rst(struct end e)
{
	struct wrap *w = e.item;

	w->is_rst_due = false; /* it need not be told */
	if (w->is_over)
		return;
	wrap_end(w);
	end_rst(w->lower);
}

static void wrap_on_late(struct timer *t)
{
	struct wrap *w = container_of(t, struct wrap, timer);

	end_rst(w->lower);
	wrap_close(w);
}

static void wrap_forget(struct end e)
{
	struct wrap *w = e.item;
	size_t n = (size_t) w->wire_owed + w->held.n_bytes;

	w->upper = NULL;
	w->is_forgotten = true;
	loop_task_cancel(&w->task);
	if (w->is_over || !w->is_fin_due || w->is_fin_sent) {
		wrap_close(w);
		return;
	}
	/* What is left to send is one piece; it is sent without the limit, whose owner may go. */
	bucket_leave(&w->up_waiter);
	bucket_leave(&w->down_waiter);
	w->bucket = NULL;
	outq_deinit(&w->held);
	w->wire_owed = 0;
	if (n > 0)
		end_consume(w->lower, n);
	end_want(w->lower);
	timer_set(&w->timer, loop_now_ms(w->host->loop) + WAIT_LINGER_MS);
}

static const struct end_ops wrap_ops = {
	.set_user = wrap_set_user,
	.reserve = wrap_reserve,
	.commit = wrap_commit,
	.want = wrap_want,
	.consume = wrap_consume,
	.fin = wrap_fin,
	.rst = wrap_rst,
	.forget = wrap_forget,
};

/* -- making one -- */

static int wrap_add_layers(struct wrap *w, const struct wrap_params *p)
{
	uint8_t iv[PRIM_AES_BLOCK];
	int err = 0;

	if (p->use_encryption) {
		err = loop_random(iv, sizeof(iv));
		if (err == 0)
			err = cfb_new(&w->cfb, p->secret, iv);
	}
	if (err == 0 && p->use_compression)
		err = snappy_new(&w->snappy);
	return err;
}

int wrap_new(struct wrap_host *host, struct end lower, const struct wrap_params *p,
	     struct end *ret_e)
{
	static const struct end_user_ops user_ops = {
		.on_data = wrap_on_data,
		.on_fin = wrap_on_fin,
		.on_rst = wrap_on_rst,
		.on_turn = wrap_on_turn,
	};
	struct wrap *w;
	int err;

	if (!p->use_encryption && !p->use_compression && p->bucket == NULL) {
		*ret_e = lower;
		return 0;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->user.ops = &user_ops;
	w->host = host;
	w->lower = lower;
	w->bucket = p->bucket;
	(void) snprintf(w->name, sizeof(w->name), "%s", p->name); /* cut if long */
	list_init(&w->link);
	list_add_tail(&host->wraps, &w->link);
	loop_task_init(&w->task, wrap_on_task);
	timer_init(&w->timer, host->loop, wrap_on_late);
	bucket_waiter_init(&w->up_waiter, wrap_on_up_tokens);
	bucket_waiter_init(&w->down_waiter, wrap_on_down_tokens);
	buf_init(&w->pending, PENDING_MAX);
	outq_init(&w->held, host->loop, LIMIT_WINDOW_MAX);
	err = wrap_add_layers(w, p);
	if (err != 0) {
		wrap_free(w);
		return err;
	}
	end_set_user(lower, &w->user);
	*ret_e = (struct end){ .ops = &wrap_ops, .carrier = host, .item = w };
	return 0;
}

void wrap_abandon_all(struct wrap_host *host)
{
	struct list *l, *next;
	struct wrap *w;

	for (l = host->wraps.next; l != &host->wraps; l = next) {
		next = l->next;
		w = container_of(l, struct wrap, link);
		wrap_end(w);
		w->upper = NULL;
		w->is_gone = true;
		loop_task_cancel(&w->task);
		timer_stop(&w->timer);
		if (w->n_busy == 0)
			wrap_free(w);
	}
}
