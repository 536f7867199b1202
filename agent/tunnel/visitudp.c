/* SPDX-License-Identifier: Apache-2.0 */
/* visitudp.c - datagrams between local users and one visit. Floor 5. */
#include "agent/tunnel/visitudp.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/tunnel/udpline.h"
#include "agent/tunnel/visitor.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

/* One user of the port; owned by visitudp. */
struct asker {
	struct list link; /* in askers, longest idle first */
	struct dgram_addr addr;
	struct sockaddr_storage at;
};

/* One visit; its memory goes from the loop when it has ended. */
struct udpvisit {
	struct udpline line;
	struct visitudp *owner; /* not ended yet: borrowed */
	uint64_t heard_ms;
	struct timer timer; /* the next Ping, or the end of patience */
	uint8_t datagram[]; /* line.packet_max */
};

struct visitudp {
	struct visitor *visitor; /* borrowed: outlives us */
	struct loop *loop;
	struct udpvisit *visit; /* NULL: IDLE */
	uint64_t again_ms;	/* no visit is asked for before */
	struct list askers;
	size_t n_askers;
	bool is_closing;
	uv_udp_t udp;
};

static size_t packet_max(const struct conf *c)
{
	return c->udp_packet_size < LIMIT_UDP_PACKET ? c->udp_packet_size : LIMIT_UDP_PACKET;
}

/* -- users -- */

static void asker_free(struct visitudp *vu, struct asker *a)
{
	list_del(&a->link);
	vu->n_askers--;
	free(a);
}

static struct asker *asker_find(const struct visitudp *vu, const struct dgram_addr *addr)
{
	struct asker *a;

	for (struct list *l = vu->askers.prev; l != &vu->askers;
	     l = l->prev) { /* the busiest are at the end */
		a = container_of(l, struct asker, link);
		if (memcmp(&a->addr, addr, sizeof(*addr)) == 0)
			return a;
	}
	return NULL;
}

/* He has sent something. NULL: no memory. */
static struct asker *asker_note(struct visitudp *vu, const struct dgram_addr *addr,
				const struct sockaddr *at)
{
	struct asker *a = asker_find(vu, addr);

	if (a == NULL) {
		if (vu->n_askers >= LIMIT_UDP_PEERS)
			asker_free(vu, container_of(vu->askers.next, struct asker, link));
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return NULL;
		a->addr = *addr;
		memcpy(&a->at, at,
		       at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						 : sizeof(struct sockaddr_in));
		list_init(&a->link);
		vu->n_askers++;
	}
	list_del(&a->link);
	list_add_tail(&vu->askers, &a->link);
	return a;
}

static void addr_of(const struct sockaddr *at, struct dgram_addr *ret_addr)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *) (const void *) at;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) (const void *) at;
	char name[IF_NAMESIZE];

	memset(ret_addr, 0, sizeof(*ret_addr)); /* equal addresses are equal bytes */
	if (at->sa_family == AF_INET) {
		ret_addr->ip = text_ip_of((const uint8_t *) &v4->sin_addr, 4);
		ret_addr->port = ntohs(v4->sin_port);
		return;
	}
	ret_addr->ip = text_ip_of((const uint8_t *) &v6->sin6_addr, 16);
	ret_addr->port = ntohs(v6->sin6_port);
	if (v6->sin6_scope_id != 0 && if_indextoname(v6->sin6_scope_id, name) != NULL)
		memcpy(ret_addr->zone, name, strnlen(name, sizeof(name) - 1));
}

/* -- the visit ends -- */

/* The memory goes from the loop, never from inside a callback of the line. */
static void udpvisit_on_free(struct timer *t)
{
	struct udpvisit *visit = container_of(t, struct udpvisit, timer);
	struct joined_host *h = visit->line.joined.host;

	joined_remove(&visit->line.joined);
	udpline_deinit(&visit->line);
	free(visit);
	joined_told(h);
}

