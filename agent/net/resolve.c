/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - names to addresses with c-ares (1.18 and 1.34); no getaddrinfo, no name-service
 * modules, no cache. Floor 4.
 *
 * Each lookup has a channel of its own: it reads /etc/resolv.conf and /etc/hosts anew, so a changed
 * file counts at once, and servers that failed are not remembered against the next try. Lookups are
 * forced to files, then DNS ("fb"), because c-ares too would obey an nsswitch.conf that knows
 * neither. A user callback runs only from an end-of-turn task: never inside c-ares, which must not
 * lose its channel there, and never inside resolve_start(). */
#include "agent/net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <ares.h>
#include <uv.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/base/text.h"

#define RESOLVE_TRIES 2
/* c-ares doubles it for the second try: 4.5 s with one server, below WAIT_DNS_MS. */
#define RESOLVE_TRY_MS 1500
#define RESOLVE_SERVERS_MAX 256

struct resolver {
	struct loop *loop;
	struct list lookups; /* struct resolve, owned */
	char servers[RESOLVE_SERVERS_MAX];
};

struct resolve {
	struct loop *loop;
	struct list link;
	resolve_fn *on_done;
	void *arg;
	uint16_t port;
	uint64_t deadline_ms;
	struct timer timer;	 /* the next try of c-ares, or the deadline */
	struct loop_task finish; /* queued once the answer is known */
	struct list sockets;	 /* struct resolve_socket; c-ares closes them with the channel */
	ares_channel channel;	 /* NULL: answered in code */
	bool is_over;		 /* what c-ares still says counts no more */
	bool is_left;		 /* nobody waits for the answer */
	uint64_t over_ms;	 /* when it came */
	struct resolve_answer answer;
	char host[];
};

/* One socket of c-ares. Frees itself when its handle has closed, which may be after its lookup. */
struct resolve_socket {
	uv_poll_t poll;
	struct list link;
	struct resolve *lookup; /* borrowed: has the channel that closes this first */
	ares_socket_t fd;
};

static const char *why_of(int status)
{
	switch (status) {
	case ARES_ENOTFOUND: return "no such name";
	case ARES_ENODATA: return "the name has no address";
	case ARES_ETIMEOUT: return "DNS timeout: no DNS server answers";
	case ARES_ESERVFAIL:
	case ARES_ECONNREFUSED: /* c-ares 1.18 says it for SERVFAIL too */
		return "no DNS server can be reached, or each of them failed";
	case ARES_EREFUSED: return "the DNS server refused to answer";
	case ARES_EBADNAME: return "not a valid name";
	case ARES_ENOMEM: return "out of memory";
	case ARES_EFORMERR:
	case ARES_EBADRESP: return "the DNS server's answer is damaged";
	case ARES_EFILE: return "the resolver's files cannot be read";
	default: return "DNS lookup failed";
	}
}

static void resolve_end(struct resolve *q, const char *why)
{
	if (q->is_over)
		return;
	q->is_over = true;
	q->over_ms = loop_now_ms(q->loop);
	q->answer.why = q->answer.n_addrs > 0 ? NULL : why;
	loop_task_queue(q->loop, &q->finish);
}

/* Nothing is asked any more. */
static void resolve_stop(struct resolve *q)
{
	q->is_over = true;
	timer_stop(&q->timer);
	loop_task_cancel(&q->finish);
	if (q->channel != NULL)
		ares_destroy(q->channel); /* closes its sockets; its callback finds is_over */
	q->channel = NULL;
}

static void on_finish(struct loop_task *t)
{
	struct resolve *q = container_of(t, struct resolve, finish);

	resolve_stop(q);
	if (q->is_left)
		return; /* stays in the list, for the next who asks */
	list_del(&q->link);
	q->on_done(q->arg, &q->answer);
	free(q);
}

/* -- answers -- */

static void answer_add(struct resolve *q, const void *sa, size_t len)
{
	struct sockaddr_storage *to = &q->answer.addrs[q->answer.n_addrs];

	if (q->answer.n_addrs == RESOLVE_ADDRS_MAX)
		return;
	q->answer.n_addrs++;
	memcpy(to, sa, len);
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *) to)->sin6_port = htons(q->port);
	else
		((struct sockaddr_in *) to)->sin_port = htons(q->port);
}

static void answer_add_ipv4(struct resolve *q, struct in_addr ip)
{
	const struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = ip };

	answer_add(q, &sa, sizeof(sa));
}

static void answer_add_ipv6(struct resolve *q, struct in6_addr ip, uint32_t scope)
{
	const struct sockaddr_in6 sa = { .sin6_family = AF_INET6,
					 .sin6_addr = ip,
					 .sin6_scope_id = scope };

	answer_add(q, &sa, sizeof(sa));
}

static const struct ares_addrinfo_node *next_of(const struct ares_addrinfo_node *n, int family)
{
	while (n != NULL && n->ai_family != family)
		n = n->ai_next;
	return n;
}

