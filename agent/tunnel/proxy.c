/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - one published local service and its words. Floor 5. */
#include "agent/tunnel/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/tunnel/advice.h"
#include "proto/base/text.h"

static bool addr_is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) a)->sin6_addr);
	return ntohl(((const struct sockaddr_in *) a)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

int proxy_new(struct proxy **ret_p, const struct conf *whole, const struct conf_proxy *conf,
	      struct loop *l)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	list_init(&p->link);
	p->whole = conf_share(whole);
	p->conf = conf;
	p->log = l->log;
	p->has_bucket = conf->bandwidth_bytes > 0 && !conf->is_bandwidth_of_server;
	if (p->has_bucket)
		bucket_init(&p->bucket, l, conf->bandwidth_bytes);
	p->has_local_addr = uv_ip4_addr(conf->local_host, conf->local_port,
					(struct sockaddr_in *) &p->local_addr) == 0 ||
			    uv_ip6_addr(conf->local_host, conf->local_port,
					(struct sockaddr_in6 *) &p->local_addr) == 0;
	p->is_local_near = p->has_local_addr && addr_is_loopback(&p->local_addr);
	*ret_p = p;
	return 0;
}

struct proxy *proxy_share(struct proxy *p)
{
	p->n_shares++;
	return p;
}

struct proxy *proxy_free(struct proxy *p)
{
	if (p == NULL)
		return NULL;
	if (p->n_shares > 0) {
		p->n_shares--;
		return NULL;
	}
	if (p->has_bucket)
		bucket_deinit(&p->bucket);
	p->whole = conf_free(p->whole);
	free(p);
	return NULL;
}

void proxy_set_conf(struct proxy *p, const struct conf *whole, const struct conf_proxy *conf)
{
	struct conf *old = p->whole;

	p->whole = conf_share(whole);
	p->conf = conf;
	if (p->has_health)
		p->health.conf = conf;
	(void) conf_free(old);
}

void proxy_on_up(struct proxy *p, const char *remote_addr)
{
	p->is_up = true;
	(void) snprintf(p->remote_addr, sizeof(p->remote_addr), "%s", remote_addr); /* for show */
	p->said[0] = '\0';
	if (p->is_apart)
		log_debug(p->log, "accepted, its partner not yet", "proxy", p->conf->name);
	else
		log_info(p->log, "start proxy success", "proxy", p->conf->name, "remote",
			 remote_addr);
}

void proxy_on_all_up(struct proxy *p)
{
	if (!p->is_apart)
		return;
	p->is_apart = false;
	log_info(p->log, "start proxy success", "proxy", p->conf->name, "remote", p->remote_addr);
}

void proxy_on_refused(struct proxy *p, const char *error)
{
	p->is_up = false;
	if (strncmp(p->said, error, sizeof(p->said) - 1) == 0) {
		log_debug(p->log, "start error", "proxy", p->conf->name, "error", error);
		return;
	}
	(void) snprintf(p->said, sizeof(p->said), "%s", error); /* compared to this length only */
	log_warn(p->log, "start error, asking again", "proxy", p->conf->name, "error", error,
		 "remedy", advice_for_proxy(error));
}

void proxy_on_closed(struct proxy *p)
{
	p->is_up = false;
	if (!p->is_apart)
		log_warn(p->log, "closed until its partner is accepted", "proxy", p->conf->name);
	p->is_apart = true;
}

void proxy_on_lost(struct proxy *p)
{
	p->is_up = false;
}

void proxy_on_local_error(struct proxy *p, int err, const char *why)
{
	char addr[300];

	text_format_hostport(addr, sizeof(addr), p->conf->local_host, p->conf->local_port);
	if (p->is_local_down) {
		log_debug(p->log, "connect to local service error", "proxy", p->conf->name, "local",
			  addr, "error", why);
		return;
	}
	p->is_local_down = true;
	log_warn(p->log, "connect to local service error, users are refused until it answers",
		 "proxy", p->conf->name, "local", addr, "error", why, "remedy",
		 advice_for_local(err));
}

void proxy_on_local_ok(struct proxy *p)
{
	if (!p->is_local_down)
		return;
	p->is_local_down = false;
	log_info(p->log, "local service answers again", "proxy", p->conf->name);
}
