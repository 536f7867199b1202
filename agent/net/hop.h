/* SPDX-License-Identifier: Apache-2.0 */
/* hop.h - a TCP connection to host:port through a proxy (HTTP CONNECT, SOCKS5). Floor 4. */
#pragma once
#include <stdint.h>

#include "agent/net/dial.h"
#include "proto/session/knock.h"
#include "proto/wire/hopurl.h"

struct hop;

enum hop_stage { HOP_STAGE_NAME, HOP_STAGE_CONNECT, HOP_STAGE_ANSWER };
struct hop_result {
	int err; /* 0, or negated errno: of the dial to the proxy; -ETIMEDOUT; -ECONNREFUSED: the
		    proxy said no; -EPROTO: it said nonsense; -EPIPE: it closed */
	enum hop_stage stage;	/* where it failed */
	enum knock_cause cause; /* of a refusal */
	char why[KNOCK_WHY];	/* for a person; "" when err is 0; no credentials */
	char addr[64];		/* of the proxy: "1.2.3.4:3128" */
};
/* On success @fd is a connected non-blocking socket, now the callee's; nothing of what the server
 * said has been read. */
typedef void hop_fn(void *arg, const struct hop_result *r, int fd);

/* Start. @via and @host are copied; the proxy is dialed with @o, and resolves @host itself.
 * @deadline_ms absolute for all of it. The result always comes from the loop, exactly once, unless
 * cancelled; @on_done is called last: the hop is gone then. 0, -ENOMEM, -EINVAL: @host cannot be
 * asked for, or as dial_start_with(). */
int hop_start(struct loop *l, struct resolver *r, const struct hopurl *via,
	      const struct dial_options *o, const char *host, uint16_t port, uint64_t deadline_ms,
	      hop_fn *on_done, void *arg, struct hop **ret_h);
/* No result will come; NULL is fine; returns NULL. */
struct hop *hop_cancel(struct hop *h);
