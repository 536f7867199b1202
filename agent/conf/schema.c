/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - a configuration with its defaults, its proxies, and its end. Floor 4. */
#include "agent/conf/schema.h"

#include <string.h>

#include "agent/base/log.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define CONF_SERVER_PORT 7000 /* frp's default */
#define CONF_LOCAL_HOST "127.0.0.1"
#define CONF_VISITOR_HOST "127.0.0.1"
#define CONF_TCP_KEEPALIVE_S 45 /* NATs forget idle flows after 60 s and more; frp: 7200 */
#define CONF_UDP_PACKET 1500	/* frp's default */
#define CONF_HEALTH_INTERVAL_MS 10000
#define CONF_HEALTH_TIMEOUT_MS 3000

static const char *const conf_type_names[CONF_N_TYPES] = {
	[CONF_TYPE_TCP] = "tcp",     [CONF_TYPE_UDP] = "udp",	    [CONF_TYPE_HTTP] = "http",
	[CONF_TYPE_HTTPS] = "https", [CONF_TYPE_TCPMUX] = "tcpmux", [CONF_TYPE_STCP] = "stcp",
	[CONF_TYPE_SUDP] = "sudp",
};

const char *conf_type_name(enum conf_type t)
{
	return (unsigned) t < CONF_N_TYPES ? conf_type_names[t] : "?";
}

int conf_type_of_name(const char *name, enum conf_type *ret_t)
{
	for (unsigned i = 0; i < CONF_N_TYPES; i++)
		if (strcmp(conf_type_names[i], name) == 0) {
			*ret_t = (enum conf_type) i;
			return 0;
		}
	return CONF_E_TYPE;
}

int conf_strs_add(struct conf_strs *s, const char *value)
{
	char **grown = realloc(s->at, (s->n + 1) * sizeof(*grown));
	char *copy;

	if (grown == NULL)
		return -ENOMEM;
	s->at = grown;
	copy = text_dup(value, strlen(value));
	if (copy == NULL)
		return -ENOMEM;
	s->at[s->n++] = copy;
	return 0;
}

int conf_pairs_add(struct conf_pairs *p, const char *name, const char *value)
{
	struct msg_pair *grown = realloc(p->at, (p->n + 1) * sizeof(*grown));
	struct msg_pair pair;

	if (grown == NULL)
		return -ENOMEM;
	p->at = grown;
	pair.name = text_dup(name, strlen(name));
	pair.value = text_dup(value, strlen(value));
	if (pair.name == NULL || pair.value == NULL) {
		free((char *) (uintptr_t) pair.name);
		(void) secret_free((char *) (uintptr_t) pair.value); /* always NULL */
		return -ENOMEM;
	}
	p->at[p->n++] = pair;
	return 0;
}

void conf_strs_deinit(struct conf_strs *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->at[i]);
	free(s->at);
	*s = (struct conf_strs){ 0 };
}

/* Wipes the values. msg_pair has const members because messages borrow; ours are owned. */
static void conf_pairs_deinit(struct conf_pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free((char *) (uintptr_t) p->at[i].name);
		(void) secret_free((char *) (uintptr_t) p->at[i].value); /* always NULL */
	}
	free(p->at);
	*p = (struct conf_pairs){ 0 };
}
#define CONF_LOG_DAYS 3 /* frp's default */

struct conf *conf_new(void)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->token = text_dup("", 0);
	if (c->token == NULL)
		return conf_free(c);
	c->server_port = CONF_SERVER_PORT;
	c->wire = WIRE_V1;
	c->is_mux = true;
	c->pool_count = 1; /* frpc's default */
	c->heartbeat_ms = WAIT_HEARTBEAT_MS;
	c->dial_timeout_ms = WAIT_DIAL_MS;
	c->tcp_keepalive_s = CONF_TCP_KEEPALIVE_S;
	c->udp_packet_size = CONF_UDP_PACKET;
	c->grace_ms = WAIT_GRACE_MS;
	c->n_streams_max = LIMIT_STREAMS;
	c->tls.is_on = true;
	c->log_level = LOG_INFO;
	c->log_format = LOG_FORMAT_TEXT;
	c->log_max_days = CONF_LOG_DAYS;
	return c;
}

static void conf_proxy_deinit(struct conf_proxy *p)
{
	free(p->name);
	free(p->wire_name);
	free(p->type);
	free(p->place);
	free(p->local_host);
	free(p->bandwidth);
	free(p->health.path);
	conf_pairs_deinit(&p->health.headers);
	free(p->group);
	p->group_key = secret_free(p->group_key);
	conf_pairs_deinit(&p->metas);
	conf_pairs_deinit(&p->annotations);
	conf_strs_deinit(&p->domains);
	conf_strs_deinit(&p->locations);
	free(p->subdomain);
	free(p->http_user);
	p->http_password = secret_free(p->http_password);
	free(p->host_header_rewrite);
	free(p->route_by_http_user);
	free(p->multiplexer);
	conf_pairs_deinit(&p->request_headers);
	conf_pairs_deinit(&p->response_headers);
	p->secret_key = secret_free(p->secret_key);
	conf_strs_deinit(&p->allow_users);
}

