/* SPDX-License-Identifier: Apache-2.0 */
/* test_legacy.c - each row of the table of INI keys leads to the key that frp makes of it, and does
 * what that does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/conf/diff.h"
#include "agent/conf/keys.h"
#include "agent/conf/legacy.h"
#include "agent/conf/load.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_paths(const struct legacy_keys *legacy, const struct keys *keys)
{
	bool is_table;

	for (size_t i = 0; i < legacy->n; i++) {
		const struct legacy_key *k = &legacy->at[i];
		char path[100];

		if (k->kind != LEGACY_FAMILY)
			assert_ptr_equal(legacy_find(legacy, k->key.name), k);
		assert_true((k->path == NULL) == (k->kind == LEGACY_INERT));
		if (k->path == NULL)
			continue;
		/* The row itself, or a refused one above it. */
		(void) snprintf(path, sizeof(path), "%s", k->path);
		while (keys_find(keys, path, &is_table) == NULL) {
			assert_non_null(strrchr(path, '.'));
			*strrchr(path, '.') = '\0';
		}
		if (strcmp(path, k->path) != 0)
			assert_null(keys_find(keys, path, &is_table)->set);
	}
}

static void test_every_row_leads_to_the_table_of_keys(void **state)
{
	(void) state;
	assert_paths(&legacy_common, &keys_common);
	assert_paths(&legacy_proxy, &keys_proxy);
	assert_paths(&legacy_visitor, &keys_visitor);
}

/* A line of the INI file, and what frp makes of it (pkg/config/legacy conversion.go). */
struct pair {
	const char *ini, *toml;
};

static const struct pair common_pairs[] = {
	{ "server_addr = h", "serverAddr = \"h\"" },
	{ "server_port = 7001", "serverPort = 7001" },
	{ "token = t", "auth.token = \"t\"" },
	{ "user = me", "user = \"me\"" },
	{ "login_fail_exit = true", "loginFailExit = true" },
	{ "dns_server = 192.0.2.1", "dnsServer = \"192.0.2.1\"" },
	{ "start = p,v", "start = [\"p\", \"v\"]" },
	{ "udp_packet_size = 1400", "udpPacketSize = 1400" },
	{ "pool_count = 4", "transport.poolCount = 4" },
	{ "tcp_mux = false", "transport.tcpMux = false" },
	{ "tcp_mux_keepalive_interval = 7", "transport.tcpMuxKeepaliveInterval = 7" },
	{ "heartbeat_interval = 8", "transport.heartbeatInterval = 8" },
	{ "heartbeat_timeout = 91", "transport.heartbeatTimeout = 91" },
	{ "dial_server_timeout = 9", "transport.dialServerTimeout = 9" },
	{ "dial_server_keepalive = 11", "transport.dialServerKeepalive = 11" },
	{ "connect_server_local_ip = 192.0.2.2", "transport.connectServerLocalIP = \"192.0.2.2\"" },
	{ "http_proxy = http://p:1", "transport.proxyURL = \"http://p:1\"" },
	{ "tls_enable = false", "transport.tls.enable = false" },
	{ "tls_trusted_ca_file = /dev/null", "transport.tls.trustedCaFile = \"/dev/null\"" },
	{ "tls_cert_file = /dev/null", "transport.tls.certFile = \"/dev/null\"" },
	{ "tls_key_file = /dev/null", "transport.tls.keyFile = \"/dev/null\"" },
	{ "tls_server_name = n", "transport.tls.serverName = \"n\"" },
	{ "disable_custom_tls_first_byte = false",
	  "transport.tls.disableCustomTLSFirstByte = false" },
	{ "log_level = debug", "log.level = \"debug\"" },
	{ "log_file = /tmp/l", "log.to = \"/tmp/l\"" },
	{ "log_max_days = 9", "log.maxDays = 9" },
	{ "admin_addr = 127.0.0.9", "webServer.addr = \"127.0.0.9\"" },
	{ "admin_port = 7400", "webServer.port = 7400" },
	{ "admin_user = u", "webServer.user = \"u\"" },
	{ "admin_pwd = w", "webServer.password = \"w\"" },
	{ "meta_k = v", "metadatas.k = \"v\"" },
};
static const struct pair proxy_pairs[] = {
	{ "type = stcp", "type = \"stcp\"" },
	{ "use_encryption = true", "transport.useEncryption = true" },
	{ "use_compression = true", "transport.useCompression = true" },
	{ "sk = k", "secretKey = \"k\"" },
	{ "local_ip = 192.0.2.3", "localIP = \"192.0.2.3\"" },
	{ "local_port = 81", "localPort = 81" },
	{ "remote_port = 82", "remotePort = 82" },
	{ "bandwidth_limit = 1MB", "transport.bandwidthLimit = \"1MB\"" },
	{ "bandwidth_limit_mode = server", "transport.bandwidthLimitMode = \"server\"" },
	{ "proxy_protocol_version = v2", "transport.proxyProtocolVersion = \"v2\"" },
	{ "group = g", "loadBalancer.group = \"g\"" },
	{ "group_key = k", "loadBalancer.groupKey = \"k\"" },
	{ "health_check_type = tcp", "healthCheck.type = \"tcp\"" },
	{ "health_check_timeout_s = 4", "healthCheck.timeoutSeconds = 4" },
	{ "health_check_max_failed = 5", "healthCheck.maxFailed = 5" },
	{ "health_check_interval_s = 6", "healthCheck.intervalSeconds = 6" },
	{ "health_check_url = /h", "healthCheck.path = \"/h\"" },
	{ "custom_domains = a.b,c.d", "customDomains = [\"a.b\", \"c.d\"]" },
	{ "subdomain = s", "subdomain = \"s\"" },
	{ "locations = /x,/y", "locations = [\"/x\", \"/y\"]" },
	{ "http_user = u", "httpUser = \"u\"" },
	{ "http_pwd = w", "httpPassword = \"w\"" },
	{ "host_header_rewrite = h", "hostHeaderRewrite = \"h\"" },
	{ "route_by_http_user = r", "routeByHTTPUser = \"r\"" },
	{ "multiplexer = httpconnect", "multiplexer = \"httpconnect\"" },
	{ "allow_users = a,b", "allowUsers = [\"a\", \"b\"]" },
	{ "meta_k = v", "metadatas.k = \"v\"" },
	{ "header_X-A = b", "requestHeaders.set.X-A = \"b\"" },
};
static const struct pair visitor_pairs[] = {
	{ "type = sudp", "type = \"sudp\"" },
	{ "use_encryption = true", "transport.useEncryption = true" },
	{ "use_compression = true", "transport.useCompression = true" },
	{ "sk = k", "secretKey = \"k\"" },
	{ "server_user = u", "serverUser = \"u\"" },
	{ "server_name = n", "serverName = \"n\"" },
	{ "bind_addr = 127.0.0.9", "bindAddr = \"127.0.0.9\"" },
	{ "bind_port = 9", "bindPort = 9" },
};

