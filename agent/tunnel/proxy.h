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
#include "agent/tunnel/health.h"

/* owned by uplink */
struct proxy {
	/* read-only */
	const struct conf_proxy *conf; /* borrowed: outlives the proxy */
	size_t roster_index;
	struct sockaddr_storage local_addr;
	bool has_local_addr; /* the host is numeric; else it is looked up for each connection */
	bool is_up, has_health;
	/* the owner's */
	void *owner;
	struct health health;
	/* private */
	struct log *log;
	char said[160];	    /* the last refusal that was logged */
	bool is_local_down; /* said so already */
};

void proxy_init(struct proxy *p, const struct conf_proxy *conf, struct log *log);
void proxy_on_up(struct proxy *p, const char *remote_addr);
/* @error is the server's text, raw. Logged once per change of the text. */
void proxy_on_refused(struct proxy *p, const char *error);
/* Closed because a partner was refused. */
void proxy_on_closed(struct proxy *p);
/* The session is gone. */
void proxy_on_lost(struct proxy *p);
/* A connection to the local service failed, or worked: logged when that changes. */
void proxy_on_local_error(struct proxy *p, int err, const char *why);
void proxy_on_local_ok(struct proxy *p);
