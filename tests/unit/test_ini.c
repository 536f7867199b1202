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
#include "agent/conf/diff.h"
#include "agent/conf/load.h"
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

static const struct load_options options = { 0 };

/* Without conf_check(). */
static void load_unchecked(struct loaded *f, const char *text, size_t len)
{
	int fd, r;

	(void) snprintf(f->path, sizeof(f->path), "/tmp/test_ini.XXXXXX.ini");
	fd = mkstemps(f->path, 4);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
	problems_init(&f->problems);
	f->conf = NULL;
	r = load_file(f->path, &options, &f->problems, &f->problems, &f->conf);
	assert_int_equal(r, 0);
	assert_int_equal(unlink(f->path), 0);
}

static void load_bytes(struct loaded *f, const char *text, size_t len)
{
	load_unchecked(f, text, len);
	assert_int_equal(conf_check(f->conf, &f->problems), 0);
	assert_int_equal(buf_add(&f->problems.text, span_of("", 1)), 0); /* a string from here on */
}

static void load_only(struct loaded *f, const char *text)
{
	load_unchecked(f, text, strlen(text));
	assert_int_equal(f->problems.n_lines, 0);
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

static void test_the_number_0_asks_for_the_default(void **state)
{
	struct loaded zeros, none;

	(void) state;
	load_good(&none, HEAD "[web]\ntype = http\nlocal_port = 1\ncustom_domains = x\n");
	load_good(&zeros, HEAD "server_port = 0\npool_count = 0\nheartbeat_interval = 0\n"
			       "heartbeat_timeout = 0\ntcp_mux_keepalive_interval = 0\n"
			       "dial_server_timeout = 0\ndial_server_keepalive = 0\n"
			       "log_max_days = 0\nudp_packet_size = 0\nadmin_port = 0\n"
			       "quic_keepalive_period = 0\nquic_max_idle_timeout = 0\n"
			       "quic_max_incoming_streams = 0\n"
			       "[web]\ntype = http\nlocal_port = 1\ncustom_domains = x\n"
			       "health_check_interval_s = 0\nhealth_check_timeout_s = 0\n"
			       "health_check_max_failed = 0\n");
	assert_null(conf_diff_session(none.conf, zeros.conf));
	assert_null(conf_diff_start(none.conf, zeros.conf));
	assert_true(conf_proxy_is_same(&none.conf->proxies[0], &zeros.conf->proxies[0]));
	unload(&zeros);
	unload(&none);
}

static void test_admin_and_log_file(void **state)
{
	struct loaded f;

	(void) state;
	load_only(&f,
		  HEAD "admin_addr = 0.0.0.0\nadmin_port = 7400\nadmin_user = me\nadmin_pwd = pw\n"
		       "log_file = /var/log/frpc.log\nlog_max_days = 7\n");
	assert_string_equal(f.conf->web.addr, "0.0.0.0");
	assert_int_equal(f.conf->web.port, 7400);
	assert_string_equal(f.conf->web.user, "me");
	assert_string_equal(f.conf->web.password, "pw");
	assert_string_equal(f.conf->log_to, "/var/log/frpc.log");
	assert_int_equal(f.conf->log_max_days, 7);
	unload(&f);
	load_only(&f, HEAD "admin_addr = localhost\nadmin_port = 7400\nlog_file = console\n");
	assert_null(f.conf->web.password);
	assert_null(f.conf->log_to);
	assert_int_equal(f.conf->log_max_days, 3);
	unload(&f);
}

static void test_every_other_key(void **state)
{
	struct loaded f;
	const struct conf *c;
	const struct conf_proxy *p;

	(void) state;
	load_only(
		&f, HEAD
		"tcp_mux = false\ntcp_mux_keepalive_interval = 7\nheartbeat_timeout = 9\n"
		"dial_server_timeout = 3\ndial_server_keepalive = -1\nhttp_proxy = http://a:b@c:1\n"
		"connect_server_local_ip = 127.0.0.2\ndns_server = 1.1.1.1\nudp_packet_size = 1400\n"
		"start = h, v\nmeta_var1 = x y\nauthenticate_heartbeats = true\n"
		"authenticate_new_work_conns = true\n"
		"[h]\ntype = http\nlocal_port = 1\ncustom_domains = a.b , c.d,\nlocations = /,/x\n"
		"http_user = u\nhttp_pwd = pw\nsubdomain = s\nhost_header_rewrite = r\n"
		"header_X-From = me\nroute_by_http_user = t\nuse_encryption = true\n"
		"use_compression = true\nbandwidth_limit = 1.5MB\nbandwidth_limit_mode = server\n"
		"proxy_protocol_version = v2\ngroup = g\ngroup_key = k\nhealth_check_type = http\n"
		"health_check_timeout_s = 4\nhealth_check_max_failed = 5\n"
		"health_check_interval_s = 6\nhealth_check_url = /h\nmeta_k = v\n"
		"[v]\nrole = visitor\ntype = sudp\nsk = key\nserver_user = su\nserver_name = sn\n"
		"bind_addr = 127.0.0.3\nbind_port = 9\nuse_encryption = true\n"
		"[m]\ntype = tcpmux\nmultiplexer = httpconnect\nlocal_port = 2\n"
		"[s]\ntype = stcp\nsk = key\nallow_users = *\nlocal_port = 3\n"
		"[range:r]\ntype = udp\nlocal_port = 10-11,15\nremote_port = 20,30-31\n");
	c = f.conf;
	assert_false(c->is_mux);
	assert_true(c->mux_keepalive_ms == 7000 && c->heartbeat_timeout_ms == 9000);
	assert_true(c->dial_timeout_ms == 3000 && c->tcp_keepalive_s == 0);
	assert_string_equal(c->proxy_url, "http://a:b@c:1");
	assert_string_equal(c->local_ip, "127.0.0.2");
	assert_string_equal(c->dns_server, "1.1.1.1");
	assert_true(c->udp_packet_size == 1400 && c->start.n == 2);
	assert_string_equal(c->start.at[1], "v");
	assert_string_equal(c->metas.at[0].name, "var1");
	assert_string_equal(c->metas.at[0].value, "x y");
	assert_int_equal(c->n_proxies, 6);
	p = &c->proxies[0];
	assert_true(p->kind == CONF_TYPE_HTTP && p->domains.n == 2 && p->locations.n == 2);
	assert_string_equal(p->domains.at[0], "a.b");
	assert_string_equal(p->domains.at[1], "c.d");
	assert_string_equal(p->http_password, "pw");
	assert_string_equal(p->request_headers.at[0].name, "X-From");
	assert_true(p->use_encryption && p->use_compression && p->is_bandwidth_of_server);
	assert_true(p->bandwidth_bytes == 3 * 512 * 1024 && p->proxy_protocol == 2);
	assert_true(p->health.kind == CONF_HEALTH_HTTP && p->health.timeout_ms == 4000);
	assert_true(p->health.n_failed_max == 5 && p->health.interval_ms == 6000);
	assert_string_equal(p->health.path, "/h");
	assert_string_equal(p->metas.at[0].value, "v");
	assert_string_equal(p->group_key, "k");
	assert_string_equal(c->proxies[2].secret_key, "key");
	assert_string_equal(c->proxies[2].allow_users.at[0], "*");
	assert_string_equal(c->proxies[5].name, "r_2");
	assert_int_equal(c->proxies[5].local_port, 15);
	assert_int_equal(c->proxies[5].remote_port, 31);
	assert_int_equal(c->n_visitors, 1);
	assert_true(c->visitors[0].kind == CONF_TYPE_SUDP && c->visitors[0].use_encryption);
	assert_string_equal(c->visitors[0].server_user, "su");
	assert_string_equal(c->visitors[0].bind_host, "127.0.0.3");
	assert_int_equal(c->visitors[0].bind_port, 9);
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
	{ HEAD "[web]\nlocal_port = 0\n", ":3: [web]: local_port is missing" },
	{ HEAD "[web]\nlocal_port = 65536\n",
	  ":4: [web] local_port: \"65536\" is not a port (1-65535)" },
	{ HEAD "[web]\nlocal_port = 8 0\n",
	  ":4: [web] local_port: \"8 0\" is not a port (1-65535)" },
	{ HEAD "server_port = -1\n", ":3: [common] server_port: \"-1\" is not a port (1-65535)" },
	{ HEAD "server_port =\n", ":3: [common] server_port: \"\" is not a port (1-65535)" },
	{ "[common]\nserver_addr = a b\n",
	  ":2: [common] server_addr: \"a b\" is not a host name or an IP address (without a port)" },
	{ "[common]\nserver_addr = frps:7000\n",
	  ":2: [common] server_addr: \"frps:7000\" is not a host name or an IP address (without a port)" },
	{ "[common]\nserver_port = 7000\n", ":1: [common]: server_addr is missing" },
	{ WEB, ": the section [common] is missing" },
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
	  ":5: [web]: a proxy called \"web\" is there already" },
	{ HEAD "[common]\nserver_addr = b\n", ":3: [common]: this section is there already" },
	{ HEAD "[range:web]\nlocal_port = 1-9\n",
	  ":3: [range:web]: local_port and remote_port have to be two ranges of one length, as \"6000-6005,6010\"" },
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
	{ "server_addr = x\n" HEAD, ":1: an INI file starts with a [section]" },
	{ HEAD "[[proxies]]\nname = \"x\"\n", ":3: [[proxies]]: this is no INI file" },
	{ HEAD "token = {{ .Envs.TOKEN }}\n",
	  ":3:9: {{ .Envs.TOKEN }}: this variable is not set in the environment" },
	{ HEAD "token = a\\\nb==\n",
	  ":3: [common]: a line that goes on after a backslash is not supported" },
	{ HEAD "token = %(other)s\n",
	  ":3: [common] token: values made of other values, %(name)s, are not supported" },
	{ HEAD "token = `x`\n",
	  ":3: [common] token: values in back quotes or triple quotes are not supported" },
	{ HEAD "[web]\ntype = http\nlocal_port = 1\n",
	  ":3: [web]: a proxy of type http needs customDomains or a subdomain" },
	{ HEAD "[web]\ntype = xtcp\nlocal_port = 1\n",
	  ":4: [web] type: \"xtcp\" is not tcp, udp, http, https, tcpmux, stcp or sudp, all that this version supports" },
	{ HEAD WEB "custom_domains = x\n",
	  ":5: [web] custom_domains: a proxy of type tcp has no such key" },
	{ HEAD WEB "plugin_local_path = x\n",
	  ":5: [web] plugin_local_path: client plugins are not supported by this version" },
	{ HEAD "oidc_client_secret = x\n",
	  ":3: [common] oidc_client_secret: OIDC is not supported by this version; auth.token and auth.tokenSource are" },
	{ HEAD WEB "role = boss\n", ":5: [web] role: \"boss\" is not \"server\" or \"visitor\"" },
	{ HEAD WEB "meta_a = \x80\n", ":5: [web] meta_a: its value (not shown) is not UTF-8" },
	{ HEAD "authenticate_heartbeats = maybe\n",
	  ":3: [common] authenticate_heartbeats: this is not true or false" },
	{ HEAD "protocol = kcp\n",
	  ":3: [common] protocol: \"kcp\" is not \"tcp\", all that this version supports" },
	{ HEAD "log_file = /var/log/\n",
	  ":3: [common] log_file: \"/var/log/\" is not \"console\", or the path of a file" },
	{ HEAD "log_level = loud\n",
	  ":3: [common] log_level: \"loud\" is not trace, debug, info, warn or error" },
	{ HEAD "login_fail_exit = maybe\n",
	  ":3: [common] login_fail_exit: \"maybe\" is not true or false" },
	{ HEAD "pool_count = 10001\n",
	  ":3: [common] pool_count: \"10001\" is not a number of connections (0-10000)" },
	{ HEAD "heartbeat_interval = x\n",
	  ":3: [common] heartbeat_interval: \"x\" is not a number of seconds (1-86400), or a negative one for never" },
	{ HEAD "tls_trusted_ca_file = /no/such\n",
	  ":3: [common] tls_trusted_ca_file: \"/no/such\" is not a file that can be read" },
	{ HEAD "tls_trusted_ca_file = /tmp\n",
	  ":3: [common] tls_trusted_ca_file: \"/tmp\" is not a file that can be read" },
	{ HEAD "tls_enable = false\ntls_server_name = x\n",
	  ":4: [common] tls_server_name: has no effect while TLS is off" },
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
	assert_int_equal(load_file("/no/such/frpc.ini", &options, &p, &p, &c), 0);
	c = conf_free(c);
	assert_int_equal(load_file("/tmp", &options, &p, &p, &c), 0);
	c = conf_free(c);
	assert_int_equal(load_file("frpc.toml", &options, &p, &p, &c), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_of_the_start_script),
		cmocka_unit_test(test_defaults_are_those_of_frp_but_for_login_fail_exit),
		cmocka_unit_test(test_every_key_that_does_something),
		cmocka_unit_test(test_user_counts_wherever_it_stands),
		cmocka_unit_test(test_keys_at_their_inert_value_are_accepted),
		cmocka_unit_test(test_the_number_0_asks_for_the_default),
		cmocka_unit_test(test_admin_and_log_file),
		cmocka_unit_test(test_every_other_key),
		cmocka_unit_test(test_how_lines_are_read),
		cmocka_unit_test(test_long_names_and_tokens_are_kept_whole),
		cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(test_all_problems_are_told_at_once),
		cmocka_unit_test(test_no_text_and_no_file),
		cmocka_unit_test(test_a_line_beyond_all_measure_is_refused),
		cmocka_unit_test(test_the_token_is_in_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
