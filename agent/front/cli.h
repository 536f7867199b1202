/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the command line: what is asked for. Floor 6. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum cli_action { CLI_RUN, CLI_SHOW_HELP, CLI_SHOW_VERSION };

struct cli {
	enum cli_action action;
	bool is_frpc;	      /* called by the name of frp's client */
	const char *file;     /* of -c; borrowed from argv; NULL when not given */
	char *const *command; /* of "run": the program and its arguments, ends with NULL; borrowed;
				 NULL: none */
};

/* Parse the arguments. 0, or CLI_E_BAD: @why says which argument is wrong, for a person. */
enum { CLI_E_BAD = 1 };
int cli_parse(int argc, char *const *argv, struct cli *ret_cli, char *why, size_t why_cap);
const char *cli_help(void); /* several lines */
