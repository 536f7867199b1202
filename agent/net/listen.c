/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - a TCP port of ours. Floor 4.
 *
 * libuv accepts one connection ahead and watches the port again only when that one was taken: not
 * taking it is how a full house stops accepting. */
#include "agent/net/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/net/conn.h"
#include "proto/base/err.h"

struct listener {
	uv_tcp_t tcp;
	uv_tcp_t refused;  /* who was not taken; open while @is_refusing */
	struct loop *loop; /* borrowed: outlives us */
	size_t n_taken, n_max;
	void (*on_waiting)(void *arg);
	void *arg;
	uint16_t port;
	bool is_waiting; /* one was accepted and not taken */
	bool is_refusing, is_paused, is_closing;
	unsigned n_handles; /* not closed yet; the last one frees */
};

static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	l->n_handles--;
	if (l->n_handles == 0)
		free(l);
}

static void listen_offer(struct listener *l);

static void on_refused_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	l->is_refusing = false;
	if (l->is_closing)
		on_closed(handle);
	else {
		l->n_handles--;
		listen_offer(l);
	}
}

/* The owner has no use for it, not even for an answer. */
static void listen_refuse(struct listener *l)
{
	if (l->is_refusing || uv_tcp_init(&l->loop->uv, &l->refused) != 0)
		return; /* it waits, and so do those behind it, until the last one is closed */
	l->refused.data = l;
	l->is_refusing = true;
	l->n_handles++;
	l->is_waiting = false;
	/* Closed in any case. */
	(void) uv_accept((uv_stream_t *) &l->tcp, (uv_stream_t *) &l->refused);
	uv_close((uv_handle_t *) &l->refused, on_refused_closed);
}

static void listen_offer(struct listener *l)
{
	if (!l->is_waiting || l->is_closing || l->is_refusing || l->is_paused ||
	    l->n_taken >= l->n_max)
		return;
	l->on_waiting(l->arg);
	if (l->is_waiting && !l->is_closing && !l->is_paused)
		listen_refuse(l);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *l = container_of(stream, struct listener, tcp);

	if (status < 0)
		return; /* it went before, or there are no descriptors: libuv goes on */
	l->is_waiting = true;
	listen_offer(l);
}

static int listen_open(struct listener *l, const struct listen_params *p)
{
	struct sockaddr_storage ss;
	struct sockaddr *addr = (struct sockaddr *) &ss;
	int len = sizeof(ss), err;

	memset(&ss, 0, sizeof(ss));
	if (uv_ip4_addr(p->host, p->port, (struct sockaddr_in *) &ss) != 0 &&
	    uv_ip6_addr(p->host, p->port, (struct sockaddr_in6 *) &ss) != 0)
		return -EINVAL;
	err = uv_tcp_bind(&l->tcp, addr, /* flags= */ 0);
	if (err == 0)
		err = uv_listen((uv_stream_t *) &l->tcp, p->backlog, on_connection);
	if (err == 0)
		err = uv_tcp_getsockname(&l->tcp, addr, &len);
	if (err != 0)
		return err;
	/* The port lies at the same place in both. */
	l->port = ntohs(((struct sockaddr_in *) &ss)->sin_port);
	return 0;
}

int listen_new(struct listener **ret_l, struct loop *loop, const struct listen_params *p)
{
	struct listener *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->loop = loop;
	l->n_max = p->n_max;
	l->on_waiting = p->on_waiting;
	l->arg = p->arg;
	err = uv_tcp_init(&loop->uv, &l->tcp);
	if (err != 0) {
		free(l);
		return err;
	}
	l->tcp.data = l;
	l->n_handles = 1;
	err = listen_open(l, p);
	if (err != 0) {
		(void) listen_free(l);
		return err;
	}
	*ret_l = l;
	return 0;
}

uint16_t listen_port(const struct listener *l)
{
	return l->port;
}

int listen_take(struct listener *l, struct conn *c)
{
	int err;

	MUST(l->is_waiting);
	l->is_waiting = false; /* on failure, too: libuv has closed it */
	err = conn_accept(c, &l->tcp);
	if (err == 0)
		l->n_taken++;
	return err;
}

void listen_give_back(struct listener *l)
{
	if (l == NULL)
		return;
	MUST(l->n_taken > 0);
	l->n_taken--;
	listen_offer(l);
}

void listen_pause(struct listener *l)
{
	l->is_paused = true;
}

void listen_resume(struct listener *l)
{
	l->is_paused = false;
	listen_offer(l);
}

struct listener *listen_free(struct listener *l)
{
	if (l == NULL || l->is_closing)
		return NULL;
	l->is_closing = true;
	uv_close((uv_handle_t *) &l->tcp, on_closed);
	return NULL;
}