/* RFC 8305 4: the families in turn, IPv6 first, so that one dead family costs one delay. */
static void answer_add_nodes(struct resolve *q, const struct ares_addrinfo_node *nodes)
{
	const struct ares_addrinfo_node *v6 = next_of(nodes, AF_INET6),
					*v4 = next_of(nodes, AF_INET);

	while (v6 != NULL || v4 != NULL) {
		if (v6 != NULL) {
			answer_add(q, v6->ai_addr, sizeof(struct sockaddr_in6));
			v6 = next_of(v6->ai_next, AF_INET6);
		}
		if (v4 != NULL) {
			answer_add(q, v4->ai_addr, sizeof(struct sockaddr_in));
			v4 = next_of(v4->ai_next, AF_INET);
		}
	}
}

/* "localhost" and all names below (RFC 6761 6.3): a container may have no /etc/hosts. */
static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), name_len = sizeof(name) - 1;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len < name_len || strncasecmp(host + len - name_len, name, name_len) != 0)
		return false;
	return len == name_len || host[len - name_len - 1] == '.';
}

/* The number behind "%" of a link-local address: an interface's name or index. 0: there is no such
 * interface. */
static uint32_t scope_of(const char *zone)
{
	uint64_t n;

	if (text_parse_u64(zone, 1, UINT32_MAX, &n) == 0)
		return (uint32_t) n;
	return if_nametoindex(zone);
}

/* What needs no DNS. True: the answer, good or bad, is in @q. */
static bool resolve_in_code(struct resolve *q, const char *host)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(host, "%");
	struct in6_addr v6;
	struct in_addr v4;

	if (is_localhost(host)) {
		answer_add_ipv6(q, in6addr_loopback, 0);
		answer_add_ipv4(q, (struct in_addr){ .s_addr = htonl(INADDR_LOOPBACK) });
		resolve_end(q, NULL);
		return true;
	}
	if (inet_pton(AF_INET, host, &v4) == 1) {
		answer_add_ipv4(q, v4);
		resolve_end(q, NULL);
		return true;
	}
	if (len >= sizeof(address))
		return false;
	memcpy(address, host, len);
	address[len] = '\0';
	if (inet_pton(AF_INET6, address, &v6) != 1)
		return false;
	if (host[len] == '\0')
		answer_add_ipv6(q, v6, 0);
	else if (scope_of(host + len + 1) != 0)
		answer_add_ipv6(q, v6, scope_of(host + len + 1));
	resolve_end(q, "the address names a network interface that does not exist");
	return true;
}

/* -- c-ares -- */

/* Wait for whatever comes first: c-ares' next try or our deadline. */
static void resolve_rearm(struct resolve *q)
{
	struct timeval tv;
	uint64_t due_ms = q->deadline_ms;

	if (q->is_over)
		return;
	if (ares_timeout(q->channel, /* maxtv= */ NULL, &tv) != NULL) {
		uint64_t ms = (uint64_t) tv.tv_sec * 1000 + ((uint64_t) tv.tv_usec + 999) / 1000;

		if (loop_now_ms(q->loop) + ms < due_ms)
			due_ms = loop_now_ms(q->loop) + ms;
	}
	timer_set(&q->timer, due_ms);
}

static void on_timer(struct timer *t)
{
	struct resolve *q = container_of(t, struct resolve, timer);

	if (loop_now_ms(q->loop) >= q->deadline_ms) {
		resolve_end(q, why_of(ARES_ETIMEOUT));
		return;
	}
	ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolve_rearm(q);
}

static void on_socket_closed(uv_handle_t *h)
{
	free(container_of(h, struct resolve_socket, poll));
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
	struct resolve_socket *s = container_of(poll, struct resolve_socket, poll);
	struct resolve *q = s->lookup;
	bool can_read = status < 0 || (events & UV_READABLE),
	     can_write = status < 0 || (events & UV_WRITABLE);

	/* @s may be gone after this. */
	ares_process_fd(q->channel, can_read ? s->fd : ARES_SOCKET_BAD,
			can_write ? s->fd : ARES_SOCKET_BAD);
	resolve_rearm(q);
}

