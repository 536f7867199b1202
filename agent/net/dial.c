/* SPDX-License-Identifier: Apache-2.0 */
/* dial.c - a TCP connection to host:port: every address in turn, 250 ms apart, the first to connect
 * wins. Floor 4.
 *
 *   NAME --answer--> CONNECT: an attempt per address --first success--> result
 *     |                          |  the next one starts when 250 ms have passed or all before it
 * have failed
 *     +--- failure, deadline ----+----------------------------------------------> result
 *
 * While the name has no answer there may be one address already: where the host was last.
 *
 * An attempt frees itself in the close callback of its handle, which may be after its dial; its
 * socket is closed at once. */
#include "agent/net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/reserve.h"
#include "agent/base/timer.h"
#include "agent/net/resolve.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"

/* After the silence of the options a peer that vanished is found within 6 * 10 s; sessions have
 * their own, faster detector. */
#define DIAL_KEEP_EVERY_S 10
#define DIAL_KEEP_TRIES 6
#define DIAL_KEEP_IDLE_MAX_S 32767 /* the kernel takes no more (tcp(7) TCP_KEEPIDLE) */

struct dial {
	struct loop *loop;
	dial_fn *on_done;
	void *arg;
	int keepalive_s;	       /* 0: off */
	bool is_for_user;	       /* of the options */
	struct sockaddr_storage local; /* AF_UNSPEC: the kernel's choice */
	struct sockaddr_storage known; /* AF_UNSPEC: none */
	bool is_known_tried;
	struct resolve *lookup; /* NULL: over */
	struct timer deadline, happy;
	struct resolve_answer answer;
	size_t n_tried;		 /* of the answer's addresses */
	struct list attempts;	 /* struct attempt, under way */
	struct dial_result last; /* the failure to be told when nothing is left */
};

struct attempt {
	uv_poll_t poll;
	struct list link;
	struct dial *dial; /* borrowed: while in its list */
	int fd;
	const struct sockaddr_storage *to; /* in the dial */
};

static const char *why_of(int err, bool has_local)
{
	switch (-err) {
	case ECONNREFUSED: return "connection refused: nothing listens on that port";
	case ETIMEDOUT: return "timed out: the address does not answer";
	case ENETUNREACH: return "no route to that network";
	case EHOSTUNREACH: return "no route to that host";
	case ECONNRESET: return "the connection was reset at once";
	case EACCES:
	case EPERM: return "forbidden by this machine (firewall?)";
	case EADDRNOTAVAIL:
		return has_local
			       ? "this machine does not have the local address to dial from, or no port is left"
			       : "no local address or port is left for it";
	case EAFNOSUPPORT:
		return has_local
			       ? "the local address to dial from is of another family (IPv4, IPv6)"
			       : "this machine does not speak that address family";
	case EMFILE:
	case ENFILE: return "no file descriptor is left";
	case ENOMEM:
	case ENOBUFS: return "out of memory";
	default: return "the connection failed";
	}
}

static void addr_print(const struct sockaddr_storage *sa, char *dst, size_t cap)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) sa;

		(void) inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		(void) snprintf(dst, cap, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *) sa;

		(void) inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		(void) snprintf(dst, cap, "%s:%u", ip, ntohs(v4->sin_port));
	}
}

