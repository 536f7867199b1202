/* SPDX-License-Identifier: Apache-2.0 */
/* env.h - the configuration in environment variables. Floor 6.
 *
 * @envp is environ, or a stand-in of a test: entries are taken out of it. An empty variable counts
 * as not set. */
#pragma once
#include <stdbool.h>

#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

/* Do the variables ask for environment mode (FRP_SERVER is set, or FRP_SERVERS)? */
bool env_is_asked_for(char *const *envp);

/* A copy of @envp that keeps the token: for templates of a file that is read again. Free it with
 * env_copy_free(). NULL without memory. */
char **env_copy(char *const *envp);
void env_copy_free(char **copy); /* NULL is fine */

/* The whole contract: a new configuration of the two proxies of one MLNode, complete but for
 * conf_check(). Everything wrong becomes a line "NAME: ..." in @p. Afterwards the token is gone
 * from @envp: overwritten where it stood, so that /proc/PID/environ does not show it either. 0
 * (also with problems: *ret_c is set then too) or -ENOMEM. */
int env_load(char **envp, struct problems *p, struct conf **ret_c);

/* For a configuration that came from a file: MLTUNNEL_* variables are put over it, and the token is
 * wiped from @envp unread. Returns as env_load(). */
int env_apply(char **envp, struct problems *p, struct conf *c);
