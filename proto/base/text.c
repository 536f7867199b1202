/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - strict parsers of whole values, and escaping of foreign bytes. Floor 0. */
#include "proto/base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/base/err.h"

#define TEXT_ZONE_MAX 15 /* IFNAMSIZ - 1 */

/* The digits at the front of @s; 0 and *ret_n of them, or TEXT_E_BAD: none, or more than
 * 64 bits. */
static int text_scan_digits(const char *s, uint64_t *ret_v, size_t *ret_n)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; s[n] >= '0' && s[n] <= '9'; n++) {
		uint64_t digit = (uint64_t) (s[n] - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return TEXT_E_BAD;
		v = v * 10 + digit;
	}
	if (n == 0)
		return TEXT_E_BAD;
	*ret_v = v;
	*ret_n = n;
	return 0;
}

int text_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret_v)
{
	uint64_t v;
	size_t n;

	if (text_scan_digits(s, &v, &n) != 0 || s[n] != '\0' || v < min || v > max)
		return TEXT_E_BAD;
	*ret_v = v;
	return 0;
}

int text_parse_port(const char *s, uint16_t *ret_port)
{
	uint64_t v;

	if (text_parse_u64(s, 1, UINT16_MAX, &v) != 0)
		return TEXT_E_BAD;
	*ret_port = (uint16_t) v;
	return 0;
}

int text_parse_bool(const char *s, bool *ret_v)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(s, yes[i]) == 0) {
			*ret_v = true;
			return 0;
		}
		if (strcasecmp(s, no[i]) == 0) {
			*ret_v = false;
			return 0;
		}
	}
	return TEXT_E_BAD;
}

struct text_unit {
	const char *name;
	uint64_t ms;
};

/* Large to small: the parts of one duration have to come in this order. "ms" is tried before "m"
 * takes its first letter. */
static const struct text_unit text_units[] = {
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};
#define TEXT_N_UNITS (sizeof(text_units) / sizeof(text_units[0]))

/* The index of the unit that the letters at the front of @s spell, or TEXT_N_UNITS. */
static size_t text_find_unit(const char *s, size_t *ret_n)
{
	size_t n = 0, i;

	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z'))
		n++;
	for (i = 0; i < TEXT_N_UNITS; i++)
		if (strlen(text_units[i].name) == n && memcmp(text_units[i].name, s, n) == 0)
			break;
	*ret_n = n;
	return i;
}

int text_parse_duration(const char *s, uint64_t max_ms, uint64_t *ret_ms)
{
	uint64_t total = 0, v;
	size_t next_unit = 0, n, unit;
	bool is_first = true;

	do {
		if (text_scan_digits(s, &v, &n) != 0)
			return TEXT_E_BAD;
		s += n;
		if (*s == '\0' && is_first) {
			unit = 2; /* a bare number: seconds */
		} else {
			unit = text_find_unit(s, &n);
			if (unit < next_unit || unit >= TEXT_N_UNITS)
				return TEXT_E_BAD;
			s += n;
		}
		if (v > UINT64_MAX / text_units[unit].ms ||
		    v * text_units[unit].ms > UINT64_MAX - total)
			return TEXT_E_BAD;
		total += v * text_units[unit].ms;
		next_unit = unit + 1;
		is_first = false;
	} while (*s != '\0');
	if (total > max_ms)
		return TEXT_E_BAD;
	*ret_ms = total;
	return 0;
}

static bool text_is_zone(const char *s)
{
	size_t n = 0;

	for (; s[n] != '\0'; n++)
		if (s[n] <= ' ' || s[n] > '~' || s[n] == '%' || s[n] == '/' || s[n] == ']')
			return false;
	return n >= 1 && n <= TEXT_ZONE_MAX;
}

static bool text_is_ipv6(const char *s)
{
	char addr[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	const char *percent = strchr(s, '%');
	size_t n = percent != NULL ? (size_t) (percent - s) : strlen(s);

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET6, addr, &in6) != 1)
		return false;
	return percent == NULL || (IN6_IS_ADDR_LINKLOCAL(&in6) && text_is_zone(percent + 1));
}

bool text_is_ip(const char *s)
{
	struct in_addr in;

	return inet_pton(AF_INET, s, &in) == 1 || text_is_ipv6(s);
}

struct text_ip text_ip_of(const uint8_t *bytes, size_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct text_ip ip = { .len = (uint8_t) len };

	MUST(len == 4 || len == 16);
	if (len == 16 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		ip.len = 4;
		bytes += sizeof(mapped);
	}
	memcpy(ip.bytes, bytes, ip.len);
	return ip;
}

int text_parse_ip(const char *s, struct text_ip *ret_ip)
{
	char addr[INET6_ADDRSTRLEN];
	size_t n = strcspn(s, "%");
	uint8_t bytes[16];

	if (!text_is_ip(s))
		return TEXT_E_BAD;
	MUST(n < sizeof(addr)); /* it was a good one */
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, bytes) == 1) {
		*ret_ip = text_ip_of(bytes, 4);
	} else {
		MUST(inet_pton(AF_INET6, addr, bytes) == 1);
		*ret_ip = text_ip_of(bytes, 16);
	}
	return 0;
}