static socklen_t addr_len(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* -- attempts -- */

static void on_attempt_closed(uv_handle_t *h)
{
	free(container_of(h, struct attempt, poll));
}

/* Stop watching. The socket is the caller's. */
static int attempt_release(struct attempt *a)
{
	int fd = a->fd;

	list_del(&a->link);
	uv_close((uv_handle_t *) &a->poll, on_attempt_closed);
	return fd;
}

static void attempt_close(struct attempt *a)
{
	(void) close(attempt_release(a)); /* nothing was written */
}

/* Everything but the memory of the dial itself. */
static void dial_stop(struct dial *d)
{
	d->lookup = d->is_known_tried && !d->is_for_user ? resolve_leave(d->lookup)
							 : resolve_cancel(d->lookup);
	timer_stop(&d->deadline);
	timer_stop(&d->happy);
	while (!list_is_empty(&d->attempts))
		attempt_close(container_of(d->attempts.next, struct attempt, link));
}

/* Tell, as the last thing. */
static void dial_end(struct dial *d, const struct dial_result *result, int fd)
{
	struct dial_result r = *result;
	dial_fn *on_done = d->on_done;
	void *arg = d->arg;

	dial_stop(d);
	free(d);
	on_done(arg, &r, fd);
}

static void dial_note_failure(struct dial *d, const struct sockaddr_storage *to, int err)
{
	/* That one family does not work here says less than what the other one's addresses
	 * answered. */
	if (d->last.err != 0 &&
	    (err == -ENETUNREACH || err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL))
		return;
	d->last.err = err;
	d->last.stage = DIAL_STAGE_CONNECT;
	d->last.why = why_of(err, d->local.ss_family != AF_UNSPEC);
	addr_print(to, d->last.addr, sizeof(d->last.addr));
}

bool dial_is_self_connected(int fd)
{
	struct sockaddr_storage here = { .ss_family = AF_UNSPEC },
				there = { .ss_family = AF_UNSPEC };
	socklen_t here_len = sizeof(here), there_len = sizeof(there);

	return getsockname(fd, (struct sockaddr *) &here, &here_len) == 0 &&
	       getpeername(fd, (struct sockaddr *) &there, &there_len) == 0 &&
	       here_len == there_len && memcmp(&here, &there, here_len) == 0;
}

static void dial_try_next(struct dial *d);

/* The connect has ended with @err. Ends the dial or goes on with it; @a is gone. */
static void attempt_end(struct attempt *a, int err)
{
	struct dial *d = a->dial;
	struct dial_result won = { .err = 0, .stage = DIAL_STAGE_CONNECT };

	if (err == 0 && dial_is_self_connected(a->fd))
		err = -ECONNREFUSED;
	if (err == 0) {
		addr_print(a->to, won.addr, sizeof(won.addr));
		dial_end(d, &won, attempt_release(a));
		return;
	}
	dial_note_failure(d, a->to, err);
	attempt_close(a);
	dial_try_next(d);
}

static void on_attempt_ready(uv_poll_t *poll, int status, int events)
{
	struct attempt *a = container_of(poll, struct attempt, poll);
	socklen_t len = sizeof(int);
	int err = 0;

	(void) events;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err == 0 && status < 0)
		err = -status;
	attempt_end(a, -err);
}

static void socket_set_options(int fd, int keepalive_s)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, /* and with it: */
		{ IPPROTO_TCP, TCP_KEEPIDLE, keepalive_s },
		{ IPPROTO_TCP, TCP_KEEPINTVL, DIAL_KEEP_EVERY_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, DIAL_KEEP_TRIES },
	};
	size_t n = keepalive_s > 0 ? sizeof(options) / sizeof(options[0]) : 1;

	for (size_t i = 0; i < n; i++) {
		/* A kernel that refuses one of them still gives a connection that works. */
		(void) setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				  sizeof(options[i].value));
	}
}

/* 0 or negated errno. */
static int socket_bind(int fd, const struct sockaddr_storage *local)
{
	int on = 1;

	if (local->ss_family == AF_UNSPEC)
		return 0;
	/* The port is chosen by connect(), so that one is shared by connections to several places.
	 * A kernel without it chooses one now. */
	(void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *) local, addr_len(local)) < 0 ? -errno : 0;
}