static void udpvisit_end(struct joined *j, bool want_reset)
{
	struct udpvisit *visit = container_of(j, struct udpvisit, line.joined);

	if (visit->line.is_ended)
		return;
	visit->line.is_ended = true;
	visit->owner->visit = NULL;
	visit->owner = NULL;
	joined_leave(j, want_reset);
	visit->timer.on_due = udpvisit_on_free;
	timer_set(&visit->timer, loop_now_ms(j->host->loop));
}

static void udpvisit_on_refused(struct end_user *u, const char *text)
{
	struct udpvisit *visit = container_of(u, struct udpvisit, line.user);
	struct visitudp *vu = visit->owner;

	vu->again_ms = loop_now_ms(vu->loop) + WAIT_UDP_AGAIN_MS;
	visitor_refused(vu->visitor, text);
	joined_drop(&visit->line.joined);
	udpvisit_end(&visit->line.joined, /* want_reset= */ false);
}

/* -- the visit -- */

static void udpvisit_arm(struct udpvisit *visit)
{
	uint64_t end_ms = visit->heard_ms + WAIT_UDP_VISIT_MS;

	timer_set(&visit->timer,
		  end_ms < visit->line.ping_due_ms ? end_ms : visit->line.ping_due_ms);
}

static void udpvisit_on_timer(struct timer *t)
{
	struct udpvisit *visit = container_of(t, struct udpvisit, timer);
	uint64_t now_ms = loop_now_ms(visit->line.joined.host->loop);

	if (visit->heard_ms + WAIT_UDP_VISIT_MS <= now_ms) {
		log_debug(visit->owner->loop->log, "visit closed, nothing was received", "visitor",
			  visit->owner->visitor->conf->name);
		udpvisit_end(&visit->line.joined, /* want_reset= */ false);
		return;
	}
	if (visit->line.ping_due_ms <= now_ms)
		udpline_ping(&visit->line, now_ms);
	udpvisit_arm(visit);
}

static void udpvisit_on_open(struct end_user *u)
{
	struct udpvisit *visit = container_of(u, struct udpvisit, line.user);

	if (visitor_answered(visit->owner->visitor, &visit->line.joined.up) != 0) {
		udpvisit_end(&visit->line.joined, /* want_reset= */ true);
		return;
	}
	end_set_user(visit->line.joined.up, u);
	visit->heard_ms = loop_now_ms(visit->owner->loop);
	visit->line.is_waiting = false;
	udpvisit_arm(visit);
	udpline_flush(&visit->line);
}

static void udpvisit_on_data(struct end_user *u, struct span data)
{
	struct udpvisit *visit = container_of(u, struct udpvisit, line.user);

	visit->heard_ms = loop_now_ms(visit->line.joined.host->loop);
	udpline_on_data(u, data);
}

static void udpvisit_on_dgram(struct udpline *l, const struct dgram *d)
{
	struct visitudp *vu = container_of(l, struct udpvisit, line)->owner;
	const struct asker *a = asker_find(vu, &d->remote);
	uv_buf_t buf = uv_buf_init((char *) (uintptr_t) d->payload.p, (unsigned) d->payload.len);

	if (a != NULL) /* what the socket does not take is dropped, as UDP may */
		(void) uv_udp_try_send(&vu->udp, &buf, 1, (const struct sockaddr *) &a->at);
}

static const char *udpvisit_name(const struct udpline *l)
{
	return container_of(l, const struct udpvisit, line)->owner->visitor->conf->name;
}

/* Ask for one. NULL: not now. */
static struct udpvisit *udpvisit_new(struct visitudp *vu)
{
	static const struct udpline_ops ops = { .on_dgram = udpvisit_on_dgram,
						.name = udpvisit_name };
	static const struct end_user_ops user_ops = {
		.on_data = udpvisit_on_data,
		.on_fin = udpline_on_fin,
		.on_rst = udpline_on_rst,
		.on_turn = udpline_on_turn,
		.on_open = udpvisit_on_open,
		.on_refused = udpvisit_on_refused,
	};
	const struct conf *conf = vu->visitor->whole;
	struct udpvisit *visit;
	struct end e;

