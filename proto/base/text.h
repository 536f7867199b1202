/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - strict parsers of whole values, and escaping of foreign bytes. Floor 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

/* Each parser takes the whole string or fails; *ret_ is written only on success. */
enum { TEXT_E_BAD = 1 };

/* Decimal digits only: no sign, space or leading "+". 0, or TEXT_E_BAD (also
 * outside @min..@max). */
int text_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_v);
/* Port 1-65535. */
int text_parse_port(const char *s, uint16_t *ret_port);
/* true/yes/on/1 and false/no/off/0, case-insensitive. */
int text_parse_bool(const char *s, bool *ret_v);
/* Milliseconds from "10", "10s", "500ms", "2m", "1h", "1m30s" (a bare number is seconds); at most
 * @max_ms. */
int text_parse_duration(const char *s, uint64_t max_ms, uint64_t *ret_ms);

struct text_hostport {
	char host[254]; /* a DNS name has at most 253 characters; brackets of an IPv6 literal
			   removed */
	uint16_t port;
	bool is_ip; /* a numeric address */
};
/* "host", "host:port", "1.2.3.4:port", "[v6]", "[v6]:port"; a bare IPv6 literal without brackets is
 * refused (its last group would be taken for a port). @default_port 0: a port is required. */
int text_parse_hostport(const char *s, uint16_t default_port, struct text_hostport *ret_hp);
/* "host:port" for a person or a protocol, with brackets for an IPv6 address. */
void text_format_hostport(char *dst, size_t cap, const char *host, unsigned port);
/* A numeric IPv4 or IPv6 address (zone "%eth0" allowed on v6 link-local)? Never
 * resolves anything. */
bool text_is_ip(const char *s);

struct text_ip {
	uint8_t bytes[16]; /* zero beyond len */
	uint8_t len;	   /* 4 or 16 */
};
/* The same as bytes; an IPv4 address inside IPv6 (::ffff:1.2.3.4) is that IPv4 address, a zone is
 * dropped. 0 or TEXT_E_BAD. */
int text_parse_ip(const char *s, struct text_ip *ret_ip);
/* Of @len bytes, 4 or 16; mapped as above. */
struct text_ip text_ip_of(const uint8_t *bytes, size_t len);
#define TEXT_IP_CAP 46 /* INET6_ADDRSTRLEN */
void text_format_ip(const struct text_ip *ip, char dst[static TEXT_IP_CAP]);

/* Write foreign bytes for a person: printable ASCII as is, the rest as \xNN, a quote and backslash
 * escaped; cut with
 * "..." when @cap is too small. Always terminated; returns @dst. @cap >= 8. */
const char *text_escape(struct span s, char *dst, size_t cap);
/* 2 * s.len lower-case digits and NUL; @cap must suffice. */
void text_hex(struct span s, char *dst, size_t cap);
bool text_is_utf8(struct span s);
/* Length (1-4) of the UTF-8 sequence at the front of @s; 0 when it is invalid, cut short, or @s is
 * empty. */
size_t text_utf8_len(struct span s);
/* A copy of @n bytes with NUL; NULL without memory. */
char *text_dup(const char *s, size_t n);
