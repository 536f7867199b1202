/* SPDX-License-Identifier: Apache-2.0 */
/* test_load.c - files of all formats: what they set, what is refused, and that nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "agent/conf/check.h"
#include "agent/conf/file.h"
#include "agent/conf/json.h"
#include "agent/conf/keys.h"
#include "agent/conf/load.h"
#include "agent/conf/tomltree.h"
#include "agent/conf/yaml.h"
#include "tests/unit/failmalloc.h"

#define CONF_DIR TEST_VECTORS_DIR "/conf/"
#define SECRET "5ecret"

static char *const no_env[] = { NULL };
static const struct load_options strict = { .envp = no_env };

struct loaded {
	struct problems problems, warnings;
	struct conf *conf;
};

static int load_as(struct loaded *f, const char *path, const char *text, size_t len,
		   const struct load_options *o)
{
	problems_init(&f->problems);
	problems_init(&f->warnings);
	f->conf = NULL;
	return load_text(path, text, len, o, &f->problems, &f->warnings, &f->conf);
}

static void unload(struct loaded *f)
{
	f->conf = conf_free(f->conf);
	problems_deinit(&f->problems);
	problems_deinit(&f->warnings);
}

static const char *text_of(struct problems *p)
{
	assert_int_equal(buf_add(&p->text, span_of("", 1)), 0); /* a string from here on */
	return (const char *) buf_span(&p->text).p;
}

static void load_good(struct loaded *f, const char *path, const char *text)
{
	assert_int_equal(load_as(f, path, text, strlen(text), &strict), 0);
	if (f->problems.n_lines > 0)
		fail_msg("%s", text_of(&f->problems));
}

/* @text has exactly this problem. */
static void assert_refused(const char *path, const char *text, const char *want)
{
	struct loaded f;

	assert_int_equal(load_as(&f, path, text, strlen(text), &strict), 0);
	assert_int_equal(conf_check(f.conf, &f.problems), 0);
	assert_string_equal(text_of(&f.problems), want);
	unload(&f);
}

static char *read_vector(const char *name, size_t *ret_len)
{
	char path[512], why[FILE_WHY], *text;

	(void) snprintf(path, sizeof(path), "%s%s", CONF_DIR, name);
	assert_int_equal(file_read(path, NODE_FILE_MAX, true, &text, ret_len, why), 0);
	return text;
}

/* -- what is set -- */

static void assert_full_common(const struct conf *c)
{
	assert_string_equal(c->server_host, "frps.example");
	assert_int_equal(c->server_port, 7001);
	assert_string_equal(c->user, "me");
	assert_string_equal(c->client_id, "id-1");
	assert_true(c->login_fail_exit);
	assert_string_equal(c->dns_server, "192.0.2.53");
	assert_int_equal(c->udp_packet_size, 1400);
	assert_int_equal(c->metas.n, 1);
	assert_string_equal(c->metas.at[0].name, "region");
	assert_string_equal(c->metas.at[0].value, "north");
	assert_string_equal(c->token, "t0ken-5ecret");
	assert_string_equal(c->log_to, "/var/log/mltunnel.log");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_int_equal(c->log_max_days, 7);
	assert_string_equal(c->web.addr, "127.0.0.1");
	assert_int_equal(c->web.port, 7400);
	assert_string_equal(c->web.user, "admin");
	assert_string_equal(c->web.password, "adm1n-5ecret");
	assert_int_equal(c->wire, WIRE_V2);
	assert_false(c->is_mux);
	assert_int_equal(c->pool_count, 4);
	assert_true(c->mux_keepalive_ms == 11000 && c->heartbeat_ms == 12000);
	assert_true(c->heartbeat_timeout_ms == 60000 && c->dial_timeout_ms == 13000);
	assert_int_equal(c->tcp_keepalive_s, 14);
	assert_string_equal(c->local_ip, "192.0.2.1");
	assert_string_equal(c->proxy_url, "http://u:pr0xy-5ecret@proxy.example:3128");
	assert_true(c->tls.is_on && c->tls.want_custom_first_byte && c->tls.want_system_roots);
	assert_string_equal(c->tls.cert_file, "/dev/null");
	assert_string_equal(c->tls.key_file, "/dev/null");
	assert_string_equal(c->tls.ca_file, "/dev/null");
	assert_string_equal(c->tls.server_name, "tls.example");
	assert_int_equal(strlen(c->tls.pin), 64);
}

