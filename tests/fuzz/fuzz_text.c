/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_text.c - the strict parsers: what one accepts, written in its plain form, it accepts again
 * as the same. */
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/base64.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"

static void check_numbers(const char *s)
{
	uint64_t v, again;
	uint16_t port;
	char plain[64];
	bool b;

	if (text_parse_u64(s, 0, UINT64_MAX, &v) == 0) {
		(void) snprintf(plain, sizeof(plain), "%" PRIu64, v);
		MUST(text_parse_u64(plain, v, v, &again) == 0 && again == v);
		MUST((text_parse_port(s, &port) == 0) == (v >= 1 && v <= 65535));
	} else {
		MUST(text_parse_port(s, &port) != 0);
	}
	if (text_parse_duration(s, UINT64_MAX, &v) == 0) {
		(void) snprintf(plain, sizeof(plain), "%" PRIu64 "ms", v);
		MUST(text_parse_duration(plain, v, &again) == 0 && again == v);
		MUST(v == 0 || text_parse_duration(s, v - 1, &again) != 0);
	}
	(void) text_parse_bool(s, &b); /* only that it returns */
}

static void check_hostport(const char *s)
{
	struct text_hostport hp, again;
	char plain[300];

	if (text_parse_hostport(s, 7000, &hp) != 0)
		return;
	MUST(hp.port != 0 && hp.host[0] != '\0' && strlen(hp.host) < sizeof(hp.host));
	MUST(hp.is_ip == text_is_ip(hp.host));
	(void) snprintf(plain, sizeof(plain), strchr(hp.host, ':') != NULL ? "[%s]:%u" : "%s:%u",
			hp.host, (unsigned) hp.port);
	MUST(text_parse_hostport(plain, 0, &again) == 0);
	MUST(strcmp(hp.host, again.host) == 0 && hp.port == again.port && hp.is_ip == again.is_ip);
}

static void check_bytes(struct span in)
{
	char escaped[200], text[200];
	uint8_t bytes[200];
	size_t len;

	(void) text_escape(in, escaped, 8 + in.len % 150); /* returns its argument */
	for (const char *p = escaped; *p != '\0'; p++)
		MUST(*p >= ' ' && *p <= '~');
	(void) text_is_utf8(in); /* only that it stays inside */
	if (base64_decode(in, bytes, 140, &len) == 0) {
		base64_encode(span_of(bytes, len), text, sizeof(text));
		MUST(strlen(text) == in.len);
		/* The unused bits of a last digit are not checked: only the bytes are the same. */
		MUST(base64_decode(span_str(text), bytes, len, &len) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = text_dup((const char *) data, size);

	MUST(s != NULL);
	check_numbers(s);
	check_hostport(s);
	check_bytes(span_of(data, size));
	free(s);
	return 0;
}
