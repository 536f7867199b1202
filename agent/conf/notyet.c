/* SPDX-License-Identifier: Apache-2.0 */
/* notyet.c - what the configuration can ask for and the tunnel cannot do. Floor 4.
 *
 * A row goes when the tunnel can; with the last one the file goes. */
#include "agent/conf/notyet.h"

#include "proto/base/limits.h"

static bool wants_udp(const struct conf_proxy *p)
{
	return p->kind == CONF_TYPE_UDP || p->kind == CONF_TYPE_SUDP;
}

static bool wants_encryption(const struct conf_proxy *p)
{
	return p->use_encryption;
}

static bool wants_compression(const struct conf_proxy *p)
{
	return p->use_compression;
}

static bool wants_limit(const struct conf_proxy *p)
{
	return p->bandwidth_bytes > 0 && !p->is_bandwidth_of_server;
}

static bool wants_proxy_header(const struct conf_proxy *p)
{
	return p->proxy_protocol > 0;
}

static bool wants_health(const struct conf_proxy *p)
{
	return p->health.kind != CONF_HEALTH_NONE;
}

static const struct {
	bool (*is_wanted)(const struct conf_proxy *p);
	const char *what;
} of_proxies[] = {
	{ wants_udp, "proxies of type udp and sudp are" },
	{ wants_encryption, "transport.useEncryption is" },
	{ wants_compression, "transport.useCompression is" },
	{ wants_limit, "transport.bandwidthLimit in client mode is" },
	{ wants_proxy_header, "transport.proxyProtocolVersion is" },
	{ wants_health, "healthCheck is" },
};

static bool wants_no_mux(const struct conf *c)
{
	return !c->is_mux;
}

static bool wants_v2(const struct conf *c)
{
	return c->wire == WIRE_V2;
}

static bool wants_visitors(const struct conf *c)
{
	return c->n_visitors > 0;
}

/* Anything not shorter is what happens without the key: a dead path is found within WAIT_DEAD_MS.
 */
static bool wants_short_timeout(const struct conf *c)
{
	return c->heartbeat_timeout_ms != 0 && c->heartbeat_timeout_ms < WAIT_DEAD_MS;
}

static bool wants_short_keepalive(const struct conf *c)
{
	return c->mux_keepalive_ms != 0 && c->mux_keepalive_ms < WAIT_PING_IDLE_MS;
}

static const struct {
	bool (*is_wanted)(const struct conf *c);
	const char *what;
} of_all[] = {
	{ wants_no_mux, "transport.tcpMux = false is" },
	{ wants_v2, "transport.wireProtocol = \"v2\" is" },
	{ wants_visitors, "visitors are" },
	{ wants_short_timeout, "transport.heartbeatTimeout below 15 s is" },
	{ wants_short_keepalive, "transport.tcpMuxKeepaliveInterval below 9 s is" },
};

void notyet_check(const struct conf *c, struct problems *p)
{
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++)
		if (of_all[i].is_wanted(c))
			problems_add(p, "%s: %s not supported by this version", c->source,
				     of_all[i].what);
	for (size_t k = 0; k < c->n_proxies; k++)
		for (size_t i = 0; i < sizeof(of_proxies) / sizeof(of_proxies[0]); i++)
			if (of_proxies[i].is_wanted(&c->proxies[k]))
				problems_add(p, "%s: %s not supported by this version",
					     c->proxies[k].place != NULL ? c->proxies[k].place
									 : c->source,
					     of_proxies[i].what);
}
