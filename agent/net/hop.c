/* SPDX-License-Identifier: Apache-2.0 */
/* hop.c - a TCP connection to host:port through a proxy: dial the proxy, ask it, hand the socket
 * over. Floor 4.
 *
 *   DIAL --connected--> ASK (proto/session/knock) --the proxy agrees--> result
 *     +---- failure -----+---- refusal, nonsense, end, deadline -------> result
 *
 * What the proxy says is looked at in the socket (MSG_PEEK), and only its answer is taken out: the
 * server's first bytes may follow at once. The hop frees itself in the close callback of its
 * handle; its socket is closed at once. */
#include "agent/net/hop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/text.h"

#define HOP_PEEK 1024 /* most answers are shorter */

struct hop {
	struct loop *loop;
	hop_fn *on_done;
	void *arg;
	struct hopurl via;
	char host[sizeof(((struct text_hostport *) 0)->host)];
	uint64_t deadline_ms;
	struct dial *dial; /* NULL: over */
	struct timer timer;
	struct knock knock;
	char addr[64];
	int fd; /* -1: none, and no @poll */
	uv_poll_t poll;
};

static void hop_free(struct hop *h)
{
	knock_deinit(&h->knock);
	hopurl_wipe(&h->via);
	free(h);
}

static void on_closed(uv_handle_t *handle)
{
	hop_free(container_of(handle, struct hop, poll));
}

/* Let go of everything but the socket, which is returned; @h is gone now or soon. */
static int hop_release(struct hop *h)
{
	int fd = h->fd;

	h->dial = dial_cancel(h->dial);
	timer_stop(&h->timer);
	h->fd = -1;
	if (fd >= 0)
		uv_close((uv_handle_t *) &h->poll, on_closed);
	else
		hop_free(h);
	return fd;
}

/* Tell, as the last thing. @err 0: connected. */
static void hop_end(struct hop *h, enum hop_stage stage, int err, const char *why)
{
	struct hop_result r = { .err = err, .stage = stage, .cause = h->knock.cause };
	hop_fn *on_done = h->on_done;
	void *arg = h->arg;
	int fd;

	(void) snprintf(r.why, sizeof(r.why), "%s", why); /* cut when too long */
	memcpy(r.addr, h->addr, sizeof(r.addr));
	fd = hop_release(h);
	if (err != 0 && fd >= 0) {
		(void) close(fd); /* a failure is told already */
		fd = -1;
	}
	on_done(arg, &r, fd);
}

static void hop_broken(struct hop *h, int err)
{
	hop_end(h, HOP_STAGE_ANSWER, err,
		err == -ECONNRESET ? "the proxy reset the connection"
				   : "the connection to the proxy is broken");
}

/* -- asking -- */

