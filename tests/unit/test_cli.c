/* SPDX-License-Identifier: Apache-2.0 */
/* test_cli.c - arguments: what they ask for, and how wrong ones are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf/check.h"
#include "agent/conf/load.h"
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
	  "unknown option \"--confi\"; see mltunnel --help" },
	{ { "mltunnel", "--" }, CLI_RUN, NULL, "unknown option \"--\"; see mltunnel --help" },
	{ { "mltunnel", "-hv" }, CLI_RUN, NULL, "unknown option \"-h\"; see mltunnel --help" },
	{ { "mltunnel", "--\n" },
	  CLI_RUN,
	  NULL,
	  "unknown option \"--\\x0a\"; see mltunnel --help" },
	{ { "mltunnel", "verify", "-c", "x" }, CLI_VERIFY, "x", NULL },
	{ { "mltunnel", "-c", "x", "reload" }, CLI_RELOAD, "x", NULL },
	{ { "mltunnel", "status", "--api-timeout=5s" }, CLI_STATUS, NULL, NULL },
	{ { "mltunnel", "stop" }, CLI_STOP, NULL, NULL },
	{ { "mltunnel", "status", "--ready", "--json", "--watch" }, CLI_STATUS, NULL, NULL },
	{ { "mltunnel", "check", "--json", "-c", "x" }, CLI_CHECK, "x", NULL },
	{ { "mltunnel", "--json" },
	  CLI_RUN,
	  NULL,
	  "the option \"--json\" is none of this command" },
	{ { "mltunnel", "check", "--ready" },
	  CLI_RUN,
	  NULL,
	  "the option \"--ready\" is none of this command" },
	{ { "mltunnel", "tcp", "-l", "1" }, CLI_PROXY, NULL, NULL },
	{ { "mltunnel", "stcp", "visitor", "-n", "x" }, CLI_VISITOR, NULL, NULL },
	{ { "mltunnel", "verify", "stop" },
	  CLI_RUN,
	  NULL,
	  "unknown command \"stop\"; see mltunnel --help" },
	{ { "mltunnel", "tcp", "visitor" },
	  CLI_RUN,
	  NULL,
	  "unknown command \"visitor\"; see mltunnel --help" },
	{ { "mltunnel", "xtcp" },
	  CLI_RUN,
	  NULL,
	  "the command \"xtcp\" of frpc is not supported by this version" },
	{ { "mltunnel", "nathole", "discover" },
	  CLI_RUN,
	  NULL,
	  "the command \"nathole\" of frpc is not supported by this version" },
	{ { "mltunnel", "help" }, CLI_SHOW_HELP, NULL, NULL },
	{ { "mltunnel", "help", "tcp" }, CLI_SHOW_HELP, NULL, NULL },
	{ { "mltunnel", "tcp", "help" },
	  CLI_RUN,
	  NULL,
	  "unknown command \"help\"; see mltunnel --help" },
	{ { "mltunnel", "tcp", "--sd=x" },
	  CLI_RUN,
	  NULL,
	  "the option \"--sd\" is none of this command" },
	{ { "mltunnel", "-tsecret" },
	  CLI_RUN,
	  NULL,
	  "the option \"--token\" needs a command, as \"tcp\"" },
	{ { "mltunnel", "tcp", "-t" }, CLI_RUN, NULL, "the option \"-t\" needs a value" },
	{ { "mltunnel", "tcp", "-tsecret", "--token", "secret" },
	  CLI_RUN,
	  NULL,
	  "the option \"--token\" is there twice" },
	{ { "mltunnel", "tcp", "-c", "x" },
	  CLI_RUN,
	  NULL,
	  "the command \"tcp\" takes no configuration file" },
	{ { "mltunnel", "--allow-unsafe=Everything" },
	  CLI_RUN,
	  NULL,
	  "the option \"--allow-unsafe\" knows only TokenSourceExec" },
	{ { "mltunnel", "--strict_config=maybe" },
	  CLI_RUN,
	  NULL,
	  "the option \"--strict_config\" is true or false" },
	{ { "mltunnel", "--api-timeout", "5" },
	  CLI_RUN,
	  NULL,
	  "the option \"--api-timeout\" is none of this command" },
	{ { "mltunnel", "stop", "--api-timeout", "0" },
	  CLI_RUN,
	  NULL,
	  "the option \"--api-timeout\" is a time from 1s to 1h" },
	{ { "mltunnel", "--config_dir", "d", "-c", "x" },
	  CLI_RUN,
	  NULL,
	  "the option \"--config_dir\" stands alone" },
	{ { "mltunnel", "-" }, CLI_RUN, NULL, "unknown command \"-\"; see mltunnel --help" },
	{ { "mltunnel", "" }, CLI_RUN, NULL, "unknown command \"\"; see mltunnel --help" },
	{ { "mltunnel", "-c" }, CLI_RUN, NULL, "the option \"-c\" needs the name of a file" },
	{ { "mltunnel", "-c", "" }, CLI_RUN, NULL, "the option \"-c\" needs the name of a file" },
	{ { "mltunnel", "--config=" },
	  CLI_RUN,
	  NULL,
	  "the option \"--config\" needs the name of a file" },
	{ { "mltunnel", "-c", "a", "-cb" }, CLI_RUN, NULL, "the option \"-c\" is there twice" },
	{ { "mltunnel", "--help=yes" }, CLI_RUN, NULL, "the option \"--help\" takes no value" },
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

/* The command lines of frp's suite, and all forms of an option. */
static void test_one_proxy(void **state)
{
	char words[][24] = { "frpc",
			     "http",
			     "-s",
			     "127.0.0.2",
			     "-P7001",
			     "-t=123",
			     "--user=test",
			     "--proxy_name",
			     "web",
			     "-l",
			     "80",
			     "--custom-domain",
			     "a.b,c.d",
			     "--custom_domain=e.f",
			     "--ue",
			     "--uc=false",
			     "--tls_enable=false",
			     "--metadatas",
			     "k=v,k2=v=2",
			     "--http-pwd",
			     "pw" };
	char *argv[21];
	struct load_options o = { 0 };
	struct tree t = { 0 };
	struct problems p;
	struct conf *c;
	struct cli cli;
	char why[200];

	(void) state;
	for (size_t i = 0; i < 21; i++)
		argv[i] = words[i];
	problems_init(&p);
	assert_int_equal(cli_parse(21, argv, &cli, why, sizeof(why)), 0);
	assert_int_equal(cli.action, CLI_PROXY);
	assert_true(cli.is_frpc);
	assert_int_equal(cli_make_tree(&cli, &t, &p), 0);
	assert_int_equal(load_tree("the command line", &t, &o, &p, &c), 0);
	tree_deinit(&t);
	cli_wipe(&cli);
	assert_string_equal(words[5], "-t=");
	assert_string_equal(words[20], "");
	assert_int_equal(conf_check(c, &p), 0);
	assert_string_equal(c->server_host, "127.0.0.2");
	assert_int_equal(c->server_port, 7001);
	assert_string_equal(c->token, "123");
	assert_false(c->tls.is_on);
	assert_int_equal(c->n_proxies, 1);
	assert_int_equal(c->proxies[0].kind, CONF_TYPE_HTTP);
	assert_string_equal(c->proxies[0].wire_name, "test.web");
	assert_int_equal(c->proxies[0].domains.n, 3);
	assert_string_equal(c->proxies[0].domains.at[2], "e.f");
	assert_true(c->proxies[0].use_encryption);
	assert_false(c->proxies[0].use_compression);
	assert_string_equal(c->proxies[0].metas.at[1].value, "v=2");
	assert_string_equal(c->proxies[0].http_password, "pw");
	c = conf_free(c);
	problems_deinit(&p);
}

