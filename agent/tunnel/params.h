/* SPDX-License-Identifier: Apache-2.0 */
/* params.h - from the configuration to what one session's machine wants to know. Floor 5. */
#pragma once
#include "agent/conf/schema.h"
#include "agent/tunnel/machine.h"
#include "proto/session/client.h"

/* Fresh random bytes and the time included. All strings stay borrowed, for the life of the session
 * (@m: of client_new()). 0 or negated errno (no random bytes). */
int params_fill(struct client_params *p, const struct conf *conf, const struct machine *m,
		const char *token, const char *run_id);

/* Credit above the least windows, in bytes and never 0, for an agent that may have this much memory
 * (UINT64_MAX: any): at most a quarter of it, and what 200 users leave over whom the node does not
 * hear; a sixteenth in any case. */
size_t params_budget(uint64_t memory_limit);
/* Bytes that may wait for services to take them (mux_params.held_max), of a process that may have
 * @memory_limit. */
size_t params_held(uint64_t memory_limit);
