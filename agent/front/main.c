/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - arguments to configuration to one run to an exit code. Floor 6. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/logfile.h"
#include "agent/conf/check.h"
#include "agent/conf/load.h"
#include "agent/front/cli.h"
#include "agent/front/env.h"
#include "agent/front/process.h"
#include "agent/front/run.h"

#define MAIN_WHY 256
#define FRPC_FILE "./frpc.ini" /* where frp's client looks when it is told nothing */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_WRONG = 2 };

static int fail(const char *what, int err)
{
	(void) fprintf(stderr, "mltunnel: %s: %s\n", what, strerror(-err));
	return EXIT_FAILED;
}

/* What a reload needs to do the same again. */
struct again {
	const struct cli *cli;
	const char *file;
};

static int load_again(void *arg, const struct span *text, bool is_strict, struct problems *p,
		      struct conf **ret_c)
{
	const struct again *a = arg;
	const struct load_options o = { .envp = environ, .is_lenient = !is_strict };
	int r;

	if (text != NULL)
		r = load_text(a->file, (const char *) text->p, text->len, &o, p, p, ret_c);
	else
		r = load_file(a->file, &o, p, p, ret_c);
	if (r == 0)
		r = env_apply(environ, p, *ret_c);
	return r == 0 ? conf_check(*ret_c, p) : r;
}

/* 0 (also with problems), or negated errno. */
static int load(const struct cli *cli, bool is_env, struct problems *p, struct conf **ret_c)
{
	const struct load_options o = { .envp = environ };
	int r;

	if (is_env) {
		r = env_load(environ, p, ret_c);
	} else {
		r = load_file(cli->file != NULL ? cli->file : FRPC_FILE, &o, p, p, ret_c);
		if (r == 0)
			r = env_apply(environ, p, *ret_c);
	}
	return r == 0 ? conf_check(*ret_c, p) : r;
}

static void print_problems(const struct problems *p)
{
	struct span rest = buf_span(&p->text);

	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.len);
		size_t len = (size_t) (end - rest.p) + 1;

		(void) fprintf(stderr, "mltunnel: %.*s", (int) len, (const char *) rest.p);
		rest = span_skip(rest, len);
	}
	if (p->n_dropped > 0)
		(void) fprintf(stderr, "mltunnel: and %zu more\n", p->n_dropped);
}

static int run(const struct cli *cli, bool is_env, const struct conf *c,
	       const struct process_limits *inherited)
{
	/* frp's client writes its log to standard output, and scripts look there for it. */
	int fd = cli->is_frpc ? STDOUT_FILENO : STDERR_FILENO;
	enum run_end end = RUN_END_STOPPED;
	struct run_params p = {
		.conf = c,
		.is_env = is_env,
		.command = cli->command,
		.inherited = inherited,
	};
	struct again again = { .cli = cli, .file = cli->file != NULL ? cli->file : FRPC_FILE };
	struct logfile *file = NULL;
	struct log *log;
	int r, status = EXIT_FAILED;

	if (!is_env) {
		p.file = again.file;
		p.load = load_again;
		p.load_arg = &again;
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
				  c->log_to, "error", strerror(-r));
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

static int load_and_run(const struct cli *cli, const struct process_limits *inherited)
{
	bool is_env = cli->file == NULL && env_is_asked_for(environ);
	CLEANUP(conf_free) struct conf *c = NULL;
	struct problems problems;
	int r;

	if (cli->file == NULL && !is_env && !cli->is_frpc) {
		(void) fprintf(
			stderr,
			"mltunnel: no configuration: set FRP_SERVER, SECRET_FRP_TOKEN and CLIENT_ID in the "
			"environment, or give a file with -c FILE (see mltunnel --help)\n");
		return EXIT_WRONG;
	}
	problems_init(&problems);
	r = load(cli, is_env, &problems, &c);
	if (r < 0)
		r = fail("cannot read the configuration", r);
	else if (problems.n_lines > 0)
		r = EXIT_WRONG;
	print_problems(&problems);
	if (r == EXIT_WRONG && cli->file == NULL && !is_env)
		(void) fprintf(stderr,
			       "mltunnel: neither -c FILE nor FRP_SERVER is given, so " FRPC_FILE
			       " was tried\n");
	problems_deinit(&problems);
	return r != 0 ? r : run(cli, is_env, c, inherited);
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
	switch (cli.action) {
	case CLI_SHOW_HELP: (void) fputs(cli_help(), stdout); return EXIT_OK;
	case CLI_SHOW_VERSION: (void) puts("mltunnel " MLTUNNEL_VERSION); return EXIT_OK;
	case CLI_RUN: break;
	}
	return load_and_run(&cli, &inherited);
}
