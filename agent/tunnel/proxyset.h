/* SPDX-License-Identifier: Apache-2.0 */
/* proxyset.h - the proxies of one server: as the configuration wants them, also when it changes;
 * and the health checks that withdraw them. Floor 5. */
#pragma once
#include "agent/tunnel/proxy.h"
#include "agent/tunnel/watch.h"
#include "proto/base/list.h"
#include "proto/session/roster.h"

struct loop;
struct resolver;

struct proxyset {
	/* set by owner */
	struct loop *loop;
	struct resolver *resolver;
	struct roster *roster;
	/* The roster has changed: tell the session. */
	void (*on_change)(void *arg);
	/* A health check has ended. */
	void (*on_gone)(void *arg);
	void *arg;
	/* read-only */
	struct list proxies; /* struct proxy.link, in the order of the configuration */
	size_t n_proxies;
	size_t n_healths; /* the watch is one of them */
	bool has_watch;	  /* all are withdrawn until it is ready */
	struct watch watch;
	/* private */
	struct list leaving; /* removed, and the roster still needs their names */
	bool is_started, is_watching;
};

/* After its owner has set what is his. */
void proxyset_init(struct proxyset *s);
/* All health checks have ended. */
void proxyset_deinit(struct proxyset *s);
/* Make it what @conf says, which is shared: proxies that are the same keep their registration and
 * their users; those of a removed or changed one live on, too. 0, -ENOMEM or -E2BIG; nothing has
 * changed then. */
int proxyset_apply(struct proxyset *s, const struct conf *conf);
/* Health checks begin, also those of proxies to come; and end, on_gone() follows for each: no proxy
 * is up any more then. */
void proxyset_start(struct proxyset *s);
void proxyset_stop(struct proxyset *s);
/* The session is gone. */
void proxyset_lost(struct proxyset *s);
/* Let go what the roster does not need any more; cheap, call it once in a while. */
void proxyset_sweep(struct proxyset *s);
