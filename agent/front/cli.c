/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - the command line: what is asked for. Floor 6. */
#include "agent/front/cli.h"

#include <stdio.h>
#include <string.h>

#include "agent/front/clioption.h"
#include "proto/base/text.h"

#define CLI_QUOTE 128
#define CLI_TIMEOUT_S 30 /* of frp's admin commands */
#define CLI_TIMEOUT_MAX_MS 3600000
#define CLI_UNSAFE "TokenSourceExec"

/* While the arguments are read. */
struct cli_reader {
	struct cli *cli;
	char *why;
	size_t why_cap;
	bool is_timed, is_shown; /* --api-timeout, --help or --version were there */
};

const char *cli_help(void)
{
	return "Usage: mltunnel [-c FILE]\n"
	       "       mltunnel run [-c FILE] -- COMMAND [ARGUMENT...]\n"
	       "       mltunnel check [-c FILE] [--json]\n"
	       "       mltunnel status [-c FILE] [--json] [--ready] [--watch]\n"
	       "       mltunnel verify|reload|stop [-c FILE]\n"
	       "       mltunnel tcp|udp|http|https|tcpmux|stcp|sudp [OPTION...]\n"
	       "       mltunnel stcp|sudp visitor [OPTION...]\n"
	       "Publish local services at an frp server (frps).\n"
	       "\n"
	       "run starts COMMAND, the server of the node, beside the tunnel: signals are passed on, at\n"
	       "SIGTERM live connections finish before COMMAND is asked to end, and its exit status is ours.\n"
	       "check tries all that the tunnel needs and says what is wrong, without disturbing an agent\n"
	       "that runs. status shows how the agent stands; with --ready the exit status is 0 only when\n"
	       "all its proxies are registered.\n"
	       "verify reads the configuration and says whether it is right. reload and stop ask\n"
	       "the admin API of the agent that runs with this configuration. A type of proxy runs one proxy that the\n"
	       "options describe.\n"
	       "\n"
	       "  -c, --config FILE      read FILE, a client configuration of frp (TOML, YAML, JSON, INI)\n"
	       "      --config_dir DIR   run one agent for each file in DIR\n"
	       "      --strict_config=false\n"
	       "                         warn of unknown keys instead of refusing them\n"
	       "      --allow-unsafe=TokenSourceExec\n"
	       "                         a program may be run to get the token\n"
	       "      --api-timeout TIME how long reload, status and stop wait for each step (30s)\n"
	       "  -h, --help             show this text\n"
	       "  -v, --version          show the version\n"
	       "\n"
	       "One proxy (\"_\" may stand for \"-\"):\n"
	       "  -s, --server-addr HOST    -P, --server-port PORT   -t, --token TOKEN\n"
	       "  -u, --user USER           -p, --protocol tcp           --client-id ID\n"
	       "      --tls-enable=false        --tls-server-name NAME   --dns-server ADDR\n"
	       "      --log-level LEVEL         --log-file FILE          --log-max-days N\n"
	       "  -n, --proxy-name NAME     -i, --local-ip HOST      -l, --local-port PORT\n"
	       "      --ue                      --uc                     --metadatas K=V,...\n"
	       "      --bandwidth-limit 1MB     --bandwidth-limit-mode client|server\n"
	       "      --annotations K=V,...\n"
	       "  tcp, udp:  -r, --remote-port PORT\n"
	       "  http, https, tcpmux:  -d, --custom-domain HOST,...   --sd SUBDOMAIN\n"
	       "  http:      --locations PATH,...  --http-user USER  --http-pwd PASSWORD\n"
	       "             --host-header-rewrite HOST\n"
	       "  tcpmux:    --mux httpconnect  --http-user USER  --http-pwd PASSWORD\n"
	       "  stcp, sudp:  --sk KEY  --allow-users USER,...\n"
	       "  visitor:   -n, --visitor-name NAME  --server-name NAME  --server-user USER\n"
	       "             --sk KEY  --bind-addr ADDR  --bind-port PORT\n"
	       "\n"
	       "Without -c the configuration comes from the environment: FRP_SERVER (host:port),\n"
	       "SECRET_FRP_TOKEN (or SECRET_FRP_TOKEN_FILE) and CLIENT_ID (four digits) are needed;\n"
	       "more variables are in mltunnel(8), the keys of files in mltunnel.conf(5). Under the name\n"
	       "frpc, ./frpc.ini is read when neither -c nor FRP_SERVER is given.\n"
	       "\n"
	       "Exit status: 0 stopped as asked; 1 the first login failed and loginFailExit is true,\n"
	       "or the agent could not start; 2 the command line or the configuration is wrong;\n"
	       "with run the status of COMMAND, 126 or 127 when it cannot be started.\n";
}

