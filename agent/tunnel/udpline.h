/* SPDX-License-Identifier: Apache-2.0 */
/* udpline.h - datagrams as messages over a struct end, and the Pings between them: what a udp or
 * sudp proxy (pxudp) and a sudp visitor (visitudp) have in common. Floor 5.
 *
 * What the path to the server does not take at once waits, up to LIMIT_UDP_OUT; beyond it datagrams
 * are dropped, as UDP may. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/net/end.h"
#include "agent/tunnel/joined.h"
#include "proto/session/chan.h"
#include "proto/wire/dgram.h"

struct udpline;
struct udpline_ops {
	/* Valid inside the call, which must not free the line. */
	void (*on_dgram)(struct udpline *l, const struct dgram *d);
	/* For the log. */
	const char *(*name)(const struct udpline *l);
};

/* Embedded in its owner, who has joined_add()ed it: it is ended by joined.end(), also from
 * in here. */
struct udpline {
	/* set by owner, before udpline_init() */
	const struct udpline_ops *ops;
	enum dgram_form form; /* of the session */
	size_t packet_max;    /* longer datagrams are dropped */
	uint8_t *datagram;    /* packet_max bytes; used inside callbacks */
	/* set by owner, any time */
	bool is_waiting; /* nothing may be sent yet */
	bool is_ended;
	/* read-only */
	struct end_user user; /* its ops are the owner's: udpline_on_*() and more */
	struct joined joined;
	uint64_t ping_due_ms;
	/* private */
	struct chan in; /* frames from the server */
	struct buf out; /* frames for it */
};

/* The first Ping is due WAIT_UDP_PING_MS from now. */
void udpline_init(struct udpline *l, uint64_t now_ms);
void udpline_deinit(struct udpline *l);
static inline enum wire udpline_wire(const struct udpline *l)
{
	return l->form == DGRAM_V1 ? WIRE_V1 : WIRE_V2;
}
/* Send @payload of, or to, the user at @addr. */
void udpline_send(struct udpline *l, const struct dgram_addr *addr, struct span payload);
/* Send a Ping, and say when the next is due: the peer of a silent line gives it up. */
void udpline_ping(struct udpline *l, uint64_t now_ms);
/* Move what waits as far as the end takes it. */
void udpline_flush(struct udpline *l);

/* For the owner's struct end_user_ops. */
void udpline_on_data(struct end_user *u, struct span data);
void udpline_on_fin(struct end_user *u);
void udpline_on_rst(struct end_user *u);
void udpline_on_turn(struct end_user *u, size_t quantum);