static struct resolve_socket *socket_find(struct resolve *q, ares_socket_t fd)
{
	for (struct list *l = q->sockets.next; l != &q->sockets; l = l->next) {
		struct resolve_socket *s = container_of(l, struct resolve_socket, link);

		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static struct resolve_socket *socket_new(struct resolve *q, ares_socket_t fd)
{
	struct resolve_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (uv_poll_init_socket(&q->loop->uv, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->lookup = q;
	s->fd = fd;
	list_add_tail(&q->sockets, &s->link);
	return s;
}

/* c-ares tells what it waits for on @fd; nothing: it is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolve *q = arg;
	struct resolve_socket *s = socket_find(q, fd);

	if (!readable && !writable) {
		if (s == NULL)
			return;
		list_del(&s->link);
		uv_close((uv_handle_t *) &s->poll, on_socket_closed);
		return;
	}
	if (s == NULL)
		s = socket_new(q, fd);
	if (s == NULL)
		resolve_end(q, why_of(ARES_ENOMEM));
	else
		(void) uv_poll_start(&s->poll,
				     (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
				     on_socket_ready); /* fails only on a closing handle */
}

static void on_addrinfo(void *arg, int status, int n_timeouts, struct ares_addrinfo *info)
{
	struct resolve *q = arg;

	(void) n_timeouts;
	if (!q->is_over && status == ARES_SUCCESS)
		answer_add_nodes(q, info->nodes);
	if (info != NULL)
		ares_freeaddrinfo(info);
	resolve_end(q, why_of(status == ARES_SUCCESS ? ARES_ENODATA : status));
}

/* 0 or a status of c-ares. */
static int channel_open(struct resolve *q, const char *servers)
{
	char lookups[] = "fb"; /* files, then DNS ("bind") */
	struct ares_options options = {
		.timeout = RESOLVE_TRY_MS,
		.tries = RESOLVE_TRIES,
		.lookups = lookups,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = q,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
	int status;

#ifdef ARES_OPT_QUERY_CACHE
	/* 1.34 has a cache, useless for one lookup; 1.34.5 leaks a little in it without memory. */
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	status = ares_init_options(&q->channel, &options, mask);
	if (status != ARES_SUCCESS) {
		q->channel = NULL;
		return status;
	}
	return servers[0] != '\0' ? ares_set_servers_ports_csv(q->channel, servers) : 0;
}

/* Both families at once; no service name, so nothing asks /etc/services; unsorted, since we race
 * them ourselves. */
static void resolve_ask(struct resolve *q, const char *host)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	ares_getaddrinfo(q->channel, host, /* service= */ NULL, &hints, on_addrinfo, q);
	resolve_rearm(q);
}

/* -- life -- */

int resolver_new(struct resolver **ret_r, struct loop *l)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(r);
		return -ENOMEM;
	}
	r->loop = l;
	list_init(&r->lookups);
	*ret_r = r;
	return 0;
}

int resolver_set_servers(struct resolver *r, const char *csv)
{
	size_t len = csv != NULL ? strlen(csv) : 0;

	if (len >= sizeof(r->servers))
		return -EINVAL;
	memcpy(r->servers, csv != NULL ? csv : "", len + 1);
	return 0;
}

struct resolver *resolver_free(struct resolver *r)
{
	if (r == NULL)
		return NULL;
	while (!list_is_empty(&r->lookups))
		(void) resolve_cancel(container_of(r->lookups.next, struct resolve, link));
	ares_library_cleanup();
	free(r);
	return NULL;
}

/* A lookup that somebody has left, under way or with an answer to use; those of no use end. NULL:
 * there is none. */
static struct resolve *resolver_find_left(struct resolver *r, const char *host, uint16_t port)
{
	struct list *next;

	for (struct list *l = r->lookups.next; l != &r->lookups; l = next) {
		struct resolve *q = container_of(l, struct resolve, link);

		next = l->next;
		if (!q->is_left || q->port != port || strcmp(q->host, host) != 0)
			continue;
		if (!q->is_over)
			return q;
		if (q->answer.n_addrs > 0 && loop_now_ms(r->loop) - q->over_ms <= WAIT_NAME_KEPT_MS)
			return q;
		(void) resolve_cancel(q);
	}
	return NULL;
}

static void resolve_join(struct resolve *q, resolve_fn *on_done, void *arg)
{
	q->is_left = false;
	q->on_done = on_done;
	q->arg = arg;
	if (q->is_over)
		loop_task_queue(q->loop, &q->finish);
}

int resolve_start(struct resolver *r, const char *host, uint16_t port, resolve_fn *on_done,
		  void *arg, struct resolve **ret_q)
{
	struct resolve *q = resolver_find_left(r, host, port);
	int status;

	if (q != NULL) {
		resolve_join(q, on_done, arg);
		*ret_q = q;
		return 0;
	}
	q = calloc(1, sizeof(*q) + strlen(host) + 1);
	if (q == NULL)
		return -ENOMEM;
	memcpy(q->host, host, strlen(host) + 1);
	q->loop = r->loop;
	q->on_done = on_done;
	q->arg = arg;
	q->port = port;
	q->deadline_ms = loop_now_ms(r->loop) + WAIT_DNS_MS;
	list_init(&q->sockets);
	timer_init(&q->timer, r->loop, on_timer);
	loop_task_init(&q->finish, on_finish);
	list_add_tail(&r->lookups, &q->link);
	if (!resolve_in_code(q, host)) {
		status = channel_open(q, r->servers);
		if (status == ARES_ENOMEM) {
			resolve_cancel(q);
			return -ENOMEM;
		}
		if (status != ARES_SUCCESS)
			resolve_end(q, "the DNS settings cannot be read");
		else
			resolve_ask(q, host);
	}
	*ret_q = q;
	return 0;
}

struct resolve *resolve_cancel(struct resolve *q)
{
	if (q == NULL)
		return NULL;
	resolve_stop(q);
	list_del(&q->link);
	free(q);
	return NULL;
}

struct resolve *resolve_leave(struct resolve *q)
{
	if (q == NULL || q->channel == NULL)
		return resolve_cancel(q);
	q->is_left = true;
	return NULL;
}
