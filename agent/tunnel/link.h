/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - a connection to the server: dialed, directly or through a proxy; secured when TLS is on;
 * ready. Floor 5.
 *
 *   OPENING (dial or hop) --> SECURING (TLS) --> READY --> lost
 *
 * Each of the first two has a deadline. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/timer.h"
#include "agent/conf/schema.h"
#include "agent/net/conn.h"

struct dial;
struct hop;
struct hopurl;
struct resolver;
struct tls_config;

/* Where the server is and how it is spoken to; one for all links. */
struct link_server {
	struct loop *loop;
	struct resolver *resolver;
	const struct conf *conf;
	struct tls_config *tls; /* NULL: plain */
	struct hopurl *hop;	/* NULL: no proxy between; has a secret */
	char last_ip[64]; /* it was reached there, for when its name does not resolve; "": never */
};

/* Read what TLS, the proxy and the resolver need; a file or value that is wrong is logged (@addr
 * names the server there). 0 or negated errno; deinit in either case. */
int link_server_init(struct link_server *s, struct loop *l, const struct conf *conf,
		     const char *addr);
void link_server_deinit(struct link_server *s);

struct link_ops {
	void (*on_ready)(void *arg);
	/* It did not become ready: close it. Fixed @words, @error and @remedy are for the log. */
	void (*on_failed)(void *arg, const char *words, const char *error, const char *remedy);
	void (*on_data)(void *arg, struct span data); /* plain bytes, valid inside the call */
	void (*on_written)(void *arg);		      /* there is room again */
	/* It was ready and has ended: close it. @is_clean: by a FIN. */
	void (*on_lost)(void *arg, const char *error, bool is_clean);
	void (*on_gone)(void *arg); /* after link_close(): the memory is the owner's again */
};

enum link_state { LINK_STATE_OPENING, LINK_STATE_SECURING, LINK_STATE_READY, LINK_STATE_CLOSED };

/* Embedded in its owner. */
struct link {
	/* read-only */
	enum link_state state;
	struct conn conn; /* once READY the owner sends through it */
	/* private */
	struct link_server *server; /* borrowed: outlives the link */
	bool is_for_user;
	const struct link_ops *ops;
	void *arg;
	struct dial *dial; /* one of these while OPENING */
	struct hop *hop;
	struct timer timer;
	bool has_conn;
};

/* Start. Every result comes from the loop, later. 0 or -ENOMEM (then on_gone() does not come). */
int link_open(struct link *l, struct link_server *server, const struct link_ops *ops, void *arg);
/* The same for a work connection: not with one of the last descriptors. */
int link_open_for_user(struct link *l, struct link_server *server, const struct link_ops *ops,
		       void *arg);
/* READY, but from an address that this machine has no more: nothing will come through. */
bool link_has_moved(const struct link *l);
/* Idempotent; on_gone() follows from the loop, once. */
void link_close(struct link *l);
