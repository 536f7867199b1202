/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one run of the agent: the lock, the program beside it, the service, until a signal or an
 * end. Floor 6. */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"
#include "agent/front/live.h"

struct log;
struct logfile;
struct process_limits;

enum run_end {
	RUN_END_STOPPED,      /* by a signal, or because another agent does the work */
	RUN_END_LOGIN_FAILED, /* the first login failed and login_fail_exit is set */
	RUN_END_REFUSED,      /* the service does not take the configuration, and has logged why */
	RUN_END_COMMAND,      /* the command has ended, or could not be started */
};

struct run_params {
	const struct conf *conf;
	struct log *log;
	struct logfile *logfile; /* where @log goes; NULL: not to a file */
	bool is_env;
	char *const *command; /* the program to run beside the tunnel; NULL: none */
	const struct process_limits *inherited;
	/* how to read the configuration again; see live.h */
	const char *file; /* NULL: it did not come from a file */
	live_load_fn *load;
	void *load_arg;
};

/* Returns when all is over. 0, or negated errno when it could not start. *ret_status is the
 * command's, as a shell tells it; set with RUN_END_COMMAND only. */
int run_agent(const struct run_params *p, enum run_end *ret_end, int *ret_status);