void text_format_ip(const struct text_ip *ip, char dst[static TEXT_IP_CAP])
{
	MUST(inet_ntop(ip->len == 4 ? AF_INET : AF_INET6, ip->bytes, dst, TEXT_IP_CAP) != NULL);
}

static bool text_is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* Labels of 1-63 letters, digits, '-', '_' (container names have them); a last label of digits only
 * is a mistyped IPv4 address; one dot may end the name. */
static bool text_is_dns_name(const char *s)
{
	size_t label = 0;
	bool has_letter = false;

	for (; *s != '\0'; s++) {
		if (*s == '.') {
			if (label == 0)
				return false;
			if (s[1] == '\0')
				break;
			label = 0;
			has_letter = false;
			continue;
		}
		if (!text_is_label_char(*s) || ++label > 63)
			return false;
		if (*s < '0' || *s > '9')
			has_letter = true;
	}
	return label > 0 && has_letter;
}

/* Copy the host part @s of @n bytes and classify it. @is_v6: it stood in brackets. */
static int text_set_host(struct text_hostport *hp, const char *s, size_t n, bool is_v6)
{
	if (n == 0 || n >= sizeof(hp->host))
		return TEXT_E_BAD;
	memcpy(hp->host, s, n);
	hp->host[n] = '\0';
	hp->is_ip = is_v6 ? text_is_ipv6(hp->host) : text_is_ip(hp->host);
	if (!hp->is_ip && (is_v6 || !text_is_dns_name(hp->host)))
		return TEXT_E_BAD;
	return 0;
}

int text_parse_hostport(const char *s, uint16_t default_port, struct text_hostport *ret_hp)
{
	struct text_hostport hp = { .port = default_port };
	bool is_v6 = *s == '[';
	const char *end;
	int r;

	if (is_v6) {
		end = strchr(++s, ']');
		if (end == NULL)
			return TEXT_E_BAD;
	} else {
		end = strchrnul(s, ':');
	}
	r = text_set_host(&hp, s, (size_t) (end - s), is_v6);
	if (r != 0)
		return r;
	if (is_v6)
		end++;
	if (*end == ':') {
		/* A second ':' (bare IPv6 literal) fails here. */
		if (text_parse_port(end + 1, &hp.port) != 0)
			return TEXT_E_BAD;
	} else if (*end != '\0') {
		return TEXT_E_BAD;
	}
	if (hp.port == 0)
		return TEXT_E_BAD;
	*ret_hp = hp;
	return 0;
}

static size_t text_escaped_len(uint8_t c)
{
	if (c < ' ' || c > '~')
		return 4;
	return c == '"' || c == '\\' ? 2 : 1;
}

static char *text_put_escaped(char *dst, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";

	switch (text_escaped_len(c)) {
	case 4:
		*dst++ = '\\';
		*dst++ = 'x';
		*dst++ = digits[c >> 4];
		*dst++ = digits[c & 15];
		break;
	case 2:
		*dst++ = '\\';
		*dst++ = (char) c;
		break;
	default: *dst++ = (char) c; break;
	}
	return dst;
}

void text_format_hostport(char *dst, size_t cap, const char *host, unsigned port)
{
	bool is_v6 = strchr(host, ':') != NULL;

	(void) snprintf(dst, cap, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
}

const char *text_escape(struct span s, char *dst, size_t cap)
{
	char *p = dst;
	size_t len = 0, n_whole = 0; /* bytes of @s that leave room for "..." */
	size_t i;

	MUST(cap >= 8);
	for (i = 0; i < s.len && len < cap; i++) {
		len += text_escaped_len(s.p[i]);
		if (len + 3 < cap)
			n_whole = i + 1;
	}
	if (len < cap)
		n_whole = s.len;
	for (i = 0; i < n_whole; i++)
		p = text_put_escaped(p, s.p[i]);
	if (n_whole < s.len) {
		memcpy(p, "...", 3);
		p += 3;
	}
	*p = '\0';
	return dst;
}

void text_hex(struct span s, char *dst, size_t cap)
{
	static const char digits[] = "0123456789abcdef";

	MUST(cap / 2 >= s.len && cap > 2 * s.len);
	for (size_t i = 0; i < s.len; i++) {
		*dst++ = digits[s.p[i] >> 4];
		*dst++ = digits[s.p[i] & 15];
	}
	*dst = '\0';
}

/* RFC 3629 table 3-7: only the second byte's range depends on the first. */
size_t text_utf8_len(struct span s)
{
	uint8_t c = s.len > 0 ? s.p[0] : 0x80;
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (s.len < n)
		return 0;
	if (c == 0xe0)
		low = 0xa0; /* overlong */
	else if (c == 0xed)
		high = 0x9f; /* surrogates */
	else if (c == 0xf0)
		low = 0x90; /* overlong */
	else if (c == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	if (s.p[1] < low || s.p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool text_is_utf8(struct span s)
{
	while (s.len > 0) {
		size_t n = text_utf8_len(s);

		if (n == 0)
			return false;
		s = span_skip(s, n);
	}
	return true;
}

char *text_dup(const char *s, size_t n)
{
	char *copy = malloc(n + 1);

	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}