	visit = calloc(1, sizeof(*visit) + packet_max(conf));
	if (visit == NULL || visitor_open(vu->visitor, &e) != 0)
		return mem_free(visit);
	visit->owner = vu;
	visit->line.ops = &ops;
	visit->line.user.ops = &user_ops;
	/* binary is never offered */
	visit->line.form = conf->wire == WIRE_V1 ? DGRAM_V1 : DGRAM_V2;
	visit->line.packet_max = packet_max(conf);
	visit->line.datagram = visit->datagram;
	visit->line.is_waiting = true;
	udpline_init(&visit->line, loop_now_ms(vu->loop));
	timer_init(&visit->timer, vu->loop, udpvisit_on_timer);
	joined_add(&visit->line.joined, vu->visitor->host->users, /* proxy= */ NULL, e,
		   &visit->line.user, udpvisit_end);
	return visit;
}

/* -- the port -- */

static void visitudp_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct visitudp *vu = container_of((uv_udp_t *) handle, struct visitudp, udp);

	(void) suggested;
	*buf = uv_buf_init((char *) vu->loop->cipher_buf,
			   (unsigned) packet_max(vu->visitor->whole));
}

static void visitudp_on_recv(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf,
			     const struct sockaddr *from, unsigned flags)
{
	struct visitudp *vu = container_of(udp, struct visitudp, udp);
	struct dgram_addr addr;

	(void) flags; /* UV_UDP_PARTIAL: cut to udpPacketSize, as frpc does */
	if (vu->is_closing || n < 0 || from == NULL)
		return; /* an error is the word of an answer that could not be delivered */
	if (vu->visit == NULL && loop_now_ms(vu->loop) >= vu->again_ms)
		vu->visit = udpvisit_new(vu);
	addr_of(from, &addr);
	if (vu->visit == NULL || asker_note(vu, &addr, from) == NULL)
		return;
	udpline_send(&vu->visit->line, &addr, span_of(buf->base, (size_t) n));
}

static void visitudp_on_closed(uv_handle_t *handle)
{
	free(container_of((uv_udp_t *) handle, struct visitudp, udp));
}

static int visitudp_bind(struct visitudp *vu, const struct conf_visitor *c)
{
	struct sockaddr_storage ss;
	int err;

	memset(&ss, 0, sizeof(ss));
	if (uv_ip4_addr(c->bind_host, c->bind_port, (struct sockaddr_in *) &ss) != 0 &&
	    uv_ip6_addr(c->bind_host, c->bind_port, (struct sockaddr_in6 *) &ss) != 0)
		return -EINVAL;
	err = uv_udp_bind(&vu->udp, (const struct sockaddr *) &ss, /* flags= */ 0);
	return err != 0 ? err : uv_udp_recv_start(&vu->udp, visitudp_on_alloc, visitudp_on_recv);
}

int visitudp_new(struct visitudp **ret_vu, struct visitor *v)
{
	struct visitudp *vu = calloc(1, sizeof(*vu));
	int err;

	if (vu == NULL)
		return -ENOMEM;
	vu->visitor = v;
	vu->loop = v->host->loop;
	list_init(&vu->askers);
	err = uv_udp_init(&vu->loop->uv, &vu->udp);
	if (err != 0) {
		free(vu);
		return err;
	}
	err = visitudp_bind(vu, v->conf);
	if (err != 0) {
		(void) visitudp_free(vu);
		return err;
	}
	*ret_vu = vu;
	return 0;
}

struct visitudp *visitudp_free(struct visitudp *vu)
{
	if (vu == NULL)
		return NULL;
	vu->is_closing = true;
	if (vu->visit != NULL)
		udpvisit_end(&vu->visit->line.joined, /* want_reset= */ false);
	while (!list_is_empty(&vu->askers))
		asker_free(vu, container_of(vu->askers.next, struct asker, link));
	uv_close((uv_handle_t *) &vu->udp, visitudp_on_closed);
	return NULL;
}
