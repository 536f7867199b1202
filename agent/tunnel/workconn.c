/* SPDX-License-Identifier: Apache-2.0 */
/* workconn.c - the calls of struct end for a work connection in a mux stream. Floor 5. */
#include "agent/tunnel/workconn.h"

static void workconn_set_user(struct end e, struct end_user *u)
{
	client_work_set_user(e.item, u);
}

static int workconn_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	struct workconn_host *h = e.carrier;

	if (client_reserve(h->client, e.item, ret_dst, ret_cap) == 0)
		return 0;
	if (h->make_room(h->arg) && client_reserve(h->client, e.item, ret_dst, ret_cap) == 0)
		return 0;
	h->flush_later(h->arg);
	return END_E_WAIT;
}

static void workconn_commit(struct end e, size_t n)
{
	struct workconn_host *h = e.carrier;

	client_commit(h->client, e.item, n);
	if (n > 0)
		h->flush_later(h->arg);
}

static void workconn_want(struct end e)
{
	struct workconn_host *h = e.carrier;

	client_want(h->client, e.item);
	h->flush_later(h->arg);
}

static void workconn_consume(struct end e, size_t n)
{
	struct workconn_host *h = e.carrier;

	client_consume(h->client, e.item, n);
	h->flush_later(h->arg);
}

static void workconn_fin(struct end e)
{
	struct workconn_host *h = e.carrier;

	client_fin(h->client, e.item);
	h->flush_later(h->arg);
}

static void workconn_rst(struct end e)
{
	struct workconn_host *h = e.carrier;

	client_rst(h->client, e.item);
	h->flush_later(h->arg);
}

static void workconn_forget(struct end e)
{
	struct workconn_host *h = e.carrier;

	client_forget(h->client, e.item);
	h->flush_later(h->arg);
}

static const struct end_ops workconn_ops = {
	.set_user = workconn_set_user,
	.reserve = workconn_reserve,
	.commit = workconn_commit,
	.want = workconn_want,
	.consume = workconn_consume,
	.fin = workconn_fin,
	.rst = workconn_rst,
	.forget = workconn_forget,
};

struct end workconn_end(struct workconn_host *host, struct client_work *work)
{
	return (struct end){ .ops = &workconn_ops, .carrier = host, .item = work };
}
