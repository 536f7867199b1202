/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the command line: what is asked for. Floor 6. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "agent/conf/node.h"
#include "agent/conf/problems.h"

enum cli_action {
	CLI_RUN,
	CLI_SHOW_HELP,
	CLI_SHOW_VERSION,
	CLI_VERIFY,
	CLI_CHECK,
	CLI_RELOAD,
	CLI_STATUS,
	CLI_STOP,
	CLI_PROXY,   /* one proxy, told by options: cli_make_tree() */
	CLI_VISITOR, /* the same for a visitor */
};

#define CLI_FLAGS_MAX 128 /* options of one command line that describe a proxy */

struct cli_flag {
	const struct cli_option *option;
	const char *value; /* borrowed from argv; NULL: a switch without one */
};

struct cli {
	enum cli_action action;
	bool is_frpc;	      /* called by the name of frp's client */
	const char *file;     /* of -c; borrowed from argv, like all here; NULL when not given */
	const char *folder;   /* of --config_dir: one agent for each file in it */
	char *const *command; /* of "run": the program and its arguments, ends with NULL; borrowed;
				 NULL: none */
	bool is_lenient;      /* --strict_config=false */
	bool may_exec;	      /* --allow-unsafe=TokenSourceExec */
	unsigned timeout_s;   /* of reload, status and stop: --api-timeout; default 30 */
	bool want_json;	      /* of check and status */
	bool want_ready, want_watch; /* of status */
	const char *type;	     /* of CLI_PROXY and CLI_VISITOR: "tcp" */
	struct cli_flag flags[CLI_FLAGS_MAX];
	size_t n_flags;
};

/* Parse the arguments. "-" and "_" in names of options are one. 0, or CLI_E_BAD: @why says which
 * argument is wrong, for a person; it quotes no value. */
enum { CLI_E_BAD = 1 };
int cli_parse(int argc, char *const *argv, struct cli *ret_cli, char *why, size_t why_cap);
const char *cli_help(void); /* several lines */

/* The options of CLI_PROXY and CLI_VISITOR as the tree of a file that says the same. What is wrong
 * with a value becomes a line in @p. 0 (also with new problems) or -ENOMEM; tree_deinit() @t in any
 * case. */
int cli_make_tree(const struct cli *cli, struct tree *t, struct problems *p);
/* Overwrite the values of options that are secrets, where argv holds them: others read
 * them there. */
void cli_wipe(const struct cli *cli);
