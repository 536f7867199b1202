/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what a process inherits and should not keep so: descriptors, limits, signals.
 * Floor 6. */
#pragma once
#include <sys/resource.h>

/* As we were started, for a program that we start. */
struct process_limits {
	struct rlimit descriptors, core;
};

/* Call it first. Standard descriptors that are closed are opened (a socket would take their place
 * and get the log lines), no core dumps and no look from outside (memory holds the token), as many
 * descriptors as the system allows, memory that is given back, no signal blocked, SIGPIPE ignored.
 * What the system refuses stays as it is; but 0 or negated errno: the standard descriptors could
 * not be opened. */
int process_prepare(struct process_limits *ret_inherited);
/* Around the start of another program: it gets the limits that we got; then ours again. */
void process_lend_limits(const struct process_limits *inherited);
void process_take_limits(void);
/* Nothing is started any more that may need rights of its own: none can be had from here on, and
 * core dumps cannot be allowed again. Both would be inherited. */
void process_harden(void);
