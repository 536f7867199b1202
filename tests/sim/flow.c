/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - one end of a byte stream whose every byte is checked. Tests only. */
#include "tests/sim/flow.h"

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define FLOW_BLOCK 256

static bool flow_is_user(const struct flow *f)
{
	return f->kind != FLOW_SERVICE && f->kind != FLOW_SERVICE_ABORTS;
}

/* Byte i of a direction is this for the block it stands in, plus 7 i. */
static uint8_t flow_base(uint32_t id, bool is_up, uint32_t i)
{
	uint32_t x = (id * 2 + (is_up ? 1u : 0u)) * 2654435761u + (i / FLOW_BLOCK) * 40503u;

	return (uint8_t) (x >> 13);
}

/* How many of @len bytes from the @i-th on stand in one block. */
static size_t flow_run(uint32_t i, size_t len)
{
	size_t left = FLOW_BLOCK - i % FLOW_BLOCK;

	return left < len ? left : len;
}

static void flow_make(const struct flow *f, uint32_t i, uint8_t *dst, size_t len)
{
	while (len > 0) {
		uint8_t base = flow_base(f->id, flow_is_user(f), i);
		size_t n = flow_run(i, len);

		for (size_t k = 0; k < n; k++)
			dst[k] = (uint8_t) (base + (i + k) * 7);
		dst += n;
		len -= n;
		i += (uint32_t) n;
	}
}

static bool flow_is_right(const struct flow *f, uint32_t i, struct span in)
{
	while (in.len > 0) {
		uint8_t base = flow_base(f->id, !flow_is_user(f), i), wrong = 0;
		size_t n = flow_run(i, in.len);

		for (size_t k = 0; k < n; k++)
			wrong |= (uint8_t) (in.p[k] ^ (uint8_t) (base + (i + k) * 7));
		if (wrong != 0)
			return false;
		in = span_skip(in, n);
		i += (uint32_t) n;
	}
	return true;
}

uint32_t flow_size(struct env *e, uint32_t big_pct)
{
	if (env_chance(e, big_pct))
		return 1u << 20;
	return env_chance(e, 15) ? 65536 : 2000;
}

static void flow_init(struct flow *f)
{
	f->pause_ms = 1u << env_random(f->env, 10);
	f->due_ms = f->env->now_ms + env_random(f->env, f->pause_ms);
	f->abort_at = UINT32_MAX;
}

void flow_init_user(struct flow *f, uint32_t id, uint32_t n_up, uint32_t n_down)
{
	flow_init(f);
	f->id = id;
	f->tx_len = FLOW_HEAD + n_up;
	f->rx_len = n_down;
	bytes_put_u32(f->head, id);
	bytes_put_u32(f->head + 4, n_up);
	bytes_put_u32(f->head + 8, n_down);
	if (f->kind == FLOW_USER_ABORTS)
		f->abort_at = env_random(f->env, n_up + n_down + FLOW_HEAD);
}

struct span flow_take_first(struct flow *f)
{
	f->tx = f->tx_ready = FLOW_HEAD;
	return span_of(f->head, FLOW_HEAD);
}

void flow_init_service(struct flow *f, uint32_t id)
{
	flow_init(f);
	f->id = id;
	f->rx_len = UINT32_MAX; /* until the head is here */
	if (f->kind == FLOW_SERVICE_ABORTS)
		f->abort_at = env_random(f->env, 5000);
}

static void flow_end(struct flow *f, bool is_whole)
{
	f->is_over = true;
	f->is_whole = is_whole;
	f->due_ms = UINT64_MAX;
}

static void flow_forget(struct flow *f, bool is_whole)
{
	flow_end(f, is_whole);
	f->ops->forget(f->owner, f->handle);
}

/* It is no wonder when the other end is reset. */
static void flow_note_abort(struct flow *f)
{
	if (map_get(&f->env->aborts, f->id) == NULL)
		PROMISE(f->env, map_put(&f->env->aborts, f->id, f->env) == 0);
}

static void flow_abort_if_due(struct flow *f)
{
	if (f->is_over || f->rx + f->tx < f->abort_at)
		return;
	env_hit(f->env, flow_is_user(f) ? FAULT_USER_ABORT : FAULT_SERVICE_ABORT);
	flow_abort(f);
}

void flow_abort(struct flow *f)
{
	flow_note_abort(f);
	if (env_chance(f->env, 50)) /* else forgetting it does the same */
		f->ops->rst(f->owner, f->handle);
	flow_forget(f, false);
}

/* Take the head's bytes from *in; what follows belongs to the body. */
static void flow_take_head(struct flow *f, struct span *in)
{
	while (in->len > 0 && f->rx < FLOW_HEAD) {
		f->head[f->rx++] = in->p[0];
		*in = span_skip(*in, 1);
		if (f->rx < FLOW_HEAD)
			continue;
		PROMISE(f->env, f->id == bytes_get_u32(f->head));
		f->rx_len = FLOW_HEAD + bytes_get_u32(f->head + 4);
		f->tx_len = bytes_get_u32(f->head + 8);
	}
}