static void assert_full_web(const struct conf_proxy *p)
{
	assert_string_equal(p->name, "web");
	assert_int_equal(p->kind, CONF_TYPE_HTTP);
	assert_string_equal(p->type, "http");
	assert_string_equal(p->local_host, "192.0.2.2");
	assert_int_equal(p->local_port, 8080);
	assert_int_equal(p->domains.n, 2);
	assert_string_equal(p->domains.at[1], "*.b.example");
	assert_string_equal(p->subdomain, "sub");
	assert_int_equal(p->locations.n, 2);
	assert_string_equal(p->http_user, "hu");
	assert_string_equal(p->http_password, "httpw-5ecret");
	assert_string_equal(p->host_header_rewrite, "host.example");
	assert_string_equal(p->route_by_http_user, "ru");
	assert_string_equal(p->request_headers.at[0].name, "X-From");
	assert_string_equal(p->response_headers.at[0].value, "here");
	assert_string_equal(p->annotations.at[0].name, "example.com/key");
	assert_string_equal(p->metas.at[0].value, "v");
	assert_true(p->use_encryption && p->use_compression && p->is_bandwidth_of_server);
	assert_string_equal(p->bandwidth, "1.5MB");
	assert_int_equal(p->bandwidth_bytes, 3 * 512 * 1024);
	assert_int_equal(p->proxy_protocol, 2);
	assert_string_equal(p->group, "g");
	assert_string_equal(p->group_key, "gr0up-5ecret");
	assert_int_equal(p->health.kind, CONF_HEALTH_HTTP);
	assert_true(p->health.timeout_ms == 5000 && p->health.interval_ms == 7000);
	assert_int_equal(p->health.n_failed_max, 6);
	assert_string_equal(p->health.path, "/health");
	assert_string_equal(p->health.headers.at[0].name, "X-Probe");
}

static void assert_full(struct conf *c)
{
	struct problems p;
	const struct conf_visitor *v;

	assert_full_common(c);
	assert_int_equal(c->n_proxies, 4);
	assert_true(c->proxies[1].remote_port == 6000 && c->proxies[3].is_off);
	assert_string_equal(c->proxies[3].multiplexer, "httpconnect");
	problems_init(&p);
	assert_int_equal(conf_check(c, &p), 0);
	problems_deinit(&p);
	/* start and enabled have taken the rest out */
	assert_int_equal(c->n_proxies, 2);
	assert_full_web(&c->proxies[0]);
	assert_string_equal(c->proxies[0].wire_name, "me.web");
	assert_string_equal(c->proxies[0].msg.http_pwd, "httpw-5ecret");
	assert_string_equal(c->proxies[0].msg.bandwidth_limit_mode, "server");
	assert_int_equal(c->proxies[0].msg.custom_domains.n, 2);
	assert_int_equal(c->proxies[0].msg.headers.n, 1);
	assert_string_equal(c->proxies[1].secret_key, "sk-5ecret");
	assert_string_equal(c->proxies[1].msg.sk, "sk-5ecret");
	assert_string_equal(c->proxies[1].msg.allow_users.at[0], "*");
	assert_int_equal(c->n_visitors, 1);
	v = &c->visitors[0];
	assert_int_equal(v->kind, CONF_TYPE_SUDP);
	assert_string_equal(v->wire_name, "them.far");
	assert_string_equal(v->secret_key, "sk-5ecret");
	assert_string_equal(v->bind_host, "127.0.0.9");
	assert_int_equal(v->bind_port, 9000);
	assert_true(v->use_encryption && v->use_compression);
}

static const char *const full_names[] = { "full.toml", "full.yaml", "full.json" };

static void test_every_key_in_every_format(void **state)
{
	(void) state;
	for (size_t i = 0; i < 3; i++)
		for (unsigned has_name = 0; has_name < 2; has_name++) {
			struct loaded f;
			size_t len;
			char *text = read_vector(full_names[i], &len);

			load_good(&f, has_name ? full_names[i] : "frp-e2e-client-0", text);
			assert_full(f.conf);
			unload(&f);
			free(text);
		}
}