static void conf_visitor_deinit(struct conf_visitor *v)
{
	free(v->name);
	free(v->type);
	free(v->place);
	v->secret_key = secret_free(v->secret_key);
	free(v->server_user);
	free(v->server_name);
	free(v->wire_name);
	free(v->bind_host);
}

struct conf *conf_free(struct conf *c)
{
	if (c == NULL)
		return NULL;
	if (c->n_shares > 0) {
		c->n_shares--;
		return NULL;
	}
	for (size_t i = 0; i < c->n_proxies; i++)
		conf_proxy_deinit(&c->proxies[i]);
	free(c->proxies);
	for (size_t i = 0; i < c->n_visitors; i++)
		conf_visitor_deinit(&c->visitors[i]);
	free(c->visitors);
	conf_strs_deinit(&c->start);
	free(c->token_exec.command);
	conf_strs_deinit(&c->token_exec.args);
	conf_pairs_deinit(&c->token_exec.env);
	free(c->client_id);
	conf_pairs_deinit(&c->metas);
	free(c->local_ip);
	c->proxy_url = secret_free(c->proxy_url);
	free(c->dns_server);
	free(c->source);
	free(c->server_host);
	c->token = secret_free(c->token);
	free(c->token_file);
	free(c->user);
	free(c->ready.path);
	free(c->tls.server_name);
	free(c->tls.ca_file);
	free(c->tls.pin);
	free(c->tls.cert_file);
	free(c->tls.key_file);
	free(c->log_to);
	free(c->state_dir);
	free(c->remote_addr_file);
	free(c->web.addr);
	free(c->web.user);
	c->web.password = secret_free(c->web.password);
	return mem_free(c);
}

struct conf *conf_share(const struct conf *c)
{
	struct conf *mine = (struct conf *) (uintptr_t) c; /* only the count is changed */

	mine->n_shares++;
	return mine;
}

int conf_add_proxy(struct conf *c, const char *name, struct conf_proxy **ret_p)
{
	struct conf_proxy *grown, *p;

	/* The strings stay where they are, so what points to them stays valid. The product cannot
	 * overflow: one section of a file of at most 1 MiB makes one proxy. */
	grown = realloc(c->proxies, (c->n_proxies + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	c->proxies = grown;
	p = &grown[c->n_proxies];
	*p = (struct conf_proxy){
		.name = text_dup(name, strlen(name)),
		.type = text_dup(conf_type_names[CONF_TYPE_TCP],
				 strlen(conf_type_names[CONF_TYPE_TCP])),
		.kind = CONF_TYPE_TCP,
		.local_host = text_dup(CONF_LOCAL_HOST, strlen(CONF_LOCAL_HOST)),
		.health.interval_ms = CONF_HEALTH_INTERVAL_MS,
		.health.timeout_ms = CONF_HEALTH_TIMEOUT_MS,
		.health.n_failed_max = 1, /* frp's default */
	};
	if (p->name == NULL || p->type == NULL || p->local_host == NULL) {
		conf_proxy_deinit(p);
		return -ENOMEM;
	}
	c->n_proxies++;
	*ret_p = p;
	return 0;
}

int conf_add_visitor(struct conf *c, const char *name, struct conf_visitor **ret_v)
{
	struct conf_visitor *grown, *v;

	grown = realloc(c->visitors, (c->n_visitors + 1) * sizeof(*grown)); /* as above */
	if (grown == NULL)
		return -ENOMEM;
	c->visitors = grown;
	v = &grown[c->n_visitors];
	*v = (struct conf_visitor){
		.name = text_dup(name, strlen(name)),
		.type = text_dup(conf_type_names[CONF_TYPE_STCP],
				 strlen(conf_type_names[CONF_TYPE_STCP])),
		.kind = CONF_TYPE_STCP,
		.bind_host = text_dup(CONF_VISITOR_HOST, strlen(CONF_VISITOR_HOST)),
	};
	if (v->name == NULL || v->type == NULL || v->bind_host == NULL) {
		conf_visitor_deinit(v);
		return -ENOMEM;
	}
	c->n_visitors++;
	*ret_v = v;
	return 0;
}

void conf_drop_proxy(struct conf *c, size_t i)
{
	conf_proxy_deinit(&c->proxies[i]);
	c->n_proxies--;
	memmove(&c->proxies[i], &c->proxies[i + 1], (c->n_proxies - i) * sizeof(*c->proxies));
}

void conf_drop_visitor(struct conf *c, size_t i)
{
	conf_visitor_deinit(&c->visitors[i]);
	c->n_visitors--;
	memmove(&c->visitors[i], &c->visitors[i + 1], (c->n_visitors - i) * sizeof(*c->visitors));
}
