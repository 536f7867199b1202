/* SPDX-License-Identifier: Apache-2.0 */
/* stubdns.h - a DNS server on the loop under test: one table of names, answered at once or never.
 * One includer per program. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include <uv.h>

#include "proto/base/bytes.h"

#define STUB_A 1
#define STUB_AAAA 28

/* A name that is not in the table does not exist. */
struct stub_name {
	const char *name; /* NULL ends the table */
	const char *v4[20], *v6[20];
	int rcode;
	bool is_silent;
};

struct stubdns {
	uv_udp_t udp;
	const struct stub_name *names;
	char address[32]; /* for resolver_set_servers() */
	unsigned n_queries;
	uint8_t in[1500], out[1500];
};

static void stub_on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct stubdns *s = h->data;

	(void) size;
	*buf = uv_buf_init((char *) s->in, sizeof(s->in));
}

/* The question's name as text; returns the offset behind the question, 0 when it is none. */
static size_t stub_read_question(const uint8_t *p, size_t len, char *name, size_t cap)
{
	size_t at = 12, n = 0;

	while (at < len && p[at] != 0) {
		size_t label = p[at++];

		if (label > 63 || at + label >= len || n + label + 2 > cap)
			return 0;
		memcpy(name + n, p + at, label);
		n += label;
		at += label;
		name[n++] = '.';
	}
	name[n > 0 ? n - 1 : 0] = '\0';
	return at + 5 <= len ? at + 5 : 0;
}

static size_t stub_add_record(uint8_t *p, size_t at, unsigned type, const char *address)
{
	size_t len = type == STUB_A ? 4 : 16;

	bytes_put_u16(p + at, 0xc00c); /* the name of the question */
	bytes_put_u16(p + at + 2, (uint16_t) type);
	bytes_put_u16(p + at + 4, 1);
	bytes_put_u32(p + at + 6, 60);
	bytes_put_u16(p + at + 10, (uint16_t) len);
	(void) inet_pton(type == STUB_A ? AF_INET : AF_INET6, address, p + at + 12);
	return at + 12 + len;
}

static void stub_on_query(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
			  const struct sockaddr *from, unsigned flags)
{
	struct stubdns *s = udp->data;
	const struct stub_name *found = s->names;
	uint8_t *out = s->out;
	char name[300];
	uint16_t n = 0;
	uv_buf_t reply;
	size_t at;

	(void) buf;
	(void) flags;
	if (from == NULL || len < 17)
		return;
	at = stub_read_question(s->in, (size_t) len, name, sizeof(name));
	if (at == 0)
		return;
	s->n_queries++;
	while (found->name != NULL && strcmp(found->name, name) != 0)
		found++;
	if (found->is_silent)
		return;
	memset(out, 0, 12);
	memcpy(out, s->in, at);
	bytes_put_u16(out + 2, (uint16_t) (0x8180 | (found->name == NULL ? 3 : found->rcode)));
	memset(out + 6, 0, 6);
	if (found->name != NULL && found->rcode == 0) {
		unsigned type = bytes_get_u16(s->in + at - 4);
		const char *const *addresses = type == STUB_A ? found->v4 : found->v6;

		for (; (type == STUB_A || type == STUB_AAAA) && addresses[n] != NULL; n++)
			at = stub_add_record(out, at, type, addresses[n]);
	}
	bytes_put_u16(out + 6, n);
	reply = uv_buf_init((char *) out, (unsigned) at);
	(void) uv_udp_try_send(udp, &reply, 1, from);
}

/* Does not keep the loop alive. 0 or negated errno. */
static int stub_open(struct stubdns *s, uv_loop_t *uv, const struct stub_name *names)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof(sa), r;

	*s = (struct stubdns){ .names = names };
	r = uv_udp_init(uv, &s->udp);
	if (r < 0)
		return r;
	s->udp.data = s;
	r = uv_udp_bind(&s->udp, (const struct sockaddr *) &sa, 0);
	if (r == 0)
		r = uv_udp_getsockname(&s->udp, (struct sockaddr *) &sa, &len);
	if (r == 0)
		r = uv_udp_recv_start(&s->udp, stub_on_alloc, stub_on_query);
	uv_unref((uv_handle_t *) &s->udp);
	(void) snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(sa.sin_port));
	return r;
}

static void stub_close(struct stubdns *s)
{
	uv_close((uv_handle_t *) &s->udp, NULL);
}
