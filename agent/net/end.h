/* SPDX-License-Identifier: Apache-2.0 */
/* end.h - the server's side of a user connection, whatever carries it: a stream of the mux, a
 * connection of its own, or layers over one of these. Floor 4.
 *
 * A struct end is a small value, copied freely; what it points to is owned by its carrier until
 * end_forget(). Its user hears of it through struct end_user, embedded in the user's object. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

struct end_user;
struct end_user_ops {
	/* @data is valid inside the call; owes end_consume() of as many bytes, now or later. */
	void (*on_data)(struct end_user *u, struct span data);
	/* The server sends no more. */
	void (*on_fin)(struct end_user *u);
	/* Over in both directions; only end_forget() is left to do. */
	void (*on_rst)(struct end_user *u);
	/* It may send up to @quantum bytes now. */
	void (*on_turn)(struct end_user *u, size_t quantum);
	/* Of a visit only, which we asked for; its user sends nothing before one of these.
	 * Answered: it is like any other from here on. */
	void (*on_open)(struct end_user *u);
	/* @text is the server's, raw, or ours; only end_forget() is left to do. */
	void (*on_refused)(struct end_user *u, const char *text);
};
struct end_user {
	const struct end_user_ops *ops;
};

struct end;
struct end_ops {
	void (*set_user)(struct end e, struct end_user *u);
	int (*reserve)(struct end e, uint8_t **ret_dst, size_t *ret_cap);
	void (*commit)(struct end e, size_t n);
	void (*want)(struct end e);
	void (*consume)(struct end e, size_t n);
	void (*fin)(struct end e);
	void (*rst)(struct end e);
	void (*forget)(struct end e);
};
struct end {
	const struct end_ops *ops;
	void *carrier, *item; /* the carrier's */
};

static inline void end_set_user(struct end e, struct end_user *u)
{
	e.ops->set_user(e, u);
}

/* Memory for the next bytes to the server, *ret_cap > 0 of them; then end_commit() before anything
 * else. 0, or END_E_WAIT: not now; on_turn() follows when there is room. */
enum { END_E_WAIT = 1 };
static inline int end_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	return e.ops->reserve(e, ret_dst, ret_cap);
}

static inline void end_commit(struct end e, size_t n)
{
	e.ops->commit(e, n);
}

/* There is more to send than a turn allowed: ask for another. */
static inline void end_want(struct end e)
{
	e.ops->want(e);
}

/* @n bytes of on_data() have left us. */
static inline void end_consume(struct end e, size_t n)
{
	e.ops->consume(e, n);
}

/* Nothing more follows what was committed. Idempotent. */
static inline void end_fin(struct end e)
{
	e.ops->fin(e);
}

/* End both directions at once. Idempotent. */
static inline void end_rst(struct end e)
{
	e.ops->rst(e);
}

/* Given up: nothing is heard of it any more. Without end_fin() before, the server sees a reset. */
static inline void end_forget(struct end e)
{
	e.ops->forget(e);
}
