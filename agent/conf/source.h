/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - the token from a file or a program (auth.tokenSource). Floor 4. */
#pragma once
#include "agent/conf/schema.h"

#define SOURCE_WHY 512

/* Read the token that @c->token_file or @c->token_exec names into @c->token. A program gets the
 * variables of @envp and those of its own, not the secrets of ours, and 10 s; blocks as long. 0,
 * -ENOMEM, or SOURCE_E_BAD and @why. */
enum { SOURCE_E_BAD = 1 };
int source_read(struct conf *c, char *const *envp, char why[static SOURCE_WHY]);
