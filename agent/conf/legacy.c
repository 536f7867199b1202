/* SPDX-License-Identifier: Apache-2.0 */
/* legacy.c - the keys of frp's INI files, and what they are called in the table of keys (frp
 * pkg/config/legacy conversion.go). Floor 4. */
#include "agent/conf/legacy.h"

#include <stdint.h>
#include <string.h>

#define TEXT(name, path)                                    \
	{                                                   \
		KEY(name, NULL, 0, NULL), path, LEGACY_TEXT \
	}
#define LIST(name, path)                                    \
	{                                                   \
		KEY(name, NULL, 0, NULL), path, LEGACY_LIST \
	}
#define FAMILY(name, path)                                    \
	{                                                     \
		KEY(name, NULL, 0, NULL), path, LEGACY_FAMILY \
	}
#define SCOPE(name, word)                                                                      \
	{                                                                                      \
		KEY(name, NULL, 0, NULL, .words = word), "auth.additionalScopes", LEGACY_SCOPE \
	}
#define INERT(name, parser, what, ...)                                      \
	{                                                                   \
		KEY(name, parser, 0, what, __VA_ARGS__), NULL, LEGACY_INERT \
	}

/* clang-format off */
static const struct legacy_key common_keys[] = {
	TEXT("server_addr", "serverAddr"),
	TEXT("server_port", "serverPort"),
	TEXT("token", "auth.token"),
	TEXT("user", "user"),
	TEXT("login_fail_exit", "loginFailExit"),
	TEXT("dns_server", "dnsServer"),
	LIST("start", "start"),
	LIST("includes", "includes"),
	TEXT("udp_packet_size", "udpPacketSize"),
	TEXT("nat_hole_stun_server", "natHoleStunServer"),
	TEXT("authentication_method", "auth.method"),
	SCOPE("authenticate_heartbeats", "HeartBeats"),
	SCOPE("authenticate_new_work_conns", "NewWorkConns"),
	TEXT("oidc_client_id", "auth.oidc.clientID"),
	TEXT("oidc_client_secret", "auth.oidc.clientSecret"),
	TEXT("oidc_audience", "auth.oidc.audience"),
	TEXT("oidc_scope", "auth.oidc.scope"),
	TEXT("oidc_token_endpoint_url", "auth.oidc.tokenEndpointURL"),
	TEXT("pool_count", "transport.poolCount"),
	TEXT("tcp_mux", "transport.tcpMux"),
	TEXT("tcp_mux_keepalive_interval", "transport.tcpMuxKeepaliveInterval"),
	TEXT("protocol", "transport.protocol"),
	TEXT("heartbeat_interval", "transport.heartbeatInterval"),
	TEXT("heartbeat_timeout", "transport.heartbeatTimeout"),
	TEXT("dial_server_timeout", "transport.dialServerTimeout"),
	TEXT("dial_server_keepalive", "transport.dialServerKeepalive"),
	TEXT("connect_server_local_ip", "transport.connectServerLocalIP"),
	TEXT("http_proxy", "transport.proxyURL"),
	TEXT("quic_keepalive_period", "transport.quic.keepalivePeriod"),
	TEXT("quic_max_idle_timeout", "transport.quic.maxIdleTimeout"),
	TEXT("quic_max_incoming_streams", "transport.quic.maxIncomingStreams"),
	TEXT("tls_enable", "transport.tls.enable"),
	TEXT("tls_trusted_ca_file", "transport.tls.trustedCaFile"),
	TEXT("tls_cert_file", "transport.tls.certFile"),
	TEXT("tls_key_file", "transport.tls.keyFile"),
	TEXT("tls_server_name", "transport.tls.serverName"),
	TEXT("disable_custom_tls_first_byte", "transport.tls.disableCustomTLSFirstByte"),
	TEXT("log_level", "log.level"),
	TEXT("log_file", "log.to"),
	TEXT("log_max_days", "log.maxDays"),
	TEXT("disable_log_color", "log.disablePrintColor"),
	TEXT("admin_addr", "webServer.addr"),
	TEXT("admin_port", "webServer.port"),
	TEXT("admin_user", "webServer.user"),
	TEXT("admin_pwd", "webServer.password"),
	TEXT("assets_dir", "webServer.assetsDir"),
	TEXT("pprof_enable", "webServer.pprofEnable"),
	INERT("log_way", key_words, "\"console\" or \"file\"", .words = "console|file"), /* frp looks at log_file alone */
	FAMILY("meta_", "metadatas"),
	FAMILY("oidc_additional_", "auth.oidc.additionalEndpointParams"),
};

