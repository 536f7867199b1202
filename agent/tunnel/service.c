/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the whole tunnel of one configuration. Floor 5. */
#include "agent/tunnel/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/conf/diff.h"
#include "agent/net/netwatch.h"
#include "agent/tunnel/facts.h"
#include "agent/tunnel/uplink.h"

struct service {
	struct loop *loop; /* borrowed */
	struct conf *conf; /* a share */
	service_ended_fn *on_ended;
	void *arg;
	struct uplink *uplink;
	struct netwatch *network; /* NULL: the kernel does not tell */
	bool is_stopping;
};

static void service_on_uplink_ended(void *arg, enum uplink_end end)
{
	struct service *s = arg;

	s->on_ended(s->arg, end == UPLINK_END_LOGIN_FAILED ? SERVICE_END_LOGIN_FAILED
							   : SERVICE_END_STOPPED);
}

int service_new(struct service **ret_s, struct loop *l, const struct conf *conf,
		service_ended_fn *on_ended, void *arg)
{
	struct service *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	s->loop = l;
	s->conf = conf_share(conf);
	s->on_ended = on_ended;
	s->arg = arg;
	err = uplink_new(&s->uplink, l, conf, service_on_uplink_ended, s);
	if (err != 0) {
		(void) service_free(s);
		return err;
	}
	*ret_s = s;
	return 0;
}

void service_watch(struct service *s, service_news_fn *on_news, void *arg)
{
	uplink_watch(s->uplink, on_news, arg);
}

static void service_on_network(void *arg)
{
	struct service *s = arg;

	uplink_on_network(s->uplink);
}

void service_start(struct service *s)
{
	int err = netwatch_new(&s->network, s->loop, service_on_network, s);

	if (err != 0)
		log_debug(s->loop->log, "changes of the network are found by their effect", "error",
			  strerror(-err));
	uplink_start(s->uplink);
}

void service_stop(struct service *s)
{
	if (s->is_stopping) {
		uplink_stop(s->uplink);
		return;
	}
	s->is_stopping = true;
	uplink_leave(s->uplink, s->conf->grace_ms);
}

int service_reload(struct service *s, const struct conf *conf)
{
	struct conf *old = s->conf;
	const char *key = conf_diff_start(old, conf);
	int err = uplink_reload(s->uplink, conf);

	if (err != 0)
		return err;
	if (key != NULL)
		log_warn(s->loop->log,
			 "a changed setting takes effect at the next start of the program only",
			 "key", key);
	s->conf = conf_share(conf);
	(void) conf_free(old);
	return 0;
}

void service_facts(const struct service *s, struct service_facts *ret_f)
{
	facts_read(s->uplink, ret_f);
}

void service_each_proxy(const struct service *s, service_proxy_fn *fn, void *arg)
{
	facts_each_proxy(s->uplink, fn, arg);
}

struct service *service_free(struct service *s)
{
	if (s == NULL)
		return NULL;
	s->network = netwatch_free(s->network);
	s->uplink = uplink_free(s->uplink);
	s->conf = conf_free(s->conf);
	free(s);
	return NULL;
}
