/* SPDX-License-Identifier: Apache-2.0 */
/* many.h - one agent for each file of a folder (--config_dir). Floor 6. */
#pragma once
#include <stdbool.h>

/* Start a process for each file in @folder, in the order of their names. In such a process:
 * MANY_CHILD and the file in *ret_path, free() it. In the first one, when all have ended: 0 and the
 * highest exit status in *ret_status; SIGTERM, SIGINT, SIGQUIT and SIGHUP were passed on until
 * then. Negated errno when nothing was started; -ENODATA: it has no files. */
enum { MANY_CHILD = 1 };
int many_start(const char *folder, char **ret_path, int *ret_status);
