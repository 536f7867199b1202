/* SPDX-License-Identifier: Apache-2.0 */
/* legacy.c - the keys of frp's INI files: which there are, and what becomes of each. Floor 4.
 *
 * The names and defaults are those of frp pkg/config/legacy. A key that has no effect here is
 * accepted where its value asks for what happens anyway, so that the files in use load; with any
 * other value it is refused, never ignored. */
#include "agent/conf/legacy.h"

#include <string.h>

#include "agent/conf/schema.h"
#include "proto/base/limits.h"

#define COMMON(member) offsetof(struct conf, member)
#define PROXY(member) offsetof(struct conf_proxy, member)
#define BOOLEAN "true or false"
#define PORT "a port (1-65535)"
#define ONLY(word) "\"" word "\", all that this version supports"
#define READABLE "a file that can be read"
#define EMPTY "empty, all that this version supports"

/* clang-format off */
static const struct key common_keys[] = {
	KEY("server_addr", key_host, COMMON(server_host), "a host name or an IP address (the port goes into server_port)"),
	KEY("server_port", key_port, COMMON(server_port), PORT),
	KEY("token", key_token, COMMON(token), NULL),
	KEY("user", key_text, COMMON(user), "printable UTF-8"),
	KEY("login_fail_exit", key_bool, COMMON(login_fail_exit), BOOLEAN),
	KEY("pool_count", key_count, COMMON(pool_count), "a number of connections (0-100)", .max = 100),
	KEY("heartbeat_interval", key_beat, COMMON(heartbeat_ms), "a number of seconds (1-86400), or -1 for never",
	  .min = 1, .max = 86400),
	KEY("log_level", key_level, COMMON(log_level), "trace, debug, info, warn or error"),
	KEY("tls_enable", key_bool, COMMON(tls.is_on), BOOLEAN),
	KEY("tls_trusted_ca_file", key_file, COMMON(tls.ca_file), READABLE),
	KEY("tls_cert_file", key_file, COMMON(tls.cert_file), READABLE),
	KEY("tls_key_file", key_file, COMMON(tls.key_file), READABLE),
	KEY("tls_server_name", key_host, COMMON(tls.server_name), "a host name or an IP address"),
	KEY("disable_custom_tls_first_byte", key_not, COMMON(tls.want_custom_first_byte), BOOLEAN),
	/* A dead path is found within WAIT_DEAD_MS, whatever this says: right for each value above. */
	KEY("heartbeat_timeout", key_range, 0, "a number of seconds from 15 on (a dead server is noticed within 15 s)",
	  .min = (WAIT_DEAD_MS + 999) / 1000, .max = 86400),
	KEY("authentication_method", key_words, 0, ONLY("token"), .words = "token"),
	KEY("authenticate_heartbeats", key_false, 0, ONLY("false")),
	KEY("authenticate_new_work_conns", key_false, 0, ONLY("false")),
	KEY("tcp_mux", key_true, 0, ONLY("true")),
	KEY("tcp_mux_keepalive_interval", key_words, 0, "30 or 60 (frp's defaults; silence is probed more often here)",
	  .words = "30|60"),
	KEY("protocol", key_words, 0, ONLY("tcp"), .words = "tcp"),
	KEY("dial_server_timeout", key_range, 0, ONLY("10"), .min = WAIT_DIAL_MS / 1000, .max = WAIT_DIAL_MS / 1000),
	KEY("log_file", key_log_file, COMMON(log_to), "\"console\", or the path of a file"),
	KEY("log_way", key_words, 0, ONLY("console"), .words = "console"),
	KEY("log_max_days", key_count, COMMON(log_max_days), "a number of days (0-36500)", .max = 36500),
	KEY("admin_addr", key_host, COMMON(web.addr), "a numeric address, or localhost"),
	KEY("admin_port", key_port, COMMON(web.port), "a port (1-65535), or 0 for no admin API", .min = 0,
	  .max = UINT16_MAX),
	KEY("admin_user", key_text, COMMON(web.user), "printable UTF-8"),
	KEY("admin_pwd", key_token, COMMON(web.password), NULL),
	KEY("disable_log_color", key_any_bool, 0, BOOLEAN),
	KEY("nat_hole_stun_server", key_words, 0, "frp's default, all that this version supports",
	  .words = "stun.easyvoip.com:3478"),
	KEY("udp_packet_size", key_words, 0, ONLY("1500"), .words = "1500"),
	KEY("pprof_enable", key_false, 0, ONLY("false")),
	KEY("dns_server", key_words, 0, EMPTY, .words = ""),
	KEY("connect_server_local_ip", key_words, 0, EMPTY, .words = ""),
	KEY("start", key_words, 0, EMPTY, .words = ""),
	KEY("includes", key_words, 0, EMPTY, .words = ""),
	KEY("assets_dir", key_words, 0, EMPTY, .words = ""),
	KEY("dial_server_keepalive", NULL, 0, NULL),
	KEY("http_proxy", NULL, 0, NULL), /* may hold a password */
};
static const struct key common_families[] = {
	KEY("admin_", NULL, 0, NULL),
	KEY("meta_", NULL, 0, NULL),
	KEY("oidc_", NULL, 0, NULL),
	KEY("quic_", NULL, 0, NULL),
};

