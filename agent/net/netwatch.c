/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch.c - the kernel's news of addresses, links and routes. Floor 4.
 *
 * What has changed is not read from the messages: each may be lost or be followed by its opposite,
 * and who is told looks anyway. A link that comes up sends several, so they are told when it has
 * been calm for a moment, or after the longest time that one of them may wait. */
#include "agent/net/netwatch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define NETWATCH_READS 64 /* messages a turn; what is left wakes us again */

struct netwatch {
	uv_poll_t poll;
	int fd;
	struct loop *loop;
	struct timer timer; /* armed: there is news */
	uint64_t since_ms;  /* of the first of it */
	netwatch_fn *on_change;
	void *arg;
};

static void netwatch_on_timer(struct timer *t)
{
	struct netwatch *w = container_of(t, struct netwatch, timer);

	w->on_change(w->arg);
}

static void netwatch_note(struct netwatch *w)
{
	uint64_t now_ms = loop_now_ms(w->loop), due_ms = now_ms + WAIT_SETTLE_MS;

	if (!timer_is_armed(&w->timer))
		w->since_ms = now_ms;
	if (due_ms > w->since_ms + WAIT_SETTLE_MAX_MS)
		due_ms = w->since_ms + WAIT_SETTLE_MAX_MS;
	timer_set(&w->timer, due_ms);
}

static void netwatch_on_readable(uv_poll_t *poll, int status, int events)
{
	struct netwatch *w = container_of(poll, struct netwatch, poll);
	char first[1]; /* the rest of a message is cut */
	ssize_t n = 0;

	(void) status; /* an error is read, too: news were lost */
	(void) events;
	for (int i = 0; i < NETWATCH_READS && (n >= 0 || errno == EINTR || errno == ENOBUFS); i++) {
		n = recv(w->fd, first, sizeof(first), MSG_DONTWAIT);
		if (n >= 0 || errno == ENOBUFS)
			netwatch_note(w);
	}
}

static void netwatch_on_closed(uv_handle_t *h)
{
	free(container_of(h, struct netwatch, poll));
}

/* A socket that hears the news. Negated errno: none. */
static int netwatch_open(void)
{
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *) &groups, sizeof(groups)) == 0)
		return fd;
	(void) close(fd); /* never used */
	return -EACCES;
}

int netwatch_new(struct netwatch **ret_w, struct loop *l, netwatch_fn *on_change, void *arg)
{
	struct netwatch *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	r = netwatch_open();
	if (r < 0) {
		free(w);
		return r;
	}
	w->fd = r;
	r = uv_poll_init(&l->uv, &w->poll, w->fd);
	if (r < 0) {
		(void) close(w->fd); /* never used */
		free(w);
		return r;
	}
	w->loop = l;
	w->on_change = on_change;
	w->arg = arg;
	timer_init(&w->timer, l, netwatch_on_timer);
	uv_unref((uv_handle_t *) &w->poll);
	/* Fails only on a handle that closes. */
	(void) uv_poll_start(&w->poll, UV_READABLE, netwatch_on_readable);
	*ret_w = w;
	return 0;
}

struct netwatch *netwatch_free(struct netwatch *w)
{
	if (w == NULL)
		return NULL;
	timer_stop(&w->timer);
	(void) uv_poll_stop(&w->poll); /* before its descriptor is another's */
	(void) close(w->fd);	       /* only read */
	uv_close((uv_handle_t *) &w->poll, netwatch_on_closed);
	return NULL;
}

/* -- connections -- */

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool is_link_local(const union address *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr);
}

/* @a without its port is no address of this machine. */
static bool is_gone(int probe, union address a, socklen_t len)
{
	if (a.sa.sa_family == AF_INET6)
		a.v6.sin6_port = 0;
	else
		a.v4.sin_port = 0;
	return bind(probe, &a.sa, len) < 0 && errno == EADDRNOTAVAIL;
}

bool netwatch_has_moved(int fd)
{
	union address here = { 0 }, there = { 0 }, now = { 0 };
	socklen_t here_len = sizeof(here), there_len = sizeof(there), now_len = sizeof(now);
	bool has_moved;
	int probe;

	if (getsockname(fd, &here.sa, &here_len) < 0 || getpeername(fd, &there.sa, &there_len) < 0)
		return false;
	probe = socket(here.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return false;
	/* A datagram socket that is connected has the address the kernel would send from. One that
	 * serves the own link only is no way to anywhere else: the others are still to come. */
	has_moved = is_gone(probe, here, here_len) && connect(probe, &there.sa, there_len) == 0 &&
		    getsockname(probe, &now.sa, &now_len) == 0 &&
		    (!is_link_local(&now) || is_link_local(&here));
	(void) close(probe); /* nothing was written */
	return has_moved;
}
