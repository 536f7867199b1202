/* SPDX-License-Identifier: Apache-2.0 */
/* outq.h - bytes waiting for a socket, in pooled chunks: memory is held only while bytes are in it.
 * Floor 4. */
#pragma once
#include <stddef.h>

#include <uv.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/base/span.h"

struct loop;

/* invariant: n_bytes <= max; a chunk in the list is never empty */
struct outq {
	/* read-only */
	size_t n_bytes;
	/* private */
	struct loop *loop;
	size_t max;
	struct list chunks;
};

void outq_init(struct outq *q, struct loop *l, size_t max);
/* The chunks go back to the pool. */
void outq_deinit(struct outq *q);
/* Append a copy of all of @s. 0, -ENOMEM, or OUTQ_E_FULL; nothing is taken then. */
enum { OUTQ_E_FULL = 1 };
int outq_add(struct outq *q, struct span s);
/* The front of the queue for a gathering write: fills up to @n buffers, returns how many. They stay
 * valid, whatever is added behind them, until they are eaten. */
size_t outq_peek(const struct outq *q, uv_buf_t *bufs, size_t n);
/* The first @n bytes have left; @n <= n_bytes. */
void outq_eat(struct outq *q, size_t n);