/* A socket that connects to @to. 0 or negated errno. */
static int socket_connect(const struct dial *d, const struct sockaddr_storage *to, int *ret_fd)
{
	int fd, err;

	if (d->local.ss_family != AF_UNSPEC && d->local.ss_family != to->ss_family)
		return -EAFNOSUPPORT;
	fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	socket_set_options(fd, d->keepalive_s);
	err = d->is_for_user && reserve_has(fd) ? -EMFILE : socket_bind(fd, &d->local);
	if (err == 0 && connect(fd, (const struct sockaddr *) to, addr_len(to)) < 0 &&
	    errno != EINPROGRESS && errno != EINTR)
		err = -errno;
	if (err < 0) {
		(void) close(fd); /* the error before is the one that counts */
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* 0: under way, also when connected at once: poll tells then. Else negated errno. */
static int attempt_start(struct dial *d, const struct sockaddr_storage *to)
{
	struct attempt *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	r = socket_connect(d, to, &a->fd);
	if (r < 0) {
		free(a);
		return r;
	}
	r = uv_poll_init(&d->loop->uv, &a->poll, a->fd);
	if (r < 0) {
		(void) close(a->fd); /* never used */
		free(a);
		return r;
	}
	a->dial = d;
	a->to = to;
	list_add_tail(&d->attempts, &a->link);
	/* Fails only on a handle that closes. */
	(void) uv_poll_start(&a->poll, UV_WRITABLE, on_attempt_ready);
	return 0;
}

/* -- the dial -- */

/* The address to try next; NULL: there is none. */
static const struct sockaddr_storage *dial_next_address(struct dial *d)
{
	const struct sockaddr_storage *to;

	while (d->n_tried < d->answer.n_addrs) {
		to = &d->answer.addrs[d->n_tried++];
		if (!d->is_known_tried || memcmp(to, &d->known, sizeof(*to)) != 0)
			return to;
	}
	if (d->known.ss_family == AF_UNSPEC || d->is_known_tried || d->answer.n_addrs > 0)
		return NULL;
	d->is_known_tried = true;
	return &d->known;
}

/* Start an attempt to the next address that lets itself be dialed. Ends the dial when none is under
 * way. */
static void dial_try_next(struct dial *d)
{
	const struct sockaddr_storage *to;
	int r;

	timer_stop(&d->happy);
	while ((to = dial_next_address(d)) != NULL) {
		r = attempt_start(d, to);
		if (r == 0) {
			if (d->n_tried < d->answer.n_addrs)
				timer_set(&d->happy, loop_now_ms(d->loop) + WAIT_HAPPY_MS);
			return;
		}
		dial_note_failure(d, to, r);
	}
	if (list_is_empty(&d->attempts))
		dial_end(d, &d->last, /* fd= */ -1);
}

static void on_happy(struct timer *t)
{
	dial_try_next(container_of(t, struct dial, happy));
}

static void on_resolved(void *arg, const struct resolve_answer *answer)
{
	struct dial *d = arg;

	d->lookup = NULL;
	if (answer->n_addrs == 0) {
		d->last.err = -ENOENT;
		d->last.why = answer->why;
	}
	d->answer = *answer;
	dial_try_next(d);
}

static void on_deadline(struct timer *t)
{
	struct dial *d = container_of(t, struct dial, deadline);

	if (list_is_empty(&d->attempts)) {
		d->last.why = "the name lookup took too long";
	} else {
		const struct attempt *a = container_of(d->attempts.prev, struct attempt, link);

		d->last.stage = DIAL_STAGE_CONNECT;
		d->last.why = why_of(-ETIMEDOUT, /* has_local= */ false);
		addr_print(a->to, d->last.addr, sizeof(d->last.addr));
	}
	d->last.err = -ETIMEDOUT;
	dial_end(d, &d->last, /* fd= */ -1);
}

/* A link-local address with its interface is understood here, too. 0 or -EINVAL. */
static int addr_parse(const char *ip, uint16_t port, struct sockaddr_storage *ret_sa)
{
	if (uv_ip4_addr(ip, port, (struct sockaddr_in *) ret_sa) == 0 ||
	    uv_ip6_addr(ip, port, (struct sockaddr_in6 *) ret_sa) == 0)
		return 0;
	return -EINVAL;
}

/* 0 or -EINVAL. */
static int dial_set_options(struct dial *d, const struct dial_options *o, uint16_t port)
{
	int err = 0;

	d->is_for_user = o->is_for_user;
	d->keepalive_s = o->keepalive_s < DIAL_KEEP_IDLE_MAX_S ? (int) o->keepalive_s
							       : DIAL_KEEP_IDLE_MAX_S;
	d->local.ss_family = AF_UNSPEC;
	d->known.ss_family = AF_UNSPEC;
	if (o->local_ip != NULL)
		err = addr_parse(o->local_ip, /* port= */ 0, &d->local);
	if (err == 0 && o->known_ip != NULL && o->known_ip[0] != '\0')
		err = addr_parse(o->known_ip, port, &d->known);
	return err;
}

int dial_start_with(struct loop *l, struct resolver *r, const struct dial_options *o,
		    const char *host, uint16_t port, uint64_t deadline_ms, dial_fn *on_done,
		    void *arg, struct dial **ret_d)
{
	struct dial *d = calloc(1, sizeof(*d));
	int err;

	if (d == NULL)
		return -ENOMEM;
	d->loop = l;
	d->on_done = on_done;
	d->arg = arg;
	list_init(&d->attempts);
	timer_init(&d->deadline, l, on_deadline);
	timer_init(&d->happy, l, on_happy);
	err = dial_set_options(d, o, port);
	if (err == 0)
		err = resolve_start(r, host, port, on_resolved, d, &d->lookup);
	if (err < 0) {
		free(d);
		return err;
	}
	timer_set(&d->deadline, deadline_ms);
	if (d->known.ss_family != AF_UNSPEC)
		timer_set(&d->happy, loop_now_ms(l) + WAIT_NAME_MS);
	*ret_d = d;
	return 0;
}

int dial_start(struct loop *l, struct resolver *r, const char *host, uint16_t port,
	       uint64_t deadline_ms, dial_fn *on_done, void *arg, struct dial **ret_d)
{
	const struct dial_options o = { .keepalive_s = DIAL_KEEPALIVE_S };

	return dial_start_with(l, r, &o, host, port, deadline_ms, on_done, arg, ret_d);
}

struct dial *dial_cancel(struct dial *d)
{
	if (d == NULL)
		return NULL;
	dial_stop(d);
	free(d);
	return NULL;
}