static void test_one_visitor(void **state)
{
	char words[][24] = { "mltunnel", "sudp", "visitor",	    "-n",	   "v",
			     "--sk",	 "k",	 "--server-name=s", "--bind_port", "99x" };
	char *argv[10];
	struct load_options o = { 0 };
	struct tree t = { 0 };
	struct problems p;
	struct conf *c;
	struct cli cli;
	char why[200];

	(void) state;
	for (size_t i = 0; i < 10; i++)
		argv[i] = words[i];
	problems_init(&p);
	assert_int_equal(cli_parse(10, argv, &cli, why, sizeof(why)), 0);
	assert_int_equal(cli.action, CLI_VISITOR);
	assert_int_equal(cli_make_tree(&cli, &t, &p), 0);
	assert_int_equal(load_tree("the command line", &t, &o, &p, &c), 0);
	tree_deinit(&t);
	assert_int_equal(c->n_visitors, 1);
	assert_int_equal(c->visitors[0].kind, CONF_TYPE_SUDP);
	assert_string_equal(c->visitors[0].server_name, "s");
	assert_int_equal(p.n_lines, 1);
	assert_int_equal(buf_add(&p.text, span_of("", 1)), 0);
	assert_string_equal((const char *) buf_span(&p.text).p,
			    "--bind-port: \"99x\" is not a port (1-65535)\n");
	c = conf_free(c);
	problems_deinit(&p);
}

static void test_run_with_a_command(void **state)
{
	static const char *const examples_of_run[][ARGS_MAX] = {
		{ "mltunnel", "run", "--", "sh", "-c" },
		{ "mltunnel", "run", "sh", "-c" },
		{ "mltunnel", "run", "-c", "x", "--", "run" },
	};
	static const char *const first[] = { "sh", "sh", "run" };
	char *bare[] = { (char[]){ "mltunnel" }, (char[]){ "run" }, (char[]){ "--" }, NULL };
	struct cli cli;
	char why[200];

	(void) state;
	for (size_t i = 0; i < 3; i++) {
		char *argv[ARGS_MAX + 1] = { NULL };
		int argc = 0;

		while (argc < ARGS_MAX && examples_of_run[i][argc] != NULL) {
			argv[argc] = (char *) (uintptr_t) examples_of_run[i][argc];
			argc++;
		}
		assert_int_equal(cli_parse(argc, argv, &cli, why, sizeof(why)), 0);
		assert_int_equal(cli.action, CLI_RUN);
		assert_string_equal(cli.command[0], first[i]);
	}
	assert_int_equal(cli_parse(2, bare, &cli, why, sizeof(why)), 0);
	assert_null(cli.command);
	assert_int_equal(cli_parse(3, bare, &cli, why, sizeof(why)), CLI_E_BAD);
	assert_string_equal(why, "the command \"run\" needs a command behind \"--\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),	   cmocka_unit_test(test_the_name_decides),
		cmocka_unit_test(test_one_proxy),	   cmocka_unit_test(test_one_visitor),
		cmocka_unit_test(test_run_with_a_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
