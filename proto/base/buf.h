/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a byte queue with a hard maximum, for parsers and messages; payload never goes through
 * it. Floor 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

/* invariant: start <= end <= cap <= max */
struct buf {
	/* private */
	uint8_t *data;
	size_t start, end, cap, max;
};

enum { BUF_E_FULL = 1 };

/* Nothing is allocated before the first byte. @max is the hard maximum of unread bytes. */
void buf_init(struct buf *b, size_t max);
/* Wipes (it may hold secrets) and frees; init state again, with the same maximum. */
void buf_deinit(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* The unread bytes; valid until the next call that changes @b. */
static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->data != NULL ? b->data + b->start : NULL, b->end - b->start);
}

/* Append a copy. 0, -ENOMEM, or BUF_E_FULL (nothing taken). */
int buf_add(struct buf *b, struct span s);
/* Room for exactly @n more bytes at *ret_p, to be written and then committed with buf_commit(@n or
 * less). 0, -ENOMEM, BUF_E_FULL. */
int buf_reserve(struct buf *b, size_t n, uint8_t **ret_p);
void buf_commit(struct buf *b, size_t n);
/* Drop the first @n unread bytes; @n <= buf_len(). Memory is kept for reuse. */
void buf_eat(struct buf *b, size_t n);
/* Take back what was appended last, so that @len unread bytes are left; @len <= buf_len(). */
void buf_cut(struct buf *b, size_t len);