/* Is @path, with points, somewhere below @map or in an element of the list @list? */
static bool is_in_tree(const struct node *map, const char *path)
{
	char name[64];
	size_t n = strcspn(path, ".");
	const struct node *c;

	(void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
	c = node_get(map, name);
	return c != NULL &&
	       (path[n] == '\0' || (c->kind == NODE_MAP && is_in_tree(c, path + n + 1)));
}

static void assert_covered(const struct keys *keys, const struct node *root, const char *list)
{
	const struct node *elements = list != NULL ? node_get(root, list) : NULL;
	bool is_inert, is_there;

	for (size_t i = 0; i < keys->n; i++) {
		const struct key *k = &keys->at[i];

		is_inert = k->set == key_words || k->set == key_false || k->set == NULL ||
			   strcmp(k->name, "version") == 0 || strcmp(k->name, "includes") == 0 ||
			   strncmp(k->name, "auth.tokenSource", 16) == 0; /* below */
		is_there = list == NULL && is_in_tree(root, k->name);
		for (const struct node *e = elements != NULL ? elements->first : NULL; e != NULL;
		     e = e->next)
			is_there |= is_in_tree(e, k->name);
		if (!is_inert && !is_there)
			fail_msg("%s is a supported key and not in full.toml", k->name);
		assert_true(k->set == NULL || k->right != NULL || k->set == key_any ||
			    k->set == key_token);
		assert_true((k->set == key_words) == (k->words != NULL));
	}
}

static void test_no_row_of_the_table_is_forgotten(void **state)
{
	struct tree t = { 0 };
	struct parse_error e;
	size_t len;
	char *text = read_vector("full.toml", &len);

	(void) state;
	assert_int_equal(tomltree_parse(text, len, &t, &e), 0);
	assert_covered(&keys_common, t.root, NULL);
	assert_covered(&keys_proxy, t.root, "proxies");
	assert_covered(&keys_visitor, t.root, "visitors");
	tree_deinit(&t);
	free(text);
}

static void test_defaults(void **state)
{
	static const char *const empty[][2] = {
		{ "a.toml", "" },
		{ "a.yaml", "" },
		{ "a.json", "" },
		{ "a.ini", "" },
		{ "a", " \n\t\n" },
		{ "a.yaml", "# nothing\n" },
		{ "a.yaml", "~\n" },
		{ "a.json", "{}" },
		{ "a", "{}\n" },
		{ "a.toml", "\xef\xbb\xbf# mark\n" },
		{ "a.toml", "serverAddr = \"\"\nserverPort = 0\n" },
		{ "a.yaml",
		  "serverPort:\nauth: {token: ~}\ntransport: {poolCount: 0, heartbeatInterval: 0}\n" },
		{ "a.json", "{\"store\": {\"path\": \"\"}, \"auth\": {\"oidc\": {}}}" },
	};
	(void) state;
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		struct loaded f;
		const struct conf *c;

		load_good(&f, empty[i][0], empty[i][1]);
		assert_int_equal(conf_check(f.conf, &f.problems), 0);
		assert_int_equal(f.problems.n_lines, 0);
		c = f.conf;
		assert_string_equal(c->server_host, "127.0.0.1");
		assert_int_equal(c->server_port, 7000);
		assert_string_equal(c->token, "");
		assert_false(c->login_fail_exit);
		assert_true(c->is_mux && c->tls.is_on && !c->tls.want_custom_first_byte);
		assert_int_equal(c->wire, WIRE_V1);
		assert_int_equal(c->pool_count, 1);
		assert_true(c->heartbeat_ms == 30000 && c->heartbeat_timeout_ms == 0);
		assert_int_equal(c->tcp_keepalive_s, 45);
		assert_int_equal(c->udp_packet_size, 1500);
		assert_int_equal(c->n_proxies, 0);
		unload(&f);
	}
}

