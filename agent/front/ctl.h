/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - the commands that talk to an agent that runs, by its admin API: reload, status, stop.
 * Floor 6. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "agent/conf/schema.h"

enum ctl_what { CTL_RELOAD, CTL_STATUS, CTL_STOP };

struct ctl_options {
	bool is_strict;	    /* of a reload */
	unsigned timeout_s; /* for each step of asking */
};

/* Ask the agent whose configuration is @c, and print what frpc prints: the result to @out, what is
 * wrong to @err. Blocks. 0: done; CTL_E_FAILED: it did not do it, or cannot be reached; -ENOMEM. */
enum { CTL_E_FAILED = 1 };
int ctl_run(enum ctl_what what, const struct conf *c, const struct ctl_options *o, FILE *out,
	    FILE *err);