/* -- files of one key -- */

/* The sections of a file: what each needs. */
struct base {
	const char *ending;
	const char *heads[3]; /* of the common keys, the proxy, the visitor */
	const char *lines[3][4];
};
static const struct base ini_base = {
	.ending = ".ini",
	.heads = { "[common]", "[p]", "[v]" },
	.lines = { { "server_addr = x" },
		   { "type = tcp", "local_port = 1" },
		   { "role = visitor", "type = stcp", "server_name = s", "bind_port = 1" } },
};
static const struct base toml_base = {
	.ending = ".toml",
	.heads = { "", "[[proxies]]", "[[visitors]]" },
	.lines = { { "serverAddr = \"x\"" },
		   { "name = \"p\"", "type = \"tcp\"", "localPort = 1" },
		   { "name = \"v\"", "type = \"stcp\"", "serverName = \"s\"", "bindPort = 1" } },
};

static bool is_of_one_key(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

static void put_line(char *text, size_t cap, const char *line)
{
	size_t len = strlen(text);

	(void) snprintf(text + len, cap - len, "%s\n", line);
}

/* A file that has beside what it needs the line @more in its section @at, and the line @type in
 * place of the proxy's own. What else the type would need is no matter here: conf_check() is not
 * asked. */
static struct conf *load(const struct base *base, size_t at, const char *more, const char *type)
{
	static const struct load_options options = { 0 };
	char text[1024] = "", path[64];
	struct problems problems;
	struct conf *c = NULL;
	int fd;

	for (size_t i = 0; i < 3; i++) {
		put_line(text, sizeof(text), base->heads[i]);
		for (size_t k = 0; k < 4 && base->lines[i][k] != NULL; k++) {
			const char *line = base->lines[i][k];

			if (i == 1 && is_of_one_key(line, type))
				line = type;
			if (i != at || !is_of_one_key(line, more))
				put_line(text, sizeof(text), line);
		}
		if (i == at)
			put_line(text, sizeof(text), more);
	}
	(void) snprintf(path, sizeof(path), "/tmp/test_legacy.XXXXXX%s", base->ending);
	fd = mkstemps(path, (int) strlen(base->ending));
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
	problems_init(&problems);
	assert_int_equal(load_file(path, &options, &problems, &problems, &c), 0);
	assert_int_equal(unlink(path), 0);
	if (problems.n_lines > 0)
		fail_msg("%s%.*s", text, (int) buf_len(&problems.text),
			 (const char *) buf_span(&problems.text).p);
	problems_deinit(&problems);
	return c;
}

/* diff.h's tables leave out what a reload looks at by itself, and what the readers use up. */
static bool is_same_conf(const struct conf *a, const struct conf *b)
{
	bool is_same = conf_diff_session(a, b) == NULL && conf_diff_start(a, b) == NULL &&
		       a->log_level == b->log_level && a->login_fail_exit == b->login_fail_exit &&
		       a->start.n == b->start.n &&
		       strcmp(a->visitors[0].server_name, b->visitors[0].server_name) == 0 &&
		       (a->visitors[0].server_user == NULL) == (b->visitors[0].server_user == NULL);

	return is_same && conf_proxy_is_same(&a->proxies[0], &b->proxies[0]) &&
	       conf_visitor_is_same(&a->visitors[0], &b->visitors[0]);
}

/* A type of proxy that has the key @path. */
static const char *type_with(const char *path)
{
	bool is_table;
	const struct key *k = keys_find(&keys_proxy, path, &is_table);

	for (enum conf_type t = CONF_TYPE_TCP; k != NULL && k->types != 0 && t < CONF_N_TYPES; t++)
		if ((k->types & 1u << t) != 0)
			return conf_type_name(t);
	return "tcp";
}

static void assert_pair(const struct pair *pair, size_t at, const char *type)
{
	char ini_type[32], toml_type[32];
	struct conf *none, *ini, *toml;

	(void) snprintf(ini_type, sizeof(ini_type), "type = %s", type);
	(void) snprintf(toml_type, sizeof(toml_type), "type = \"%s\"", type);
	none = load(&ini_base, 3, "", ini_type);
	ini = load(&ini_base, at, pair->ini, ini_type);
	toml = load(&toml_base, at, pair->toml, toml_type);
	if (is_same_conf(none, ini))
		fail_msg("it has no effect: %s", pair->ini);
	if (!is_same_conf(ini, toml))
		fail_msg("they are not the same: %s, %s", pair->ini, pair->toml);
	(void) conf_free(toml);
	(void) conf_free(ini);
	(void) conf_free(none);
}

static const struct pair *pair_of(const struct legacy_key *row, const struct pair *pairs, size_t n)
{
	size_t len = strlen(row->key.name);

	for (size_t i = 0; i < n; i++)
		if (strncmp(pairs[i].ini, row->key.name, len) == 0 &&
		    (row->kind == LEGACY_FAMILY || pairs[i].ini[len] == ' '))
			return &pairs[i];
	return NULL;
}

/* It leads to a key that is refused, or accepted at one value only: test_keys.py and
 * test_refused.py have it. */
static bool is_inert(const struct legacy_key *row, const struct keys *keys)
{
	const struct key *k;
	bool is_table;

	if (row->path == NULL)
		return true;
	k = keys_find(keys, row->path, &is_table);
	return k == NULL || k->set == NULL || k->set == key_words || k->set == key_range ||
	       k->set == key_false || k->set == key_any_bool;
}

static void assert_pairs(const struct legacy_keys *legacy, const struct keys *keys, size_t at,
			 const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < legacy->n; i++) {
		const struct legacy_key *row = &legacy->at[i];
		const struct pair *pair = pair_of(row, pairs, n);

		if (pair != NULL)
			assert_pair(pair, at, at == 1 ? type_with(row->path) : "tcp");
		else if (!is_inert(row, keys) &&
			 strcmp(row->key.name, "includes") != 0) /* test_load.c */
			fail_msg("%s has no line in the pairs", row->key.name);
	}
}

static void test_every_row_does_what_its_key_does(void **state)
{
	(void) state;
	assert_pairs(&legacy_common, &keys_common, 0, common_pairs, COUNT(common_pairs));
	assert_pairs(&legacy_proxy, &keys_proxy, 1, proxy_pairs, COUNT(proxy_pairs));
	assert_pairs(&legacy_visitor, &keys_visitor, 2, visitor_pairs, COUNT(visitor_pairs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_leads_to_the_table_of_keys),
		cmocka_unit_test(test_every_row_does_what_its_key_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
