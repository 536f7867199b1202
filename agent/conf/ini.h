/* SPDX-License-Identifier: Apache-2.0 */
/* ini.h - frp's legacy INI files. Floor 4. */
#pragma once
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

/* Read the file @path into a new configuration, complete but for conf_check(). Everything wrong in
 * it becomes a line "PATH:LINE: [SECTION] KEY: ..." in @p. 0 (also with problems: *ret_c is set
 * then too) or -ENOMEM. */
int ini_load(const char *path, struct problems *p, struct conf **ret_c);
