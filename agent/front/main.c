/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - arguments to configuration to one run to an exit code. Floor 6. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/logfile.h"
#include "agent/conf/check.h"
#include "agent/conf/load.h"
#include "agent/front/checkup.h"
#include "agent/front/cli.h"
#include "agent/front/ctl.h"
#include "agent/front/env.h"
#include "agent/front/many.h"
#include "agent/front/process.h"
#include "agent/front/run.h"
#include "agent/front/status.h"

#define MAIN_WHY 256
#define FRPC_FILE "./frpc.ini" /* where frp's client looks when it is told nothing */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_WRONG = 2 };

static int fail(const char *what, int err)
{
	(void) fprintf(stderr, "mltunnel: %s: %s\n", what, strerror(-err));
	return EXIT_FAILED;
}

/* What is read, and how; a reload does the same again. */
struct again {
	const struct cli *cli;
	const char *file;  /* NULL: the environment, or the command line */
	char *const *envp; /* as it was at the start */
};

static int load_again(void *arg, const struct span *text, bool is_strict, struct problems *p,
		      struct conf **ret_c)
{
	const struct again *a = arg;
	const struct load_options o = { .envp = a->envp,
					.is_lenient = a->cli->is_lenient || !is_strict,
					.may_exec = a->cli->may_exec };
	struct problems warnings; /* the start has told them */
	int r;

	problems_init(&warnings);
	if (text != NULL)
		r = load_text(a->file, (const char *) text->p, text->len, &o, p, &warnings, ret_c);
	else
		r = load_file(a->file, &o, p, &warnings, ret_c);
	problems_deinit(&warnings);
	if (r == 0)
		r = env_apply(environ, p, *ret_c);
	return r == 0 ? conf_check(*ret_c, p) : r;
}

static int load_options_of_proxy(const struct again *a, struct problems *p, struct conf **ret_c)
{
	const struct load_options o = { .envp = a->envp };
	struct tree t = { 0 };
	int r = cli_make_tree(a->cli, &t, p);

	if (r == 0)
		r = load_tree("the command line", &t, &o, p, ret_c);
	tree_deinit(&t);
	cli_wipe(a->cli);
	return r;
}

/* 0 (also with problems), or negated errno. */
static int load(const struct again *a, struct problems *p, struct problems *warnings,
		struct conf **ret_c)
{
	const struct load_options o = { .envp = a->envp,
					.is_lenient = a->cli->is_lenient,
					.may_exec = a->cli->may_exec };
	bool is_env = a->file == NULL && a->cli->type == NULL;
	int r;

	if (is_env)
		r = env_load(environ, p, ret_c);
	else if (a->file != NULL)
		r = load_file(a->file, &o, p, warnings, ret_c);
	else
		r = load_options_of_proxy(a, p, ret_c);
	if (r == 0 && !is_env)
		r = env_apply(environ, p, *ret_c);
	if (r == 0 && a->cli->folder != NULL && (*ret_c)->remote_addr_file != NULL)
		problems_add(p, "MLTUNNEL_REMOTE_ADDR_FILE: cannot be used with --config_dir, "
				"whose agents would all write to that file");
	return r == 0 ? conf_check(*ret_c, p) : r;
}

static void print_problems(const char *kind, const struct problems *p)
{
	struct span rest = buf_span(&p->text);

	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.len);
		size_t len = (size_t) (end - rest.p) + 1;

		(void) fprintf(stderr, "mltunnel: %s%.*s", kind, (int) len, (const char *) rest.p);
		rest = span_skip(rest, len);
	}
	if (p->n_dropped > 0)
		(void) fprintf(stderr, "mltunnel: and %zu more\n", p->n_dropped);
}

static int run(struct again *again, const struct conf *c, const struct process_limits *inherited)
{
	const struct cli *cli = again->cli;
	/* frp's client writes its log to standard output, and scripts look there for it. */
	int fd = cli->is_frpc ? STDOUT_FILENO : STDERR_FILENO;
	enum run_end end = RUN_END_STOPPED;
	struct run_params p = {
		.conf = c,
		.is_env = again->file == NULL && cli->type == NULL,
		.command = cli->command,
		.inherited = inherited,
	};
	struct logfile *file = NULL;
	struct log *log;
	int r, status = EXIT_FAILED;

	if (again->file != NULL) {
		p.file = again->file;
		p.load = load_again;
		p.load_arg = again;
	}
	r = log_new(&log, fd, (enum log_level) c->log_level, (enum log_format) c->log_format);
	if (r < 0)
		return fail("cannot start", r);
	if (c->log_to != NULL) {
		r = logfile_new(&file, c->log_to, c->log_max_days, /* size_max= */ 0);
		if (r == 0)
			log_set_put(log, logfile_put, file);
		else
			log_error(log, "the log file cannot be opened, logging here", "file",
				  c->log_to, "error", strerror(-r), "remedy",
				  "make its folder, or let the agent write to it (log.to)");
	}
	p.log = log;
	p.logfile = file;
	r = run_agent(&p, &end, &status);
	(void) log_free(log);
	(void) logfile_free(file);
	if (r < 0)
		return fail("cannot start", r);
	switch (end) {
	case RUN_END_STOPPED: return EXIT_OK;
	case RUN_END_LOGIN_FAILED: return EXIT_FAILED;
	case RUN_END_REFUSED: return EXIT_WRONG;
	case RUN_END_COMMAND: return status;
	}
	return EXIT_FAILED;
}

