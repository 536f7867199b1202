/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - one user connection. Floor 5. */
#include "agent/tunnel/relay.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/conn.h"
#include "agent/net/dial.h"
#include "agent/net/resolve.h"
#include "proto/base/limits.h"
#include "proto/session/mux.h"

#define BURST (2 * LIMIT_TURN) /* bytes one wake-up may send before others get their turn */

struct relay {
	const struct relay_host *host; /* borrowed: outlives the relay */
	struct client *client;	       /* borrowed; NULL together with work */
	struct client_work *work;      /* NULL: forgotten, or the session is gone */
	struct proxy *proxy;
	struct list link;
	struct dial *dial;
	struct timer timer; /* connecting: its deadline; FIN seen: what was received must leave */
	size_t n_queued;    /* when the timer was set: has anything moved? */
	size_t cap, burst;  /* of the last place given to the reader; full ones in a row */
	bool is_connected, is_fin_seen, is_local_eof;
	struct conn local;
};

/* -- ending ------------------------------------------------------------------------------------------------------- */

static void relay_forget(struct relay *r)
{
	if (r->work == NULL)
		return;
	client_forget(r->client, r->work);
	r->work = NULL;
	r->client = NULL;
	r->host->flush_later(r->host->arg);
}

/* Nothing more either way: the user is told by FIN (or RST), the local side is closed (or reset). */
static void relay_end(struct relay *r, bool want_reset)
{
	timer_stop(&r->timer);
	r->dial = dial_cancel(r->dial);
	if (r->work != NULL) {
		if (want_reset)
			client_rst(r->client, r->work);
		else
			client_fin(r->client, r->work);
	}
	relay_forget(r);
	if (want_reset)
		conn_reset(&r->local);
	else
		conn_close(&r->local);
}

static void relay_on_gone(void *arg)
{
	struct relay *r = arg;
	const struct relay_host *host = r->host;

	list_del(&r->link);
	free(r);
	host->flush_later(host->arg); /* somebody may wait for the last one */
}

void relay_reset_all(struct list *relays)
{
	struct list *l, *next;
	struct relay *r;

	for (l = relays->next; l != relays; l = next) {
		next = l->next;
		r = container_of(l, struct relay, link);
		r->work = NULL;
		r->client = NULL;
		relay_end(r, true);
	}
}

/* After the server's FIN: all that was received has left. The service learns of the end; what it still says has no reader, but is
 * read for a moment, since closing over unread bytes would reset what it has not read yet. */
static void relay_half_close(struct relay *r)
{
	if (r->is_local_eof) {
		relay_end(r, false);
		return;
	}
	conn_finish(&r->local);
	conn_read(&r->local, true);
	timer_set(&r->timer, loop_now_ms(r->host->loop) + WAIT_LOCAL_EOF_MS);
}

static void relay_on_timer(struct timer *t)
{
	struct relay *r = container_of(t, struct relay, timer);
	size_t n = conn_n_queued(&r->local);

	if (!r->is_connected) {
		proxy_on_local_error(r->proxy, -ETIMEDOUT, "timed out");
		relay_end(r, false);
	} else if (n == 0) {
		relay_end(r, false);
	} else if (n == r->n_queued) {
		relay_end(r, true); /* its reader took nothing for too long */
	} else {
		r->n_queued = n;
		timer_set(&r->timer, loop_now_ms(r->host->loop) + WAIT_STUCK_MS);
	}
}

/* -- down: server to local service -------------------------------------------------------------------------------- */

void relay_on_data(struct relay *r, struct span data)
{
	size_t n_now;

	if (conn_write(&r->local, data, &n_now) != 0) {
		relay_end(r, true);
		return;
	}
	if (n_now > 0)
		client_consume(r->client, r->work, n_now);
}

static void relay_on_written(void *arg, size_t n)
{
	struct relay *r = arg;

	if (r->work != NULL) {
		client_consume(r->client, r->work, n);
		r->host->flush_later(r->host->arg);
	}
	if (r->is_fin_seen && conn_n_queued(&r->local) == 0)
		relay_half_close(r);
}

void relay_on_fin(struct relay *r)
{
	r->is_fin_seen = true;
	client_fin(r->client, r->work);
	relay_forget(r);
	r->n_queued = conn_n_queued(&r->local);
	if (r->n_queued == 0 && !r->is_connected)
		relay_end(r, false); /* nobody has heard of this user yet */
	else if (r->n_queued == 0)
		relay_half_close(r);
	else
		timer_set(&r->timer, loop_now_ms(r->host->loop) + WAIT_STUCK_MS);
}

void relay_on_rst(struct relay *r)
{
	relay_end(r, true);
}

/* -- up: local service to server ---------------------------------------------------------------------------------- */

