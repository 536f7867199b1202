/* SPDX-License-Identifier: Apache-2.0 */
/* pxudp.c - datagrams between one work connection and local sockets. Floor 5. */
#include "agent/tunnel/pxudp.h"

#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/base/reserve.h"
#include "agent/base/timer.h"
#include "agent/net/resolve.h"
#include "agent/tunnel/udpline.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/wire/proxyhdr.h"

/* One user of the proxy; owned by pxudp. */
struct peer {
	struct pxudp *px;
	struct dgram_addr addr;
	struct list link; /* in peers, longest idle first */
	uint64_t used_ms;
	bool is_closing, has_said_who; /* the PROXY header went before the first datagram */
	uv_udp_t udp;
};

struct pxudp {
	struct udpline line;
	struct list peers;
	size_t n_peers; /* that are not closing */
	size_t n_handles;
	struct sockaddr_storage local;
	bool has_local;
	struct resolve *resolve;
	struct timer timer; /* the next Ping or the next idle peer */
	uint8_t datagram[]; /* packet_max: one in either direction, inside a callback */
};

static uint64_t pxudp_now(const struct pxudp *px)
{
	return loop_now_ms(px->line.joined.host->loop);
}

/* -- ending -- */

static void pxudp_free_if_done(struct pxudp *px)
{
	struct joined_host *h = px->line.joined.host;

	if (!px->line.is_ended || px->n_handles > 0)
		return;
	timer_stop(&px->timer);
	joined_remove(&px->line.joined);
	udpline_deinit(&px->line);
	free(px);
	joined_told(h);
}

static void peer_on_closed(uv_handle_t *handle)
{
	struct peer *peer = container_of((uv_udp_t *) handle, struct peer, udp);
	struct pxudp *px = peer->px;

	px->n_handles--;
	free(peer);
	pxudp_free_if_done(px);
}

static void peer_close(struct peer *peer)
{
	if (peer->is_closing)
		return;
	peer->is_closing = true;
	peer->px->n_peers--;
	list_del(&peer->link);
	uv_close((uv_handle_t *) &peer->udp, peer_on_closed);
}

/* The memory goes from the loop, never from inside a callback of ours. */
static void pxudp_on_free(struct timer *t)
{
	pxudp_free_if_done(container_of(t, struct pxudp, timer));
}

static void pxudp_end(struct joined *j, bool want_reset)
{
	struct pxudp *px = container_of(j, struct pxudp, line.joined);

	if (px->line.is_ended)
		return;
	px->line.is_ended = true;
	px->resolve = resolve_cancel(px->resolve);
	joined_leave(j, want_reset);
	while (!list_is_empty(&px->peers))
		peer_close(container_of(px->peers.next, struct peer, link));
	px->timer.on_due = pxudp_on_free;
	timer_set(&px->timer, pxudp_now(px));
}

/* -- up: to the server -- */

static void peer_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct peer *peer = container_of((uv_udp_t *) handle, struct peer, udp);
	struct pxudp *px = peer->px;

	(void) suggested;
	*buf = uv_buf_init((char *) px->datagram, (unsigned) px->line.packet_max);
}

static void pxudp_arm(struct pxudp *px);

static void peer_used(struct peer *peer)
{
	peer->used_ms = pxudp_now(peer->px);
	list_del(&peer->link);
	list_add_tail(&peer->px->peers, &peer->link);
}

static void peer_on_recv(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
			 unsigned flags)
{
	struct peer *peer = container_of(udp, struct peer, udp);
	struct pxudp *px = peer->px;

	(void) flags; /* UV_UDP_PARTIAL: cut to packet_max, as frpc does */
	if (peer->is_closing || px->line.is_ended || (n == 0 && from == NULL))
		return;
	if (n < 0) {
		proxy_on_local_error(px->line.joined.proxy, (int) n, uv_strerror((int) n));
		peer_close(peer); /* the user's next datagram opens another */
		return;
	}
	proxy_on_local_ok(px->line.joined.proxy);
	peer_used(peer);
	udpline_send(&px->line, &peer->addr, span_of(buf->base, (size_t) n));
}

/* -- down: from the server -- */

static struct peer *peer_find(struct pxudp *px, const struct dgram_addr *addr)
{
	struct list *l;
	struct peer *peer;

	for (l = px->peers.prev; l != &px->peers; l = l->prev) { /* the busiest are at the end */
		peer = container_of(l, struct peer, link);
		if (memcmp(&peer->addr, addr, sizeof(*addr)) == 0)
			return peer;
	}
	return NULL;
}

static struct peer *peer_new(struct pxudp *px, const struct dgram_addr *addr)
{
	struct peer *peer;
	int fd;

	if (px->n_peers >= LIMIT_UDP_PEERS)
		peer_close(container_of(px->peers.next, struct peer, link));
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL || uv_udp_init(&px->line.joined.host->loop->uv, &peer->udp) != 0)
		return mem_free(peer);
	peer->px = px;
	peer->addr = *addr;
	list_init(&peer->link);
	list_add_tail(&px->peers, &peer->link);
	px->n_peers++;
	px->n_handles++;
	if (uv_udp_connect(&peer->udp, (const struct sockaddr *) &px->local) != 0 ||
	    uv_fileno((const uv_handle_t *) &peer->udp, &fd) != 0 || reserve_has(fd) ||
	    uv_udp_recv_start(&peer->udp, peer_on_alloc, peer_on_recv) != 0) {
		peer_close(peer);
		return NULL;
	}
	return peer;
}

