/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - one question after the other. Floor 5. */
#include "agent/tunnel/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/net/dial.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#define REQUEST_MAX 8192 /* path and headers come from the configuration */
#define STATUS_LEN 12	 /* "HTTP/1.1 200" */

static void health_done(struct health *h, const char *error);

/* -- one connection -- */

/* Of the answer; 0: there was none, or it is not HTTP. */
static int health_status(const struct health *h)
{
	int status = 0;

	if (h->head_len < STATUS_LEN || memcmp(h->head, "HTTP/1.", 7) != 0 || h->head[8] != ' ')
		return 0;
	for (int i = 9; i < STATUS_LEN; i++) {
		if (h->head[i] < '0' || h->head[i] > '9')
			return 0;
		status = status * 10 + (h->head[i] - '0');
	}
	return status;
}

static void health_on_data(void *arg, struct span data)
{
	struct health *h = arg;
	struct span part = span_head(data, STATUS_LEN - h->head_len);

	if (!h->is_asking)
		return;
	memcpy(h->head + h->head_len, part.p, part.len);
	h->head_len += part.len;
	if (h->head_len < STATUS_LEN)
		return;
	health_done(h, health_status(h) / 100 == 2 ? NULL : "the answer is not a 2xx");
}

static void health_on_eof(void *arg)
{
	health_done(arg, "the service closed the connection");
}

static void health_on_error(void *arg, int err, const char *why)
{
	(void) err; /* @why says it */
	health_done(arg, why);
}

static void health_on_written(void *arg, size_t n)
{
	(void) arg;
	(void) n;
}

static void health_wait(struct health *h);

static void health_on_conn_gone(void *arg)
{
	struct health *h = arg;

	h->has_conn = false;
	if (h->is_closing)
		h->on_gone(h->arg);
	else
		health_wait(h);
}

static const struct conn_ops health_ops = {
	.on_data = health_on_data,
	.on_written = health_on_written,
	.on_eof = health_on_eof,
	.on_error = health_on_error,
	.on_gone = health_on_conn_gone,
};

/* -- asking -- */

static void health_wait(struct health *h)
{
	timer_set(&h->timer, loop_now_ms(h->loop) + h->conf->health.interval_ms);
}

/* The question is answered: @error is NULL when the service is well. */
static void health_done(struct health *h, const char *error)
{
	bool was_healthy = h->is_healthy;

	if (!h->is_asking)
		return;
	h->is_asking = false;
	timer_stop(&h->timer);
	h->dial = dial_cancel(h->dial);
	h->n_failed = error == NULL ? 0 : h->n_failed + 1;
	if (error == NULL)
		h->is_healthy = true;
	else if (h->n_failed >= h->conf->health.n_failed_max)
		h->is_healthy = false;
	if (error != NULL)
		log_debug(h->loop->log, "one health check failed", "proxy", h->conf->name, "error",
			  error);
	if (h->has_conn)
		conn_close(&h->conn); /* the wait begins when it is gone */
	else
		health_wait(h);
	if (h->on_answer != NULL)
		h->on_answer(h->arg, health_status(h), error);
	if (h->is_healthy != was_healthy)
		h->on_change(h->arg, h->is_healthy);
}

static void append(struct buf *b, const char *s)
{
	(void) buf_add(b, span_str(s)); /* too long: the request has no end, and times out */
}

/* GET with the headers of the configuration; Connection: close, so that nothing stays open. */
static void health_request(struct health *h)
{
	const struct conf_health *c = &h->conf->health;
	struct buf b;
	size_t i, n_now;
	char port[16];

	buf_init(&b, REQUEST_MAX);
	(void) snprintf(port, sizeof(port), ":%u", (unsigned) h->conf->local_port);
	append(&b, "GET ");
	if (c->path == NULL || c->path[0] != '/')
		append(&b, "/"); /* as frpc does */
	append(&b, c->path != NULL ? c->path : "");
	append(&b, " HTTP/1.1\r\nHost: ");
	append(&b, h->conf->local_host);
	append(&b, port);
	append(&b, "\r\nConnection: close\r\n");
	for (i = 0; i < c->headers.n; i++) {
		append(&b, c->headers.at[i].name);
		append(&b, ": ");
		append(&b, c->headers.at[i].value);
		append(&b, "\r\n");
	}
	append(&b, "\r\n");
	if (conn_write(&h->conn, buf_span(&b), &n_now) != 0)
		health_done(h, "out of memory");
	buf_deinit(&b);
}

static void health_on_dialed(void *arg, const struct dial_result *r, int fd)
{
	struct health *h = arg;

	h->dial = NULL;
	if (r->err != 0) {
		health_done(h, r->why);
		return;
	}
	h->has_conn = conn_init(&h->conn, h->loop, &health_ops, h, REQUEST_MAX) == 0;
	if (!h->has_conn || conn_adopt(&h->conn, fd) != 0) {
		health_done(h, "the socket cannot be used");
		return;
	}
	if (h->conf->health.kind == CONF_HEALTH_TCP) {
		health_done(h, NULL);
		return;
	}
	conn_read(&h->conn, true);
	health_request(h);
}

static void health_ask(struct health *h)
{
	uint64_t due_ms = loop_now_ms(h->loop) + h->conf->health.timeout_ms;

	h->is_asking = true;
	h->head_len = 0;
	timer_set(&h->timer, due_ms);
	if (dial_start(h->loop, h->resolver, h->conf->local_host, h->conf->local_port, due_ms,
		       health_on_dialed, h, &h->dial) != 0)
		health_done(h, "out of memory");
}

static void health_on_timer(struct timer *t)
{
	struct health *h = container_of(t, struct health, timer);

	if (h->is_asking)
		health_done(h, "timed out");
	else
		health_ask(h);
}

/* -- life -- */

void health_init(struct health *h, struct loop *l, struct resolver *r,
		 const struct conf_proxy *conf, void (*on_change)(void *arg, bool is_healthy),
		 void (*on_gone)(void *arg), void *arg)
{
	memset(h, 0, sizeof(*h));
	h->loop = l;
	h->resolver = r;
	h->conf = conf;
	h->on_change = on_change;
	h->on_gone = on_gone;
	h->arg = arg;
	timer_init(&h->timer, l, health_on_timer);
}

void health_start(struct health *h)
{
	timer_set(&h->timer, loop_now_ms(h->loop));
}

static void health_on_stop(struct timer *t)
{
	struct health *h = container_of(t, struct health, timer);

	h->on_gone(h->arg);
}

void health_stop(struct health *h)
{
	if (h->is_closing)
		return;
	h->is_closing = true;
	h->is_asking = false;
	timer_stop(&h->timer);
	h->dial = dial_cancel(h->dial);
	if (h->has_conn) {
		conn_close(&h->conn);
		return;
	}
	timer_init(&h->timer, h->loop, health_on_stop); /* never from inside this call */
	timer_set(&h->timer, loop_now_ms(h->loop));
}
