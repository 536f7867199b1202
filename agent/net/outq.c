/* SPDX-License-Identifier: Apache-2.0 */
/* outq.c - a list of chunks; the loop keeps a few free ones. Floor 4. */
#include "agent/net/outq.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/loop.h"
#include "proto/base/err.h"

#define FREE_CHUNKS_MAX 32 /* 512 KiB kept for reuse; the rest is given back */
#define CHUNK_BYTES (LIMIT_CHUNK - sizeof(struct list) - 2 * sizeof(size_t))

/* The link comes first: loop_free() frees what is left in the pool. */
struct chunk {
	struct list link;
	size_t start, end;
	uint8_t bytes[CHUNK_BYTES];
};

void outq_init(struct outq *q, struct loop *l, size_t max)
{
	q->n_bytes = 0;
	q->loop = l;
	q->max = max;
	list_init(&q->chunks);
}

static struct chunk *chunk_new(struct loop *l)
{
	struct chunk *c;

	if (list_is_empty(&l->free_chunks)) {
		c = malloc(sizeof(*c));
		if (c == NULL)
			return NULL;
		list_init(&c->link);
	} else {
		/* the one freed last: it is in the caches, and the others stay untouched */
		c = container_of(l->free_chunks.prev, struct chunk, link);
		list_del(&c->link);
		l->n_free_chunks--;
	}
	c->start = 0;
	c->end = 0;
	return c;
}

static void chunk_free(struct loop *l, struct chunk *c)
{
	list_del(&c->link);
	if (l->n_free_chunks >= FREE_CHUNKS_MAX) {
		free(c);
		return;
	}
	list_add_tail(&l->free_chunks, &c->link);
	l->n_free_chunks++;
}

void outq_deinit(struct outq *q)
{
	while (!list_is_empty(&q->chunks))
		chunk_free(q->loop, container_of(q->chunks.next, struct chunk, link));
	q->n_bytes = 0;
}

/* Bytes of room in the last chunk. */
static size_t tail_room(const struct outq *q)
{
	if (list_is_empty(&q->chunks))
		return 0;
	return CHUNK_BYTES - container_of(q->chunks.prev, struct chunk, link)->end;
}

/* All memory first, so that a failure takes nothing. */
static int chunks_prepare(struct outq *q, size_t need, struct list *fresh)
{
	struct chunk *c;

	for (; need > 0; need -= need < CHUNK_BYTES ? need : CHUNK_BYTES) {
		c = chunk_new(q->loop);
		if (c == NULL) {
			while (!list_is_empty(fresh))
				chunk_free(q->loop, container_of(fresh->next, struct chunk, link));
			return -ENOMEM;
		}
		list_add_tail(fresh, &c->link);
	}
	return 0;
}

static struct span chunk_fill(struct chunk *c, struct span s)
{
	struct span part = span_head(s, CHUNK_BYTES - c->end);

	memcpy(c->bytes + c->end, part.p, part.len);
	c->end += part.len;
	return span_skip(s, part.len);
}

int outq_add(struct outq *q, struct span s)
{
	size_t room = tail_room(q);
	struct list fresh, *link;
	int err;

	if (s.len > q->max - q->n_bytes)
		return OUTQ_E_FULL;
	list_init(&fresh);
	err = chunks_prepare(q, s.len > room ? s.len - room : 0, &fresh);
	if (err != 0)
		return err;
	q->n_bytes += s.len;
	if (room > 0 && s.len > 0)
		s = chunk_fill(container_of(q->chunks.prev, struct chunk, link), s);
	while (!list_is_empty(&fresh)) {
		link = fresh.next;
		list_del(link);
		list_add_tail(&q->chunks, link);
		s = chunk_fill(container_of(link, struct chunk, link), s);
	}
	return 0;
}

size_t outq_peek(const struct outq *q, uv_buf_t *bufs, size_t n)
{
	const struct list *l;
	struct chunk *c;
	size_t i = 0;

	for (l = q->chunks.next; l != &q->chunks && i < n; l = l->next, i++) {
		c = container_of(l, struct chunk, link);
		bufs[i] = uv_buf_init((char *) c->bytes + c->start, (unsigned) (c->end - c->start));
	}
	return i;
}

void outq_eat(struct outq *q, size_t n)
{
	struct chunk *c;
	size_t part;

	MUST(n <= q->n_bytes);
	q->n_bytes -= n;
	while (n > 0) {
		c = container_of(q->chunks.next, struct chunk, link);
		part = c->end - c->start < n ? c->end - c->start : n;
		c->start += part;
		n -= part;
		if (c->start == c->end)
			chunk_free(q->loop, c);
	}
}
