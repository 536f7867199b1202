/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h - one published local service: where it is, how its registration stands, and what the log
 * says of it. Floor 5. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#include "agent/base/log.h"
#include "agent/conf/schema.h"
#include "agent/net/bucket.h"
#include "agent/tunnel/health.h"
#include "proto/base/list.h"

/* Shared by its set, its users and its health check; the last one frees it. */
struct proxy {
	/* read-only */
	const struct conf_proxy *conf; /* of @whole */
	char remote_addr[160];	       /* as the server told it; "" while it is not up */
	/* users: live now, ever; their bytes to and from the server. Kept by relay */
	size_t n_users;
	uint64_t n_users_ever, n_bytes_up, n_bytes_down;
	/* the set's */
	size_t roster_index;
	struct list link;
	bool is_leaving; /* removed or replaced: only its users are left */
	bool is_asking;	 /* its health check runs */
	bool is_unwell;	 /* said that its health check failed */
	struct sockaddr_storage local_addr;
	bool has_local_addr; /* the host is numeric; else it is looked up for each connection */
	bool is_local_near;  /* and is this machine, by a loopback address */
	bool is_up, has_health;
	bool has_bucket;      /* its bandwidth is limited, by us */
	struct bucket bucket; /* one for all its users, both directions */
	/* the owner's */
	void *owner;
	struct health health;
	/* private */
	unsigned n_shares;  /* beside the first owner */
	struct conf *whole; /* a share */
	struct log *log;
	char said[160];	    /* the last refusal that was logged */
	bool is_local_down; /* said so already */
	bool is_apart;	    /* said that a partner is refused; not yet that all are up again */
};

/* @conf is one of @whole's, which is shared. 0 or -ENOMEM. */
int proxy_new(struct proxy **ret_p, const struct conf *whole, const struct conf_proxy *conf,
	      struct loop *l);
/* One more owner, who calls proxy_free() as well. */
struct proxy *proxy_share(struct proxy *p);
/* NULL is fine; returns NULL. */
struct proxy *proxy_free(struct proxy *p);
/* The same settings at another place: the old configuration may go. */
void proxy_set_conf(struct proxy *p, const struct conf *whole, const struct conf_proxy *conf);
void proxy_on_up(struct proxy *p, const char *remote_addr);
/* @error is the server's text, raw. Logged once per change of the text. */
void proxy_on_refused(struct proxy *p, const char *error);
/* Closed because a partner was refused: said once, however often it comes up meanwhile. */
void proxy_on_closed(struct proxy *p);
/* All partners are up. */
void proxy_on_all_up(struct proxy *p);
/* The session is gone. */
void proxy_on_lost(struct proxy *p);
/* A connection to the local service failed, or worked: logged when that changes. */
void proxy_on_local_error(struct proxy *p, int err, const char *why);
void proxy_on_local_ok(struct proxy *p);
