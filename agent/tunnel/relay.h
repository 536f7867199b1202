/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - one user connection: bytes between a joined work connection and a connection to the
 * local service. Floor 5.
 *
 * Up, the local socket is read straight into the open record of the session; down, what the local
 * socket does not take at once waits here, and credit flows back only when it has left. Ends: a FIN
 * of the server is answered at once, what was received is delivered, then the local side is closed;
 * a local FIN passes on; a reset, or the loss of the session, resets the local side, so that a cut
 * upload never looks complete. */
#pragma once
#include "agent/net/end.h"
#include "agent/tunnel/proxy.h"
#include "proto/base/list.h"

struct loop;
struct resolver;

/* What all relays share. */
struct relay_host {
	struct loop *loop;
	struct resolver *resolver;
	struct list relays; /* each relay stands in it until its memory is free */
	uint64_t n_users_ever, n_bytes_up, n_bytes_down;
	/* One relay is gone. */
	void (*on_gone)(void *arg);
	void *arg;
};

/* Join @up to the local service of @proxy; the relay is its user then and forgets it by itself.
 * @host is borrowed: it outlives the relay; @proxy is shared. 0 or negated errno (@up is untouched
 * then). */
int relay_start(struct relay_host *host, struct end up, struct proxy *proxy);
/* Reset those whose end is @carrier's: it is gone, and their ends are not touched any more. */
void relay_reset_carried(struct relay_host *host, const void *carrier);
/* End all the others, too. */
void relay_end_all(struct relay_host *host);