/* 0 or negated errno. */
static int hop_write(struct hop *h)
{
	struct span out;
	ssize_t n;

	while ((out = knock_out(&h->knock)).len > 0) {
		n = send(h->fd, out.p, out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		knock_sent(&h->knock, (size_t) n);
	}
	return 0;
}

/* Take @n bytes that were looked at. */
static int hop_take(struct hop *h, uint8_t *buf, size_t n)
{
	ssize_t taken;

	while (n > 0) {
		taken = recv(h->fd, buf, n, 0);
		if (taken < 0 && errno == EINTR)
			continue;
		if (taken <= 0) /* they were there */
			return taken < 0 ? -errno : -EIO;
		n -= (size_t) taken;
	}
	return 0;
}

enum { HOP_E_AGAIN = 1, HOP_E_END = 2 };
/* 0: something was heard; HOP_E_AGAIN; HOP_E_END; or negated errno. */
static int hop_read(struct hop *h)
{
	uint8_t buf[HOP_PEEK];
	size_t n_eaten;
	ssize_t n = recv(h->fd, buf, sizeof(buf), MSG_PEEK);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? HOP_E_AGAIN : -errno;
	if (n == 0)
		return HOP_E_END;
	(void) knock_feed(&h->knock, span_of(buf, (size_t) n), &n_eaten); /* the state tells */
	return hop_take(h, buf, n_eaten);
}

static void hop_watch(struct hop *h);

/* The socket has something, or room. */
static void hop_go_on(struct hop *h)
{
	int r = 0;

	while (r == 0 && h->knock.state == KNOCK_STATE_ASKING) {
		r = hop_write(h);
		if (r == 0)
			r = hop_read(h);
	}
	if (h->knock.state == KNOCK_STATE_OPEN && r == 0)
		hop_end(h, HOP_STAGE_ANSWER, 0, "");
	else if (h->knock.state == KNOCK_STATE_REFUSED)
		hop_end(h, HOP_STAGE_ANSWER, -ECONNREFUSED, h->knock.why);
	else if (h->knock.state == KNOCK_STATE_BAD)
		hop_end(h, HOP_STAGE_ANSWER, -EPROTO, h->knock.why);
	else if (r == HOP_E_END)
		hop_end(h, HOP_STAGE_ANSWER, -EPIPE, "the proxy closed the connection");
	else if (r < 0)
		hop_broken(h, r);
	else
		hop_watch(h);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct hop *h = container_of(poll, struct hop, poll);

	(void) status; /* the socket's own error says more */
	(void) events;
	hop_go_on(h);
}

static void hop_watch(struct hop *h)
{
	int events = UV_READABLE | (knock_out(&h->knock).len > 0 ? UV_WRITABLE : 0);

	(void) uv_poll_start(&h->poll, events, on_ready); /* fails only on a closing handle */
}

static void on_deadline(struct timer *t)
{
	hop_end(container_of(t, struct hop, timer), HOP_STAGE_ANSWER, -ETIMEDOUT,
		"timed out: the proxy does not answer");
}

/* -- dialing -- */

static void on_dialed(void *arg, const struct dial_result *r, int fd)
{
	struct hop *h = arg;
	int err;

	h->dial = NULL;
	memcpy(h->addr, r->addr, sizeof(h->addr));
	if (r->err != 0) {
		hop_end(h, r->stage == DIAL_STAGE_NAME ? HOP_STAGE_NAME : HOP_STAGE_CONNECT, r->err,
			r->why);
		return;
	}
	err = uv_poll_init(&h->loop->uv, &h->poll, fd);
	if (err < 0) {
		(void) close(fd); /* never used */
		hop_end(h, HOP_STAGE_CONNECT, err, "the connection failed");
		return;
	}
	h->fd = fd;
	timer_set(&h->timer, h->deadline_ms);
	hop_go_on(h);
}

int hop_start(struct loop *l, struct resolver *r, const struct hopurl *via,
	      const struct dial_options *o, const char *host, uint16_t port, uint64_t deadline_ms,
	      hop_fn *on_done, void *arg, struct hop **ret_h)
{
	struct hop *h = calloc(1, sizeof(*h));
	int err;

	if (h == NULL)
		return -ENOMEM;
	h->loop = l;
	h->on_done = on_done;
	h->arg = arg;
	h->via = *via;
	h->deadline_ms = deadline_ms;
	h->fd = -1;
	timer_init(&h->timer, l, on_deadline);
	(void) snprintf(h->host, sizeof(h->host), "%s", host);
	err = strcmp(h->host, host) == 0 ? knock_start(&h->knock, &h->via, h->host, port) : -EINVAL;
	if (err == 0)
		err = dial_start_with(l, r, o, h->via.at.host, h->via.at.port, deadline_ms,
				      on_dialed, h, &h->dial);
	if (err < 0) {
		hop_free(h);
		return err;
	}
	*ret_h = h;
	return 0;
}

struct hop *hop_cancel(struct hop *h)
{
	int fd;

	if (h == NULL)
		return NULL;
	fd = hop_release(h);
	if (fd >= 0)
		(void) close(fd); /* given up */
	return NULL;
}