static void test_forms_that_mean_something_else_elsewhere(void **state)
{
	struct loaded f;

	(void) state;
	load_good(&f, "a", "\nserverPort: 20050\nlog:\n  level: trace\n");
	assert_int_equal(f.conf->server_port, 20050);
	unload(&f);
	load_good(&f, "a", "[[proxies]]\nname = \"a\"\ntype = \"tcp\"\nlocalPort = 1\n");
	assert_int_equal(f.conf->n_proxies, 1);
	unload(&f);
	load_good(&f, "a.toml", "[common]\nserver_addr = x\n"); /* as frp: that section says INI */
	assert_string_equal(f.conf->server_host, "x");
	unload(&f);
	load_good(&f, "frpc.ini",
		  "serverAddr = \"x\"\n[[proxies]]\nname = \"a\"\ntype = \"tcp\"\nlocalPort = 1\n");
	assert_int_equal(f.conf->n_proxies, 1);
	unload(&f);
	/* YAML 1.1, as Go reads it; names in any case; merge keys and anchors. */
	load_good(
		&f, "a.yaml",
		"serverport: 0x1F90\nloginFailExit: Yes\nuser: 'on'\ntransport: {tcpMux: off, poolCount: 0o7}\n"
		".base: &base {type: tcp, localPort: 010, transport: {useEncryption: true}}\n"
		"proxies:\n- {<<: *base, name: a}\n- <<: [*base, {remotePort: 9, localPort: 1}]\n  name: b\n"
		"  localPort: 2_000\n");
	assert_int_equal(f.conf->server_port, 8080);
	assert_true(f.conf->login_fail_exit && !f.conf->is_mux);
	assert_string_equal(f.conf->user, "on");
	assert_int_equal(f.conf->pool_count, 7);
	assert_int_equal(f.conf->proxies[0].local_port, 8);
	assert_true(f.conf->proxies[0].use_encryption && f.conf->proxies[1].use_encryption);
	assert_int_equal(f.conf->proxies[1].local_port, 2000);
	assert_int_equal(f.conf->proxies[1].remote_port, 9);
	unload(&f);
	load_good(&f, "a.json", "{\"auth\": {\"token\": \"\\u00fc\\ud83d\\ude00\\n\\/\\\\\"}}");
	assert_string_equal(f.conf->token, "\xc3\xbc\xf0\x9f\x98\x80\n/\\");
	unload(&f);
}

/* -- what is refused -- */

static void assert_bad(const char *format, const char *text, size_t len, const char *want,
		       size_t n_want)
{
	char path[32], line[1024];
	struct loaded f;
	const char *all;

	(void) snprintf(path, sizeof(path), "bad.%s", format);
	(void) snprintf(line, sizeof(line), "%s%.*s\n", path, (int) n_want, want);
	assert_int_equal(load_as(&f, path, text, len, &strict), 0);
	assert_int_equal(conf_check(f.conf, &f.problems), 0);
	all = text_of(&f.problems);
	if (strncmp(all, line, strlen(line)) != 0)
		fail_msg("wanted %sgot %s", line, all);
	unload(&f);
}

static void test_bad_files_are_told_with_their_place(void **state)
{
	static const char *const formats[] = { "toml", "yaml", "json", "ini" };

	(void) state;
	for (size_t i = 0; i < 4; i++) {
		char name[32], *text, *at, *next, *body;
		size_t len, n_cases = 0;

		(void) snprintf(name, sizeof(name), "bad-%s", formats[i]);
		text = read_vector(name, &len);
		for (at = text; at < text + len; at = next, n_cases++) {
			size_t n_line = strcspn(at, "\n");

			assert_memory_equal(at, "=== ", 4);
			body = at + n_line + 1;
			next = memmem(body - 1, (size_t) (text + len - body) + 1, "\n=== ", 5);
			next = next != NULL ? next + 1 : text + len;
			assert_bad(formats[i], body, (size_t) (next - body), at + 4, n_line - 4);
		}
		assert_true(n_cases >= 40);
		free(text);
	}
}

static void test_all_problems_of_a_file_are_told(void **state)
{
	(void) state;
	assert_refused(
		"f.toml",
		"serverPort = \"x\"\nlog.lvl = 1\n[[proxies]]\nname = \"a\"\ntype = \"tcp\"\nlocalPort = 0\n"
		"remotePort = 99999\n",
		"f.toml:1:14: serverPort: this is a string, but has to be a number\n"
		"f.toml:2:5: log.lvl: unknown key; the nearest known one is log.level\n"
		"f.toml:7:14: proxies[0].remotePort: \"99999\" is not a port (1-65535), or 0 for one that the server chooses\n"
		"f.toml:3:1: proxies[0]: localPort is missing\n");
}

static void test_places_behind_a_template(void **state)
{
	(void) state;
	/* The line is that of the file; the column only where nothing was replaced. */
	assert_refused(
		"f.toml",
		"user = \"x\"\n{{- range $v := parseNumberRange \"1-2\" }}\n[[proxies]]\nname = \"p{{ $v }}\"\n"
		"type = \"tcp\"\nlocalPort = {{ $v }}0000000\n{{- end }}\nlog.levle = \"x\"\n",
		"f.toml:6: proxies[0].localPort: \"10000000\" is not a port (1-65535)\n"
		"f.toml:6: proxies[1].localPort: \"20000000\" is not a port (1-65535)\n"
		"f.toml:8:1: proxies[1].log: unknown key; the nearest known one is proxies[1].name\n");
}

