/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - one user connection. Floor 5. */
#include "agent/tunnel/relay.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/reserve.h"
#include "agent/base/timer.h"
#include "agent/net/conn.h"
#include "agent/net/dial.h"
#include "agent/net/resolve.h"
#include "agent/tunnel/visitor.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/wire/proxyhdr.h"

/* Who has read as many bytes at one wake-up gets no more without a turn. */
#define BURST (2 * LIMIT_TURN)

struct relay {
	struct end_user user;
	struct joined joined;
	struct visitor *visitor; /* a share; NULL: a user of a proxy */
	bool is_asked;		 /* the visit is not answered yet; the local side is not read */
	struct dial *dial;
	struct timer timer; /* connecting: its deadline; FIN seen: what was received must leave */
	size_t n_header;    /* bytes of the PROXY header not yet written: no credit for them */
	size_t n_queued;    /* when the timer was set: has anything moved? */
	size_t cap, burst;  /* of the last place given to the reader; full ones in a row */
	bool is_connected, is_fin_seen, is_local_eof;
	struct conn local;
};

/* -- ending -- */

/* The visit is answered, or nobody waits for that any more. */
static void relay_asked_enough(struct relay *r)
{
	if (!r->is_asked)
		return;
	r->is_asked = false;
	visitor_asked_enough(r->visitor);
}

/* Nothing more either way: the user is told by FIN (or RST), the local side is closed
 * (or reset). */
static void relay_end(struct relay *r, bool want_reset)
{
	timer_stop(&r->timer);
	r->dial = dial_cancel(r->dial);
	relay_asked_enough(r);
	joined_leave(&r->joined, want_reset);
	if (want_reset)
		conn_reset(&r->local);
	else
		conn_close(&r->local);
}

static void relay_end_joined(struct joined *j, bool want_reset)
{
	relay_end(container_of(j, struct relay, joined), want_reset);
}

static void relay_on_gone(void *arg)
{
	struct relay *r = arg;
	struct joined_host *host = r->joined.host;

	joined_remove(&r->joined);
	if (r->visitor != NULL)
		visitor_let_go(r->visitor);
	free(r);
	joined_told(host);
}

/* After the server's FIN: all that was received has left. The service learns of the end; what it
 * still says has no reader, but is read for a moment, since closing over unread bytes would reset
 * what it has not read yet. */
static void relay_half_close(struct relay *r)
{
	if (r->is_local_eof) {
		relay_end(r, false);
		return;
	}
	conn_finish(&r->local);
	conn_read(&r->local, true);
	timer_set(&r->timer, loop_now_ms(r->joined.host->loop) + WAIT_LOCAL_EOF_MS);
}

static void relay_on_timer(struct timer *t)
{
	struct relay *r = container_of(t, struct relay, timer);
	size_t n = conn_n_queued(&r->local);

	if (!r->is_connected) {
		joined_on_local_error(&r->joined, -ETIMEDOUT, "timed out");
		relay_end(r, false);
	} else if (n == 0) {
		relay_end(r, false);
	} else if (n == r->n_queued) {
		relay_end(r, true); /* its reader took nothing for too long */
	} else {
		r->n_queued = n;
		timer_set(&r->timer, loop_now_ms(r->joined.host->loop) + WAIT_STUCK_MS);
	}
}

/* -- down: server to local service -- */

static void relay_on_data(struct end_user *u, struct span data)
{
	struct relay *r = container_of(u, struct relay, user);
	size_t n_now;

	joined_count_down(&r->joined, data.len);
	if (conn_write(&r->local, data, &n_now) != 0)
		relay_end(r, true);
	else if (n_now > 0)
		end_consume(r->joined.up, n_now);
}

static void relay_on_written(void *arg, size_t n)
{
	struct relay *r = arg;
	size_t n_ours = n < r->n_header ? n : r->n_header;

	r->n_header -= n_ours;
	if (r->joined.has_up && n > n_ours)
		end_consume(r->joined.up, n - n_ours);
	if (r->is_local_eof && r->local.is_deaf)
		relay_end(r, false); /* it says nothing and hears nothing any more */
	else if (r->is_fin_seen && conn_n_queued(&r->local) == 0)
		relay_half_close(r);
}

static void relay_on_fin(struct end_user *u)
{
	struct relay *r = container_of(u, struct relay, user);

	r->is_fin_seen = true;
	joined_leave(&r->joined, /* want_reset= */ false);
	r->n_queued = conn_n_queued(&r->local);
	if (r->n_queued == 0 && !r->is_connected)
		relay_end(r, false); /* nobody has heard of this user yet */
	else if (r->n_queued == 0)
		relay_half_close(r);
	else if (r->is_connected) /* else the deadline of the dial stands */
		timer_set(&r->timer, loop_now_ms(r->joined.host->loop) + WAIT_STUCK_MS);
}

static void relay_on_rst(struct end_user *u)
{
	relay_end(container_of(u, struct relay, user), true);
}

/* -- up: local service to server -- */

static size_t relay_alloc(void *arg, uint8_t **ret_dst)
{
	struct relay *r = arg;

	if (!r->joined.has_up) { /* read to the end, and dropped */
		*ret_dst = r->joined.host->loop->plain_buf;
		return LIMIT_RECORD;
	}
	if (r->burst >= BURST) {
		end_want(r->joined.up);
		return 0;
	}
	return end_reserve(r->joined.up, ret_dst, &r->cap) == 0 ? r->cap : 0;
}

static void relay_on_read(void *arg, size_t n)
{
	struct relay *r = arg;

	if (!r->joined.has_up)
		return;
	joined_count_up(&r->joined, n);
	end_commit(r->joined.up, n);
	r->burst = n < r->cap ? 0 : r->burst + n;
}

