/* SPDX-License-Identifier: Apache-2.0 */
/* advice.c - remedies by cause. Floor 5. */
#include "agent/tunnel/advice.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct advice {
	const char *part; /* of the server's text */
	const char *remedy;
};

/* frp server/service.go, server/control.go, server/proxy, server/ports: texts since 0.52. */
static const struct advice login_advice[] = {
	{ "token in login doesn't match",
	  "give the agent the token that frps has (auth.token, SECRET_FRP_TOKEN)" },
	{ "is already online",
	  "another client uses this client id: stop it, or choose another id" },
	{ "control was replaced", "another login took this run id: is the agent started twice?" },
	{ "OIDC",
	  "this server wants OIDC, which this agent does not speak: use token authentication" },
};

static const struct advice proxy_advice[] = {
	{ "already exists",
	  "another client holds this proxy name: is the CLIENT_ID used twice, or has the server not yet "
	  "noticed the end of an earlier agent? (it takes up to 40 s)" },
	{ "already in use",
	  "another client holds this proxy name: is the CLIENT_ID used twice, or has the server not yet "
	  "noticed the end of an earlier agent? (it takes up to 40 s)" },
	{ "port already used",
	  "another client holds this port at the server: is the CLIENT_ID used twice?" },
	{ "port unavailable", "another program on the server's machine listens on this port" },
	{ "port not allowed",
	  "the server's allowPorts does not contain this port: ask its operator" },
	{ "no available port", "the server has no free port left: ask its operator" },
	{ "exceed the max_ports_per_client",
	  "the server limits ports per client (maxPortsPerClient): ask its operator" },
	{ "vhost", "the server has no virtual host port configured: ask its operator" },
	{ "router config conflict", "another proxy has this domain and location already" },
	{ "request to plugin error", "the server's plugin does not answer: ask its operator" },
	{ "group", "all members of a group need the same key and port" },
};

/* frp server/visitor/visitor.go */
static const struct advice visit_advice[] = {
	{ "doesn't exist",
	  "no client has published a proxy of that name (yet): are serverName, and serverUser when its "
	  "client has a user, right, and is that client running?" },
	{ "auth failed", "give the visitor the secretKey that the proxy has" },
	{ "not allowed",
	  "the proxy's allowUsers does not contain our user: ask whoever publishes it" },
	{ "register visitor conn error",
	  "is the proxy published, and do secretKey and allowUsers agree? The server's log has more" },
	{ "no file descriptor", "raise the limit (ulimit -n)" },
	{ "did not answer", "is the server overloaded?" },
	{ "before it answered", "the server's log may tell why" },
};

/* agent/net/tls.c's words; frps takes TLS and plain connections on one port. */
static const struct advice tls_advice[] = {
	{ "not the pinned one",
	  "ask the server's operator whether its key was changed, and for the new pin: else somebody stands between" },
	{ "does not speak TLS",
	  "is it frps that listens on this port? If what stands before it wants no TLS: MLTUNNEL_TLS, tls_enable" },
	{ "timed out",
	  "is it frps that listens on this port, and does TLS pass what stands between?" },
};

static const char *find(const struct advice *table, size_t n, const char *text,
			const char *otherwise)
{
	for (size_t i = 0; i < n; i++) {
		if (strstr(text, table[i].part) != NULL)
			return table[i].remedy;
	}
	return otherwise;
}

const char *advice_for_login(const char *error)
{
	return find(login_advice, sizeof(login_advice) / sizeof(login_advice[0]), error,
		    "the text is the server's: ask its operator");
}

const char *advice_for_proxy(const char *error)
{
	return find(proxy_advice, sizeof(proxy_advice) / sizeof(proxy_advice[0]), error,
		    "the text is the server's, or of a plugin that it has: ask its operator");
}

const char *advice_for_visit(const char *error)
{
	return find(visit_advice, sizeof(visit_advice) / sizeof(visit_advice[0]), error,
		    "the text is the server's: ask its operator");
}

const char *advice_for_bind(int err)
{
	switch (err) {
	case -EADDRINUSE: return "another program has this port: end it, or change bindPort";
	case -EACCES: return "ports below 1024 need the right to bind them: change bindPort";
	case -EADDRNOTAVAIL: return "this machine has no such address: change bindAddr";
	default: return "check bindAddr and bindPort";
	}
}

