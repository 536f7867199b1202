/* SPDX-License-Identifier: Apache-2.0 */
/* test_env.c - the environment contract: what is set, what is refused and how, and that the token
 * goes nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/conf/check.h"
#include "agent/front/env.h"
#include "proto/base/limits.h"

#define TOKEN "t0ken-5ecret"
#define N_VARIABLES 24
#define PIN "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

/* An environment block of our own, and the configuration it makes. */
struct block {
	char text[N_VARIABLES][256];
	char *envp[N_VARIABLES + 1];
	size_t n;
	struct problems problems;
	struct conf *conf;
};

static void put(struct block *b, const char *variable)
{
	assert_true(b->n < N_VARIABLES && strlen(variable) < sizeof(b->text[0]));
	(void) snprintf(b->text[b->n], sizeof(b->text[0]), "%s", variable);
	b->envp[b->n] = b->text[b->n];
	b->n++;
	b->envp[b->n] = NULL;
}

static void start(struct block *b)
{
	memset(b, 0, sizeof(*b));
	problems_init(&b->problems);
	put(b, "PATH=/usr/bin");
}

static void start_good(struct block *b)
{
	start(b);
	put(b, "FRP_SERVER=frps.example");
	put(b, "SECRET_FRP_TOKEN=" TOKEN);
	put(b, "CLIENT_ID=0042");
}

static void load(struct block *b)
{
	assert_int_equal(env_load(b->envp, &b->problems, &b->conf), 0);
	assert_int_equal(conf_check(b->conf, &b->problems), 0);
	assert_int_equal(buf_add(&b->problems.text, span_of("", 1)), 0); /* a string from here on */
}

static const char *problems_text(const struct block *b)
{
	return (const char *) buf_span(&b->problems.text).p;
}

static void unload(struct block *b)
{
	b->conf = conf_free(b->conf);
	problems_deinit(&b->problems);
}

static void load_good(struct block *b)
{
	load(b);
	if (b->problems.n_lines > 0)
		fail_msg("unexpected: %s", problems_text(b));
}

static void test_three_variables_make_a_tunnel(void **state)
{
	const struct conf *c;
	struct block b;

	(void) state;
	start_good(&b);
	assert_true(env_is_asked_for(b.envp));
	load_good(&b);
	c = b.conf;
	assert_string_equal(c->source, "environment");
	assert_string_equal(c->server_host, "frps.example");
	assert_int_equal(c->server_port, 7200);
	assert_string_equal(c->token, TOKEN);
	assert_null(c->token_file);
	assert_null(c->user);
	assert_true(c->all_or_none);
	assert_false(c->login_fail_exit);
	assert_true(c->tls.is_on);
	assert_true(c->grace_ms == WAIT_GRACE_MS);
	assert_int_equal(c->pool_count, 1);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->n_proxies, 2);
	assert_string_equal(c->proxies[0].wire_name, "client-mlnode-port5000-0042");
	assert_string_equal(c->proxies[0].local_host, "127.0.0.1");
	assert_int_equal(c->proxies[0].local_port, 5050);
	assert_int_equal(c->proxies[0].msg.remote_port, 10042);
	assert_string_equal(c->proxies[1].wire_name, "client-mlnode-0042");
	assert_string_equal(c->proxies[1].local_host, "127.0.0.1");
	assert_int_equal(c->proxies[1].local_port, 8081);
	assert_int_equal(c->proxies[1].msg.remote_port, 20042);
	unload(&b);
}

static void test_everything_that_can_be_set(void **state)
{
	const struct conf *c;
	struct block b;

	(void) state;
	start(&b);
	put(&b, "FRP_SERVER=[2001:db8::1]:7000");
	put(&b, "SECRET_FRP_TOKEN=" TOKEN);
	put(&b, "CLIENT_ID=9999");
	put(&b, "MLTUNNEL_INFERENCE_PORT=5000");
	put(&b, "MLTUNNEL_POC_PORT=8080");
	put(&b, "MLTUNNEL_TLS_CA=/dev/null");
	put(&b, "MLTUNNEL_TLS_PIN=" PIN);
	put(&b, "MLTUNNEL_TLS_SERVER_NAME=frps.internal");
	put(&b, "MLTUNNEL_LOG_LEVEL=debug");
	put(&b, "MLTUNNEL_LOG_FORMAT=json");
	put(&b, "MLTUNNEL_GRACE=1m30s");
	put(&b, "MLTUNNEL_POOL_COUNT=0");
	/* What the image sets, and what is of no use yet. */
	put(&b, "NODE_ID=node-1");
	put(&b, "ID_PREFIX=a");
	put(&b, "API_NODE=api:9100");
	put(&b, "API_NODES=api:9100,api2:9100");
	put(&b, "FRP_CONFIG_DIR=/no/such/folder");
	put(&b, "MODEL_NAME=m");
	put(&b, "UBUNTU_TEST=true");
	load_good(&b);
	c = b.conf;
	assert_string_equal(c->server_host, "2001:db8::1");
	assert_int_equal(c->server_port, 7000);
	assert_int_equal(c->proxies[0].remote_port, 19999);
	assert_int_equal(c->proxies[0].local_port, 5000);
	assert_int_equal(c->proxies[1].remote_port, 29999);
	assert_int_equal(c->proxies[1].local_port, 8080);
	assert_string_equal(c->tls.ca_file, "/dev/null");
	assert_false(c->tls.want_system_roots);
	assert_string_equal(c->tls.pin, PIN);
	assert_string_equal(c->tls.server_name, "frps.internal");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_true(c->grace_ms == 90000);
	assert_int_equal(c->pool_count, 0);
	unload(&b);
}