static int cli_refuse(struct cli_reader *rd, const char *what, const char *arg, const char *words)
{
	char quote[CLI_QUOTE];
	/* The value may be a secret. */
	size_t n = arg[0] == '-' && arg[1] == '-' ? strcspn(arg, "=") : strlen(arg);

	if (arg[0] == '-' && arg[1] != '-' && n > 2)
		n = 2;
	(void) snprintf(rd->why, rd->why_cap, "%s \"%s\"%s", what,
			text_escape(span_of(arg, n), quote, sizeof(quote)), words);
	return CLI_E_BAD;
}

static bool cli_is_frpc(const char *name)
{
	const char *slash = strrchr(name, '/');

	return strcmp(slash != NULL ? slash + 1 : name, "frpc") == 0;
}

/* -- commands -- */

static bool cli_take_command(struct cli *cli, const char *arg)
{
	static const struct {
		const char *name;
		enum cli_action action;
	} commands[] = { { "verify", CLI_VERIFY }, { "reload", CLI_RELOAD }, { "check", CLI_CHECK },
			 { "status", CLI_STATUS }, { "stop", CLI_STOP },     { "tcp", CLI_PROXY },
			 { "udp", CLI_PROXY },	   { "http", CLI_PROXY },    { "https", CLI_PROXY },
			 { "tcpmux", CLI_PROXY },  { "stcp", CLI_PROXY },    { "sudp", CLI_PROXY },
			 { "help", CLI_SHOW_HELP } };

	if (cli->action == CLI_PROXY && strcmp(arg, "visitor") == 0 &&
	    (strcmp(cli->type, "stcp") == 0 || strcmp(cli->type, "sudp") == 0)) {
		cli->action = CLI_VISITOR;
		return true;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && cli->action == CLI_RUN;
	     i++)
		if (strcmp(arg, commands[i].name) == 0) {
			cli->action = commands[i].action;
			cli->type = cli->action == CLI_PROXY ? commands[i].name : NULL;
			return true;
		}
	return false;
}

static int cli_refuse_command(struct cli_reader *rd, const char *arg)
{
	static const char *const of_frpc[] = { "xtcp", "nathole", "completion" };

	for (size_t i = 0; i < sizeof(of_frpc) / sizeof(of_frpc[0]); i++)
		if (strcmp(arg, of_frpc[i]) == 0)
			return cli_refuse(rd, "the command", arg,
					  " of frpc is not supported by this version");
	return cli_refuse(rd, "unknown command", arg, "; see mltunnel --help");
}

/* -- options -- */

static int cli_take_switch(struct cli_reader *rd, const char *arg, const char *value,
			   bool *ret_is_on)
{
	*ret_is_on = true;
	if (value != NULL && text_parse_bool(value, ret_is_on) != 0)
		return cli_refuse(rd, "the option", arg, " is true or false");
	return 0;
}

/* Of a value "a,b" each is an unsafe feature. */
static int cli_take_unsafe(struct cli_reader *rd, const char *arg, const char *value)
{
	for (size_t n;; value += n + 1) {
		n = strcspn(value, ",");
		if (n != strlen(CLI_UNSAFE) || memcmp(value, CLI_UNSAFE, n) != 0)
			return cli_refuse(rd, "the option", arg, " knows only " CLI_UNSAFE);
		rd->cli->may_exec = true;
		if (value[n] == '\0')
			return 0;
	}
}