static size_t relay_alloc(void *arg, uint8_t **ret_dst)
{
	struct relay *r = arg;
	size_t cap;
	int err;

	if (r->work == NULL) { /* read to the end, and dropped */
		*ret_dst = r->host->loop->plain_buf;
		return LIMIT_RECORD;
	}
	if (r->burst >= BURST) {
		client_want(r->client, r->work);
		r->host->flush_later(r->host->arg);
		return 0;
	}
	err = client_reserve(r->client, r->work, ret_dst, &cap);
	if (err == MUX_E_ROOM && r->host->make_room(r->host->arg))
		err = client_reserve(r->client, r->work, ret_dst, &cap);
	if (err == 0)
		return r->cap = cap;
	r->host->flush_later(r->host->arg);
	return 0;
}

static void relay_on_read(void *arg, size_t n)
{
	struct relay *r = arg;

	if (r->work == NULL)
		return;
	client_commit(r->client, r->work, n);
	r->burst = n < r->cap ? 0 : r->burst + n;
	if (n > 0)
		r->host->flush_later(r->host->arg);
}

void relay_on_turn(struct relay *r, size_t quantum)
{
	if (!r->is_connected)
		return;
	r->burst = 0;
	switch (conn_pull(&r->local, quantum)) {
	case CONN_E_AGAIN:
		conn_read(&r->local, true);
		break;
	case 0: /* more is there: another turn (without credit it comes with the credit) */
		client_want(r->client, r->work);
		break;
	default: /* ended */
		break;
	}
	r->burst = 0;
}

static void relay_on_eof(void *arg)
{
	struct relay *r = arg;

	r->is_local_eof = true;
	if (r->work == NULL) {
		if (conn_n_queued(&r->local) == 0)
			relay_end(r, false);
		return;
	}
	client_fin(r->client, r->work);
	r->host->flush_later(r->host->arg);
}

static void relay_on_error(void *arg, int err, const char *why)
{
	struct relay *r = arg;

	if (!r->is_connected) {
		proxy_on_local_error(r->proxy, err, why);
		relay_end(r, false);
	} else {
		relay_end(r, true);
	}
}

/* -- starting ----------------------------------------------------------------------------------------------------- */

static void relay_on_ready(void *arg)
{
	struct relay *r = arg;

	r->is_connected = true;
	timer_stop(&r->timer);
	proxy_on_local_ok(r->proxy);
	conn_read(&r->local, true);
	if (r->is_fin_seen && conn_n_queued(&r->local) == 0)
		relay_half_close(r);
	else if (r->is_fin_seen)
		timer_set(&r->timer, loop_now_ms(r->host->loop) + WAIT_STUCK_MS);
}

static void relay_on_dialed(void *arg, const struct dial_result *result, int fd)
{
	struct relay *r = arg;

	r->dial = NULL;
	if (result->err != 0) {
		relay_on_error(r, result->err, result->why);
		return;
	}
	if (conn_adopt(&r->local, fd) != 0) {
		relay_on_error(r, -EMFILE, "the socket cannot be used");
		return;
	}
	relay_on_ready(r);
}

static const struct conn_ops relay_ops = {
	.alloc = relay_alloc,
	.on_read = relay_on_read,
	.on_ready = relay_on_ready,
	.on_written = relay_on_written,
	.on_eof = relay_on_eof,
	.on_error = relay_on_error,
	.on_gone = relay_on_gone,
};

/* Start to connect. 0, or negated errno: told to the user of the tunnel by closing. */
static int relay_connect(struct relay *r)
{
	uint64_t due_ms = loop_now_ms(r->host->loop) + WAIT_LOCAL_DIAL_MS;
	struct proxy *p = r->proxy;

	if (!p->has_local_addr)
		return dial_start(r->host->loop, r->host->resolver, p->conf->local_host, p->conf->local_port, due_ms,
				  relay_on_dialed, r, &r->dial);
	timer_set(&r->timer, due_ms);
	return conn_connect(&r->local, (const struct sockaddr *) &p->local_addr);
}

int relay_start(const struct relay_host *host, struct client *client, struct client_work *work, struct proxy *proxy)
{
	struct relay *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->host = host;
	r->client = client;
	r->work = work;
	r->proxy = proxy;
	list_init(&r->link);
	timer_init(&r->timer, host->loop, relay_on_timer);
	err = conn_init(&r->local, host->loop, &relay_ops, r, LIMIT_WINDOW_MAX);
	if (err != 0) {
		free(r);
		return err;
	}
	list_add_tail(host->relays, &r->link);
	client_work_set_user(work, r);
	err = relay_connect(r);
	if (err != 0) {
		proxy_on_local_error(proxy, err, uv_strerror(err));
		relay_end(r, false);
	}
	return 0;
}
