/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - the command line: what is asked for. Floor 6. */
#include "agent/front/cli.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"

#define CLI_QUOTE 128

struct cli_option {
	char letter;
	const char *name;
	enum cli_action action; /* of an option without a value */
	bool takes_file;
};

static const struct cli_option options[] = {
	{ .letter = 'c', .name = "config", .takes_file = true },
	{ .letter = 'h', .name = "help", .action = CLI_SHOW_HELP },
	{ .letter = 'v', .name = "version", .action = CLI_SHOW_VERSION },
};

const char *cli_help(void)
{
	return "Usage: mltunnel [-c FILE]\n"
	       "       mltunnel run [-c FILE] -- COMMAND [ARGUMENT...]\n"
	       "Publish local services at an frp server (frps).\n"
	       "\n"
	       "run starts COMMAND, the server of the node, beside the tunnel: signals are passed on, at\n"
	       "SIGTERM live connections finish before COMMAND is asked to end, and its exit status is ours.\n"
	       "\n"
	       "  -c, --config FILE  read FILE, a client configuration of frp (INI)\n"
	       "  -h, --help         show this text\n"
	       "  -v, --version      show the version\n"
	       "\n"
	       "Without -c the configuration comes from the environment: FRP_SERVER (host:port),\n"
	       "SECRET_FRP_TOKEN (or SECRET_FRP_TOKEN_FILE) and CLIENT_ID (four digits) are needed;\n"
	       "more variables are in mltunnel(8). Under the name frpc, ./frpc.ini is read when\n"
	       "neither -c nor FRP_SERVER is given.\n"
	       "\n"
	       "Exit status: 0 stopped as asked; 1 the first login failed and login_fail_exit is true,\n"
	       "or the agent could not start; 2 the command line or the configuration is wrong;\n"
	       "with run the status of COMMAND, 126 or 127 when it cannot be started.\n";
}

static int cli_refuse(char *why, size_t cap, const char *what, const char *arg, const char *words)
{
	char quote[CLI_QUOTE];

	(void) snprintf(why, cap, "%s \"%s\"%s", what,
			text_escape(span_str(arg), quote, sizeof(quote)), words);
	return CLI_E_BAD;
}

/* The option that @arg is, and the value that is glued to it ("-cFILE", "--config=FILE"), or NULL.
 */
static const struct cli_option *cli_find(const char *arg, const char **ret_value)
{
	size_t n = strcspn(arg, "=");

	*ret_value = NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct cli_option *o = &options[i];

		if (arg[1] != '-' && arg[1] == o->letter && (arg[2] == '\0' || o->takes_file)) {
			if (arg[2] != '\0')
				*ret_value = arg + 2 + (arg[2] == '=');
			return o;
		}
		if (arg[1] == '-' && strlen(o->name) == n - 2 &&
		    memcmp(arg + 2, o->name, n - 2) == 0) {
			if (arg[n] == '=')
				*ret_value = arg + n + 1;
			return o;
		}
	}
	return NULL;
}

static bool cli_is_frpc(const char *name)
{
	const char *slash = strrchr(name, '/');

	return strcmp(slash != NULL ? slash + 1 : name, "frpc") == 0;
}

int cli_parse(int argc, char *const *argv, struct cli *ret_cli, char *why, size_t why_cap)
{
	struct cli cli = { .action = CLI_RUN, .is_frpc = argc > 0 && cli_is_frpc(argv[0]) };
	bool is_run = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value;
		const struct cli_option *o;

		if (!is_run && strcmp(arg, "run") == 0) {
			is_run = true;
			continue;
		}
		if (is_run && (arg[0] != '-' || strcmp(arg, "--") == 0)) {
			i += arg[0] == '-';
			cli.command = i < argc ? argv + i : NULL;
			break;
		}
		if (arg[0] != '-' || arg[1] == '\0')
			return cli_refuse(why, why_cap, "unknown command", arg,
					  "; see mltunnel --help");
		o = cli_find(arg, &value);
		if (o == NULL)
			return cli_refuse(why, why_cap, "unknown option", arg,
					  "; see mltunnel --help");
		if (!o->takes_file && value != NULL)
			return cli_refuse(why, why_cap, "the option", arg, " takes no value");
		if (!o->takes_file) {
			cli.action = o->action;
			continue;
		}
		if (value == NULL && i + 1 < argc)
			value = argv[++i];
		if (value == NULL || *value == '\0')
			return cli_refuse(why, why_cap, "the option", arg,
					  " needs the name of a file");
		if (cli.file != NULL)
			return cli_refuse(why, why_cap, "the option", arg, " is there twice");
		cli.file = value;
	}
	*ret_cli = cli;
	return 0;
}