static int cli_take_once(struct cli_reader *rd, const char *arg, const char *value, const char **at)
{
	if (*value == '\0')
		return cli_refuse(rd, "the option", arg, " needs the name of a file");
	if (*at != NULL)
		return cli_refuse(rd, "the option", arg, " is there twice");
	*at = value;
	return 0;
}

static int cli_take_flag(struct cli_reader *rd, const struct cli_option *o, const char *arg,
			 const char *value)
{
	struct cli *cli = rd->cli;

	if (cli->n_flags == CLI_FLAGS_MAX)
		return cli_refuse(rd, "the option", arg, " is one too many");
	for (size_t i = 0;
	     i < cli->n_flags && o->form != CLI_FORM_LIST && o->form != CLI_FORM_PAIRS; i++)
		if (cli->flags[i].option == o)
			return cli_refuse(rd, "the option", arg, " is there twice");
	cli->flags[cli->n_flags++] = (struct cli_flag){ .option = o, .value = value };
	return 0;
}

static int cli_take_option(struct cli_reader *rd, const struct cli_option *o, const char *arg,
			   const char *value)
{
	struct cli *cli = rd->cli;
	uint64_t ms;
	bool is_on;
	int r;

	switch (o->use) {
	case CLI_USE_FILE: return cli_take_once(rd, arg, value, &cli->file);
	case CLI_USE_FOLDER: return cli_take_once(rd, arg, value, &cli->folder);
	case CLI_USE_HELP:
	case CLI_USE_VERSION:
		if (value != NULL)
			return cli_refuse(rd, "the option", arg, " takes no value");
		cli->action = o->use == CLI_USE_HELP ? CLI_SHOW_HELP : CLI_SHOW_VERSION;
		rd->is_shown = true;
		return 0;
	case CLI_USE_STRICT:
		r = cli_take_switch(rd, arg, value, &is_on);
		cli->is_lenient = !is_on;
		return r;
	case CLI_USE_JSON: return cli_take_switch(rd, arg, value, &cli->want_json);
	case CLI_USE_READY: return cli_take_switch(rd, arg, value, &cli->want_ready);
	case CLI_USE_WATCH: return cli_take_switch(rd, arg, value, &cli->want_watch);
	case CLI_USE_UNSAFE: return cli_take_unsafe(rd, arg, value);
	case CLI_USE_TIMEOUT:
		if (text_parse_duration(value, CLI_TIMEOUT_MAX_MS, &ms) != 0 || ms < 1000)
			return cli_refuse(rd, "the option", arg, " is a time from 1s to 1h");
		cli->timeout_s = (unsigned) (ms / 1000);
		rd->is_timed = true;
		return 0;
	case CLI_USE_COMMON:
	case CLI_USE_PROXY:
	case CLI_USE_VISITOR:
	case CLI_USE_BOTH: return cli_take_flag(rd, o, arg, value);
	}
	return 0;
}

/* The option that @arg is, or NULL, and the value that is glued to it ("-cFILE", "--config=FILE"),
 * or NULL. */
static const struct cli_option *cli_find(const char *arg, const char **ret_value)
{
	size_t n = strcspn(arg, "=");
	const struct cli_option *o;

	*ret_value = NULL;
	if (arg[1] == '-') {
		if (arg[n] == '=')
			*ret_value = arg + n + 1;
		return cli_option_find(arg + 2, n - 2, 0, NULL);
	}
	o = cli_option_find(NULL, 0, arg[1], NULL);
	if (arg[2] != '\0')
		*ret_value = arg + 2 + (arg[2] == '=');
	return o != NULL && o->form == CLI_FORM_SWITCH && arg[2] != '\0' && arg[2] != '=' ? NULL
											  : o;
}

/* An option @arg and perhaps the argument after it; *ret_used says how many. */
static int cli_take(struct cli_reader *rd, const char *arg, const char *next, int *ret_used)
{
	const char *value;
	const struct cli_option *o = cli_find(arg, &value);

	*ret_used = 1;
	if (o == NULL)
		return cli_refuse(rd, "unknown option", arg, "; see mltunnel --help");
	if (value == NULL && o->form != CLI_FORM_SWITCH) {
		value = next;
		*ret_used = 2;
	}
	if (value == NULL && o->form != CLI_FORM_SWITCH)
		return cli_refuse(rd, "the option", arg,
				  o->use == CLI_USE_FILE ? " needs the name of a file"
							 : " needs a value");
	return cli_take_option(rd, o, arg, value);
}

