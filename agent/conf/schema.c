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
#define CONF_TYPE "tcp"
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
	free(p->local_host);
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
	free(c->source);
	free(c->server_host);
	c->token = secret_free(c->token);
	free(c->token_file);
	free(c->user);
	free(c->tls.server_name);
	free(c->tls.ca_file);
	free(c->tls.pin);
	free(c->tls.cert_file);
	free(c->tls.key_file);
	free(c->log_to);
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
		.type = text_dup(CONF_TYPE, strlen(CONF_TYPE)),
		.local_host = text_dup(CONF_LOCAL_HOST, strlen(CONF_LOCAL_HOST)),
	};
	if (p->name == NULL || p->type == NULL || p->local_host == NULL) {
		conf_proxy_deinit(p);
		return -ENOMEM;
	}
	c->n_proxies++;
	*ret_p = p;
	return 0;
}
