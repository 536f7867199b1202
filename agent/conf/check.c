/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what only the whole configuration can show, and what follows from it. Floor 4. */
#include "agent/conf/check.h"

#include <stdio.h>
#include <string.h>

#include "agent/conf/clash.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/wire/frame.h"

#define CHECK_QUOTE 160 /* room for a quoted name; longer ones are cut */

static const char *quote_of(const char *name, char dst[static CHECK_QUOTE])
{
	return text_escape(span_str(name), dst, CHECK_QUOTE);
}

static const char *place_of(const struct conf *c, const char *place)
{
	return place != NULL ? place : c->source;
}

/* "user.name" for a new string at @at. */
static int check_set_name(char **at, const char *user, const char *name)
{
	size_t cap = strlen(name) + (user != NULL ? strlen(user) + 1 : 0) + 1;
	char *full = malloc(cap);

	if (full == NULL)
		return -ENOMEM;
	(void) snprintf(full, cap, "%s%s%s", user != NULL ? user : "", user != NULL ? "." : "",
			name);
	free(*at);
	*at = full;
	return 0;
}

static struct msg_strs check_strs(const struct conf_strs *s)
{
	return (struct msg_strs){ .at = (const char *const *) s->at, .n = s->n };
}

static struct msg_pairs check_pairs(const struct conf_pairs *p)
{
	return (struct msg_pairs){ .at = p->at, .n = p->n };
}

/* The message borrows what the proxy owns. */
static void check_set_msg(struct conf_proxy *p)
{
	p->msg = (struct msg_new_proxy){
		.name = p->wire_name,
		.type = p->type,
		.use_encryption = p->use_encryption,
		.use_compression = p->use_compression,
		.bandwidth_limit = p->bandwidth,
		.bandwidth_limit_mode = p->is_bandwidth_of_server ? "server" : NULL,
		.group = p->group,
		.group_key = p->group_key,
		.metas = check_pairs(&p->metas),
		.annotations = check_pairs(&p->annotations),
		.remote_port = p->remote_port,
		.custom_domains = check_strs(&p->domains),
		.subdomain = p->subdomain,
		.locations = check_strs(&p->locations),
		.http_user = p->http_user,
		.http_pwd = p->http_password,
		.host_header_rewrite = p->host_header_rewrite,
		.headers = check_pairs(&p->request_headers),
		.response_headers = check_pairs(&p->response_headers),
		.route_by_http_user = p->route_by_http_user,
		.sk = p->secret_key,
		.allow_users = check_strs(&p->allow_users),
		.multiplexer = p->multiplexer,
	};
}

/* -- messages have a size -- */

/* Does @m fit into a frame? frps drops the whole session when it does not, without an answer. 0,
 * -ENOMEM, or FRAME_E_BAD. */
static int check_fits(enum wire wire, const struct msg *m)
{
	struct buf out;
	int r;

	buf_init(&out, frame_max(wire) + FRAME_MAGIC_LEN);
	r = frame_encode(wire, m, &out);
	buf_deinit(&out);
	return r == -ENOMEM ? r : r != 0 ? FRAME_E_BAD : 0;
}

static int check_body_max(enum wire wire)
{
	return wire == WIRE_V1 ? LIMIT_V1_BODY : LIMIT_V2_BODY;
}

static int check_login_fits(const struct conf *c, struct problems *p)
{
	/* What else a Login holds: no longer than this. */
	static const char longest[] =
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	struct msg m = { .type = MSG_LOGIN,
			 .login = { .version = longest,
				    .hostname = longest,
				    .os = longest,
				    .arch = longest,
				    .user = c->user,
				    .privilege_key = longest,
				    .run_id = longest,
				    .client_id = c->client_id,
				    .timestamp = INT64_MAX,
				    .metas = check_pairs(&c->metas),
				    .pool_count = INT64_MAX } };
	int r = check_fits(c->wire, &m);

	if (r > 0)
		problems_add(
			p,
			"%s: the metadatas are too long: the login does not fit into a message of %d bytes",
			c->source, check_body_max(c->wire));
	return r < 0 ? r : 0;
}

static int check_proxy_fits(const struct conf *c, const struct conf_proxy *proxy,
			    struct problems *p)
{
	struct msg m = { .type = MSG_NEW_PROXY, .new_proxy = proxy->msg };
	int r = check_fits(c->wire, &m);

	if (r > 0)
		problems_add(
			p, "%s: this proxy is too long: it does not fit into a message of %d bytes",
			place_of(c, proxy->place), check_body_max(c->wire));
	return r < 0 ? r : 0;
}

/* -- one proxy -- */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 1 to @max letters, digits and @more, with letters or digits at both ends. */
static bool is_label(const char *s, size_t len, size_t max, const char *more)
{
	if (len == 0 || len > max || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && strchr(more, s[i]) == NULL)
			return false;
	return true;
}

/* Kubernetes' qualified names, which frps asks for: "[domain/]name". */
static bool is_annotation_key(const char *key)
{
	const char *slash = strchr(key, '/');
	const char *name = slash != NULL ? slash + 1 : key;

	if (slash != NULL &&
	    (!is_label(key, (size_t) (slash - key), 253, "-.") || strstr(key, "..") != NULL))
		return false;
	return is_label(name, strlen(name), 63, "-_.");
}

