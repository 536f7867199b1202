/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - one user connection: bytes between a joined work connection and a connection to the local service. Floor 5.
 *
 * Up, the local socket is read straight into the open record of the session; down, what the local socket does not take at once
 * waits here, and credit flows back only when it has left. Ends: a FIN of the server is answered at once, what was received is
 * delivered, then the local side is closed; a local FIN passes on; a reset, or the loss of the session, resets the local side, so
 * that a cut upload never looks complete. */
#pragma once
#include "agent/tunnel/proxy.h"
#include "proto/base/list.h"
#include "proto/session/client.h"

struct loop;
struct relay;
struct resolver;

/* What a relay needs of the connection it shares with all others. */
struct relay_host {
	struct loop *loop;
	struct resolver *resolver;
	struct list *relays; /* each relay stands in it until its memory is free */
	/* Something is to be sent: at the end of this turn of the loop. */
	void (*flush_later)(void *arg);
	/* The record is full: hand it on now if the connection has room. False: it has none. */
	bool (*make_room)(void *arg);
	void *arg;
};

/* Join @work to the local service of @proxy. 0 or -ENOMEM; the relay is the work's user then and forgets it by itself. */
int relay_start(const struct relay_host *host, struct client *client, struct client_work *work, struct proxy *proxy);

/* Events of the work (the relay is its user). */
void relay_on_data(struct relay *r, struct span data);
void relay_on_fin(struct relay *r);
void relay_on_rst(struct relay *r);
/* Its turn to send up to @quantum bytes. */
void relay_on_turn(struct relay *r, size_t quantum);
/* Reset all of @relays: the session is gone or goes; the works are not touched any more. */
void relay_reset_all(struct list *relays);
