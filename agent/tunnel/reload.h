/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - a new configuration for an uplink that runs. Floor 5. */
#pragma once
#include "agent/conf/schema.h"

struct uplink;

/* See uplink_reload(), which is made here. */
/* The old link and its users are gone: the new settings of the server come into force. */
void reload_finish(struct uplink *u);
/* The server's name for the log. */
void reload_name(struct uplink *u);
