/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - a configuration file, whatever its format: read, templates, tree, table of keys,
 * included files. Floor 4. */
#pragma once
#include <stdbool.h>

#include "agent/conf/node.h"
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

struct load_options {
	bool is_lenient;   /* unknown keys are warnings (--strict_config=false) */
	bool may_exec;	   /* --allow-unsafe=TokenSourceExec */
	char *const *envp; /* for templates; borrowed */
};

/* Read the file @path, or the @text of @len bytes (a NUL follows) as if it stood there, into a new
 * configuration, complete but for conf_check(). The format follows from the name's ending, without
 * one from the content. Everything wrong becomes a line "PATH:LINE:COLUMN: KEY: ..." in @p; unknown
 * keys perhaps in @warnings. 0 (also with problems: *ret_c is set then too) or -ENOMEM. */
int load_file(const char *path, const struct load_options *o, struct problems *p,
	      struct problems *warnings, struct conf **ret_c);
int load_text(const char *path, const char *text, size_t len, const struct load_options *o,
	      struct problems *p, struct problems *warnings, struct conf **ret_c);
/* The same of a tree that the command line made; @source is for messages. */
int load_tree(const char *source, const struct tree *t, const struct load_options *o,
	      struct problems *p, struct conf **ret_c);
