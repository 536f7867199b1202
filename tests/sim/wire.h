/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - one direction of a virtual connection: chunks in order, each with the time of its
 * arrival. Tests only. */
#pragma once
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/base/span.h"
#include "tests/sim/env.h"

struct sim_wire { /* one direction of a connection */
	struct list chunks;
	size_t in_flight;
};

struct sim_chunk {
	struct list link;
	uint64_t due_ms;
	size_t len;
	bool is_end; /* FIN or RST */
	uint8_t bytes[];
};

static inline void wire_push(struct env *e, uint32_t latency_ms, struct sim_wire *w,
			     struct span bytes, bool is_end)
{
	struct sim_chunk *k = malloc(sizeof(*k) + bytes.len);
	uint64_t due_ms = e->now_ms + latency_ms;

	PROMISE(e, k != NULL);
	if (!list_is_empty(&w->chunks)) {
		struct sim_chunk *last = container_of(w->chunks.prev, struct sim_chunk, link);

		due_ms = due_ms < last->due_ms ? last->due_ms : due_ms;
	}
	k->due_ms = due_ms;
	k->len = bytes.len;
	k->is_end = is_end;
	if (bytes.len > 0)
		memcpy(k->bytes, bytes.p, bytes.len);
	w->in_flight += bytes.len;
	list_add_tail(&w->chunks, &k->link);
}

static inline void wire_drop(struct sim_wire *w)
{
	while (!list_is_empty(&w->chunks)) {
		struct sim_chunk *k = container_of(w->chunks.next, struct sim_chunk, link);

		list_del(&k->link);
		free(k);
	}
}
