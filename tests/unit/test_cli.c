/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli.c - arguments: what they ask for, and how wrong ones are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/front/cli.h"

#define ARGS_MAX 6

struct example {
	const char *args[ARGS_MAX]; /* with the program's name */
	enum cli_action action;
	const char *file, *why;
};

static const struct example examples[] = {
	{ { "mltunnel" }, CLI_RUN, NULL, NULL },
	{ { "mltunnel", "-c", "x.ini" }, CLI_RUN, "x.ini", NULL },
	{ { "mltunnel", "-cx.ini" }, CLI_RUN, "x.ini", NULL },
	{ { "mltunnel", "-c=x.ini" }, CLI_RUN, "x.ini", NULL },
	{ { "mltunnel", "--config", "x.ini" }, CLI_RUN, "x.ini", NULL },
	{ { "mltunnel", "--config=x=y" }, CLI_RUN, "x=y", NULL },
	{ { "mltunnel", "-c", "-" }, CLI_RUN, "-", NULL },
	{ { "mltunnel", "-h" }, CLI_SHOW_HELP, NULL, NULL },
	{ { "mltunnel", "--help" }, CLI_SHOW_HELP, NULL, NULL },
	{ { "mltunnel", "-v" }, CLI_SHOW_VERSION, NULL, NULL },
	{ { "mltunnel", "-c", "x", "--version" }, CLI_SHOW_VERSION, "x", NULL },
	{ { "mltunnel", "--bogus" },
	  CLI_RUN,
	  NULL,
	  "unknown option \"--bogus\"; see mltunnel --help" },
	{ { "mltunnel", "--confi=x" },
	  CLI_RUN,
	  NULL,
	  "unknown option \"--confi=x\"; see mltunnel --help" },
	{ { "mltunnel", "--" }, CLI_RUN, NULL, "unknown option \"--\"; see mltunnel --help" },
	{ { "mltunnel", "-hv" }, CLI_RUN, NULL, "unknown option \"-hv\"; see mltunnel --help" },
	{ { "mltunnel", "-x\n" },
	  CLI_RUN,
	  NULL,
	  "unknown option \"-x\\x0a\"; see mltunnel --help" },
	{ { "mltunnel", "verify" },
	  CLI_RUN,
	  NULL,
	  "unknown command \"verify\"; see mltunnel --help" },
	{ { "mltunnel", "-" }, CLI_RUN, NULL, "unknown command \"-\"; see mltunnel --help" },
	{ { "mltunnel", "" }, CLI_RUN, NULL, "unknown command \"\"; see mltunnel --help" },
	{ { "mltunnel", "-c" }, CLI_RUN, NULL, "the option \"-c\" needs the name of a file" },
	{ { "mltunnel", "-c", "" }, CLI_RUN, NULL, "the option \"-c\" needs the name of a file" },
	{ { "mltunnel", "--config=" },
	  CLI_RUN,
	  NULL,
	  "the option \"--config=\" needs the name of a file" },
	{ { "mltunnel", "-c", "a", "-cb" }, CLI_RUN, NULL, "the option \"-cb\" is there twice" },
	{ { "mltunnel", "--help=yes" }, CLI_RUN, NULL, "the option \"--help=yes\" takes no value" },
};

static void test_examples(void **state)
{
	(void) state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *e = &examples[i];
		struct cli cli = { .action = CLI_SHOW_HELP };
		char why[200] = "", *argv[ARGS_MAX];
		int argc = 0, r;

		memcpy(argv, e->args, sizeof(argv));
		while (argc < ARGS_MAX && argv[argc] != NULL)
			argc++;
		r = cli_parse(argc, argv, &cli, why, sizeof(why));
		if (e->why != NULL) {
			assert_int_equal(r, CLI_E_BAD);
			assert_string_equal(why, e->why);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(cli.action, e->action);
		if (e->file != NULL)
			assert_string_equal(cli.file, e->file);
		else
			assert_null(cli.file);
	}
}

static void test_the_name_decides(void **state)
{
	char why[100], frpc[] = "/usr/bin/frpc", other[] = "/opt/frpc/mltunnel";
	char *as_frpc[] = { frpc, NULL }, *as_other[] = { other, NULL };
	struct cli cli;

	(void) state;
	assert_int_equal(cli_parse(1, as_frpc, &cli, why, sizeof(why)), 0);
	assert_true(cli.is_frpc);
	assert_int_equal(cli_parse(1, as_other, &cli, why, sizeof(why)), 0);
	assert_false(cli.is_frpc);
	assert_int_equal(cli_parse(0, as_other + 1, &cli, why, sizeof(why)),
			 0); /* execve() without argv[0] */
	assert_false(cli.is_frpc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_the_name_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
