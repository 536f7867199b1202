/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - how an uplink and its proxies stand. Floor 5. */
#include "agent/tunnel/facts.h"

#include <stdio.h>
#include <string.h>

#include "agent/tunnel/upstate.h"
#include "proto/base/text.h"

static const char *state_name(enum uplink_state s)
{
	switch (s) {
	case UPLINK_STATE_IDLE:
	case UPLINK_STATE_WAITING: return "waiting";
	case UPLINK_STATE_OPENING: return "connecting";
	case UPLINK_STATE_SESSION: return "session";
	case UPLINK_STATE_LEAVING: return "leaving";
	case UPLINK_STATE_CLOSING: return "closing";
	case UPLINK_STATE_ENDED: return "ended";
	}
	return "?";
}

static const char *node_name(const struct proxyset *s)
{
	if (!s->has_watch)
		return "unwatched";
	return s->watch.is_ready ? "ready" : "waiting";
}

void facts_read(const struct uplink *u, struct service_facts *ret_f)
{
	uint64_t now_ms = loop_now_ms(u->loop);
	bool is_up = u->client != NULL && client_is_up(u->client);
	const char *error = strchr(u->said, '|'); /* "words|error" */

	*ret_f = (struct service_facts){
		.server = u->addr,
		.state = state_name(u->state),
		.error = error != NULL ? error + 1 : "",
		.is_up = is_up,
		.n_tries = u->retry.state == RETRY_STATE_IDLE ? 0 : u->retry.n_tries,
		.rtt_ms = is_up ? client_rtt_ms(u->client) : 0,
		.n_logins = u->n_logins,
		.n_losses = u->n_losses,
		.n_proxies = u->proxies.n_proxies,
		.node = node_name(&u->proxies),
		.n_users_ever = u->users.n_ever,
		.n_bytes_up = u->users.n_bytes_up,
		.n_bytes_down = u->users.n_bytes_down,
		.n_queued = u->client != NULL ? conn_n_queued(&u->link.conn) : 0,
	};
	if (u->state == UPLINK_STATE_WAITING && u->retry.due_ms > now_ms)
		ret_f->retry_in_ms = u->retry.due_ms - now_ms;
	ret_f->n_users = joined_count(&u->users);
	for (const struct list *l = u->proxies.proxies.next; l != &u->proxies.proxies; l = l->next)
		ret_f->n_proxies_up += container_of(l, struct proxy, link)->is_up;
}

static const char *proxy_status(const struct proxy *p)
{
	if (p->is_up)
		return "running";
	if (p->has_health && !p->health.is_healthy)
		return "check failed";
	return p->said[0] != '\0' ? "start error" : "wait start";
}

void facts_each_proxy(const struct uplink *u, service_proxy_fn *fn, void *arg)
{
	char local[300], remote[500];
	bool is_v6 = strchr(u->conf->server_host, ':') != NULL;

	for (const struct list *l = u->proxies.proxies.next; l != &u->proxies.proxies;
	     l = l->next) {
		const struct proxy *p = container_of(l, struct proxy, link);
		bool is_port = p->conf->kind == CONF_TYPE_TCP || p->conf->kind == CONF_TYPE_UDP;
		struct service_proxy f = {
			.name = p->conf->name,
			.type = p->conf->type,
			.status = proxy_status(p),
			.local_addr = local,
			.remote_addr = remote,
			.n_users = p->n_users,
			.n_users_ever = p->n_users_ever,
			.n_bytes_up = p->n_bytes_up,
			.n_bytes_down = p->n_bytes_down,
		};

		f.error = strcmp(f.status, "start error") == 0 ? p->said : "";
		text_format_hostport(local, sizeof(local), p->conf->local_host,
				     p->conf->local_port);
		/* frps tells ":6000" of a port, whole names of virtual hosts */
		(void) snprintf(remote, sizeof(remote), is_port && is_v6 ? "[%s]%s" : "%s%s",
				is_port ? u->conf->server_host : "", p->remote_addr);
		if (!p->is_up)
			remote[0] = '\0';
		fn(arg, &f);
	}
}
