/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - the program that runs beside the tunnel: started, signalled, asked to end, killed.
 * Floor 6.
 *
 *   RUNNING --child_ask--> ASKED --grace over, child_kill--> KILLED
 *      +----------------------+-------------------------------+----> over: on_ended()
 */
#pragma once
#include <stdint.h>

struct child;
struct loop;
struct process_limits;

/* It has ended, with a shell's status: its own, or 128 and the number of the signal that killed
 * it. Comes once, from the loop. */
typedef void child_ended_fn(void *arg, int status);

/* Start @argv (ends with NULL) with our environment and standard descriptors, @inherited limits,
 * and every signal as it is by default. 0, -ENOENT and the like: it cannot be started. */
int child_start(struct child **ret_c, struct loop *l, const struct process_limits *inherited,
		char *const *argv, child_ended_fn *on_ended, void *arg);
int child_pid(const struct child *c);
/* Pass a signal on. */
void child_signal(struct child *c, int number);
/* Ask it to end by the signal @number; killed after @grace_ms. Once. */
void child_ask(struct child *c, int number, uint64_t grace_ms);
void child_kill(struct child *c);
/* No call comes any more; it is left alone, should it still run. NULL is fine; returns NULL. */
struct child *child_free(struct child *c);

/* What a shell exits with when it cannot start a program: 127 it is not there, 126 otherwise. */
int child_status_of_error(int err);
