/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - a new configuration for an uplink that runs. Floor 5.
 *
 * Proxies and visitors change one by one, and their users stay. Settings that a session takes over
 * at its start need a new one: what is connected is reset then, for the old settings may be gone
 * from the server, too. */
#include "agent/tunnel/reload.h"

#include "agent/conf/diff.h"
#include "agent/net/resolve.h"
#include "agent/tunnel/upstate.h"
#include "proto/base/err.h"
#include "proto/base/text.h"

void reload_name(struct uplink *u)
{
	text_format_hostport(u->addr, sizeof(u->addr), u->conf->server_host, u->conf->server_port);
}

void reload_finish(struct uplink *u)
{
	u->next.resolver = u->server.resolver; /* the relays' and health checks' as well */
	u->server.resolver = NULL;
	link_server_deinit(&u->server);
	u->server = u->next;
	u->has_next = false;
	u->doubt = DOUBT_NONE; /* it was about the old ones */
	/* Cannot fail: the resolver that came with them had taken them. */
	(void) resolver_set_servers(u->server.resolver, u->server.conf->dns_server);
	reload_name(u);
}

/* Everything that can fail. */
static int reload_prepare(struct uplink *u, const struct conf *conf, struct link_server *ret_next)
{
	struct link_server next;
	int err = link_server_init(&next, u->loop, conf, u->addr);

	next.resolver = resolver_free(next.resolver); /* the old one stays */
	if (err == 0)
		err = proxyset_apply(&u->proxies, conf);
	if (err != 0) {
		link_server_deinit(&next);
		return err;
	}
	*ret_next = next;
	return 0;
}

/* Reset what is connected; the next try uses the new settings. */
static void reload_server(struct uplink *u, const struct link_server *next)
{
	if (u->has_next)
		link_server_deinit(&u->next);
	u->next = *next;
	u->next.conf = u->conf;
	u->has_next = true;
	retry_lost(&u->retry, RETRY_NETWORK, loop_now_ms(u->loop));
	retry_hurry(&u->retry, loop_now_ms(u->loop)); /* somebody wants it now */
	uplink_close(u);
	uplink_drop_users(u);
}

int uplink_reload(struct uplink *u, const struct conf *conf)
{
	const char *key = conf_diff_session(u->conf, conf);
	struct conf *old = u->conf;
	struct visitor **visitors;
	struct link_server next;
	int err;

	if (u->is_ending)
		return -ESHUTDOWN;
	err = visitorset_plan(&u->visitors, conf, &visitors);
	if (err != 0)
		return err;
	err = key != NULL ? reload_prepare(u, conf, &next) : proxyset_apply(&u->proxies, conf);
	if (err != 0) {
		visitorset_free_plan(visitors, conf);
		return err;
	}
	visitorset_apply(&u->visitors, conf, visitors);
	u->conf = conf_share(conf);
	u->roster.all_or_none = conf->all_or_none;
	if (key != NULL) {
		log_info(u->log, "settings of the server have changed: connecting anew", "key",
			 key);
		reload_server(u, &next);
	} else {
		u->server.conf = u->conf; /* the same settings at another place */
	}
	if (u->has_next)
		u->next.conf = u->conf;
	(void) conf_free(old); /* a session that borrows from it has a share */
	return 0;
}
