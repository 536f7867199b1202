/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the whole tunnel of one configuration. Floor 5. */
#include "agent/tunnel/service.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/tunnel/uplink.h"

struct service {
	struct loop *loop;	 /* borrowed */
	const struct conf *conf; /* borrowed */
	service_ended_fn *on_ended;
	void *arg;
	struct uplink *uplink;
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
	s->conf = conf;
	s->on_ended = on_ended;
	s->arg = arg;
	err = uplink_new(&s->uplink, l, conf, service_on_uplink_ended, s);
	if (err != 0) {
		free(s);
		return err;
	}
	*ret_s = s;
	return 0;
}

void service_start(struct service *s)
{
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

struct service *service_free(struct service *s)
{
	if (s == NULL)
		return NULL;
	s->uplink = uplink_free(s->uplink);
	free(s);
	return NULL;
}
