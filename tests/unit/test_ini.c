/* SPDX-License-Identifier: Apache-2.0 */
/* test_ini.c - frp's INI files: what they set, and each way in which they are refused. */
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
#include "agent/conf/ini.h"
#include "agent/conf/legacy.h"
#include "proto/base/limits.h"

#define TOKEN "t0ken-5ecret"
#define HEAD "[common]\nserver_addr = frps\n"
#define WEB "[web]\nlocal_port = 80\n"

/* A file with its reading: the configuration and what was wrong with it. */
struct loaded {
	char path[64];
	struct problems problems;
	struct conf *conf;
};

static void load_bytes(struct loaded *f, const char *text, size_t len)
{
	int fd, r;

	(void) snprintf(f->path, sizeof(f->path), "/tmp/test_ini.XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
	problems_init(&f->problems);
	f->conf = NULL;
	r = ini_load(f->path, &f->problems, &f->conf);
	assert_int_equal(r, 0);
	assert_int_equal(conf_check(f->conf, &f->problems), 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(buf_add(&f->problems.text, span_of("", 1)), 0); /* a string from here on */
}

static void unload(struct loaded *f)
{
	f->conf = conf_free(f->conf);
	problems_deinit(&f->problems);
}

static const char *problems_text(const struct loaded *f)
{
	return (const char *) buf_span(&f->problems.text).p;
}

static void load_good(struct loaded *f, const char *text)
{
	load_bytes(f, text, strlen(text));
	if (f->problems.n_lines > 0)
		fail_msg("unexpected: %s", problems_text(f));
}

/* @text has exactly this problem; @want is the line without the path. */
static void assert_refused(const char *text, const char *want)
{
	struct loaded f;
	char line[1024];

	load_bytes(&f, text, strlen(text));
	(void) snprintf(line, sizeof(line), "%s%s\n", f.path, want);
	assert_string_equal(problems_text(&f), line);
	assert_int_equal(f.problems.n_lines, 1);
	unload(&f);
}

static void test_file_of_the_start_script(void **state)
{
	struct loaded f;
	const struct conf *c;

	(void) state;
	load_good(&f, "[common]\n"
		      "server_addr = 203.0.113.7\n"
		      "server_port = 7200\n"
		      "token = " TOKEN "\n"
		      "\n"
		      "[client-mlnode-port5000-0042]\n"
		      "type = tcp\n"
		      "local_ip = 127.0.0.1\n"
		      "local_port = 5050\n"
		      "remote_port = 10042\n"
		      "\n"
		      "[client-mlnode-0042]\n"
		      "type = tcp\n"
		      "local_ip = 127.0.0.1\n"
		      "local_port = 8081\n"
		      "remote_port = 20042\n");
	c = f.conf;
	assert_string_equal(c->source, f.path);
	assert_string_equal(c->server_host, "203.0.113.7");
	assert_int_equal(c->server_port, 7200);
	assert_string_equal(c->token, TOKEN);
	assert_null(c->token_file);
	assert_null(c->user);
	assert_false(c->all_or_none);
	assert_false(c->login_fail_exit);
	assert_int_equal(c->n_proxies, 2);
	assert_string_equal(c->proxies[0].name, "client-mlnode-port5000-0042");
	assert_string_equal(c->proxies[0].wire_name, "client-mlnode-port5000-0042");
	assert_string_equal(c->proxies[0].local_host, "127.0.0.1");
	assert_int_equal(c->proxies[0].local_port, 5050);
	assert_int_equal(c->proxies[0].msg.remote_port, 10042);
	assert_string_equal(c->proxies[1].msg.name, "client-mlnode-0042");
	assert_string_equal(c->proxies[1].msg.type, "tcp");
	assert_int_equal(c->proxies[1].local_port, 8081);
	assert_int_equal(c->proxies[1].msg.remote_port, 20042);
	unload(&f);
}

static void test_defaults_are_those_of_frp_but_for_login_fail_exit(void **state)
{
	struct loaded f;

	(void) state;
	load_good(&f, HEAD WEB);
	assert_int_equal(f.conf->server_port, 7000);
	assert_string_equal(f.conf->token, "");
	assert_false(f.conf->login_fail_exit);
	assert_int_equal(f.conf->pool_count, 1);
	assert_true(f.conf->heartbeat_ms == WAIT_HEARTBEAT_MS);
	assert_true(f.conf->tls.is_on);
	assert_false(f.conf->tls.want_custom_first_byte);
	assert_int_equal(f.conf->log_level, LOG_INFO);
	assert_int_equal(f.conf->wire, WIRE_V1);
	assert_true(f.conf->is_mux);
	assert_string_equal(f.conf->proxies[0].type, "tcp");
	assert_string_equal(f.conf->proxies[0].local_host, "127.0.0.1");
	assert_int_equal(f.conf->proxies[0].remote_port, 0);
	unload(&f);
}

static void test_every_key_that_does_something(void **state)
{
	struct loaded f;
	const struct conf *c;

	(void) state;
	load_good(
		&f,
		"[common]\nserver_addr = [2001:db8::1]\nserver_port = 65535\nuser = me\nlogin_fail_exit = true\n"
		"pool_count = 100\nheartbeat_interval = 5\nlog_level = trace\ntls_enable = yes\n"
		"tls_trusted_ca_file = /dev/null\ntls_cert_file = /dev/null\ntls_key_file = /dev/null\n"
		"tls_server_name = tls.example\ndisable_custom_tls_first_byte = false\n"
		"[web]\nlocal_ip = box.local\nlocal_port = 1\nremote_port = 2\n");
	c = f.conf;
	assert_string_equal(c->server_host, "2001:db8::1");
	assert_int_equal(c->server_port, 65535);
	assert_string_equal(c->user, "me");
	assert_true(c->login_fail_exit);
	assert_int_equal(c->pool_count, 100);
	assert_true(c->heartbeat_ms == 5000);
	assert_int_equal(c->log_level, LOG_TRACE);
	assert_string_equal(c->tls.ca_file, "/dev/null");
	assert_string_equal(c->tls.cert_file, "/dev/null");
	assert_string_equal(c->tls.key_file, "/dev/null");
	assert_string_equal(c->tls.server_name, "tls.example");
	assert_true(c->tls.want_custom_first_byte);
	assert_string_equal(c->proxies[0].name, "web");
	assert_string_equal(c->proxies[0].wire_name, "me.web");
	assert_string_equal(c->proxies[0].msg.name, "me.web");
	assert_string_equal(c->proxies[0].local_host, "box.local");
	unload(&f);
	load_good(&f, HEAD "heartbeat_interval = -1\ntls_enable = off\n");
	assert_true(f.conf->heartbeat_ms == UINT64_MAX);
	assert_false(f.conf->tls.is_on);
	assert_int_equal(f.conf->n_proxies, 0);
	unload(&f);
}

static void test_user_counts_wherever_it_stands(void **state)
{
	struct loaded f;

	(void) state;
	load_good(&f, WEB "[common]\nserver_addr = x\nuser = me\n");
	assert_string_equal(f.conf->proxies[0].wire_name, "me.web");
	unload(&f);
}

static void test_keys_at_their_inert_value_are_accepted(void **state)
{
	struct loaded f;

	(void) state;
	load_good(
		&f, HEAD
		"heartbeat_timeout = 90\nauthentication_method = token\nauthenticate_heartbeats = false\n"
		"authenticate_new_work_conns = false\ntcp_mux = true\ntcp_mux_keepalive_interval = 30\n"
		"protocol = tcp\ndial_server_timeout = 10\nlog_file = console\nlog_way = console\n"
		"log_max_days = 7\ndisable_log_color = true\npprof_enable = false\nudp_packet_size = 1500\n"
		"nat_hole_stun_server = stun.easyvoip.com:3478\ndns_server =\nstart =\n"
		"[web]\ntype = tcp\nrole = server\nlocal_port = 1\nuse_encryption = false\n"
		"use_compression = false\nbandwidth_limit =\nbandwidth_limit_mode = client\ngroup =\n"
		"proxy_protocol_version =\nplugin =\nhealth_check_type =\n");
	unload(&f);
}

static void test_admin_and_log_file(void **state)
{
	struct loaded f;

	(void) state;
	load_good(&f,
		  HEAD "admin_addr = 0.0.0.0\nadmin_port = 7400\nadmin_user = me\nadmin_pwd = pw\n"
		       "log_file = /var/log/frpc.log\nlog_max_days = 7\n");
	assert_string_equal(f.conf->web.addr, "0.0.0.0");
	assert_int_equal(f.conf->web.port, 7400);
	assert_string_equal(f.conf->web.user, "me");
	assert_string_equal(f.conf->web.password, "pw");
	assert_string_equal(f.conf->log_to, "/var/log/frpc.log");
	assert_int_equal(f.conf->log_max_days, 7);
	unload(&f);
	load_good(&f, HEAD "admin_addr = localhost\nadmin_port = 7400\nlog_file = console\n");
	assert_null(f.conf->web.password);
	assert_null(f.conf->log_to);
	assert_int_equal(f.conf->log_max_days, 3);
	unload(&f);
}

static void test_how_lines_are_read(void **state)
{
	struct loaded f;

	(void) state;
	load_good(
		&f,
		"\xef\xbb\xbf# first\r\n; second\r\n\r\n[common] ; third\r\n  server_addr=frps  \r\n"
		"\ttoken = a;b #c ; d=e:f\r\n\r\n[web:1]\r\nlocal_port=80\r\n[web.2]\nlocal_port: 81");
	assert_string_equal(f.conf->server_host, "frps");
	assert_string_equal(f.conf->token, "a;b #c ; d=e:f");
	assert_string_equal(f.conf->proxies[0].name, "web:1");
	assert_string_equal(f.conf->proxies[1].name, "web.2");
	assert_int_equal(f.conf->proxies[1].local_port, 81);
	unload(&f);
	load_good(&f, HEAD "token = \"quoted ; token\"\n");
	assert_string_equal(f.conf->token, "quoted ; token");
	unload(&f);
	load_good(&f, HEAD "token = '\n");
	assert_string_equal(f.conf->token, "'");
	unload(&f);
}

static void test_long_names_and_tokens_are_kept_whole(void **state)
{
	char text[4096], token[1500], name[400];
	struct loaded f;

	(void) state;
	memset(token, 'k', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void) snprintf(text, sizeof(text), HEAD "token = %s\n[%s]\nlocal_port = 1\n", token, name);
	load_good(&f, text);
	assert_string_equal(f.conf->token, token);
	assert_string_equal(f.conf->proxies[0].wire_name, name);
	unload(&f);
}

struct refusal {
	const char *text, *want;
};

static const struct refusal refusals[] = {
	{ HEAD "[web]\nlocal_port = 80\nremote_port = 80x\n",
	  ":5: [web] remote_port: \"80x\" is not a port (1-65535), or 0 for one that the server chooses" },
	{ HEAD "[web]\nlocal_port = 0\n", ":4: [web] local_port: \"0\" is not a port (1-65535)" },
	{ HEAD "[web]\nlocal_port = 65536\n",
	  ":4: [web] local_port: \"65536\" is not a port (1-65535)" },
	{ HEAD "[web]\nlocal_port = 8 0\n",
	  ":4: [web] local_port: \"8 0\" is not a port (1-65535)" },
	{ HEAD "server_port = -1\n", ":3: [common] server_port: \"-1\" is not a port (1-65535)" },
	{ HEAD "server_port =\n", ":3: [common] server_port: \"\" is not a port (1-65535)" },
	{ "[common]\nserver_addr = a b\n",
	  ":2: [common] server_addr: \"a b\" is not a host name or an IP address (the port goes into server_port)" },
	{ "[common]\nserver_addr = frps:7000\n",
	  ":2: [common] server_addr: \"frps:7000\" is not a host name or an IP address (the port goes into server_port)" },
	{ "[common]\nserver_port = 7000\n", ":1: [common]: server_addr is missing" },
	{ WEB, ": the section [common] is missing" },
	{ "", ": the section [common] is missing" },
	{ HEAD "[web]\n", ":3: [web]: local_port is missing" },
	{ HEAD "tokne = x\n",
	  ":3: [common]: unknown key \"tokne\"; the nearest known one is \"token\"" },
	{ HEAD "[web]\nlocal_port = 1\nremote_prot = 2\n",
	  ":5: [web]: unknown key \"remote_prot\"; the nearest known one is \"remote_port\"" },
	{ HEAD "Token = x\n",
	  ":3: [common]: unknown key \"Token\"; the nearest known one is \"token\"" },
	{ HEAD "server_addr = again\n",
	  ":3: [common] server_addr: this key is in the section already" },
	{ HEAD WEB "local_port = 1\n", ":5: [web] local_port: this key is in the section already" },
	{ HEAD WEB "[web]\nlocal_port = 1\n",
	  ":5: [web]: a section of this name is there already" },
	{ HEAD "[common]\nserver_addr = b\n", ":3: [common]: this section is there already" },
	{ HEAD "[range:web]\nlocal_port = 1-9\n",
	  ":3: [range:web]: sections for ranges of ports are not supported by this version" },
	{ HEAD "[]\n", ":3: []: a section name is not empty and has no space around it" },
	{ HEAD "[ web ]\n", ":3: [ web ]: a section name is not empty and has no space around it" },
	{ HEAD "[web\n", ":3: a section header is \"[name]\", alone in its line" },
	{ HEAD "[web] x\n", ":3: a section header is \"[name]\", alone in its line" },
	{ HEAD "[w\x80"
	       "b]\nlocal_port = 1\n",
	  ":3: [w\\x80b]: a section name is UTF-8" },
	{ HEAD "no value\n", ":3: [common]: neither \"[section]\" nor \"key = value\"" },
	{ HEAD "token c2VjcmV0==\n", ":3: [common]: neither \"[section]\" nor \"key = value\"" },
	{ HEAD "= value\n", ":3: [common]: neither \"[section]\" nor \"key = value\"" },
	{ "server_addr = x\n" HEAD,
	  ":1: an INI file starts with a [section]; files of other formats are not supported by this version" },
	{ HEAD "[[proxies]]\nname = \"x\"\n",
	  ":3: [[proxies]]: this is no INI file; only INI files are supported by this version" },
	{ HEAD "token = {{ .Envs.TOKEN }}\n",
	  ":3: templates, {{...}}, are not supported by this version" },
	{ HEAD "token = a\\\nb==\n",
	  ":3: [common]: a line that goes on after a backslash is not supported" },
	{ HEAD "token = %(other)s\n",
	  ":3: [common] token: values made of other values, %(name)s, are not supported" },
	{ HEAD "token = `x`\n",
	  ":3: [common] token: values in back quotes or triple quotes are not supported" },
	{ HEAD "[web]\ntype = http\nlocal_port = 1\n",
	  ":4: [web] type: \"http\" is not \"tcp\", all that this version supports" },
	{ HEAD WEB "custom_domains = x\n",
	  ":5: [web] custom_domains: not supported by this version" },
	{ HEAD WEB "plugin_local_path = x\n",
	  ":5: [web] plugin_local_path: not supported by this version" },
	{ HEAD WEB "use_encryption = true\n",
	  ":5: [web] use_encryption: \"true\" is not \"false\", all that this version supports" },
	{ HEAD "protocol = kcp\n",
	  ":3: [common] protocol: \"kcp\" is not \"tcp\", all that this version supports" },
	{ HEAD "tcp_mux = false\n",
	  ":3: [common] tcp_mux: \"false\" is not \"true\", all that this version supports" },
	{ HEAD "admin_port = 7400\nadmin_addr = 0.0.0.0\n",
	  ": the admin API at \"0.0.0.0\" would be open to other machines: give it a password, or "
	  "127.0.0.1 as its address" },
	{ HEAD "admin_port = 7400\nadmin_addr = example.com\n",
	  ": the address of the admin API, \"example.com\", is not a numeric address" },
	{ HEAD "log_file = /var/log/\n",
	  ":3: [common] log_file: \"/var/log/\" is not \"console\", or the path of a file" },
	{ HEAD "log_level = loud\n",
	  ":3: [common] log_level: \"loud\" is not trace, debug, info, warn or error" },
	{ HEAD "login_fail_exit = maybe\n",
	  ":3: [common] login_fail_exit: \"maybe\" is not true or false" },
	{ HEAD "pool_count = 101\n",
	  ":3: [common] pool_count: \"101\" is not a number of connections (0-100)" },
	{ HEAD "heartbeat_interval = 0\n",
	  ":3: [common] heartbeat_interval: \"0\" is not a number of seconds (1-86400), or -1 for never" },
	{ HEAD "heartbeat_timeout = 14\n",
	  ":3: [common] heartbeat_timeout: \"14\" is not a number of seconds from 15 on (a dead server is noticed within 15 s)" },
	{ HEAD "tls_trusted_ca_file = /no/such\n",
	  ":3: [common] tls_trusted_ca_file: \"/no/such\" is not a file that can be read" },
	{ HEAD "tls_trusted_ca_file = /tmp\n",
	  ":3: [common] tls_trusted_ca_file: \"/tmp\" is not a file that can be read" },
	{ HEAD "tls_enable = false\ntls_server_name = x\n",
	  ":4: [common] tls_server_name: has no effect with tls_enable = false" },
	{ HEAD "tls_cert_file = /dev/null\n",
	  ": a client certificate needs its file and the file of its key; only one of them is given" },
	{ HEAD "[a]\nlocal_port = 1\nremote_port = 6000\n[b]\nlocal_port = 2\nremote_port = 6000\n",
	  ": the proxies \"a\" and \"b\" both ask for remote port 6000" },
	{ HEAD "user = a\x01z\n", ":3: [common] user: \"a\\x01z\" is not printable UTF-8" },
};

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
	(void) state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		assert_refused(refusals[i].text, refusals[i].want);
}

static void test_all_problems_are_told_at_once(void **state)
{
	struct loaded f;

	(void) state;
	load_bytes(
		&f, "[common]\nserver_port = x\npool_count = y\n[web]\nlocal_port = z\n[web2]\n",
		strlen("[common]\nserver_port = x\npool_count = y\n[web]\nlocal_port = z\n[web2]\n"));
	assert_int_equal(f.problems.n_lines, 5);
	unload(&f);
}

static void test_no_text_and_no_file(void **state)
{
	struct problems p;
	struct conf *c = NULL;
	struct loaded f;

	(void) state;
	load_bytes(&f, HEAD "\0x", sizeof(HEAD) + 1);
	assert_non_null(strstr(problems_text(&f), "NUL bytes"));
	unload(&f);
	problems_init(&p);
	assert_int_equal(ini_load("/no/such/frpc.ini", &p, &c), 0);
	c = conf_free(c);
	assert_int_equal(ini_load("/tmp", &p, &c), 0);
	c = conf_free(c);
	assert_int_equal(ini_load("frpc.toml", &p, &c), 0);
	c = conf_free(c);
	assert_int_equal(p.n_lines, 3);
	problems_deinit(&p);
}

static void test_a_line_beyond_all_measure_is_refused(void **state)
{
	size_t len = 20000;
	char *text = malloc(len + sizeof(HEAD));
	struct loaded f;

	(void) state;
	assert_non_null(text);
	memcpy(text, HEAD, sizeof(HEAD) - 1);
	memset(text + sizeof(HEAD) - 1, 'x', len);
	load_bytes(&f, text, sizeof(HEAD) - 1 + len);
	assert_non_null(strstr(problems_text(&f), ":3: [common]: the line is too long"));
	unload(&f);
	free(text);
}

/* Whatever breaks around it, the token is in no message. */
static void test_the_token_is_in_no_message(void **state)
{
	static const char good[] =
		"[common]\nserver_addr = frps\nserver_port = 7000\ntoken = " TOKEN "\nuser = me\n"
		"[web]\ntype = tcp\nlocal_port = 80\nremote_port = 6000\n";
	static const char junk[] = "\n=[]\\{}\"'`%#;x \x80\t\r";
	size_t at_token = (size_t) (strstr(good, TOKEN) - good), n_failed = 0;
	uint32_t seed = 1;
	struct loaded f;
	char text[256];

	(void) state;
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = sizeof(good) - 1;

		memcpy(text, good, len);
		for (unsigned n = 0; n < 1 + i % 4; n++) {
			size_t at;

			seed = seed * 1664525 + 1013904223;
			at = (seed >> 8) % len;
			/* The token itself stays whole, and so does its key: "tok=n" is a key with
			 * a value. */
			if (at + 9 >= at_token && at < at_token + strlen(TOKEN))
				continue;
			text[at] = junk[(seed >> 24) % (sizeof(junk) - 1)];
		}
		load_bytes(&f, text, len);
		n_failed += f.problems.n_lines > 0;
		assert_null(strstr(problems_text(&f), TOKEN));
		unload(&f);
	}
	assert_true(n_failed > 10000);
}

