/* SPDX-License-Identifier: Apache-2.0 */
/* workconn.h - a joined work connection of a session as a struct end. Floor 5. */
#pragma once
#include "agent/net/end.h"
#include "proto/session/client.h"

/* What carries the streams of one session. */
struct workconn_host {
	struct client *client; /* NULL between sessions */
	/* Something is to be sent: at the end of this turn of the loop. */
	void (*flush_later)(void *arg);
	/* The record is full: hand it on now if the connection has room. False: it has none. */
	bool (*make_room)(void *arg);
	void *arg;
};

/* @host is borrowed: outlives the end. The user of the work is a struct end_user from then on. */
struct end workconn_end(struct workconn_host *host, struct client_work *work);
