/* SPDX-License-Identifier: Apache-2.0 */
/* join.h - who serves a joined work connection: a relay for streams, pxudp for datagrams.
 * Floor 5. */
#pragma once
#include "agent/conf/schema.h"
#include "agent/net/wrap.h"
#include "agent/tunnel/joined.h"
#include "proto/wire/msg.h"

/* What it takes beside the proxy. */
struct join_env {
	struct joined_host *users;
	struct wrap_host *wraps; /* of what carries the end */
	const struct conf *conf;
	const char *token; /* keys the encryption of payload */
};

/* Serve @e by the type of @proxy, under the layers that it asks for. 0 or negated errno: @e is
 * still the caller's then. */
int join_user(const struct join_env *env, struct end e, struct proxy *proxy,
	      const struct msg_start_work_conn *start);
