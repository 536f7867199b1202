/* SPDX-License-Identifier: Apache-2.0 */
/* dgram.c - one UDP datagram of a user as a frame. Floor 1.
 *
 * Binary body: flags u8 (1: local address there, 2: remote, which must be), the addresses, local
 * first: family u8 (4 or 6), 4 or 16 bytes, port u16, length of the zone u8, zone; then the length
 * of the payload u16 and the payload. */
#include "proto/wire/dgram.h"

#include <string.h>

#include "proto/base/base64.h"
#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

enum { HAS_LOCAL = 1, HAS_REMOTE = 2 };
enum { FAMILY_4 = 4, FAMILY_6 = 6 };

/* -- encoding -- */

static int json_encode(enum wire wire, const struct dgram *d, struct buf *out)
{
	size_t cap = BASE64_LEN(d->payload.len) + 1;
	char ip[TEXT_IP_CAP], *content;
	struct msg m = { .type = MSG_UDP_PACKET };
	int r;

	if (cap > LIMIT_V2_BODY)
		return DGRAM_E_LONG;
	content = malloc(cap);
	if (content == NULL)
		return -ENOMEM;
	base64_encode(d->payload, content, cap);
	text_format_ip(&d->remote.ip, ip);
	m.udp_packet.content = content;
	m.udp_packet.remote = (struct msg_addr){
		.is_set = true,
		.ip = ip,
		.zone = d->remote.zone,
		.port = d->remote.port,
	};
	r = frame_encode(wire, &m, out);
	free(content);
	return r == FRAME_E_BAD ? DGRAM_E_LONG : r; /* BUF_E_FULL is ours as well */
}

static int binary_encode(const struct dgram *d, struct buf *out)
{
	const struct dgram_addr *a = &d->remote;
	size_t zone_len = strlen(a->zone);
	size_t len = 1 + 1 + (size_t) a->ip.len + 2 + 1 + zone_len + 2 + d->payload.len;
	uint8_t *p;
	int r;

	if (d->payload.len > LIMIT_UDP_PACKET || len + 2 > LIMIT_V2_BODY)
		return DGRAM_E_LONG;
	r = buf_reserve(out, FRAME_UDP_HEADER_LEN + len, &p);
	if (r != 0)
		return r;
	frame_put_udp(p, len);
	p += FRAME_UDP_HEADER_LEN;
	*p++ = HAS_REMOTE;
	*p++ = a->ip.len == 4 ? FAMILY_4 : FAMILY_6;
	memcpy(p, a->ip.bytes, a->ip.len);
	p += a->ip.len;
	bytes_put_u16(p, a->port);
	p[2] = (uint8_t) zone_len;
	memcpy(p + 3, a->zone, zone_len);
	p += 3 + zone_len;
	bytes_put_u16(p, (uint16_t) d->payload.len);
	if (d->payload.len > 0)
		memcpy(p + 2, d->payload.p, d->payload.len);
	buf_commit(out, FRAME_UDP_HEADER_LEN + len);
	return 0;
}

int dgram_encode(enum dgram_form form, const struct dgram *d, struct buf *out)
{
	MUST(d->remote.ip.len == 4 || d->remote.ip.len == 16);
	if (form == DGRAM_BINARY)
		return binary_encode(d, out);
	return json_encode(form == DGRAM_V1 ? WIRE_V1 : WIRE_V2, d, out);
}

/* -- decoding -- */

static int dgram_bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return DGRAM_E_BAD;
}

/* Bytes of a base64 text, if it is one. */
static size_t content_len(struct span text)
{
	size_t n = text.len / 4 * 3;

	for (size_t i = 1; i <= 2 && i <= n && text.p[text.len - i] == '='; i++)
		n--;
	return n;
}

/* 0, or DGRAM_E_BAD. */
static int zone_set(struct dgram_addr *a, struct span zone)
{
	if (zone.len > DGRAM_ZONE_MAX || !text_is_utf8(zone) ||
	    (zone.len > 0 && memchr(zone.p, '\0', zone.len) != NULL))
		return DGRAM_E_BAD;
	memset(a->zone, 0, sizeof(a->zone));
	if (zone.len > 0)
		memcpy(a->zone, zone.p, zone.len);
	return 0;
}

