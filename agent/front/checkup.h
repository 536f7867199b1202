/* SPDX-License-Identifier: Apache-2.0 */
/* checkup.h - mltunnel check: tries all that the tunnel needs, and says what is wrong and what to
 * do. Floor 6.
 *
 * An agent that runs is not disturbed: the login has a run id of its own, and the ports are asked
 * for only while nobody here has the lock. */
#pragma once
#include <stdbool.h>

#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

struct checkup_params {
	const struct conf *conf;	 /* as far as it could be read; NULL: not at all */
	const struct problems *problems; /* what is wrong with it: then nothing else is tried */
	char *const *envp;
	bool want_json;
};

/* Prints to standard output. 0: nothing failed; 1: something did; negated errno. */
int checkup_run(const struct checkup_params *p);