static int control(const struct cli *cli, enum ctl_what what, const struct conf *c)
{
	const struct ctl_options o = { .is_strict = !cli->is_lenient, .timeout_s = cli->timeout_s };
	int r = ctl_run(what, c, &o, stdout, stderr);

	return r < 0 ? fail("cannot ask the agent", r) : r == 0 ? EXIT_OK : EXIT_FAILED;
}

/* frpc's way when there is an admin API to ask, and ours by default. */
static int show_status(const struct cli *cli, const struct conf *c)
{
	const struct status_params p = {
		.conf = c,
		.want_json = cli->want_json,
		.want_ready = cli->want_ready,
		.want_watch = cli->want_watch,
	};

	if (c != NULL && c->web.port != 0 && !p.want_json && !p.want_ready && !p.want_watch)
		return control(cli, CTL_STATUS, c);
	return status_show(&p) == 0 ? EXIT_OK : EXIT_FAILED;
}

static int check(const struct again *a, const struct conf *c, const struct problems *problems)
{
	const struct checkup_params p = {
		.conf = c,
		.problems = problems,
		.envp = a->envp,
		.want_json = a->cli->want_json,
	};
	int r = checkup_run(&p);

	return r < 0 ? fail("cannot check", r) : r == 0 ? EXIT_OK : EXIT_FAILED;
}

/* The configuration is right. */
static int act(struct again *a, const struct conf *c, const struct process_limits *inherited)
{
	switch (a->cli->action) {
	case CLI_VERIFY:
		(void) printf("%s: the configuration %s%s syntax is ok\n",
			      a->cli->is_frpc ? "frpc" : "mltunnel",
			      a->file != NULL ? "file " : "of the ", c->source);
		return EXIT_OK;
	case CLI_RELOAD: return control(a->cli, CTL_RELOAD, c);
	case CLI_STATUS: return show_status(a->cli, c);
	case CLI_CHECK: break; /* load_and_act() has done it */
	case CLI_STOP: return control(a->cli, CTL_STOP, c);
	case CLI_RUN:
	case CLI_PROXY:
	case CLI_VISITOR: return run(a, c, inherited);
	case CLI_SHOW_HELP:
	case CLI_SHOW_VERSION: break; /* main() has done it */
	}
	return EXIT_OK;
}

static int load_and_act(struct again *a, const struct process_limits *inherited)
{
	CLEANUP(conf_free) struct conf *c = NULL;
	struct problems problems, warnings;
	int r;

	problems_init(&problems);
	problems_init(&warnings);
	r = load(a, &problems, &warnings, &c);
	print_problems("warning: ", &warnings);
	if (r == 0 && a->cli->action == CLI_CHECK) {
		r = check(a, c, &problems);
		problems_deinit(&problems);
		problems_deinit(&warnings);
		return r;
	}
	if (r < 0)
		r = fail("cannot read the configuration", r);
	else if (problems.n_lines > 0)
		r = EXIT_WRONG;
	print_problems("", &problems);
	if (r == EXIT_WRONG && a->file != NULL && a->file != a->cli->file && a->cli->folder == NULL)
		(void) fprintf(stderr,
			       "mltunnel: neither -c FILE nor FRP_SERVER is given, so " FRPC_FILE
			       " was tried\n");
	problems_deinit(&problems);
	problems_deinit(&warnings);
	return r != 0 ? r : act(a, c, inherited);
}

/* Find out what is to be read. */
static int choose(const struct cli *cli, const char *file, const struct process_limits *inherited)
{
	struct again a = { .cli = cli, .file = file };
	char **envp;
	int r;

	if (file == NULL && cli->type == NULL && !env_is_asked_for(environ)) {
		if (!cli->is_frpc && cli->action == CLI_STATUS)
			return show_status(cli, /* c= */ NULL);
		if (!cli->is_frpc && cli->action != CLI_CHECK) {
			(void) fprintf(
				stderr,
				"mltunnel: no configuration: set FRP_SERVER, SECRET_FRP_TOKEN and CLIENT_ID in the "
				"environment, or give a file with -c FILE (see mltunnel --help)\n");
			return EXIT_WRONG;
		}
		a.file = cli->is_frpc ? FRPC_FILE : NULL;
	}
	envp = env_copy(environ);
	if (envp == NULL)
		return fail("cannot start", -ENOMEM);
	a.envp = envp;
	r = load_and_act(&a, inherited);
	env_copy_free(envp);
	return r;
}

static int choose_many(const struct cli *cli, const struct process_limits *inherited)
{
	char *path = NULL;
	int status = EXIT_OK, r = many_start(cli->folder, &path, &status);

	if (r == MANY_CHILD) {
		status = choose(cli, path, inherited);
		free(path);
	} else if (r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -ENODATA) {
		(void) fprintf(stderr, "mltunnel: --config_dir %s: %s\n", cli->folder,
			       r == -ENODATA ? "it has no files" : strerror(-r));
		status = EXIT_WRONG;
	} else if (r < 0) {
		status = fail("cannot run the files of the folder", r);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct process_limits inherited;
	struct cli cli;
	char why[MAIN_WHY];
	int r = process_prepare(&inherited);

	if (r < 0)
		return fail("cannot open /dev/null", r);
	if (cli_parse(argc, argv, &cli, why, sizeof(why)) != 0) {
		(void) fprintf(stderr, "mltunnel: %s\n", why);
		return EXIT_WRONG;
	}
	if (cli.action == CLI_SHOW_HELP)
		(void) fputs(cli_help(), stdout);
	else if (cli.action == CLI_SHOW_VERSION)
		(void) puts("mltunnel " MLTUNNEL_VERSION);
	else
		return cli.folder != NULL ? choose_many(&cli, &inherited)
					  : choose(&cli, cli.file, &inherited);
	return EXIT_OK;
}
