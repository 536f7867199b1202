/* SPDX-License-Identifier: Apache-2.0 */
/* udpline.c - datagrams as messages over a struct end. Floor 5. */
#include "agent/tunnel/udpline.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

void udpline_init(struct udpline *l, uint64_t now_ms)
{
	chan_init(&l->in, udpline_wire(l), /* out_max= */ 0);
	buf_init(&l->out, LIMIT_UDP_OUT);
	l->ping_due_ms = now_ms + WAIT_UDP_PING_MS;
}

void udpline_deinit(struct udpline *l)
{
	chan_deinit(&l->in);
	buf_deinit(&l->out);
}

/* -- to the server -- */

void udpline_flush(struct udpline *l)
{
	struct span s;
	uint8_t *dst;
	size_t cap;

	while (!l->is_waiting && !l->is_ended && (s = buf_span(&l->out)).len > 0) {
		if (end_reserve(l->joined.up, &dst, &cap) != 0)
			return; /* udpline_on_turn() goes on */
		if (cap > s.len)
			cap = s.len;
		memcpy(dst, s.p, cap);
		end_commit(l->joined.up, cap);
		buf_eat(&l->out, cap);
	}
}

void udpline_send(struct udpline *l, const struct dgram_addr *addr, struct span payload)
{
	struct dgram d = { .remote = *addr, .payload = payload };

	joined_count_up(&l->joined, payload.len);
	(void) dgram_encode(l->form, &d, &l->out); /* no room, or too long for the wire: dropped */
	udpline_flush(l);
}

void udpline_ping(struct udpline *l, uint64_t now_ms)
{
	struct msg m = { .type = MSG_PING };

	l->ping_due_ms = now_ms + WAIT_UDP_PING_MS;
	(void) frame_encode(udpline_wire(l), &m, &l->out); /* full: data is life, too */
	udpline_flush(l);
}

/* -- from the server -- */

void udpline_on_data(struct end_user *u, struct span data)
{
	struct udpline *l = container_of(u, struct udpline, user);
	const char *why = NULL;
	size_t n = data.len;
	struct frame f;
	struct dgram d;
	int err;

	while ((err = chan_next_frame(&l->in, &data, &f)) == 0) {
		if (f.kind == FRAME_MESSAGE && f.type != MSG_UDP_PACKET)
			continue; /* the other side's Ping, or what means nothing here */
		err = dgram_decode(l->form, &f, l->datagram, l->packet_max, &d, &why);
		if (err == DGRAM_E_LONG)
			continue; /* longer than udpPacketSize: dropped */
		if (err != 0)
			break;
		joined_count_down(&l->joined, d.payload.len);
		l->ops->on_dgram(l, &d);
	}
	if (err != CHAN_E_MORE) {
		log_debug(l->joined.host->loop->log, "udp work connection closed", "proxy",
			  l->ops->name(l), "error", why != NULL ? why : l->in.why);
		l->joined.end(&l->joined, /* want_reset= */ true);
		return;
	}
	end_consume(l->joined.up, n);
}

void udpline_on_fin(struct end_user *u)
{
	struct udpline *l = container_of(u, struct udpline, user);

	l->joined.end(&l->joined, /* want_reset= */ false);
}

void udpline_on_rst(struct end_user *u)
{
	struct udpline *l = container_of(u, struct udpline, user);

	l->joined.end(&l->joined, /* want_reset= */ true);
}

void udpline_on_turn(struct end_user *u, size_t quantum)
{
	(void) quantum; /* small messages; the queue is bounded */
	udpline_flush(container_of(u, struct udpline, user));
}