static void test_every_row_can_explain_itself(void **state)
{
	const struct legacy_keys *all[] = { &legacy_common, &legacy_proxy };

	(void) state;
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < all[i]->n; j++) {
			const struct key *k = &all[i]->at[j];

			assert_ptr_equal(legacy_find(all[i], k->name), k);
			assert_true(k->set == NULL || k->set == key_token || k->right != NULL);
			assert_true((k->set == key_words) == (k->words != NULL));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_of_the_start_script),
		cmocka_unit_test(test_defaults_are_those_of_frp_but_for_login_fail_exit),
		cmocka_unit_test(test_every_key_that_does_something),
		cmocka_unit_test(test_user_counts_wherever_it_stands),
		cmocka_unit_test(test_keys_at_their_inert_value_are_accepted),
		cmocka_unit_test(test_admin_and_log_file),
		cmocka_unit_test(test_how_lines_are_read),
		cmocka_unit_test(test_long_names_and_tokens_are_kept_whole),
		cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(test_all_problems_are_told_at_once),
		cmocka_unit_test(test_no_text_and_no_file),
		cmocka_unit_test(test_a_line_beyond_all_measure_is_refused),
		cmocka_unit_test(test_the_token_is_in_no_message),
		cmocka_unit_test(test_every_row_can_explain_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