static void check_proxy(const struct conf *c, const struct conf_proxy *proxy, struct problems *p)
{
	const char *place = place_of(c, proxy->place);
	bool has_domains = proxy->kind == CONF_TYPE_HTTP || proxy->kind == CONF_TYPE_HTTPS ||
			   proxy->kind == CONF_TYPE_TCPMUX;
	char quote[CHECK_QUOTE];

	if (strlen(proxy->wire_name) > LIMIT_NAME)
		problems_add(
			p, "%s: the proxy name \"%s\" is longer than %d bytes, user name included",
			place, quote_of(proxy->wire_name, quote), LIMIT_NAME);
	if (has_domains && proxy->domains.n == 0 && proxy->subdomain == NULL)
		problems_add(p, "%s: a proxy of type %s needs customDomains or a subdomain", place,
			     proxy->type);
	if (proxy->kind == CONF_TYPE_TCPMUX &&
	    (proxy->multiplexer == NULL || strcmp(proxy->multiplexer, "httpconnect") != 0))
		problems_add(p, "%s: a proxy of type tcpmux needs multiplexer = \"httpconnect\"",
			     place);
	if (proxy->health.kind == CONF_HEALTH_HTTP && proxy->health.path == NULL)
		problems_add(p, "%s: a health check by http needs a path, as \"/healthz\"", place);
	for (size_t i = 0; i < proxy->annotations.n; i++)
		if (!is_annotation_key(proxy->annotations.at[i].name))
			problems_add(
				p,
				"%s: \"%s\" is no key of an annotation, \"name\" or \"domain/name\"",
				place, quote_of(proxy->annotations.at[i].name, quote));
}

/* -- start and enabled -- */

static bool is_in_start(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->start.n; i++)
		if (strcmp(c->start.at[i], name) == 0)
			return true;
	return c->start.n == 0;
}

static bool is_there(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_proxies; i++)
		if (strcmp(c->proxies[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < c->n_visitors; i++)
		if (strcmp(c->visitors[i].name, name) == 0)
			return true;
	return false;
}

/* What is off goes; from here on everything in the configuration is to run. */
static void check_start(struct conf *c, struct problems *p)
{
	char quote[CHECK_QUOTE];

	for (size_t i = 0; i < c->start.n; i++)
		if (!is_there(c, c->start.at[i]))
			problems_add(p, "%s: start: there is no proxy or visitor called \"%s\"",
				     c->source, quote_of(c->start.at[i], quote));
	for (size_t i = c->n_proxies; i-- > 0;)
		if (c->proxies[i].is_off || !is_in_start(c, c->proxies[i].name))
			conf_drop_proxy(c, i);
	for (size_t i = c->n_visitors; i-- > 0;)
		if (c->visitors[i].is_off || !is_in_start(c, c->visitors[i].name))
			conf_drop_visitor(c, i);
	conf_strs_deinit(&c->start);
}

/* -- the rest -- */

static bool is_loopback(const char *addr)
{
	return addr == NULL || strcmp(addr, "localhost") == 0 || strcmp(addr, "::1") == 0 ||
	       (text_is_ip(addr) && strncmp(addr, "127.", 4) == 0);
}

/* Who reaches the admin API reads the token and writes the configuration. */
static void check_web(const struct conf *c, struct problems *p)
{
	char quote[CHECK_QUOTE];
	const char *addr = c->web.addr;

	if (c->web.port == 0)
		return;
	if (!is_loopback(addr) && !text_is_ip(addr))
		problems_add(p,
			     "%s: the address of the admin API, \"%s\", is not a numeric address",
			     c->source, quote_of(addr, quote));
	else if (!is_loopback(addr) && (c->web.password == NULL || c->web.password[0] == '\0'))
		problems_add(
			p,
			"%s: the admin API at \"%s\" would be open to other machines: give it a "
			"password, or 127.0.0.1 as its address",
			c->source, quote_of(addr, quote));
}

static void check_session(const struct conf *c, struct problems *p)
{
	/* With mux the interval counts only when it was asked for: frp sends no Ping then. */
	bool has_interval = !c->is_mux || c->heartbeat_ms != WAIT_HEARTBEAT_MS;

	if ((c->tls.cert_file == NULL) != (c->tls.key_file == NULL))
		problems_add(
			p,
			"%s: a client certificate needs its file and the file of its key; only one of them is given",
			c->source);
	if (has_interval && c->heartbeat_ms != UINT64_MAX && c->heartbeat_timeout_ms != 0 &&
	    c->heartbeat_timeout_ms < c->heartbeat_ms)
		problems_add(
			p,
			"%s: the heartbeat timeout (%llu s) is shorter than the heartbeat interval (%llu s)",
			c->source, (unsigned long long) c->heartbeat_timeout_ms / 1000,
			(unsigned long long) c->heartbeat_ms / 1000);
}

static int check_visitors(struct conf *c)
{
	int r = 0;

	for (size_t i = 0; i < c->n_visitors && r == 0; i++) {
		struct conf_visitor *v = &c->visitors[i];

		r = check_set_name(&v->wire_name, v->server_user != NULL ? v->server_user : c->user,
				   v->server_name != NULL ? v->server_name : "");
	}
	return r;
}

int conf_check(struct conf *c, struct problems *p)
{
	int r = 0;

	check_session(c, p);
	check_web(c, p);
	if (c->n_proxies > LIMIT_PROXIES || c->n_visitors > LIMIT_PROXIES) {
		problems_add(p,
			     "%s: %zu proxies and %zu visitors; one agent takes at most %d of each",
			     c->source, c->n_proxies, c->n_visitors, LIMIT_PROXIES);
	} else {
		check_start(c, p);
		r = clash_check(c, p);
	}
	for (size_t i = 0; i < c->n_proxies && r == 0; i++) {
		struct conf_proxy *proxy = &c->proxies[i];

		r = check_set_name(&proxy->wire_name, c->user, proxy->name);
		if (r < 0)
			break;
		check_set_msg(proxy);
		check_proxy(c, proxy, p);
		r = check_proxy_fits(c, proxy, p);
	}
	if (r == 0)
		r = check_visitors(c);
	if (r == 0)
		r = check_login_fits(c, p);
	return r;
}