static void relay_on_turn(struct end_user *u, size_t quantum)
{
	struct relay *r = container_of(u, struct relay, user);
	int err;

	r->burst = 0;
	err = conn_pull(&r->local, quantum);
	r->burst = 0;
	if (err == CONN_E_AGAIN)
		conn_read(&r->local, true);
	else if (err == 0)
		end_want(r->joined.up);
}

static void relay_on_eof(void *arg)
{
	struct relay *r = arg;

	r->is_local_eof = true;
	if (r->joined.has_up && !r->local.is_deaf)
		end_fin(r->joined.up);
	else if (conn_n_queued(&r->local) == 0)
		relay_end(r, false);
}

static void relay_on_error(void *arg, int err, const char *why)
{
	struct relay *r = arg;

	if (!r->is_connected)
		joined_on_local_error(&r->joined, err, why);
	/* A FIN also then: a service that answers early closes over unread bytes, and after a reset
	 * frps drops what its user has not got yet of the answer. */
	relay_end(r, false);
}

/* -- starting -- */

static void relay_on_ready(void *arg)
{
	struct relay *r = arg;

	r->is_connected = true;
	timer_stop(&r->timer);
	proxy_on_local_ok(r->joined.proxy);
	conn_read(&r->local, true);
	if (r->is_fin_seen && conn_n_queued(&r->local) == 0)
		relay_half_close(r);
	else if (r->is_fin_seen)
		timer_set(&r->timer, loop_now_ms(r->joined.host->loop) + WAIT_STUCK_MS);
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
	uint64_t due_ms = loop_now_ms(r->joined.host->loop) + WAIT_LOCAL_DIAL_MS;
	const struct dial_options o = { .keepalive_s = DIAL_KEEPALIVE_S, .is_for_user = true };
	struct proxy *p = r->joined.proxy;
	int fd, err;

	if (!p->has_local_addr)
		return dial_start_with(r->joined.host->loop, r->joined.host->resolver, &o,
				       p->conf->local_host, p->conf->local_port, due_ms,
				       relay_on_dialed, r, &r->dial);
	timer_set(&r->timer, due_ms);
	err = conn_connect(&r->local, (const struct sockaddr *) &p->local_addr);
	if (err == 0 && uv_fileno((const uv_handle_t *) &r->local.tcp, &fd) == 0 && reserve_has(fd))
		err = -EMFILE;
	if (err == 0 && p->is_local_near)
		conn_limit_unread(&r->local, LIMIT_LOCAL_UNREAD);
	return err;
}

/* The header goes before any payload: it is queued before the connection is open. */
static int relay_say_who(struct relay *r, const struct relay_source *source)
{
	struct proxyhdr h = {
		.version = r->joined.proxy->conf->proxy_protocol,
		.src_addr = source->src_addr,
		.dst_addr = source->dst_addr,
		.src_port = source->src_port,
		.dst_port = source->dst_port,
	};
	uint8_t header[PROXYHDR_MAX];
	size_t n, n_now;

	if (h.version == PROXYHDR_NONE || proxyhdr_encode(&h, header, &n) != 0)
		return 0;
	r->n_header = n;
	return conn_write(&r->local, span_of(header, n), &n_now);
}

/* The visit was answered. */
static void relay_on_open(struct end_user *u)
{
	struct relay *r = container_of(u, struct relay, user);

	relay_asked_enough(r);
	if (visitor_answered(r->visitor, &r->joined.up) != 0) {
		relay_end(r, true);
		return;
	}
	end_set_user(r->joined.up, u);
	conn_read(&r->local, true);
}

/* It was not, or by a refusal. */
static void relay_on_refused(struct end_user *u, const char *text)
{
	struct relay *r = container_of(u, struct relay, user);

	visitor_refused(r->visitor, text);
	joined_drop(&r->joined);
	relay_end(r, false);
}

/* Nothing is open yet. 0 or negated errno. */
static int relay_new(struct relay **ret_r, struct joined_host *host)
{
	static const struct end_user_ops user_ops = {
		.on_data = relay_on_data,
		.on_fin = relay_on_fin,
		.on_rst = relay_on_rst,
		.on_turn = relay_on_turn,
		.on_open = relay_on_open,
		.on_refused = relay_on_refused,
	};
	struct relay *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->user.ops = &user_ops;
	timer_init(&r->timer, host->loop, relay_on_timer);
	err = conn_init(&r->local, host->loop, &relay_ops, r, LIMIT_WINDOW_MAX);
	if (err != 0) {
		free(r);
		return err;
	}
	*ret_r = r;
	return 0;
}

int relay_start(struct joined_host *host, struct end up, struct proxy *proxy,
		const struct relay_source *source)
{
	struct relay *r;
	int err = relay_new(&r, host);

	if (err != 0)
		return err;
	joined_add(&r->joined, host, proxy, up, &r->user, relay_end_joined);
	err = relay_say_who(r, source);
	if (err == 0)
		err = relay_connect(r);
	if (err != 0) {
		joined_on_local_error(&r->joined, err, err < 0 ? uv_strerror(err) : "no room");
		relay_end(r, false);
	}
	return 0;
}

int relay_start_visit(struct joined_host *host, struct end up, struct visitor *visitor)
{
	struct relay *r;
	int err = relay_new(&r, host);

	if (err != 0)
		return err;
	joined_add(&r->joined, host, /* proxy= */ NULL, up, &r->user, relay_end_joined);
	err = visitor_take(visitor, &r->local);
	if (err != 0) { /* he went already: the visit goes, too */
		relay_end(r, false);
		return 0;
	}
	r->visitor = visitor;
	r->is_asked = true;
	r->is_connected = true;
	return 0;
}