static void test_system_roots_and_no_tls(void **state)
{
	struct block b;

	(void) state;
	start_good(&b);
	put(&b, "MLTUNNEL_TLS_CA=system");
	load_good(&b);
	assert_true(b.conf->tls.want_system_roots);
	assert_null(b.conf->tls.ca_file);
	unload(&b);
	start_good(&b);
	put(&b, "MLTUNNEL_TLS=off");
	load_good(&b);
	assert_false(b.conf->tls.is_on);
	unload(&b);
}

static void test_an_empty_variable_is_not_set(void **state)
{
	struct block b;

	(void) state;
	start(&b);
	put(&b, "FRP_SERVER=");
	put(&b, "FRP_SERVERS=");
	assert_false(env_is_asked_for(b.envp));
	unload(&b);
	start_good(&b);
	put(&b, "SECRET_FRP_TOKEN_FILE=");
	put(&b, "FRP_SERVERS=");
	put(&b, "MLTUNNEL_TLS=");
	put(&b, "MLTUNNEL_ADMIN=");
	load_good(&b);
	assert_true(b.conf->tls.is_on);
	unload(&b);
}

/* One variable over the good ones and the line it must give. */
struct refusal {
	const char *variable, *want;
};

#define SERVER_RIGHT \
	"host:port (the port may be left out: 7200; an IPv6 address stands in brackets)"