static const struct key proxy_keys[] = {
	KEY("type", key_words, 0, ONLY("tcp"), .words = "tcp"),
	KEY("local_ip", key_host, PROXY(local_host), "a host name or an IP address"),
	KEY("local_port", key_port, PROXY(local_port), PORT),
	KEY("remote_port", key_port, PROXY(remote_port), "a port (1-65535), or 0 for one that the server chooses",
	  .min = 0, .max = UINT16_MAX),
	KEY("role", key_words, 0, ONLY("server"), .words = "server"),
	KEY("use_encryption", key_false, 0, ONLY("false")),
	KEY("use_compression", key_false, 0, ONLY("false")),
	KEY("bandwidth_limit_mode", key_words, 0, ONLY("client"), .words = "client"),
	KEY("bandwidth_limit", key_words, 0, EMPTY, .words = ""),
	KEY("proxy_protocol_version", key_words, 0, EMPTY, .words = ""),
	KEY("group", key_words, 0, EMPTY, .words = ""),
	KEY("plugin", key_words, 0, EMPTY, .words = ""),
	KEY("health_check_type", key_words, 0, EMPTY, .words = ""),
	/* The rest belongs to other types of proxies, or may hold a secret. */
	KEY("group_key", NULL, 0, NULL),
	KEY("custom_domains", NULL, 0, NULL),
	KEY("subdomain", NULL, 0, NULL),
	KEY("locations", NULL, 0, NULL),
	KEY("http_user", NULL, 0, NULL),
	KEY("http_pwd", NULL, 0, NULL),
	KEY("host_header_rewrite", NULL, 0, NULL),
	KEY("route_by_http_user", NULL, 0, NULL),
	KEY("multiplexer", NULL, 0, NULL),
	KEY("sk", NULL, 0, NULL),
	KEY("allow_users", NULL, 0, NULL),
	KEY("server_user", NULL, 0, NULL),
	KEY("server_name", NULL, 0, NULL),
	KEY("bind_addr", NULL, 0, NULL),
	KEY("bind_port", NULL, 0, NULL),
};
static const struct key proxy_families[] = {
	KEY("plugin_", NULL, 0, NULL),
	KEY("meta_", NULL, 0, NULL),
	KEY("header_", NULL, 0, NULL),
	KEY("health_check_", NULL, 0, NULL),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct legacy_keys legacy_common = {
	.at = common_keys,
	.n = COUNT(common_keys),
	.families = common_families,
	.n_families = COUNT(common_families),
};
const struct legacy_keys legacy_proxy = {
	.at = proxy_keys,
	.n = COUNT(proxy_keys),
	.families = proxy_families,
	.n_families = COUNT(proxy_families),
};

const struct key *legacy_find(const struct legacy_keys *keys, const char *name)
{
	const struct key *k = key_find(keys->at, keys->n, name);

	for (size_t i = 0; i < keys->n_families && k == NULL; i++)
		if (strncmp(name, keys->families[i].name, strlen(keys->families[i].name)) == 0)
			k = &keys->families[i];
	return k;
}
