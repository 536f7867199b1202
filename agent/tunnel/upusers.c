/* SPDX-License-Identifier: Apache-2.0 */
/* upusers.c - how users get to what carries them. Floor 5. */
#include "agent/tunnel/upusers.h"

#include "agent/tunnel/join.h"
#include "agent/tunnel/upstate.h"

/* -- of proxies -- */

/* A user of the proxy with roster index @i is at @e. */
static void upusers_join_proxy(struct uplink *u, struct wrap_host *wraps, struct end e, size_t i,
			       const struct msg_start_work_conn *start)
{
	struct join_env env = {
		.users = &u->users,
		.wraps = wraps,
		.conf = u->session_conf != NULL ? u->session_conf : u->conf,
		.token = u->token,
	};
	struct proxy *p = u->roster.entries[i].user;
	int err;

	log_debug(u->log, "user connection", "proxy", p->conf->name, "from", start->src_addr);
	err = join_user(&env, e, p, start);
	if (err != 0) {
		log_warn(u->log, "user connection refused", "proxy", p->conf->name, "error",
			 uv_strerror(err));
		end_rst(e);
		end_forget(e);
	}
}

static void upusers_on_solo(void *arg, struct end e, const struct msg_start_work_conn *start)
{
	struct uplink *u = arg;
	size_t i;

	if (start->proxy_name != NULL && roster_find(&u->roster, start->proxy_name, &i) == 0)
		upusers_join_proxy(u, &u->solo_wraps, e, i, start);
	else
		end_forget(e); /* frps does send names of proxies just closed */
}

void upusers_join(struct uplink *u, const struct client_event *ev)
{
	upusers_join_proxy(u, &u->wraps, workconn_end(&u->works, ev->work), ev->proxy, ev->start);
}

void upusers_want_solo(struct uplink *u)
{
	int err = solo_open(&u->solos);

	if (err != 0)
		log_debug(u->log, "work connection not opened", "error",
			  err > 0 ? "too many wait" : uv_strerror(err));
}

/* -- of visitors -- */

static int upusers_open_stream(struct uplink *u, const struct visit_params *p, struct end *ret_e)
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

static int upusers_open(void *arg, const struct visit_params *p, struct end *ret_e)
{
	struct uplink *u = arg;
	int err;

	if (u->state != UPLINK_STATE_SESSION || !client_is_up(u->client))
		return VISITOR_E_DOWN;
	if (u->session_conf->is_mux)
		return upusers_open_stream(u, p, ret_e);
	err = solo_open_visit(&u->solos, p, ret_e);
	return err == SOLO_E_FULL ? VISITOR_E_BUSY : err;
}

static int upusers_wrap(void *arg, struct end lower, const struct wrap_params *p, struct end *ret_e)
{
	struct uplink *u = arg;

	return wrap_new(lower.carrier == &u->works ? &u->wraps : &u->solo_wraps, lower, p, ret_e);
}

/* -- all -- */

void upusers_init(struct uplink *u)
{
	joined_host_init(&u->users, u->loop);
	u->users.on_gone = u->works.flush_later;
	u->users.arg = u;
	u->wraps = (struct wrap_host){ .loop = u->loop, .log = u->log };
	u->solo_wraps = u->wraps;
	list_init(&u->wraps.wraps);
	list_init(&u->solo_wraps.wraps);
	u->solos = (struct solo_host){
		.server = &u->server,
		.log = u->log,
		.run_id = u->runid.at,
		.token = (const char *const *) &u->token,
		.on_start = upusers_on_solo,
		.on_gone = u->works.flush_later,
		.arg = u,
	};
	list_init(&u->solos.solos);
	u->visitors.host = (struct visitor_host){
		.loop = u->loop,
		.users = &u->users,
		.open = upusers_open,
		.wrap = upusers_wrap,
		.arg = u,
	};
	visitorset_init(&u->visitors);
}