/* -- the whole -- */

static bool is_for(const struct cli *cli, const struct cli_option *o)
{
	char type[16];

	(void) snprintf(type, sizeof(type), " %s ", cli->type);
	if (o->types != NULL && strstr(o->types, type) == NULL)
		return false;
	return o->use == CLI_USE_COMMON || o->use == CLI_USE_BOTH ||
	       o->use == (cli->action == CLI_PROXY ? CLI_USE_PROXY : CLI_USE_VISITOR);
}

/* Options were taken before the command was known: which of the two "-n" is meant is seen here. */
static int cli_settle(struct cli_reader *rd)
{
	struct cli *cli = rd->cli;
	char arg[64];

	for (size_t i = 0; i < cli->n_flags; i++) {
		const struct cli_option *o = cli->flags[i].option;

		(void) snprintf(arg, sizeof(arg), "--%s", o->name);
		if (cli->type == NULL)
			return cli_refuse(rd, "the option", arg, " needs a command, as \"tcp\"");
		if (!is_for(cli, o) && o->letter != 0)
			o = cli_option_find(NULL, 0, o->letter, o);
		if (o == NULL || !is_for(cli, o))
			return cli_refuse(rd, "the option", arg, " is none of this command");
		cli->flags[i].option = o;
	}
	if (cli->type != NULL && (cli->file != NULL || cli->folder != NULL))
		return cli_refuse(rd, "the command", cli->type, " takes no configuration file");
	if (cli->folder != NULL &&
	    (cli->file != NULL || cli->action != CLI_RUN || cli->command != NULL))
		return cli_refuse(rd, "the option", "--config_dir", " stands alone");
	if (cli->want_json && cli->action != CLI_CHECK && cli->action != CLI_STATUS)
		return cli_refuse(rd, "the option", "--json", " is none of this command");
	if ((cli->want_ready || cli->want_watch) && cli->action != CLI_STATUS)
		return cli_refuse(rd, "the option", cli->want_ready ? "--ready" : "--watch",
				  " is none of this command");
	if (rd->is_timed && cli->action != CLI_RELOAD && cli->action != CLI_STATUS &&
	    cli->action != CLI_STOP)
		return cli_refuse(rd, "the option", "--api-timeout", " is none of this command");
	return 0;
}

int cli_parse(int argc, char *const *argv, struct cli *ret_cli, char *why, size_t why_cap)
{
	struct cli cli = { .action = CLI_RUN,
			   .is_frpc = argc > 0 && cli_is_frpc(argv[0]),
			   .timeout_s = CLI_TIMEOUT_S };
	struct cli_reader rd = { .cli = &cli, .why = why, .why_cap = why_cap };
	bool is_run = false;
	int r, used;

	for (int i = 1; i < argc; i += used) {
		const char *arg = argv[i];

		used = 1;
		if (is_run && (arg[0] != '-' || strcmp(arg, "--") == 0)) {
			i += arg[0] == '-';
			if (i == argc) /* as of `run -- $UNSET`: an agent alone is not meant */
				return cli_refuse(&rd, "the command", "run",
						  " needs a command behind \"--\"");
			cli.command = argv + i;
			break;
		}
		if (arg[0] != '-' || arg[1] == '\0') {
			if (!is_run && cli.action == CLI_RUN && strcmp(arg, "run") == 0)
				is_run = true;
			else if (is_run || (!rd.is_shown && !cli_take_command(&cli, arg)))
				return cli_refuse_command(&rd, arg);
			rd.is_shown |= cli.action == CLI_SHOW_HELP;
			continue;
		}
		r = cli_take(&rd, arg, i + 1 < argc ? argv[i + 1] : NULL, &used);
		if (r != 0)
			return r;
	}
	r = rd.is_shown ? 0 : cli_settle(&rd);
	if (r == 0)
		*ret_cli = cli;
	return r;
}
