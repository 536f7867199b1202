/* SPDX-License-Identifier: Apache-2.0 */
/* joined.h - what all users of joined work connections have in common: a relay, a UDP association.
 * Floor 5. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/log.h"
#include "agent/net/end.h"
#include "agent/tunnel/proxy.h"
#include "proto/base/list.h"

struct loop;
struct resolver;
struct joined;

/* Shared by all of one uplink; outlives them. */
struct joined_host {
	/* set by owner */
	struct loop *loop;
	struct resolver *resolver;
	void (*on_gone)(void *arg); /* the memory of one is free again */
	void *arg;
	/* read-only */
	struct list all; /* each stands in it until its memory is free */
	uint64_t n_ever, n_bytes_up, n_bytes_down;
	/* private */
	struct log_limit scarce; /* of lines about descriptors */
};

/* Embedded in the user of a struct end. */
struct joined {
	struct joined_host *host;
	struct proxy *proxy; /* a share; NULL: a visit, which has none */
	struct end up;
	bool has_up; /* false: forgotten, or what carried it is gone */
	struct list link;
	/* End it: the server's side first when it has one, then the local side. Idempotent. */
	void (*end)(struct joined *j, bool want_reset);
};

void joined_host_init(struct joined_host *h, struct loop *l);
size_t joined_count(const struct joined_host *h);
/* @u becomes the end's user; @proxy is shared, and NULL for a visit. */
void joined_add(struct joined *j, struct joined_host *h, struct proxy *proxy, struct end up,
		struct end_user *u, void (*end)(struct joined *j, bool want_reset));
/* For the counters of the proxy and of all. */
void joined_count_up(struct joined *j, size_t n);
void joined_count_down(struct joined *j, size_t n);
/* Give the end up, if it is still there: with a FIN, or a reset. */
void joined_leave(struct joined *j, bool want_reset);
/* No connection to the local service, because of @err: say so, in the right measure. */
void joined_on_local_error(struct joined *j, int err, const char *why);
/* Forget the end, of which nothing else is left to do: a visit that was refused. */
void joined_drop(struct joined *j);
/* Out of the list; the last call before the memory goes, joined_told() after it. */
void joined_remove(struct joined *j);
static inline void joined_told(struct joined_host *h)
{
	h->on_gone(h->arg);
}

/* Reset those whose end is @carrier's: it is gone, and their ends are not touched any more. */
void joined_reset_carried(struct joined_host *h, const void *carrier);
/* End all. */
void joined_end_all(struct joined_host *h);
