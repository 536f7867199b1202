/* SPDX-License-Identifier: Apache-2.0 */
/* upvisits.c - how the visitors of an uplink reach its session. Floor 5. */
#include "agent/tunnel/upvisits.h"

#include "agent/tunnel/upstate.h"
#include "proto/session/client.h"

static int upvisits_open_stream(struct uplink *u, const struct visit_params *p, struct end *ret_e)
{
	struct client_work *w;
	int err;

	client_tick(u->client, loop_now_ms(u->loop)); /* the wait for the answer begins now */
	err = client_open_visit(u->client, p, /* user= */ NULL, &w);
	u->works.flush_later(u->works.arg);
	if (err == 0)
		*ret_e = workconn_end(&u->works, w);
	switch (err) {
	case CLIENT_E_DOWN: return VISITOR_E_DOWN;
	case CLIENT_E_BUSY: return VISITOR_E_BUSY;
	case CLIENT_E_LONG: return VISITOR_E_LONG;
	default: return err;
	}
}

static int upvisits_open(void *arg, const struct visit_params *p, struct end *ret_e)
{
	struct uplink *u = arg;
	int err;

	if (u->state != UPLINK_STATE_SESSION || !client_is_up(u->client))
		return VISITOR_E_DOWN;
	if (u->session_conf->is_mux)
		return upvisits_open_stream(u, p, ret_e);
	err = solo_open_visit(&u->solos, p, ret_e);
	return err == SOLO_E_FULL ? VISITOR_E_BUSY : err;
}

static int upvisits_wrap(void *arg, struct end lower, const struct wrap_params *p,
			 struct end *ret_e)
{
	struct uplink *u = arg;

	return wrap_new(lower.carrier == &u->works ? &u->wraps : &u->solo_wraps, lower, p, ret_e);
}

void upvisits_init(struct uplink *u)
{
	u->visitors.host = (struct visitor_host){
		.loop = u->loop,
		.users = &u->users,
		.open = upvisits_open,
		.wrap = upvisits_wrap,
		.arg = u,
	};
	visitorset_init(&u->visitors);
}