static void test_unknown_keys_can_be_warnings(void **state)
{
	static const char text[] =
		"user = \"u\"\nusre = \"x\"\n[[proxies]]\nname = \"a\"\ntype = \"tcp\"\n"
		"localPort = 1\nlocalPrt = 2\ncustomDomains = [\"x\"]\n";
	struct load_options o = strict;
	struct loaded f;

	(void) state;
	o.is_lenient = true;
	assert_int_equal(load_as(&f, "f.toml", text, strlen(text), &o), 0);
	assert_int_equal(f.problems.n_lines, 0);
	assert_string_equal(
		text_of(&f.warnings),
		"f.toml:2:1: usre: unknown key; the nearest known one is user\n"
		"f.toml:7:1: proxies[0].localPrt: unknown key; the nearest known one is proxies[0].localPort\n"
		"f.toml:8:1: proxies[0].customDomains: a proxy of type tcp has no such key\n");
	assert_string_equal(f.conf->user, "u");
	assert_int_equal(f.conf->proxies[0].domains.n, 0);
	unload(&f);
}

static void test_what_does_not_fit_into_a_message(void **state)
{
	char *text = malloc(12000), *at = text;
	struct loaded f;

	(void) state;
	assert_non_null(text);
	at += snprintf(
		at, 200, "%s",
		"[[proxies]]\nname = \"a\"\ntype = \"tcp\"\nlocalPort = 1\nmetadatas.x = \"");
	memset(at, 'x', 10240);
	memcpy(at + 10240, "\"\n", 3);
	assert_refused(
		"f.toml", text,
		"f.toml:1:1: proxies[0]: this proxy is too long: it does not fit into a message of 10240 bytes\n");
	at = text + snprintf(text, 200, "%s", "metadatas.x = \"");
	memset(at, 'x', 10000);
	memcpy(at + 10000, "\"\n", 3);
	assert_refused(
		"f.toml", text,
		"f.toml: the metadatas are too long: the login does not fit into a message of 10240 bytes\n");
	/* Wire v2 has more room. */
	(void) snprintf(at + 10000, 100, "%s", "\"\ntransport.wireProtocol = \"v2\"\n");
	load_good(&f, "f.toml", text);
	assert_int_equal(conf_check(f.conf, &f.problems), 0);
	assert_null(strstr(text_of(&f.problems), "too long"));
	unload(&f);
	free(text);
}