/* Its service forgets the stream as soon as it has sent its FIN: the machine waits for ours alone,
 * a minute. */
static bool flow_is_hasty(const struct flow *f)
{
	return f->id % 4 == 0;
}

/* Finish our direction and the stream when it is time. */
static void flow_finish(struct flow *f)
{
	bool is_sent = f->tx == f->tx_len && (flow_is_user(f) || f->rx == f->rx_len);

	if (f->is_over)
		return;
	if (f->kind == FLOW_USER_PATIENT)
		is_sent = is_sent && f->is_fin_seen;
	if (is_sent && !f->is_fin_sent) {
		f->ops->fin(f->owner, f->handle);
		f->is_fin_sent = true;
	}
	if (f->is_fin_sent && f->is_fin_seen)
		flow_forget(f, true);
	else if (f->is_fin_sent && f->kind == FLOW_SERVICE && flow_is_hasty(f))
		flow_forget(f, true);
}

/* Send what is ready, up to @max bytes. True: there is more. */
static bool flow_send(struct flow *f, size_t max)
{
	uint8_t *dst;
	size_t cap;

	while (!f->is_over && f->tx < f->tx_ready && max > 0) {
		size_t n_head;

		if (f->ops->reserve(f->owner, f->handle, &dst, &cap) != 0)
			return false; /* queued for a turn */
		PROMISE(f->env, cap >= 1 && cap <= LIMIT_BATCH);
		cap = cap < max ? cap : max;
		cap = cap < f->tx_ready - f->tx ? cap : f->tx_ready - f->tx;
		n_head = flow_is_user(f) && f->tx < FLOW_HEAD ? FLOW_HEAD - f->tx : 0;
		n_head = n_head < cap ? n_head : cap;
		memcpy(dst, f->head + (n_head > 0 ? f->tx : 0), n_head);
		flow_make(f, f->tx + (uint32_t) n_head, dst + n_head, cap - n_head);
		f->tx += (uint32_t) cap;
		f->ops->commit(f->owner, f->handle, cap);
		max -= cap;
	}
	return f->tx < f->tx_ready;
}

void flow_on_turn(struct flow *f, size_t quantum)
{
	PROMISE(f->env, !f->is_over);
	if (flow_send(f, quantum))
		f->ops->want(f->owner, f->handle);
	flow_finish(f);
}

void flow_on_data(struct flow *f, struct span data)
{
	PROMISE(f->env, !f->is_over && !f->is_fin_seen && data.len > 0);
	f->unconsumed += data.len;
	if (!flow_is_user(f))
		flow_take_head(f, &data);
	PROMISE(f->env, data.len <= f->rx_len - f->rx);
	PROMISE(f->env, flow_is_right(f, f->rx, data));
	f->rx += (uint32_t) data.len;
	flow_abort_if_due(f);
	if (!f->is_over && f->due_ms == UINT64_MAX)
		f->due_ms = f->env->now_ms + env_random(f->env, f->pause_ms);
}

void flow_on_fin(struct flow *f)
{
	PROMISE(f->env, !f->is_over && !f->is_fin_seen);
	if (f->is_visited && f->rx == 0) { /* the visitor did not wait for the answer */
		f->ops->fin(f->owner, f->handle);
		flow_forget(f, false);
		return;
	}
	PROMISE(f->env, f->rx == f->rx_len);
	f->is_fin_seen = true;
	flow_finish(f);
}

void flow_on_rst(struct flow *f)
{
	PROMISE(f->env, !f->is_over);
	/* Only who was aborted, or gave up waiting for our FIN, is reset. */
	PROMISE(f->env, map_get(&f->env->aborts, f->id) != NULL || flow_is_hasty(f));
	flow_forget(f, false);
}

void flow_on_loss(struct flow *f)
{
	if (!f->is_over)
		flow_end(f, false);
}

void flow_act(struct flow *f)
{
	size_t n = f->unconsumed;

	if (f->is_over)
		return;
	if (n > 0) {
		n = env_chance(f->env, 30) ? n : 1 + env_random(f->env, (uint32_t) n);
		f->ops->consume(f->owner, f->handle, n);
		f->unconsumed -= n;
	}
	if (f->tx_ready < f->tx_len) {
		uint32_t more = 1 + env_random(f->env, 1u << env_random(f->env, 18));

		f->tx_ready = more < f->tx_len - f->tx_ready ? f->tx_ready + more : f->tx_len;
		if (flow_send(f, env_chance(f->env, 50) ? 4096 : SIZE_MAX))
			f->ops->want(f->owner, f->handle);
	}
	flow_abort_if_due(f);
	flow_finish(f);
	if (!f->is_over)
		f->due_ms = f->unconsumed > 0 || f->tx_ready < f->tx_len
				    ? f->env->now_ms + 1 + env_random(f->env, f->pause_ms)
				    : UINT64_MAX;
}
