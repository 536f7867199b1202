/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - one end of a byte stream whose every byte is checked: a user on one side, a service on
 * the other. Tests only.
 *
 * The user sends a head (id, how many bytes it sends, how many it wants back) and then its bytes;
 * byte i of each direction is a function of id and i. Both read and write by fits and starts. */
#pragma once
#include <stddef.h>

#include "proto/base/span.h"
#include "tests/sim/env.h"

#define FLOW_HEAD 12

struct flow_ops { /* of the machine that carries it; @h is its handle of the stream */
	int (*reserve)(void *owner, void *h, uint8_t **ret_dst, size_t *ret_cap);
	void (*commit)(void *owner, void *h, size_t n);
	void (*consume)(void *owner, void *h, size_t n);
	void (*want)(void *owner, void *h);
	void (*fin)(void *owner, void *h);
	void (*rst)(void *owner, void *h);
	void (*forget)(void *owner, void *h);
};

enum flow_kind {
	FLOW_USER_PATIENT, /* ends when the service has ended */
	FLOW_USER_HALF,	   /* ends its direction after its last byte */
	FLOW_USER_ABORTS,  /* resets after some bytes */
	FLOW_SERVICE,
	FLOW_SERVICE_ABORTS,
};

struct flow {
	/* set by owner */
	struct env *env;
	const struct flow_ops *ops;
	void *owner, *handle;
	enum flow_kind kind;
	bool is_visited; /* a service whose user may be gone before it is there */
	/* read-only */
	uint32_t id, tx_len, rx_len; /* with the head */
	uint32_t tx, rx, tx_ready;
	bool is_fin_sent, is_fin_seen, is_over; /* over: the handle is forgotten */
	bool is_whole;				/* over, and all was right */
	uint64_t due_ms;
	/* private */
	uint8_t head[FLOW_HEAD];
	uint32_t abort_at;
	size_t unconsumed;
	uint32_t pause_ms;
};

/* How much a flow may move at most in one direction: mostly little, now and then far more than a
 * window; @big_pct of them up to 1 MiB. */
uint32_t flow_size(struct env *e, uint32_t big_pct);
/* A user who sends @n_up and wants @n_down bytes. */
void flow_init_user(struct flow *f, uint32_t id, uint32_t n_up, uint32_t n_down);
/* The first bytes of a user, who need not send them any more: they go along with what joins the
 * stream. */
struct span flow_take_first(struct flow *f);
/* The service that user @id comes to. */
void flow_init_service(struct flow *f, uint32_t id);
void flow_on_data(struct flow *f, struct span data);
void flow_on_fin(struct flow *f);
void flow_on_rst(struct flow *f);
/* Its session is gone, the handle with it. */
void flow_on_loss(struct flow *f);
/* Reset it from this end. */
void flow_abort(struct flow *f);
/* Its turn to send. */
void flow_on_turn(struct flow *f, size_t quantum);
/* At or after due_ms. */
void flow_act(struct flow *f);

/* The operations @name_ops of a flow carried by @prefix: its owner's machine, its handle's stream;
 * but forget. */
#define FLOW_DEFINE_OPS(name, prefix, owner_type, machine, handle_type, stream)                    \
	static int name##_reserve(void *owner, void *h, uint8_t **ret_dst, size_t *ret_cap)        \
	{                                                                                          \
		return prefix##_reserve(((struct owner_type *) owner)->machine,                    \
					((struct handle_type *) h)->stream, ret_dst, ret_cap);     \
	}                                                                                          \
	static void name##_commit(void *owner, void *h, size_t n)                                  \
	{                                                                                          \
		prefix##_commit(((struct owner_type *) owner)->machine,                            \
				((struct handle_type *) h)->stream, n);                            \
	}                                                                                          \
	static void name##_consume(void *owner, void *h, size_t n)                                 \
	{                                                                                          \
		prefix##_consume(((struct owner_type *) owner)->machine,                           \
				 ((struct handle_type *) h)->stream, n);                           \
	}                                                                                          \
	static void name##_want(void *owner, void *h)                                              \
	{                                                                                          \
		prefix##_want(((struct owner_type *) owner)->machine,                              \
			      ((struct handle_type *) h)->stream);                                 \
	}                                                                                          \
	static void name##_fin(void *owner, void *h)                                               \
	{                                                                                          \
		prefix##_fin(((struct owner_type *) owner)->machine,                               \
			     ((struct handle_type *) h)->stream);                                  \
	}                                                                                          \
	static void name##_rst(void *owner, void *h)                                               \
	{                                                                                          \
		prefix##_rst(((struct owner_type *) owner)->machine,                               \
			     ((struct handle_type *) h)->stream);                                  \
	}                                                                                          \
	static const struct flow_ops name##_ops = { name##_reserve, name##_commit, name##_consume, \
						    name##_want,    name##_fin,	   name##_rst,     \
						    name##_forget }
