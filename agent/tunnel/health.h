/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - asks a local service again and again whether it is well (frp healthCheck.*). Floor 5.
 *
 *   WAITING --interval--> ASKING --connected (tcp), 2xx (http)--> healthy
 *                            +-----refused, other status, timeout--> one more failure in a row
 * A service counts as unhealthy until the first good answer, and again after n_failed_max failures
 * in a row; frpc never forgets failures, we start anew with each good answer. */
#pragma once
#include <stdbool.h>

#include "agent/base/timer.h"
#include "agent/conf/schema.h"
#include "agent/net/conn.h"

struct dial;
struct resolver;

struct health {
	/* read-only */
	bool is_healthy;
	/* private */
	struct loop *loop;
	struct resolver *resolver;
	const struct conf_proxy *conf; /* borrowed: outlives the health */
	void (*on_change)(void *arg, bool is_healthy);
	void (*on_gone)(void *arg);
	void *arg;
	/* Set by the owner after health_init(), or NULL: each question's end, before on_change().
	 * @status of the HTTP answer, 0: none came; @error is NULL when the service is well. */
	void (*on_answer)(void *arg, int status, const char *error);
	struct timer timer;
	struct dial *dial;
	bool is_asking, has_conn, is_closing;
	unsigned n_failed; /* in a row */
	struct conn conn;
	char head[16]; /* beginning of the answer: "HTTP/1.1 200" */
	size_t head_len;
};

/* @conf has a health check. Nothing happens before health_start(). */
void health_init(struct health *h, struct loop *l, struct resolver *r,
		 const struct conf_proxy *conf, void (*on_change)(void *arg, bool is_healthy),
		 void (*on_gone)(void *arg), void *arg);
/* The first question comes at once. */
void health_start(struct health *h);
/* No more questions; on_gone() follows from the loop, once: the memory is the owner's again. */
void health_stop(struct health *h);
