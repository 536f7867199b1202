/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - a TCP port of ours: users wait in the kernel until there is a place for them.
 * Floor 4. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct conn;
struct listener;
struct loop;

struct listen_params {
	const char *host; /* numeric */
	uint16_t port;	  /* 0: any, see listen_port() */
	int backlog;	  /* connections that wait in the kernel */
	size_t n_max;	  /* taken and not given back at once; the next ones wait */
	/* Somebody waits: take him with listen_take(), now. Who is not taken is refused. */
	void (*on_waiting)(void *arg);
	void *arg;
};

/* Accepts from now on; @p->host is not needed afterwards. 0, -EINVAL (the address is not numeric)
 * or negated errno (-EADDRINUSE). Nothing calls back before the loop runs. */
int listen_new(struct listener **ret_l, struct loop *loop, const struct listen_params *p);
uint16_t listen_port(const struct listener *l);
/* Into @c, which is initialised and nothing else yet: it is connected then, and takes one of the
 * places. 0 or negated errno (then @c is still to be closed by its owner, and no place
 * is taken). */
int listen_take(struct listener *l, struct conn *c);
/* One that was taken is gone: its place is free. NULL is fine. */
void listen_give_back(struct listener *l);
/* Users wait in the kernel, also the one that on_waiting() tells of, until listen_resume(), which
 * may call it. Both are idempotent. */
void listen_pause(struct listener *l);
void listen_resume(struct listener *l);
/* No call comes any more; closes on the loop. NULL is fine; returns NULL. */
struct listener *listen_free(struct listener *l);
