/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.h - everything about one server: dialing, TLS, the session, its relays, and trying again
 * for ever. Floor 5.
 *
 *                        retry due          link ready          uplink_leave()
 *   IDLE --> WAITING ------------> OPENING -----------> SESSION ------------> LEAVING
 *               ^                     | failed             | lost                | drained, or
 *               |                     |                    |                     | grace over
 *               +----- CLOSING <------+--------------------+---------------------+
 *                         +--is_ending, all users gone--> ENDED */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"

struct loop;
struct uplink;

enum uplink_end { UPLINK_END_LEFT, UPLINK_END_LOGIN_FAILED };
/* The last call the uplink makes: nothing of it is open any more. uplink_free() is due then, but
 * not inside the call. */
typedef void uplink_ended_fn(void *arg, enum uplink_end end);

/* @conf is shared. 0 or negated errno (the log says why). */
int uplink_new(struct uplink **ret_u, struct loop *l, const struct conf *conf,
	       uplink_ended_fn *on_ended, void *arg);
/* How it stands has changed: the session, its last failure, a proxy. Comes from inside the uplink,
 * which is not to be called then; but facts_read() may be. NULL: no more. */
typedef void uplink_news_fn(void *arg);
void uplink_watch(struct uplink *u, uplink_news_fn *on_news, void *arg);
void uplink_start(struct uplink *u);
/* Go on with @conf, which is shared: proxies that are the same keep their registration and users;
 * settings of the server that have changed make it connect anew. 0, or negated errno (the log says
 * why) and nothing has changed: -ESHUTDOWN when it is ending. */
int uplink_reload(struct uplink *u, const struct conf *conf);
/* Addresses, links or routes of this machine have changed: a session from an address that is gone
 * is lost, and who waits for a try tries now. */
void uplink_on_network(struct uplink *u);
/* Close the proxies, let joined connections finish until @grace_ms have passed, then end. */
void uplink_leave(struct uplink *u, uint64_t grace_ms);
/* End now. */
void uplink_stop(struct uplink *u);
/* After it has ended, or before it was started. Returns NULL. */
struct uplink *uplink_free(struct uplink *u);
