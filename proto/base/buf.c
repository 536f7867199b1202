/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - a byte queue with a hard maximum, for parsers and messages. Floor 0. */
#include "proto/base/buf.h"

#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"

#define BUF_FIRST 256 /* first allocation: a typical message */

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_deinit(struct buf *b)
{
	secret_wipe(b->data, b->cap);
	free(b->data);
	buf_init(b, b->max);
}

static void buf_compact(struct buf *b)
{
	size_t len = buf_len(b);

	memmove(b->data, b->data + b->start, len);
	b->start = 0;
	b->end = len;
}

/* Not realloc: the old block may hold secrets and has to be wiped. */
static int buf_grow(struct buf *b, size_t need)
{
	size_t len = buf_len(b);
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
	uint8_t *data;

	while (cap < need && cap <= b->max / 2)
		cap *= 2;
	if (cap < need || cap > b->max)
		cap = b->max;
	data = malloc(cap);
	if (data == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(data, b->data + b->start, len);
	secret_wipe(b->data, b->cap);
	free(b->data);
	b->data = data;
	b->cap = cap;
	b->start = 0;
	b->end = len;
	return 0;
}

int buf_reserve(struct buf *b, size_t n, uint8_t **ret_p)
{
	size_t len = buf_len(b);
	int r;

	if (n > b->max - len)
		return BUF_E_FULL;
	if (b->data == NULL || n > b->cap - b->end) {
		/* Compact only when that frees half of the block: else a full queue moves at every
		 * byte. */
		if (b->data != NULL && len + n <= b->cap &&
		    (b->start >= b->cap / 2 || b->cap == b->max)) {
			buf_compact(b);
		} else {
			r = buf_grow(b, len + n > b->cap ? len + n : b->cap + 1);
			if (r < 0)
				return r;
		}
	}
	*ret_p = b->data + b->end;
	return 0;
}

void buf_commit(struct buf *b, size_t n)
{
	MUST(n <= b->cap - b->end);
	b->end += n;
}

int buf_add(struct buf *b, struct span s)
{
	uint8_t *p;
	int r;

	if (s.len == 0)
		return 0;
	r = buf_reserve(b, s.len, &p);
	if (r != 0)
		return r;
	memcpy(p, s.p, s.len);
	buf_commit(b, s.len);
	return 0;
}

void buf_eat(struct buf *b, size_t n)
{
	MUST(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void buf_cut(struct buf *b, size_t len)
{
	MUST(len <= buf_len(b));
	secret_wipe(b->data != NULL ? b->data + b->start + len : NULL, buf_len(b) - len);
	b->end = b->start + len;
}