/* -- files beside the file -- */

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_included_files(void **state)
{
	char folder[] = "/tmp/test_load.XXXXXX", path[64], text[200];
	struct loaded f;

	(void) state;
	assert_non_null(mkdtemp(folder));
	(void) snprintf(path, sizeof(path), "%s/2.toml", folder);
	write_file(path, "[[proxies]]\nname = \"c\"\ntype = \"tcp\"\nlocalPort = 3\n", 0600);
	(void) snprintf(path, sizeof(path), "%s/1.yaml", folder);
	write_file(path, "proxies:\n- {name: b, type: tcp, localPort: 2}\nserverPort: 1\n", 0600);
	(void) snprintf(text, sizeof(text),
			"{\"includes\": [\"%s/*\"], \"user\": \"u\", \"start\": [\"b\", \"c\"],\n"
			"\"proxies\": [{\"name\": \"a\", \"type\": \"tcp\", \"localPort\": 1}]}",
			folder);
	assert_int_equal(load_as(&f, "f.json", text, strlen(text), &strict), 0);
	assert_int_equal(f.problems.n_lines, 1);
	assert_non_null(strstr(
		text_of(&f.problems),
		"1.yaml:3:13: serverPort: in an included file only proxies and visitors count"));
	assert_int_equal(f.conf->n_proxies, 3);
	assert_int_equal(conf_check(f.conf, &f.problems), 0);
	assert_int_equal(f.conf->n_proxies, 2);
	assert_string_equal(f.conf->proxies[0].wire_name, "u.b");
	assert_string_equal(f.conf->proxies[1].name, "c");
	unload(&f);
	assert_int_equal(unlink(path), 0);
	(void) snprintf(path, sizeof(path), "%s/2.toml", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void test_tokens_from_files_and_programs(void **state)
{
	static const char program[] =
		"auth.tokenSource.type = \"exec\"\n"
		"auth.tokenSource.exec.command = \"/bin/false\"\n"
		"auth.tokenSource.exec.args = [\"one\", \"two\"]\n"
		"auth.tokenSource.exec.env = [{ name = \"A\", value = \"a-5ecret\" }]\n";
	char path[] = "/tmp/test_load.XXXXXX", text[200];
	struct load_options o = { .may_exec = true, .envp = no_env };
	struct loaded f;
	int fd = mkstemp(path);

	(void) state;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	write_file(path, " \n tok-5ecret\n", 0600);
	(void) snprintf(text, sizeof(text), "auth: {tokenSource: {type: file, file: {path: %s}}}",
			path);
	load_good(&f, "f.yaml", text);
	assert_string_equal(f.conf->token, "tok-5ecret");
	assert_string_equal(f.conf->token_file, path);
	unload(&f);
	assert_int_equal(unlink(path), 0);

	/* The program itself runs at each login. */
	assert_int_equal(load_as(&f, "f.toml", program, strlen(program), &o), 0);
	assert_int_equal(f.problems.n_lines, 0);
	assert_string_equal(f.conf->token_exec.command, "/bin/false");
	assert_int_equal(f.conf->token_exec.args.n, 2);
	assert_string_equal(f.conf->token_exec.args.at[1], "two");
	assert_string_equal(f.conf->token_exec.env.at[0].name, "A");
	assert_string_equal(f.conf->token_exec.env.at[0].value, "a-5ecret");
	assert_string_equal(f.conf->token, "");
	unload(&f);
}

/* -- memory and damage -- */

static void test_each_allocation_fails(void **state)
{
	(void) state;
	for (size_t k = 0; k < 3; k++) {
		size_t len, n_failed = 0;
		char *text = read_vector(full_names[k], &len);
		bool is_over = false;

		for (size_t i = 0; !is_over; i++) {
			struct loaded f;
			int r;

			failmalloc_at(i);
			r = load_as(&f, full_names[k], text, len, &strict);
			if (r == 0)
				r = conf_check(f.conf, &f.problems);
			is_over = !failmalloc_stop();
			n_failed += !is_over;
			assert_true(r == 0 || r == -ENOMEM);
			assert_true(r == 0 || !is_over);
			unload(&f);
		}
		assert_true(n_failed > 200);
		free(text);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Whatever breaks: no crash, no secret in a message, no place beyond the file. */
static void test_damaged_files(void **state)
{
	static const char junk[] = "\n=[]{}\"'`%#;x \x80\t\r:,.-&*!|>0\\$";
	uint32_t seed = 1;

	(void) state;
	for (size_t k = 0; k < 3; k++) {
		size_t len;
		char *good = read_vector(full_names[k], &len), *text = calloc(1, len + 64);
		unsigned n_bad = 0;

		assert_non_null(text);
		for (unsigned i = 0; i < 4000; i++) {
			struct loaded f;
			const char *all;

			memcpy(text, good, len + 1);
			for (unsigned n = 0; n < 1 + i % 3; n++) {
				size_t at = next_random(&seed) % len;

				/* The secrets themselves stay whole; zeroes follow the text. */
				if (memmem(text + (at > 24 ? at - 24 : 0), 48, SECRET,
					   strlen(SECRET)) == NULL)
					text[at] = junk[next_random(&seed) % (sizeof(junk) - 1)];
			}
			assert_int_equal(load_as(&f, full_names[k], text, len, &strict), 0);
			assert_int_equal(conf_check(f.conf, &f.problems), 0);
			n_bad += f.problems.n_lines > 0;
			all = text_of(&f.problems);
			if (strstr(all, SECRET) != NULL)
				fail_msg("%s", all);
			unload(&f);
		}
		assert_true(n_bad > 2000);
		free(text);
		free(good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_in_every_format),
		cmocka_unit_test(test_no_row_of_the_table_is_forgotten),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_forms_that_mean_something_else_elsewhere),
		cmocka_unit_test(test_bad_files_are_told_with_their_place),
		cmocka_unit_test(test_all_problems_of_a_file_are_told),
		cmocka_unit_test(test_places_behind_a_template),
		cmocka_unit_test(test_unknown_keys_can_be_warnings),
		cmocka_unit_test(test_what_does_not_fit_into_a_message),
		cmocka_unit_test(test_included_files),
		cmocka_unit_test(test_tokens_from_files_and_programs),
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
