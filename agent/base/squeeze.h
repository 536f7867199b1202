/* SPDX-License-Identifier: Apache-2.0 */
/* squeeze.h - one file becomes "NAME.gz", a piece at a time. Floor 3. */
#pragma once

struct squeeze;

/* Takes the name @from over, also when it fails. 0 or negated errno. */
int squeeze_new(struct squeeze **ret_q, char *from);
/* One piece of some milliseconds. 0: go on; SQUEEZE_E_DONE: squeeze_finish() is due; negated
 * errno. */
enum { SQUEEZE_E_DONE = 1 };
int squeeze_step(struct squeeze *q);
/* It is whole: it takes the place of the other. */
void squeeze_finish(struct squeeze *q);
/* What was not finished leaves nothing behind. NULL is fine; returns NULL. */
struct squeeze *squeeze_free(struct squeeze *q);
