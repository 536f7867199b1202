/* SPDX-License-Identifier: Apache-2.0 */
/* join.h - who serves a joined work connection: a relay for streams, pxudp for datagrams. Floor 5.
 */
#pragma once
#include "agent/conf/schema.h"
#include "agent/tunnel/joined.h"
#include "proto/wire/msg.h"

/* Serve @e by the type of @proxy. 0 or negated errno (@e is untouched then). */
int join_user(struct joined_host *h, const struct conf *conf, struct end e, struct proxy *proxy,
	      const struct msg_start_work_conn *start);
