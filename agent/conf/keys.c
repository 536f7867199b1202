/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - every key of frp's client configuration, and ours: the one table (frp pkg/config/v1
 * client.go, common.go, proxy.go, visitor.go). Floor 4. */
#include "agent/conf/keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/conf/schema.h"
#include "proto/base/limits.h"

#define KEYS_NAME 64 /* longer than any name of the tables */
#define COMMON(member) offsetof(struct conf, member)
#define PROXY(member) offsetof(struct conf_proxy, member)
#define VISITOR(member) offsetof(struct conf_visitor, member)
#define BOOLEAN "true or false"
#define PORT "a port (1-65535)"
#define ONLY(word) "\"" word "\", all that this version supports"
#define EMPTY "empty, all that this version supports"
#define READABLE "a file that can be read"
#define HOST "a host name or an IP address (without a port)"
#define PRINTABLE "printable UTF-8"
#define PROXY_URL                                                                          \
	"http://[user:password@]host:port or the same with socks5:// (no https, no ntlm; " \
	"in user and password @ / % are %40 %2F %25)"
#define SECONDS "a number of seconds (1-86400)"
#define OF_XTCP "not supported by this version (it belongs to xtcp)"
#define PLUGIN "client plugins are not supported by this version"

#define OF_PORTS (1u << CONF_TYPE_TCP | 1u << CONF_TYPE_UDP)
#define OF_HTTP (1u << CONF_TYPE_HTTP)
#define OF_TCPMUX (1u << CONF_TYPE_TCPMUX)
#define OF_DOMAINS (OF_HTTP | 1u << CONF_TYPE_HTTPS | OF_TCPMUX)
#define OF_SECRETS (1u << CONF_TYPE_STCP | 1u << CONF_TYPE_SUDP)