static const struct refusal refusals[] = {
	{ "FRP_SERVER=host:", "FRP_SERVER: \"host:\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=host:0", "FRP_SERVER: \"host:0\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=host:65536", "FRP_SERVER: \"host:65536\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=host:+80", "FRP_SERVER: \"host:+80\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=2001:db8::1", "FRP_SERVER: \"2001:db8::1\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=a,b", "FRP_SERVER: \"a,b\" is not " SERVER_RIGHT },
	{ "FRP_SERVER= host", "FRP_SERVER: \" host\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=http://host", "FRP_SERVER: \"http://host\" is not " SERVER_RIGHT },
	{ "FRP_SERVER=a\nb\x1b[31m", "FRP_SERVER: \"a\\x0ab\\x1b[31m\" is not " SERVER_RIGHT },
	{ "CLIENT_ID=0000", "CLIENT_ID: \"0000\" is not four digits (0001-9999)" },
	{ "CLIENT_ID=123", "CLIENT_ID: \"123\" is not four digits (0001-9999)" },
	{ "CLIENT_ID=12345", "CLIENT_ID: \"12345\" is not four digits (0001-9999)" },
	{ "CLIENT_ID=+123", "CLIENT_ID: \"+123\" is not four digits (0001-9999)" },
	{ "CLIENT_ID=0042 ", "CLIENT_ID: \"0042 \" is not four digits (0001-9999)" },
	{ "CLIENT_ID=", "CLIENT_ID: not set; it has to be four digits (0001-9999)" },
	{ "SECRET_FRP_TOKEN=",
	  "SECRET_FRP_TOKEN: not set; it has to be the token of the server (or SECRET_FRP_TOKEN_FILE the path of a file with it)" },
	{ "SECRET_FRP_TOKEN=" TOKEN "\r",
	  "SECRET_FRP_TOKEN: its value (not shown) has a control character inside or a space at an end" },
	{ "SECRET_FRP_TOKEN= " TOKEN,
	  "SECRET_FRP_TOKEN: its value (not shown) has a control character inside or a space at an end" },
	{ "SECRET_FRP_TOKEN_FILE=/no/such",
	  "SECRET_FRP_TOKEN_FILE: SECRET_FRP_TOKEN is set too; set only one of them" },
	{ "FRP_SERVERS=a:1,b:2",
	  "FRP_SERVERS: not supported by this version; set FRP_SERVER to one host:port" },
	{ "MLTUNNEL_INFERENCE_PORT=80x",
	  "MLTUNNEL_INFERENCE_PORT: \"80x\" is not a port (1-65535)" },
	{ "MLTUNNEL_POC_PORT=0", "MLTUNNEL_POC_PORT: \"0\" is not a port (1-65535)" },
	{ "MLTUNNEL_TLS=maybe", "MLTUNNEL_TLS: \"maybe\" is not on or off" },
	{ "MLTUNNEL_TLS_CA=/no/such",
	  "MLTUNNEL_TLS_CA: \"/no/such\" is not a file that can be read, or \"system\"" },
	{ "MLTUNNEL_TLS_PIN=sha256/x",
	  "MLTUNNEL_TLS_PIN: \"sha256/x\" is not the SHA-256 of a public key (sha256/ and 44 characters of base64, or 64 hex digits)" },
	{ "MLTUNNEL_TLS_SERVER_NAME=a:1",
	  "MLTUNNEL_TLS_SERVER_NAME: \"a:1\" is not a host name or an IP address" },
	{ "MLTUNNEL_LOG_LEVEL=loud",
	  "MLTUNNEL_LOG_LEVEL: \"loud\" is not trace, debug, info, warn or error" },
	{ "MLTUNNEL_LOG_FORMAT=xml", "MLTUNNEL_LOG_FORMAT: \"xml\" is not text or json" },
	{ "MLTUNNEL_GRACE=2h",
	  "MLTUNNEL_GRACE: \"2h\" is not a time of at most 1h (10s, 500ms, 1m30s)" },
	{ "MLTUNNEL_POOL_COUNT=101",
	  "MLTUNNEL_POOL_COUNT: \"101\" is not a number of connections (0-100)" },
	{ "MLTUNNEL_ADMIN=on",
	  "MLTUNNEL_ADMIN: \"on\" is not the address of the admin API, numeric or localhost, and its port (127.0.0.1:7400)" },
	{ "MLTUNNEL_ADMIN=admin.example:7400",
	  "MLTUNNEL_ADMIN: \"admin.example:7400\" is not the address of the admin API, numeric or localhost, and its port (127.0.0.1:7400)" },
	{ "MLTUNNEL_TLS_CAA=x",
	  "MLTUNNEL_TLS_CAA: unknown variable; the nearest known one is MLTUNNEL_TLS_CA" },
	{ "MLTUNNEL_POD_PORT=x",
	  "MLTUNNEL_POD_PORT: unknown variable; the nearest known one is MLTUNNEL_POC_PORT" },
	{ "MLTUNNEL_=x", "MLTUNNEL_: unknown variable; the nearest known one is MLTUNNEL_TLS" },
	{ "MLTUNNEL_\n=x",
	  "MLTUNNEL_\\x0a: unknown variable; the nearest known one is MLTUNNEL_TLS" },
};

/* Like setenv(): the good value of the same name goes. */
static void replace(struct block *b, const char *variable)
{
	size_t n = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < b->n; i++)
		if (strncmp(b->text[i], variable, n) == 0) {
			(void) snprintf(b->text[i], sizeof(b->text[0]), "%s", variable);
			return;
		}
	put(b, variable);
}

static void test_each_bad_value_has_its_line(void **state)
{
	struct block b;

	(void) state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char line[512];

		start_good(&b);
		replace(&b, refusals[i].variable);
		load(&b);
		(void) snprintf(line, sizeof(line), "%s\n", refusals[i].want);
		assert_string_equal(problems_text(&b), line);
		assert_int_equal(b.problems.n_lines, 1);
		unload(&b);
	}
}

static void test_all_problems_are_told_at_once_and_none_has_the_token(void **state)
{
	struct block b;

	(void) state;
	start(&b);
	put(&b, "SECRET_FRP_TOKEN=" TOKEN);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]) && b.n < N_VARIABLES; i += 2)
		if (strncmp(refusals[i].variable, "SECRET_FRP_TOKEN=", 17) != 0)
			put(&b, refusals[i].variable);
	load(&b);
	assert_true(b.problems.n_lines >= 8);
	assert_null(strstr(problems_text(&b), TOKEN));
	unload(&b);
}

static void test_the_token_is_overwritten_where_it_stood(void **state)
{
	struct block b;

	(void) state;
	for (unsigned is_file = 0; is_file < 2; is_file++) {
		start_good(&b);
		put(&b, "SECRET_FRP_TOKEN=" TOKEN); /* twice is legal in a block */
		put(&b, "LAST=1");
		if (is_file) {
			b.conf = conf_new();
			assert_int_equal(env_apply(b.envp, &b.problems, b.conf), 0);
			assert_string_equal(b.conf->token, "");
		} else {
			load_good(&b);
			assert_string_equal(b.conf->token, TOKEN);
		}
		for (size_t i = 0; i < b.n; i++)
			for (size_t at = 0; at + strlen(TOKEN) <= sizeof(b.text[0]); at++)
				assert_memory_not_equal(b.text[i] + at, TOKEN, strlen(TOKEN));
		assert_string_equal(b.envp[0], "PATH=/usr/bin");
		assert_string_equal(b.envp[3], "LAST=1");
		assert_null(b.envp[4]);
		unload(&b);
	}
}

