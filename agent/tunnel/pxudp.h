/* SPDX-License-Identifier: Apache-2.0 */
/* pxudp.h - one work connection of a udp or sudp proxy: datagrams of many users as messages, one
 * local socket for each user. Floor 5.
 *
 * A user's socket goes after WAIT_UDP_IDLE_MS without a datagram either way; at most
 * LIMIT_UDP_PEERS of them, the longest idle makes room. What the path to the server does not take
 * is dropped, as UDP may. A Ping every WAIT_UDP_PING_MS keeps frps from giving the
 * connection up. */
#pragma once
#include "agent/net/end.h"
#include "agent/tunnel/joined.h"
#include "agent/tunnel/proxy.h"
#include "proto/wire/dgram.h"

struct pxudp_params {
	struct proxy *proxy;  /* borrowed: outlives it */
	enum dgram_form form; /* of the session */
	size_t packet_max;    /* longer datagrams of the service are cut */
};

/* Serve the datagrams of @up. 0 or -ENOMEM (@up is untouched then). */
int pxudp_start(struct joined_host *h, struct end up, const struct pxudp_params *p);
