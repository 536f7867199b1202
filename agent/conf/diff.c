/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - what is different in a new configuration. Floor 4.
 *
 * One table a kind of object: a new member of schema.h gets its row here, or a reload will not see
 * it change. */
#include "agent/conf/diff.h"

#include <string.h>

enum diff_kind { DIFF_STR, DIFF_BYTES, DIFF_STRS, DIFF_PAIRS };

struct diff_field {
	const char *name;
	enum diff_kind kind;
	size_t at, size;
};
#define FIELD(type, member, field_kind, field_name)                                       \
	{                                                                                 \
		.name = (field_name), .kind = (field_kind), .at = offsetof(type, member), \
		.size = sizeof(((type *) NULL)->member)                                   \
	}
#define PROXY(member, kind) FIELD(struct conf_proxy, member, kind, #member)
#define VISITOR(member, kind) FIELD(struct conf_visitor, member, kind, #member)
#define CONF(member, kind, name) FIELD(struct conf, member, kind, name)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Left out: what is derived (msg, type), and where it stands in a file (place, is_off). Of struct
 * conf: what is looked at when it is needed (grace_ms, login_fail_exit, log_level), what the
 * readers use up (start), and what no file can say (ready, state_dir). */
static const struct diff_field proxy_fields[] = {
	PROXY(name, DIFF_STR),
	PROXY(wire_name, DIFF_STR),
	PROXY(kind, DIFF_BYTES),
	PROXY(local_host, DIFF_STR),
	PROXY(local_port, DIFF_BYTES),
	PROXY(remote_port, DIFF_BYTES),
	PROXY(use_encryption, DIFF_BYTES),
	PROXY(use_compression, DIFF_BYTES),
	PROXY(bandwidth, DIFF_STR),
	PROXY(bandwidth_bytes, DIFF_BYTES),
	PROXY(is_bandwidth_of_server, DIFF_BYTES),
	PROXY(proxy_protocol, DIFF_BYTES),
	PROXY(health.kind, DIFF_BYTES),
	PROXY(health.interval_ms, DIFF_BYTES),
	PROXY(health.timeout_ms, DIFF_BYTES),
	PROXY(health.n_failed_max, DIFF_BYTES),
	PROXY(health.path, DIFF_STR),
	PROXY(health.headers, DIFF_PAIRS),
	PROXY(group, DIFF_STR),
	PROXY(group_key, DIFF_STR),
	PROXY(metas, DIFF_PAIRS),
	PROXY(annotations, DIFF_PAIRS),
	PROXY(domains, DIFF_STRS),
	PROXY(locations, DIFF_STRS),
	PROXY(subdomain, DIFF_STR),
	PROXY(http_user, DIFF_STR),
	PROXY(http_password, DIFF_STR),
	PROXY(host_header_rewrite, DIFF_STR),
	PROXY(route_by_http_user, DIFF_STR),
	PROXY(multiplexer, DIFF_STR),
	PROXY(request_headers, DIFF_PAIRS),
	PROXY(response_headers, DIFF_PAIRS),
	PROXY(secret_key, DIFF_STR),
	PROXY(allow_users, DIFF_STRS),
};

static const struct diff_field visitor_fields[] = {
	VISITOR(name, DIFF_STR),
	VISITOR(kind, DIFF_BYTES),
	VISITOR(use_encryption, DIFF_BYTES),
	VISITOR(use_compression, DIFF_BYTES),
	VISITOR(secret_key, DIFF_STR),
	VISITOR(wire_name, DIFF_STR),
	VISITOR(bind_host, DIFF_STR),
	VISITOR(bind_port, DIFF_BYTES),
};