static int json_take(const struct msg_udp_packet *u, uint8_t *dst, size_t cap, struct dgram *ret_d,
		     const char **ret_why)
{
	struct span content = span_str(u->content);
	struct dgram d = { .payload = span_of(dst, 0) };

	if (!u->remote.is_set || u->remote.ip == NULL)
		return dgram_bad(ret_why, "UDPPacket without the user's address");
	if (u->remote.port < 0 || u->remote.port > UINT16_MAX ||
	    strchr(u->remote.ip, '%') != NULL || text_parse_ip(u->remote.ip, &d.remote.ip) != 0 ||
	    zone_set(&d.remote, span_str(u->remote.zone)) != 0)
		return dgram_bad(ret_why, "UDPPacket with an impossible address");
	d.remote.port = (uint16_t) u->remote.port;
	if (content.len % 4 == 0 && content_len(content) > cap)
		return DGRAM_E_LONG;
	if (base64_decode(content, dst, cap, &d.payload.len) != 0)
		return dgram_bad(ret_why, "UDPPacket whose content is not base64");
	*ret_d = d;
	return 0;
}

static int json_decode(const struct frame *f, uint8_t *dst, size_t cap, struct dgram *ret_d,
		       const char **ret_why)
{
	struct msg m;
	int r;

	r = msg_decode(MSG_UDP_PACKET, f->body, &m, ret_why);
	if (r != 0)
		return r == MSG_E_BAD ? DGRAM_E_BAD : r;
	r = json_take(&m.udp_packet, dst, cap, ret_d, ret_why);
	msg_deinit(&m);
	return r;
}

/* One address from the front of *in. 0, or DGRAM_E_BAD. */
static int addr_take(struct span *in, struct dgram_addr *ret_a)
{
	struct span s = *in;
	size_t ip_len, zone_len;

	if (s.len < 1 || (s.p[0] != FAMILY_4 && s.p[0] != FAMILY_6))
		return DGRAM_E_BAD;
	ip_len = s.p[0] == FAMILY_4 ? 4 : 16;
	s = span_skip(s, 1);
	if (s.len < ip_len + 2 + 1)
		return DGRAM_E_BAD;
	ret_a->ip = text_ip_of(s.p, ip_len);
	ret_a->port = bytes_get_u16(s.p + ip_len);
	zone_len = s.p[ip_len + 2];
	s = span_skip(s, ip_len + 2 + 1);
	if (s.len < zone_len || zone_set(ret_a, span_head(s, zone_len)) != 0)
		return DGRAM_E_BAD;
	*in = span_skip(s, zone_len);
	return 0;
}

static int binary_decode(struct span in, size_t cap, struct dgram *ret_d, const char **ret_why)
{
	struct dgram_addr local;
	struct dgram d = { .payload = span_of(NULL, 0) };
	uint8_t flags;

	if (in.len < 1 || (in.p[0] & ~(HAS_LOCAL | HAS_REMOTE)) != 0)
		return dgram_bad(ret_why, "datagram with unknown flags");
	flags = in.p[0];
	in = span_skip(in, 1);
	if ((flags & HAS_REMOTE) == 0)
		return dgram_bad(ret_why, "datagram without the user's address");
	if ((flags & HAS_LOCAL) != 0 && addr_take(&in, &local) != 0)
		return dgram_bad(ret_why, "datagram with an impossible address");
	if (addr_take(&in, &d.remote) != 0)
		return dgram_bad(ret_why, "datagram with an impossible address");
	if (in.len < 2 || bytes_get_u16(in.p) != in.len - 2 || in.len - 2 > LIMIT_UDP_PACKET)
		return dgram_bad(ret_why, "datagram whose length is not that of its payload");
	d.payload = span_skip(in, 2);
	if (d.payload.len > cap)
		return DGRAM_E_LONG;
	*ret_d = d;
	return 0;
}

int dgram_decode(enum dgram_form form, const struct frame *f, uint8_t *dst, size_t cap,
		 struct dgram *ret_d, const char **ret_why)
{
	if (f->kind == FRAME_UDP && form == DGRAM_BINARY)
		return binary_decode(f->body, cap, ret_d, ret_why);
	if (f->kind == FRAME_UDP)
		return dgram_bad(ret_why, "binary datagram that was not agreed on");
	if (f->kind != FRAME_MESSAGE || f->type != MSG_UDP_PACKET)
		return dgram_bad(ret_why, "another message in place of a datagram");
	if (form == DGRAM_BINARY)
		return dgram_bad(ret_why, "UDPPacket as JSON where binary was agreed on");
	return json_decode(f, dst, cap, ret_d, ret_why);
}
