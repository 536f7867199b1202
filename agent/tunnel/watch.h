/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - is the node behind the pair there: asks its management service, before the proxies are
 * registered and, when asked to, ever after. Floor 5.
 *
 *   WAITING --2xx--> READY --no answer of any kind for down_after_ms--> WAITING
 * A model that loads is no reason to withdraw: then the management service still answers. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "agent/conf/schema.h"
#include "agent/tunnel/health.h"

/* What is asked for when the configuration names no path: what an MLNode has, and what it had
 * before that. */
#define WATCH_PATH "/readyz"
#define WATCH_PATH_OLD "/api/v1/state" /* when the first is unknown there (404) */
#define WATCH_EARLY 4 /* waits that double from WAIT_READY_FIRST_MS before WAIT_READY_MS */

struct watch {
	/* read-only */
	bool is_ready;
	/* private */
	struct loop *loop;
	struct conf *conf; /* a share */
	void (*on_change)(void *arg, bool is_ready);
	void (*on_gone)(void *arg);
	void *arg;
	struct conf_proxy target; /* what is asked; its strings are @conf's */
	struct health health;
	bool is_at_other_path;
	uint64_t heard_ms; /* the last answer of any kind */
	unsigned n_silent; /* questions without one, in a row */
	unsigned n_asked;  /* questions since it was not ready, up to WATCH_EARLY */
	char said[160];	   /* why it is not ready, as logged last */
};

/* @conf, which is shared, has ready.is_on and the proxy that it names. */
void watch_init(struct watch *w, struct loop *l, struct resolver *r, const struct conf *conf,
		void (*on_change)(void *arg, bool is_ready), void (*on_gone)(void *arg), void *arg);
/* After watch_init(), when it was not started or is gone. */
void watch_deinit(struct watch *w);
/* The first question comes at once. on_gone() follows from the loop once, after watch_stop(), or by
 * itself when there is nothing to find out any more. */
void watch_start(struct watch *w);
void watch_stop(struct watch *w);
