/* SPDX-License-Identifier: Apache-2.0 */
/* proxyhdr.c - the header of the PROXY protocol, v1 and v2. Floor 1.
 *
 * The family is that of the source. Of a mixed pair v1 keeps both texts as they are, v2 maps IPv4
 * into IPv6: what frpc does. */
#include "proto/wire/proxyhdr.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/text.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN 12

enum {
	V2_PROXY = 0x21, /* version 2, command PROXY */
	V2_INET = 0x10,
	V2_INET6 = 0x20,
	V2_STREAM = 0x01,
	V2_DGRAM = 0x02,
};

static size_t v1_encode(const struct proxyhdr *h, const struct text_ip *src,
			const struct text_ip *dst, uint8_t *out)
{
	char src_text[TEXT_IP_CAP], dst_text[TEXT_IP_CAP];
	int n;

	text_format_ip(src, src_text);
	text_format_ip(dst, dst_text);
	if (h->is_udp)
		n = snprintf((char *) out, PROXYHDR_MAX, "PROXY UNKNOWN\r\n");
	else
		n = snprintf((char *) out, PROXYHDR_MAX, "PROXY TCP%c %s %s %u %u\r\n",
			     src->len == 4 ? '4' : '6', src_text, dst_text, h->src_port,
			     h->dst_port);
	MUST(n > 0 && n < PROXYHDR_MAX);
	return (size_t) n;
}

static uint8_t *put_addr(uint8_t *p, const struct text_ip *ip, size_t len)
{
	if (ip->len < len) {
		memset(p, 0, 10);
		memset(p + 10, 0xff, 2);
		p += 12;
	}
	memcpy(p, ip->bytes, ip->len);
	return p + ip->len;
}

static size_t v2_encode(const struct proxyhdr *h, const struct text_ip *src,
			const struct text_ip *dst, uint8_t *out)
{
	size_t len = src->len == 4 && dst->len == 4 ? 4 : 16;
	uint8_t *p = out + SIGNATURE_LEN;

	memcpy(out, SIGNATURE, SIGNATURE_LEN);
	p[0] = V2_PROXY;
	p[1] = (uint8_t) ((len == 4 ? V2_INET : V2_INET6) | (h->is_udp ? V2_DGRAM : V2_STREAM));
	bytes_put_u16(p + 2, (uint16_t) (2 * (len + sizeof(uint16_t))));
	p = put_addr(p + 4, src, len);
	p = put_addr(p, dst, len);
	bytes_put_u16(p, h->src_port);
	bytes_put_u16(p + 2, h->dst_port);
	return (size_t) (p + 4 - out);
}

static bool is_absent(const char *addr)
{
	return addr == NULL || *addr == '\0';
}

int proxyhdr_encode(const struct proxyhdr *h, uint8_t dst[static PROXYHDR_MAX], size_t *ret_len)
{
	struct text_ip from, to;

	MUST(h->version == PROXYHDR_V1 || h->version == PROXYHDR_V2);
	if (is_absent(h->src_addr) || h->src_port == 0 || text_parse_ip(h->src_addr, &from) != 0)
		return PROXYHDR_E_ABSENT;
	if (text_parse_ip(is_absent(h->dst_addr) ? "127.0.0.1" : h->dst_addr, &to) != 0)
		return PROXYHDR_E_ABSENT;
	*ret_len = h->version == PROXYHDR_V1 ? v1_encode(h, &from, &to, dst)
					     : v2_encode(h, &from, &to, dst);
	return 0;
}
