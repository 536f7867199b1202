/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - what only the whole configuration can show, wherever it came from; and what follows
 * from it. Floor 4. */
#pragma once
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

/* The last step of every source: contradictions become lines in @p, and each proxy gets its name on
 * the wire and its message. 0 (also with new problems) or -ENOMEM. */
int conf_check(struct conf *c, struct problems *p);
