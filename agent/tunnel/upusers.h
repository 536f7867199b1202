/* SPDX-License-Identifier: Apache-2.0 */
/* upusers.h - how the users of an uplink's proxies, and those of its visitors, get to what carries
 * them. Floor 5. */
#pragma once
#include "proto/session/client.h"

struct uplink;

/* All that its users share, and the visitors. After u->works has its owner's fields. */
void upusers_init(struct uplink *u);
/* CLIENT_EV_START: somebody wants to be joined to a proxy. */
void upusers_join(struct uplink *u, const struct client_event *ev);
/* CLIENT_EV_WANT_WORK: the server asks for one more connection. */
void upusers_want_solo(struct uplink *u);
