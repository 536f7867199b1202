/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what a process inherits and should not keep so: descriptors, limits, signals.
 * Floor 6. */
#pragma once

/* Call it first. Standard descriptors that are closed are opened (a socket would take their place
 * and get the log lines), no core dumps (they hold the token), as many descriptors as the system
 * allows, no signal blocked, SIGPIPE ignored. What the system refuses stays as it is; but 0 or
 * negated errno: the standard descriptors could not be opened. */
int process_prepare(void);