#define OF_BOTH \
	TEXT("type", "type"), \
	TEXT("use_encryption", "transport.useEncryption"), \
	TEXT("use_compression", "transport.useCompression"), \
	TEXT("sk", "secretKey")

static const struct legacy_key proxy_keys[] = {
	OF_BOTH,
	INERT("role", key_words, "\"server\" or \"visitor\"", .words = "server|visitor"), /* see ini.c */
	TEXT("local_ip", "localIP"),
	TEXT("local_port", "localPort"),
	TEXT("remote_port", "remotePort"),
	TEXT("bandwidth_limit", "transport.bandwidthLimit"),
	TEXT("bandwidth_limit_mode", "transport.bandwidthLimitMode"),
	TEXT("proxy_protocol_version", "transport.proxyProtocolVersion"),
	TEXT("group", "loadBalancer.group"),
	TEXT("group_key", "loadBalancer.groupKey"),
	TEXT("health_check_type", "healthCheck.type"),
	TEXT("health_check_timeout_s", "healthCheck.timeoutSeconds"),
	TEXT("health_check_max_failed", "healthCheck.maxFailed"),
	TEXT("health_check_interval_s", "healthCheck.intervalSeconds"),
	TEXT("health_check_url", "healthCheck.path"),
	LIST("custom_domains", "customDomains"),
	TEXT("subdomain", "subdomain"),
	LIST("locations", "locations"),
	TEXT("http_user", "httpUser"),
	TEXT("http_pwd", "httpPassword"),
	TEXT("host_header_rewrite", "hostHeaderRewrite"),
	TEXT("route_by_http_user", "routeByHTTPUser"),
	TEXT("multiplexer", "multiplexer"),
	LIST("allow_users", "allowUsers"),
	TEXT("plugin", "plugin.type"),
	FAMILY("plugin_", "plugin"),
	FAMILY("meta_", "metadatas"),
	FAMILY("header_", "requestHeaders.set"),
};

static const struct legacy_key visitor_keys[] = {
	OF_BOTH,
	INERT("role", key_words, "\"server\" or \"visitor\"", .words = "server|visitor"),
	TEXT("server_user", "serverUser"),
	TEXT("server_name", "serverName"),
	TEXT("bind_addr", "bindAddr"),
	TEXT("bind_port", "bindPort"),
	TEXT("protocol", "protocol"),
	TEXT("keep_tunnel_open", "keepTunnelOpen"),
	TEXT("max_retries_an_hour", "maxRetriesAnHour"),
	TEXT("min_retry_interval", "minRetryInterval"),
	TEXT("fallback_to", "fallbackTo"),
	TEXT("fallback_timeout_ms", "fallbackTimeoutMs"),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct legacy_keys legacy_common = { .at = common_keys, .n = COUNT(common_keys) };
const struct legacy_keys legacy_proxy = { .at = proxy_keys, .n = COUNT(proxy_keys) };
const struct legacy_keys legacy_visitor = { .at = visitor_keys, .n = COUNT(visitor_keys) };

const struct legacy_key *legacy_find(const struct legacy_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->at[i].kind != LEGACY_FAMILY && strcmp(keys->at[i].key.name, name) == 0)
			return &keys->at[i];
	for (size_t i = 0; i < keys->n; i++) {
		size_t len = strlen(keys->at[i].key.name);

		if (keys->at[i].kind == LEGACY_FAMILY &&
		    strncmp(keys->at[i].key.name, name, len) == 0 && name[len] != '\0')
			return &keys->at[i];
	}
	return NULL;
}

const char *legacy_nearest(const struct legacy_keys *keys, const char *name)
{
	const char *best = NULL;
	size_t n_best = SIZE_MAX, n;

	for (size_t i = 0; i < keys->n; i++) {
		const char *nearest = key_nearest(&keys->at[i].key, 1, name, &n);

		if (n < n_best) {
			n_best = n;
			best = nearest;
		}
	}
	return best;
}
