/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - one user connection: bytes between a joined work connection and a connection to the
 * local service; or between a visit and a local user of a visitor. Floor 5.
 *
 * Up, the local socket is read straight into the open record of the session; down, what the local
 * socket does not take at once waits here, and credit flows back only when it has left. Ends: a FIN
 * of the server is answered at once, what was received is delivered, then the local side is closed;
 * a local FIN passes on; a reset, or the loss of the session, resets the local side, so that a cut
 * upload never looks complete. */
#pragma once
#include "agent/net/end.h"
#include "agent/tunnel/joined.h"

struct visitor;

/* Who the user is, for the PROXY header; strings are borrowed for the call. */
struct relay_source {
	const char *src_addr, *dst_addr;
	uint16_t src_port, dst_port;
};

/* Join @up to the local service of @proxy; the relay is its user then and forgets it by itself.
 * 0 or negated errno (@up is untouched then). */
int relay_start(struct joined_host *host, struct end up, struct proxy *proxy,
		const struct relay_source *source);
/* Take the user that waits at @visitor; he is read when the visit @up is answered. 0 or negated
 * errno (@up is untouched then). */
int relay_start_visit(struct joined_host *host, struct end up, struct visitor *visitor);
