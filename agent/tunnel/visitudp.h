/* SPDX-License-Identifier: Apache-2.0 */
/* visitudp.h - the port of a sudp visitor: datagrams of all its users go through one visit.
 * Floor 5.
 *
 *   IDLE --datagram--> ASKED --answered--> OPEN
 *     |                  | refused           | nothing received for WAIT_UDP_VISIT_MS, or it ended
 *     +------------------+-------------------+
 *
 * Datagrams queue, bounded, until it is answered. Answers go to users who have sent something, of
 * whom the last LIMIT_UDP_PEERS are known: the other side cannot make this port send elsewhere. */
#pragma once

struct visitor;
struct visitudp;

/* Bind the port of @v, which outlives it. 0, -EINVAL (the address is not numeric) or
 * negated errno. */
int visitudp_new(struct visitudp **ret_vu, struct visitor *v);
/* Ends the visit; closes on the loop. NULL is fine; returns NULL. */
struct visitudp *visitudp_free(struct visitudp *vu);
