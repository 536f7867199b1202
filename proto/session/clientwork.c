/* SPDX-License-Identifier: Apache-2.0 */
/* clientwork.c - what the users of a client ask for between its events: facts, works, visits.
 * Floor 2. */
#include "proto/session/clientstate.h"

/* -- facts -- */

bool client_is_up(const struct client *c)
{
	return c->state == CLIENT_STATE_UP || c->state == CLIENT_STATE_LEAVING;
}

const char *client_run_id(const struct client *c)
{
	return c->login.run_id;
}

const char *client_server_version(const struct client *c)
{
	return c->login.server_version;
}

size_t client_n_joined(const struct client *c)
{
	return c->works.n_joined;
}

uint64_t client_rtt_ms(const struct client *c)
{
	return c->beat.rtt_ms;
}

/* -- works -- */

int client_open_visit(struct client *c, const struct visit_params *p, void *user,
		      struct client_work **ret_w)
{
	if (c->state != CLIENT_STATE_UP || c->mux == NULL)
		return CLIENT_E_DOWN;
	return works_visit(&c->works, p, user, c->now_ms, client_stamp(c), ret_w);
}

void client_work_set_user(struct client_work *w, void *user)
{
	w->user = user;
}

void client_consume(struct client *c, struct client_work *w, size_t n)
{
	mux_consume(c->mux, w->stream, n);
}

int client_reserve(struct client *c, struct client_work *w, uint8_t **ret_dst, size_t *ret_cap)
{
	return mux_reserve(c->mux, w->stream, ret_dst, ret_cap);
}

void client_commit(struct client *c, struct client_work *w, size_t n)
{
	mux_commit(c->mux, w->stream, n);
}

void client_want(struct client *c, struct client_work *w)
{
	mux_want(c->mux, w->stream);
}

int client_turn(struct client *c, void **ret_user, size_t *ret_quantum)
{
	struct mux_stream *s;
	void *work;
	int err;

	if (c->mux == NULL)
		return MUX_E_MORE;
	err = mux_turn(c->mux, &s, &work, ret_quantum);
	if (err == 0)
		*ret_user = ((struct client_work *) work)->user;
	return err;
}

void client_fin(struct client *c, struct client_work *w)
{
	mux_fin(c->mux, w->stream);
}

void client_rst(struct client *c, struct client_work *w)
{
	mux_rst(c->mux, w->stream);
}

void client_forget(struct client *c, struct client_work *w)
{
	works_forget(&c->works, w);
}
