/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one run of the agent: the lock, then the service, until a signal or its own end. Floor 6.
 */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"

struct log;

enum run_end {
	RUN_END_STOPPED,      /* by a signal, or because another agent does the work */
	RUN_END_LOGIN_FAILED, /* the first login failed and login_fail_exit is set */
	RUN_END_REFUSED,      /* the service does not take the configuration, and has logged why */
};

/* Returns when all is over. 0, or negated errno when it could not start. */
int run_agent(const struct conf *c, struct log *log, bool is_env, enum run_end *ret_end);
