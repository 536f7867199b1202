/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - mltunnel status: asks agents on this machine how they stand. Floor 6. */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"

struct status_params {
	const struct conf *conf; /* whose agent is asked; NULL: all that run here */
	bool want_json;		 /* the agent's document, one a line, as it is */
	bool want_ready;	 /* the exit status tells whether all is registered */
	bool want_watch;	 /* again and again, until there is no agent */
};

/* Prints. 0; or 1: there is no agent, or (@want_ready) one is not ready. */
int status_show(const struct status_params *p);
/* Is there an agent for @c? With *ret_is_ready (false when it cannot be asked). */
bool status_finds_agent(const struct conf *c, bool *ret_is_ready);