/* The PROXY header before the first datagram of each local socket, in one datagram with it. */
static size_t peer_header(struct peer *peer, uint8_t dst[static PROXYHDR_MAX])
{
	const struct conf_proxy *conf = peer->px->line.joined.proxy->conf;
	struct proxyhdr h = { .version = conf->proxy_protocol,
			      .is_udp = true,
			      .src_port = peer->addr.port };
	char src[TEXT_IP_CAP];
	size_t n = 0;

	if (peer->has_said_who || h.version == PROXYHDR_NONE)
		return 0;
	peer->has_said_who = true;
	text_format_ip(&peer->addr.ip, src);
	h.src_addr = src;
	h.dst_addr = conf->local_host;
	h.dst_port = conf->local_port;
	return proxyhdr_encode(&h, dst, &n) == 0 ? n : 0;
}

static void pxudp_on_dgram(struct udpline *l, const struct dgram *d)
{
	struct pxudp *px = container_of(l, struct pxudp, line);
	uint8_t header[PROXYHDR_MAX];
	struct peer *peer = peer_find(px, &d->remote);
	uv_buf_t bufs[2];
	int n;

	if (!px->has_local)
		return; /* the service's name is being looked up: dropped, as UDP may */
	if (peer == NULL)
		peer = peer_new(px, &d->remote);
	if (peer == NULL)
		return;
	peer_used(peer);
	bufs[0] = uv_buf_init((char *) header, (unsigned) peer_header(peer, header));
	bufs[1] = uv_buf_init((char *) (uintptr_t) d->payload.p, (unsigned) d->payload.len);
	n = uv_udp_try_send(&peer->udp, bufs, 2, NULL);
	if (n == UV_ECONNREFUSED) { /* of an earlier datagram: this one has not been sent */
		proxy_on_local_error(px->line.joined.proxy, n, uv_strerror(n));
		(void) uv_udp_try_send(&peer->udp, bufs, 2, NULL); /* its turn */
	}
	pxudp_arm(px);
}

/* -- time -- */

static void pxudp_arm(struct pxudp *px)
{
	uint64_t due_ms = px->line.ping_due_ms, idle_ms;

	if (!list_is_empty(&px->peers)) {
		idle_ms = container_of(px->peers.next, struct peer, link)->used_ms +
			  WAIT_UDP_IDLE_MS;
		due_ms = idle_ms < due_ms ? idle_ms : due_ms;
	}
	timer_set(&px->timer, due_ms);
}

static void pxudp_on_timer(struct timer *t)
{
	struct pxudp *px = container_of(t, struct pxudp, timer);
	struct peer *peer;

	while (!list_is_empty(&px->peers)) {
		peer = container_of(px->peers.next, struct peer, link);
		if (peer->used_ms + WAIT_UDP_IDLE_MS > pxudp_now(px))
			break;
		peer_close(peer);
	}
	if (px->line.ping_due_ms <= pxudp_now(px))
		udpline_ping(&px->line, pxudp_now(px));
	pxudp_arm(px);
}

/* -- starting -- */

static void pxudp_on_resolved(void *arg, const struct resolve_answer *a)
{
	struct pxudp *px = arg;

	px->resolve = NULL;
	if (a->n_addrs == 0) {
		proxy_on_local_error(px->line.joined.proxy, -EADDRNOTAVAIL, a->why);
		pxudp_end(&px->line.joined, /* want_reset= */ false);
		return;
	}
	px->local = a->addrs[0];
	px->has_local = true;
}

static int pxudp_find_local(struct pxudp *px)
{
	const struct proxy *p = px->line.joined.proxy;

	px->has_local = p->has_local_addr;
	px->local = p->local_addr;
	if (px->has_local)
		return 0;
	return resolve_start(px->line.joined.host->resolver, p->conf->local_host,
			     p->conf->local_port, pxudp_on_resolved, px, &px->resolve);
}

static const char *pxudp_name(const struct udpline *l)
{
	return l->joined.proxy->conf->name;
}

int pxudp_start(struct joined_host *h, struct end up, const struct pxudp_params *p)
{
	static const struct udpline_ops ops = { .on_dgram = pxudp_on_dgram, .name = pxudp_name };
	static const struct end_user_ops user_ops = {
		.on_data = udpline_on_data,
		.on_fin = udpline_on_fin,
		.on_rst = udpline_on_rst,
		.on_turn = udpline_on_turn,
	};
	size_t packet_max = p->packet_max < LIMIT_UDP_PACKET ? p->packet_max : LIMIT_UDP_PACKET;
	struct pxudp *px = calloc(1, sizeof(*px) + packet_max);
	int err;

	if (px == NULL)
		return -ENOMEM;
	px->line.ops = &ops;
	px->line.user.ops = &user_ops;
	px->line.form = p->form;
	px->line.packet_max = packet_max;
	px->line.datagram = px->datagram;
	px->line.joined.host = h;
	px->line.joined.proxy = p->proxy;
	err = pxudp_find_local(px);
	if (err != 0) {
		free(px);
		return err;
	}
	udpline_init(&px->line, pxudp_now(px));
	list_init(&px->peers);
	timer_init(&px->timer, h->loop, pxudp_on_timer);
	joined_add(&px->line.joined, h, p->proxy, up, &px->line.user, pxudp_end);
	pxudp_arm(px);
	return 0;
}
