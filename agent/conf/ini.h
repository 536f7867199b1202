/* SPDX-License-Identifier: Apache-2.0 */
/* ini.h - frp's legacy INI files to a tree, by libinih. Floor 4. */
#pragma once
#include "agent/conf/node.h"
#include "agent/conf/reader.h"

/* Parse @text (a NUL follows) into @t, with the names of the table of keys; file, lines and
 * problems are @rd's. What is wrong becomes a line "FILE:LINE: [SECTION] KEY: ...". The tree is
 * complete also then, as far as the text made sense. 0 (also with new problems) or -ENOMEM. */
int ini_read(const struct reader *rd, const char *text, size_t len, struct tree *t);