static const struct diff_field session_fields[] = {
	CONF(server_host, DIFF_STR, "serverAddr"),
	CONF(server_port, DIFF_BYTES, "serverPort"),
	CONF(token_file, DIFF_STR, "auth.tokenSource.file.path"),
	CONF(token_exec.command, DIFF_STR, "auth.tokenSource.exec.command"),
	CONF(token_exec.args, DIFF_STRS, "auth.tokenSource.exec.args"),
	CONF(token_exec.env, DIFF_PAIRS, "auth.tokenSource.exec.env"),
	CONF(user, DIFF_STR, "user"),
	CONF(client_id, DIFF_STR, "clientID"),
	CONF(metas, DIFF_PAIRS, "metadatas"),
	CONF(wire, DIFF_BYTES, "transport.wireProtocol"),
	CONF(is_mux, DIFF_BYTES, "transport.tcpMux"),
	CONF(pool_count, DIFF_BYTES, "transport.poolCount"),
	CONF(heartbeat_ms, DIFF_BYTES, "transport.heartbeatInterval"),
	CONF(heartbeat_timeout_ms, DIFF_BYTES, "transport.heartbeatTimeout"),
	CONF(mux_keepalive_ms, DIFF_BYTES, "transport.tcpMuxKeepaliveInterval"),
	CONF(dial_timeout_ms, DIFF_BYTES, "transport.dialServerTimeout"),
	CONF(tcp_keepalive_s, DIFF_BYTES, "transport.dialServerKeepalive"),
	CONF(local_ip, DIFF_STR, "transport.connectServerLocalIP"),
	CONF(proxy_url, DIFF_STR, "transport.proxyURL"),
	CONF(udp_packet_size, DIFF_BYTES, "udpPacketSize"),
	CONF(n_streams_max, DIFF_BYTES, "the limit of streams"),
	CONF(tls.is_on, DIFF_BYTES, "transport.tls.enable"),
	CONF(tls.want_custom_first_byte, DIFF_BYTES, "transport.tls.disableCustomTLSFirstByte"),
	CONF(tls.server_name, DIFF_STR, "transport.tls.serverName"),
	CONF(tls.ca_file, DIFF_STR, "transport.tls.trustedCaFile"),
	CONF(tls.want_system_roots, DIFF_BYTES, "the system's roots"),
	CONF(tls.pin, DIFF_STR, "the pin of the server's key"),
	CONF(tls.cert_file, DIFF_STR, "transport.tls.certFile"),
	CONF(tls.key_file, DIFF_STR, "transport.tls.keyFile"),
};

static const struct diff_field start_fields[] = {
	CONF(dns_server, DIFF_STR, "dnsServer"),
	CONF(all_or_none, DIFF_BYTES, "the pairing of the proxies"),
	CONF(log_to, DIFF_STR, "log.to"),
	CONF(log_format, DIFF_BYTES, "log.format"),
	CONF(log_max_days, DIFF_BYTES, "log.maxDays"),
	CONF(web.addr, DIFF_STR, "webServer.addr"),
	CONF(web.port, DIFF_BYTES, "webServer.port"),
	CONF(web.user, DIFF_STR, "webServer.user"),
	CONF(web.password, DIFF_STR, "webServer.password"),
};

/* Absent and empty are one thing, as on the wire. */
static bool is_same_str(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool is_same_strs(const struct conf_strs *a, const struct conf_strs *b)
{
	bool is_same = a->n == b->n;

	for (size_t i = 0; is_same && i < a->n; i++)
		is_same = is_same_str(a->at[i], b->at[i]);
	return is_same;
}

static bool is_same_pairs(const struct conf_pairs *a, const struct conf_pairs *b)
{
	bool is_same = a->n == b->n;

	for (size_t i = 0; is_same && i < a->n; i++)
		is_same = is_same_str(a->at[i].name, b->at[i].name) &&
			  is_same_str(a->at[i].value, b->at[i].value);
	return is_same;
}

static bool is_same_field(const struct diff_field *f, const void *a, const void *b)
{
	const char *at_a = (const char *) a + f->at, *at_b = (const char *) b + f->at;

	switch (f->kind) {
	case DIFF_STR:
		return is_same_str(*(char *const *) (const void *) at_a,
				   *(char *const *) (const void *) at_b);
	case DIFF_BYTES: return memcmp(at_a, at_b, f->size) == 0;
	case DIFF_STRS: return is_same_strs((const void *) at_a, (const void *) at_b);
	case DIFF_PAIRS: return is_same_pairs((const void *) at_a, (const void *) at_b);
	}
	return false;
}

/* NULL: no difference. */
static const struct diff_field *find_difference(const struct diff_field *fields, size_t n,
						const void *a, const void *b)
{
	for (size_t i = 0; i < n; i++)
		if (!is_same_field(&fields[i], a, b))
			return &fields[i];
	return NULL;
}

bool conf_proxy_is_same(const struct conf_proxy *a, const struct conf_proxy *b)
{
	return find_difference(proxy_fields, COUNT(proxy_fields), a, b) == NULL;
}

bool conf_visitor_is_same(const struct conf_visitor *a, const struct conf_visitor *b)
{
	return find_difference(visitor_fields, COUNT(visitor_fields), a, b) == NULL;
}

/* A token with a source is read again at each login: the session that it has opened may go on. */
static bool has_token_source(const struct conf *c)
{
	return c->token_file != NULL || c->token_exec.command != NULL;
}

const char *conf_diff_session(const struct conf *a, const struct conf *b)
{
	const struct diff_field *f = find_difference(session_fields, COUNT(session_fields), a, b);

	if (f != NULL)
		return f->name;
	if (!has_token_source(b) && !is_same_str(a->token, b->token))
		return "auth.token";
	return NULL;
}

const char *conf_diff_start(const struct conf *a, const struct conf *b)
{
	const struct diff_field *f = find_difference(start_fields, COUNT(start_fields), a, b);

	return f != NULL ? f->name : NULL;
}
