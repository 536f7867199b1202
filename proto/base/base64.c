/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - RFC 4648 base64 with padding. Floor 0. */
#include "proto/base/base64.h"

#include "proto/base/err.h"

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct span s, char *dst, size_t cap)
{
	MUST(s.len <= SIZE_MAX / 2 && cap > BASE64_LEN(s.len));
	while (s.len > 0) {
		struct span head = span_head(s, 3);
		uint32_t v = (uint32_t) head.p[0] << 16;

		if (head.len > 1)
			v |= (uint32_t) head.p[1] << 8;
		if (head.len > 2)
			v |= head.p[2];
		*dst++ = base64_digits[v >> 18];
		*dst++ = base64_digits[v >> 12 & 63];
		*dst++ = head.len > 1 ? base64_digits[v >> 6 & 63] : '=';
		*dst++ = head.len > 2 ? base64_digits[v & 63] : '=';
		s = span_skip(s, head.len);
	}
	*dst = '\0';
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many "=" end the text: 0 to 2. */
static size_t base64_n_padding(struct span text)
{
	if (text.len == 0 || text.p[text.len - 1] != '=')
		return 0;
	return text.p[text.len - 2] == '=' ? 2 : 1;
}

int base64_decode(struct span text, uint8_t *dst, size_t cap, size_t *ret_len)
{
	size_t n_chars, n_bytes, n = 0;
	uint32_t v = 0;

	if (text.len % 4 != 0)
		return BASE64_E_BAD;
	n_chars = text.len - base64_n_padding(text);
	n_bytes = n_chars / 4 * 3 + n_chars % 4 * 3 / 4;
	if (n_bytes > cap)
		return BASE64_E_BAD;
	for (size_t i = 0; i < n_chars; i++) {
		int digit = base64_value(text.p[i]);

		if (digit < 0)
			return BASE64_E_BAD;
		v = v << 6 | (uint32_t) digit;
		if (i % 4 != 0)
			dst[n++] = (uint8_t) (v >> (6 - 2 * (i % 4)));
	}
	*ret_len = n;
	return 0;
}
