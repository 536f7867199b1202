/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h - a TCP connection to host:port: fresh lookup, every address tried, both families raced
 * (RFC 8305). Floor 4. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct loop;
struct resolver;
struct dial;

enum dial_stage { DIAL_STAGE_NAME, DIAL_STAGE_CONNECT };
struct dial_result {
	int err; /* 0, or negated errno of the last address tried (-ETIMEDOUT: the deadline) */
	enum dial_stage stage; /* where it failed */
	const char *why;       /* static text for a person; NULL when err is 0 */
	char addr[64];	       /* the address connected to, or tried last: "1.2.3.4:7200" */
};
/* On success *fd is a connected non-blocking socket with TCP_NODELAY, now the callee's. */
typedef void dial_fn(void *arg, const struct dial_result *r, int fd);

struct dial_options {
	/* Numeric: the address to dial from; NULL: the kernel's choice. Addresses of the other
	 * family are not tried then. */
	const char *local_ip;
	/* Silence before TCP probes the peer; 0: never. */
	unsigned keepalive_s;
	/* Numeric: where the host was reached before, tried when its name has no answer after
	 * WAIT_NAME_MS, or none at all; refused there, the dial ends while the lookup goes on. NULL
	 * or "": nowhere. */
	const char *known_ip;
	/* For a user: -EMFILE rather than one of the last descriptors (agent/base/reserve.h). */
	bool is_for_user;
};
#define DIAL_KEEPALIVE_S 60 /* of dial_start(): a vanished peer is found after 2 min */

/* Start. @deadline_ms absolute for the whole. The result always comes from the loop, exactly once,
 * unless cancelled.
 * @on_done is called last: the dial is gone then. 0, -ENOMEM. */
int dial_start(struct loop *l, struct resolver *r, const char *host, uint16_t port,
	       uint64_t deadline_ms, dial_fn *on_done, void *arg, struct dial **ret_d);
/* The same with options, copied. Also -EINVAL: an address of @o is not numeric. */
int dial_start_with(struct loop *l, struct resolver *r, const struct dial_options *o,
		    const char *host, uint16_t port, uint64_t deadline_ms, dial_fn *on_done,
		    void *arg, struct dial **ret_d);
/* No result will come; NULL is fine; returns NULL. */
struct dial *dial_cancel(struct dial *d);

/* On loopback a connect to a free port of the ephemeral range may meet itself: nobody listens
 * there. */
bool dial_is_self_connected(int fd);