const char *advice_for_dial(enum dial_stage stage, int err)
{
	if (stage == DIAL_STAGE_NAME)
		return "check the server's name (FRP_SERVER, serverAddr) and this machine's DNS";
	switch (err) {
	case -ECONNREFUSED: return "nothing listens there: is frps running, and is the port right?";
	case -ETIMEDOUT:
		return "no answer: is the address right, and does a firewall drop the port?";
	case -ENETUNREACH:
	case -EHOSTUNREACH: return "there is no route: check this machine's network";
	case -EADDRNOTAVAIL:
	case -EAFNOSUPPORT:
		return "check this machine's addresses (and connectServerLocalIP when it is set)";
	case -EMFILE:
	case -ENFILE: return "no file descriptors are left: raise the limit (ulimit -n)";
	case -ECONNRESET: return "the connection was cut: does a firewall or proxy stand between?";
	default: return "check the network between this machine and the server";
	}
}

static const char *advice_for_refused_hop(enum knock_cause cause)
{
	switch (cause) {
	case KNOCK_CAUSE_LOGIN: return "check the user and the password in proxyURL";
	case KNOCK_CAUSE_RULE:
		return "the proxy does not allow this server and port: ask the proxy's operator";
	case KNOCK_CAUSE_TARGET:
		return "the proxy cannot reach the server: are serverAddr and serverPort right as seen from the proxy, and is frps running?";
	case KNOCK_CAUSE_OTHER: break;
	}
	return "the answer is the proxy's: ask its operator";
}

const char *advice_for_hop(const struct hop_result *r)
{
	if (r->stage == HOP_STAGE_NAME)
		return "check the proxy's name in proxyURL and this machine's DNS";
	if (r->stage == HOP_STAGE_ANSWER && r->err == -ECONNREFUSED)
		return advice_for_refused_hop(r->cause);
	if (r->stage == HOP_STAGE_ANSWER)
		return "is it a proxy of that kind (http, socks5) that listens at the place in proxyURL?";
	if (r->err == -ECONNREFUSED)
		return "is the proxy running, and is its port in proxyURL right?";
	return advice_for_dial(DIAL_STAGE_CONNECT, r->err);
}

const char *advice_for_cause(enum client_cause cause)
{
	switch (cause) {
	case CLIENT_CAUSE_SERVER_CLOSED:
		return "is frps restarting? If it never answers a login: do tls and tcpMux agree with the server's settings?";
	case CLIENT_CAUSE_REPLACED:
		return "if it comes again: another agent uses this run id, or the server's heartbeatTimeout is below 30 s";
	case CLIENT_CAUSE_REFUSED: return "see the server's text";
	case CLIENT_CAUSE_UNHEARD:
		return "is frps restarting? transport.wireProtocol = \"v2\" needs frps 0.69 or later; and tls and tcpMux have to agree with the server's settings";
	case CLIENT_CAUSE_LATE:
		return "is it frps that listens on this port, and does tcpMux agree with the server's setting?";
	case CLIENT_CAUSE_SILENT:
		return "the path is dead: a NAT, firewall or the server's machine lost the connection";
	case CLIENT_CAUSE_PROTOCOL:
		return "is it frps that listens on this port? A wrong token garbles the session as well";
	case CLIENT_CAUSE_GOAWAY: return "the server shuts this session down";
	case CLIENT_CAUSE_MEMORY: return "give the agent more memory";
	case CLIENT_CAUSE_NONE:
	case CLIENT_CAUSE_LEFT: return "nothing to do";
	}
	return "nothing to do";
}

const char *advice_for_limit(const char *which)
{
	return strcmp(which, "concurrent streams") == 0
		       ? "so many users at once are all that one session carries: who opens them?"
		       : "the local service that waited longest was reset: has it stopped reading? If it is only slow, give the agent more memory";
}

const char *advice_for_rival(void)
{
	return "another agent uses this CLIENT_ID (or run id, from a copied state folder): stop one of them, or give it another CLIENT_ID";
}

const char *advice_for_tls(const char *error)
{
	return find(
		tls_advice, sizeof(tls_advice) / sizeof(tls_advice[0]), error,
		"do the TLS settings agree with the server's (MLTUNNEL_TLS, tls_enable; CA, pin and server name)?");
}

const char *advice_for_local(int err)
{
	return err == -ECONNREFUSED
		       ? "nothing listens there: is the service still starting (a model that loads)?"
		       : "is the local service alive, and is its address right (localIP, localPort)?";
}