static void put_token_file(struct block *b, char path[static 64], const char *text, size_t len)
{
	char variable[128];
	int fd;

	(void) snprintf(path, 64, "/tmp/test_env.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
	start(b);
	put(b, "FRP_SERVER=frps");
	put(b, "CLIENT_ID=0001");
	(void) snprintf(variable, sizeof(variable), "SECRET_FRP_TOKEN_FILE=%s", path);
	put(b, variable);
}

static void test_token_from_a_file(void **state)
{
	struct block b;
	char path[64];

	(void) state;
	put_token_file(&b, path, " \t" TOKEN "\r\n\n", strlen(TOKEN) + 5);
	load_good(&b);
	assert_string_equal(b.conf->token, TOKEN);
	assert_string_equal(b.conf->token_file, path);
	unload(&b);
	assert_int_equal(unlink(path), 0);
}

static void test_token_files_that_cannot_be_used(void **state)
{
	static char large[70000];
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} files[] = {
		{ "", 0, "it is empty" },
		{ " \n", 2, "it is empty" },
		{ TOKEN "\0x", sizeof(TOKEN) + 1, "it has a NUL byte inside" },
		{ large, sizeof(large), "it is longer than 65536 bytes" },
	};
	struct block b;
	char path[64], line[256];

	(void) state;
	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		put_token_file(&b, path, files[i].text, files[i].len);
		load(&b);
		(void) snprintf(line, sizeof(line),
				"SECRET_FRP_TOKEN_FILE: \"%s\" cannot be used: %s\n", path,
				files[i].want);
		assert_string_equal(problems_text(&b), line);
		unload(&b);
		assert_int_equal(unlink(path), 0);
	}
	start(&b);
	put(&b, "FRP_SERVER=frps");
	put(&b, "CLIENT_ID=0001");
	put(&b, "SECRET_FRP_TOKEN_FILE=/tmp");
	load(&b);
	assert_string_equal(problems_text(&b),
			    "SECRET_FRP_TOKEN_FILE: \"/tmp\" cannot be used: it is a directory\n");
	unload(&b);
}

static void test_tls_settings_without_tls(void **state)
{
	struct block b;

	(void) state;
	start_good(&b);
	put(&b, "MLTUNNEL_TLS=off");
	put(&b, "MLTUNNEL_TLS_PIN=" PIN);
	load(&b);
	assert_string_equal(problems_text(&b),
			    "MLTUNNEL_TLS_PIN: has no effect while TLS is off\n");
	unload(&b);
}

static void test_variables_over_a_file(void **state)
{
	struct block b;

	(void) state;
	start_good(&b);
	put(&b, "FRP_SERVERS=ignored:1,with:2");
	put(&b, "MLTUNNEL_LOG_LEVEL=error");
	put(&b, "MLTUNNEL_GRACE=2s");
	b.conf = conf_new();
	assert_int_equal(env_apply(b.envp, &b.problems, b.conf), 0);
	assert_int_equal(b.problems.n_lines, 0);
	assert_int_equal(b.conf->log_level, LOG_ERROR);
	assert_true(b.conf->grace_ms == 2000);
	assert_null(b.conf->server_host);
	assert_int_equal(b.conf->n_proxies, 0);
	unload(&b);

	start_good(&b);
	put(&b, "MLTUNNEL_POC_PORT=8080");
	put(&b, "MLTUNNEL_NONSENSE=1");
	b.conf = conf_new();
	assert_int_equal(env_apply(b.envp, &b.problems, b.conf), 0);
	assert_int_equal(b.problems.n_lines, 2);
	unload(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_variables_make_a_tunnel),
		cmocka_unit_test(test_everything_that_can_be_set),
		cmocka_unit_test(test_system_roots_and_no_tls),
		cmocka_unit_test(test_an_empty_variable_is_not_set),
		cmocka_unit_test(test_each_bad_value_has_its_line),
		cmocka_unit_test(test_all_problems_are_told_at_once_and_none_has_the_token),
		cmocka_unit_test(test_the_token_is_overwritten_where_it_stood),
		cmocka_unit_test(test_token_from_a_file),
		cmocka_unit_test(test_token_files_that_cannot_be_used),
		cmocka_unit_test(test_tls_settings_without_tls),
		cmocka_unit_test(test_variables_over_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