/* clang-format off */
static const struct key common_keys[] = {
	KEY("serverAddr", key_host, COMMON(server_host), HOST),
	KEY("serverPort", key_port, COMMON(server_port), PORT, .kind = KEY_INT),
	KEY("user", key_text, COMMON(user), PRINTABLE),
	KEY("clientID", key_text, COMMON(client_id), PRINTABLE),
	KEY("loginFailExit", key_bool, COMMON(login_fail_exit), BOOLEAN, .kind = KEY_BOOL),
	KEY("dnsServer", key_dns, COMMON(dns_server), "an IP address, perhaps with a port"),
	KEY("start", key_add, COMMON(start), "the name of a proxy or visitor", .kind = KEY_STRS),
	KEY("includes", key_any, 0, NULL, .kind = KEY_STRS), /* see load.c */
	KEY("metadatas", key_any, COMMON(metas), NULL, .kind = KEY_PAIRS),
	KEY("udpPacketSize", key_size, COMMON(udp_packet_size), "a number of bytes (64-65507)", .kind = KEY_INT,
	  .min = 64, .max = 65507),
	KEY("version", key_any, 0, NULL), /* of the format; frp looks at it nowhere */
	KEY("natHoleStunServer", key_words, 0, "frp's default, all that this version supports (it belongs to xtcp)",
	  .words = "stun.easyvoip.com:3478"),
	KEY("virtualNet", NULL, 0, "virtual networks are not supported by this version"),
	KEY("featureGates", NULL, 0, "not supported by this version"),
	KEY("store", NULL, 0, "not supported by this version"),

	KEY("auth.method", key_words, 0, ONLY("token"), .words = "token"),
	KEY("auth.token", key_token, COMMON(token), NULL, .is_secret = true),
	KEY("auth.tokenSource.type", key_words, 0, "\"file\" or \"exec\"", .words = "file|exec"),
	KEY("auth.tokenSource.file.path", key_text, COMMON(token_file), "the path of a file"),
	KEY("auth.tokenSource.exec.command", key_text, COMMON(token_exec.command), "the path of a program"),
	KEY("auth.tokenSource.exec.args", key_add, COMMON(token_exec.args), "an argument", .kind = KEY_STRS),
	KEY("auth.tokenSource.exec.env", key_any, COMMON(token_exec.env), NULL, .kind = KEY_PAIR_LIST,
	  .is_secret = true),
	KEY("auth.additionalScopes", key_words, 0, "\"HeartBeats\" or \"NewWorkConns\"", .kind = KEY_STRS,
	  .words = "HeartBeats|NewWorkConns"), /* these messages are signed always */
	KEY("auth.oidc", NULL, 0, "OIDC is not supported by this version; auth.token and auth.tokenSource are"),

	KEY("log.to", key_log_file, COMMON(log_to), "\"console\", or the path of a file"),
	KEY("log.level", key_level, COMMON(log_level), "trace, debug, info, warn or error"),
	KEY("log.maxDays", key_count, COMMON(log_max_days), "a number of days", .kind = KEY_INT, .max = 36500),
	KEY("log.disablePrintColor", key_any_bool, 0, BOOLEAN, .kind = KEY_BOOL), /* there is no colour */
	KEY("log.format", key_format, COMMON(log_format), "text or json"), /* ours */

	KEY("webServer.addr", key_text, COMMON(web.addr), "an IP address, or \"localhost\""),
	KEY("webServer.port", key_port, COMMON(web.port), "a port (1-65535), or 0 for none", .kind = KEY_INT,
	  .min = 0, .max = UINT16_MAX),
	KEY("webServer.user", key_text, COMMON(web.user), PRINTABLE),
	KEY("webServer.password", key_text, COMMON(web.password), PRINTABLE, .is_secret = true),
	KEY("webServer.assetsDir", key_words, 0, EMPTY, .words = ""),
	KEY("webServer.pprofEnable", key_false, 0, ONLY("false"), .kind = KEY_BOOL),
	KEY("webServer.tls", NULL, 0, "TLS of the admin API is not supported by this version"),

	KEY("transport.protocol", key_words, 0, ONLY("tcp"), .words = "tcp"),
	KEY("transport.wireProtocol", key_wire, COMMON(wire), "v1 or v2"),
	KEY("transport.tcpMux", key_bool, COMMON(is_mux), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.tcpMuxKeepaliveInterval", key_seconds, COMMON(mux_keepalive_ms), SECONDS, .kind = KEY_INT,
	  .min = 1, .max = 86400),
	KEY("transport.poolCount", key_count, COMMON(pool_count), "a number of connections (0-10000)", .kind = KEY_INT,
	  .max = 10000), /* frps takes the lesser of this and its own maximum */
	KEY("transport.heartbeatInterval", key_beat, COMMON(heartbeat_ms), "a number of seconds (1-86400), or a negative one for never",
	  .kind = KEY_INT, .min = 1, .max = 86400),
	KEY("transport.heartbeatTimeout", key_beat, COMMON(heartbeat_timeout_ms),
	  "a number of seconds (1-86400), or a negative one for never", .kind = KEY_INT, .min = 1, .max = 86400),
	KEY("transport.dialServerTimeout", key_seconds, COMMON(dial_timeout_ms), "a number of seconds (1-600)",
	  .kind = KEY_INT, .min = 1, .max = 600),
	KEY("transport.dialServerKeepalive", key_keepalive, COMMON(tcp_keepalive_s),
	  "a number of seconds (1-32767), or a negative one for never", .kind = KEY_INT, .max = 32767), /* Linux tcp(7) */
	KEY("transport.connectServerLocalIP", key_ip, COMMON(local_ip), "an IP address"),
	KEY("transport.proxyURL", key_url, COMMON(proxy_url), PROXY_URL, .is_secret = true),
	KEY("transport.quic.keepalivePeriod", key_range, 0, ONLY("10"), .kind = KEY_INT, .min = 10, .max = 10),
	KEY("transport.quic.maxIdleTimeout", key_range, 0, ONLY("30"), .kind = KEY_INT, .min = 30, .max = 30),
	KEY("transport.quic.maxIncomingStreams", key_range, 0, ONLY("100000"), .kind = KEY_INT,
	  .min = 100000, .max = 100000),
	KEY("transport.tls.enable", key_bool, COMMON(tls.is_on), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.tls.certFile", key_file, COMMON(tls.cert_file), READABLE),
	KEY("transport.tls.keyFile", key_file, COMMON(tls.key_file), READABLE),
	KEY("transport.tls.trustedCaFile", key_file, COMMON(tls.ca_file), READABLE),
	KEY("transport.tls.serverName", key_host, COMMON(tls.server_name), "a host name or an IP address"),
	KEY("transport.tls.disableCustomTLSFirstByte", key_not, COMMON(tls.want_custom_first_byte), BOOLEAN,
	  .kind = KEY_BOOL),
	KEY("transport.tls.systemRoots", key_bool, COMMON(tls.want_system_roots), BOOLEAN, .kind = KEY_BOOL), /* ours */
	KEY("transport.tls.pin", key_pin, COMMON(tls.pin), /* ours */
	  "the SHA-256 of a public key (sha256/ and 44 characters of base64, or 64 hex digits)"),

	KEY("proxies", key_any, 0, NULL), /* lists of tables: see reader.c */
	KEY("visitors", key_any, 0, NULL),
};

static const struct key proxy_keys[] = {
	KEY("name", key_any, 0, NULL), /* these two are looked at first: see reader.c */
	KEY("type", key_any, 0, NULL),
	KEY("enabled", key_not, PROXY(is_off), BOOLEAN, .kind = KEY_BOOL),
	KEY("localIP", key_host, PROXY(local_host), "a host name or an IP address"),
	KEY("localPort", key_port, PROXY(local_port), PORT, .kind = KEY_INT),
	KEY("remotePort", key_port, PROXY(remote_port), "a port (1-65535), or 0 for one that the server chooses",
	  .kind = KEY_INT, .min = 0, .max = UINT16_MAX, .types = OF_PORTS),
	KEY("annotations", key_any, PROXY(annotations), NULL, .kind = KEY_PAIRS),
	KEY("metadatas", key_any, PROXY(metas), NULL, .kind = KEY_PAIRS),
	KEY("transport.useEncryption", key_bool, PROXY(use_encryption), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.useCompression", key_bool, PROXY(use_compression), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.bandwidthLimit", key_bandwidth, 0, "a number of KB or MB per second, as \"512KB\" or \"1.5MB\""),
	KEY("transport.bandwidthLimitMode", key_limit_mode, 0, "client or server"),
	KEY("transport.proxyProtocolVersion", key_proxy_protocol, PROXY(proxy_protocol), "v1 or v2"),
	KEY("loadBalancer.group", key_text, PROXY(group), PRINTABLE),
	KEY("loadBalancer.groupKey", key_text, PROXY(group_key), PRINTABLE, .is_secret = true),
	KEY("healthCheck.type", key_health, PROXY(health.kind), "tcp or http"),
	KEY("healthCheck.timeoutSeconds", key_seconds, PROXY(health.timeout_ms), SECONDS, .kind = KEY_INT,
	  .min = 1, .max = 86400),
	KEY("healthCheck.maxFailed", key_count, PROXY(health.n_failed_max), "a number of failures (1-1000000)",
	  .kind = KEY_INT, .min = 1, .max = 1000000),
	KEY("healthCheck.intervalSeconds", key_seconds, PROXY(health.interval_ms), SECONDS, .kind = KEY_INT,
	  .min = 1, .max = 86400),
	KEY("healthCheck.path", key_text, PROXY(health.path), "a path, as \"/healthz\""),
	KEY("healthCheck.httpHeaders", key_any, PROXY(health.headers), NULL, .kind = KEY_PAIR_LIST),
	KEY("customDomains", key_add, PROXY(domains), "a host name", .kind = KEY_STRS, .types = OF_DOMAINS),
	KEY("subdomain", key_text, PROXY(subdomain), PRINTABLE, .types = OF_DOMAINS),
	KEY("locations", key_add, PROXY(locations), "the beginning of a path", .kind = KEY_STRS, .types = OF_HTTP),
	KEY("httpUser", key_text, PROXY(http_user), PRINTABLE, .types = OF_HTTP | OF_TCPMUX),
	KEY("httpPassword", key_text, PROXY(http_password), PRINTABLE, .types = OF_HTTP | OF_TCPMUX,
	  .is_secret = true),
	KEY("hostHeaderRewrite", key_text, PROXY(host_header_rewrite), PRINTABLE, .types = OF_HTTP),
	KEY("requestHeaders.set", key_any, PROXY(request_headers), NULL, .kind = KEY_PAIRS, .types = OF_HTTP),
	KEY("responseHeaders.set", key_any, PROXY(response_headers), NULL, .kind = KEY_PAIRS, .types = OF_HTTP),
	KEY("routeByHTTPUser", key_text, PROXY(route_by_http_user), PRINTABLE, .types = OF_HTTP | OF_TCPMUX),
	KEY("multiplexer", key_text, PROXY(multiplexer), PRINTABLE, .types = OF_TCPMUX),
	KEY("secretKey", key_text, PROXY(secret_key), PRINTABLE, .types = OF_SECRETS, .is_secret = true),
	KEY("allowUsers", key_add, PROXY(allow_users), "the name of a user, or \"*\"", .kind = KEY_STRS,
	  .types = OF_SECRETS),
	KEY("plugin", NULL, 0, PLUGIN),
	KEY("natTraversal", NULL, 0, OF_XTCP),
};

static const struct key visitor_keys[] = {
	KEY("name", key_any, 0, NULL),
	KEY("type", key_any, 0, NULL),
	KEY("enabled", key_not, VISITOR(is_off), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.useEncryption", key_bool, VISITOR(use_encryption), BOOLEAN, .kind = KEY_BOOL),
	KEY("transport.useCompression", key_bool, VISITOR(use_compression), BOOLEAN, .kind = KEY_BOOL),
	KEY("secretKey", key_text, VISITOR(secret_key), PRINTABLE, .is_secret = true),
	KEY("serverUser", key_text, VISITOR(server_user), PRINTABLE),
	KEY("serverName", key_text, VISITOR(server_name), PRINTABLE),
	KEY("bindAddr", key_ip, VISITOR(bind_host), "an IP address"),
	KEY("bindPort", key_port, VISITOR(bind_port), PORT, .kind = KEY_INT),
	KEY("plugin", NULL, 0, "visitor plugins are not supported by this version"),
	KEY("protocol", NULL, 0, OF_XTCP),
	KEY("keepTunnelOpen", NULL, 0, OF_XTCP),
	KEY("maxRetriesAnHour", NULL, 0, OF_XTCP),
	KEY("minRetryInterval", NULL, 0, OF_XTCP),
	KEY("fallbackTo", NULL, 0, OF_XTCP),
	KEY("fallbackTimeoutMs", NULL, 0, OF_XTCP),
	KEY("natTraversal", NULL, 0, OF_XTCP),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct keys keys_common = { .at = common_keys, .n = COUNT(common_keys) };
const struct keys keys_proxy = { .at = proxy_keys, .n = COUNT(proxy_keys) };
const struct keys keys_visitor = { .at = visitor_keys, .n = COUNT(visitor_keys) };

const struct key *keys_find(const struct keys *keys, const char *name, bool *ret_is_table)
{
	size_t len = strlen(name);
	bool is_table = false;

	for (size_t i = 0; i < keys->n; i++) {
		const char *mine = keys->at[i].name;

		if (strcasecmp(mine, name) == 0)
			return &keys->at[i];
		is_table |= strncasecmp(mine, name, len) == 0 && mine[len] == '.';
	}
	*ret_is_table = is_table;
	return NULL;
}

/* The length of the first @n_points + 1 names of @path; 0: it has fewer. */
static size_t keys_head(const char *path, size_t n_points)
{
	size_t len = strcspn(path, ".");

	for (; n_points > 0 && path[len] == '.'; n_points--)
		len += 1 + strcspn(path + len + 1, ".");
	return n_points > 0 ? 0 : len;
}

const char *keys_nearest(const struct keys *keys, const char *name, char *dst, size_t cap)
{
	char head[KEYS_NAME];
	struct key cut = { .name = head };
	size_t n_points = 0, n_best = SIZE_MAX, n, len;

	for (const char *p = name; *p != '\0'; p++)
		n_points += *p == '.';
	dst[0] = '\0';
	for (size_t i = 0; i < keys->n; i++) {
		len = keys_head(keys->at[i].name, n_points);
		if (len == 0 || len >= sizeof(head))
			continue;
		(void) snprintf(head, sizeof(head), "%.*s", (int) len, keys->at[i].name);
		(void) key_nearest(&cut, 1, name, &n);
		if (n < n_best) {
			n_best = n;
			(void) snprintf(dst, cap, "%s", head);
		}
	}
	if (dst[0] == '\0')
		(void) snprintf(dst, cap, "%s", key_nearest(keys->at, keys->n, name, &n));
	return dst;
}
