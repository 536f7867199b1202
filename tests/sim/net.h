/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - the virtual network: connections between agents and a server, each two directions of
 * chunks in order with the time of their arrival. Tests only.
 *
 * TCP as a program sees it: a lost packet is a piece that comes late, with all behind it. A black
 * direction delivers nothing, not even an end; what was sent waits until it is healed, or
 * for ever. */
#pragma once
#include "proto/base/list.h"
#include "proto/base/span.h"
#include "tests/sim/env.h"
#include "tests/sim/tap.h"

struct agent;
struct frps;
struct frps_conn;

enum net_pieces { NET_RANDOM, NET_WHOLE, NET_BYTEWISE }; /* how bytes are cut on arrival */

struct net {
	/* set by owner */
	struct env *env;
	uint32_t latency_ms, jitter_ms;
	uint32_t loss_pct;	 /* of pieces; each costs 200, 400 or 800 ms */
	size_t wire_max;	 /* bytes under way in one direction */
	bool is_down, is_closed; /* a dial gets no answer; is refused */
	bool is_deaf;		 /* a new connection is black from its birth */
	enum net_pieces pieces;
	/* read-only */
	struct list conns;
};

struct net_chunk {
	struct list link;
	uint64_t due_ms;
	size_t len;
	bool is_end; /* FIN or RST */
	uint8_t bytes[];
};

struct net_wire { /* one direction */
	struct list chunks;
	size_t in_flight;
	bool is_black, is_dead; /* dead: no healing */
};

struct net_conn {
	struct list link;
	struct net_wire wires[2]; /* by enum tap_dir */
	struct tap tap;
	size_t owner;		  /* number of the agent that has dialed */
	struct agent *agent;	  /* NULL: closed there */
	struct frps_conn *server; /* NULL: closed there */
	unsigned harm;		  /* HARM_ bits: what may end it */
	uint64_t next_ms;	  /* when something is due on it; 0: to be looked at */
};

void net_init(struct net *n, struct env *env);
void net_deinit(struct net *n);
struct net_conn *net_open(struct net *n, struct frps *f, struct agent *a, size_t owner);
/* Both ends have closed it. */
void net_conn_free(struct net_conn *c);
/* Bytes that the wire takes now. */
size_t net_room(const struct net *n, const struct net_conn *c, enum tap_dir dir);
void net_send(struct net *n, struct net_conn *c, enum tap_dir dir, struct span bytes);
/* What arrives next in a direction, due or not; NULL: nothing, or it is black. */
struct net_chunk *net_first(const struct net_conn *c, enum tap_dir dir);
/* Take it off the wire; to be freed. */
void net_take(struct net_conn *c, enum tap_dir dir, struct net_chunk *k);
/* How many of @len bytes that arrive are handed over at once. */
size_t net_piece(struct net *n, size_t len);

/* The server's end closes: FIN behind what was sent, or a reset that drops it. */
void net_close_server(struct net *n, struct net_conn *c, bool is_reset);
/* The agent's end closes, as a process that ends: what it had sent goes its way. */
void net_close_agent(struct net *n, struct net_conn *c);

/* Faults. */
/* Reset, both ends hear of it; within a piece of bytes. */
void net_reset(struct net *n, struct net_conn *c, bool is_within);
void net_go_black(struct net_conn *c, bool is_up, bool is_down, bool is_for_ever);
/* Bytes flow again where they were only held up. */
void net_heal(struct net *n);
bool net_is_dead(const struct net_conn *c);
