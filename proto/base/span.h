/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - a view of bytes that somebody else owns. Floor 0. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Does not own @p; the function that hands one out says until when it is valid. @p may be NULL when
 * len is 0. */
struct span {
	const uint8_t *p;
	size_t len;
};

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span){ .p = p, .len = len };
}

static inline struct span span_str(const char *s)
{
	return span_of(s, s != NULL ? strlen(s) : 0);
}

/* Drop the first @n bytes; @n <= s.len. */
static inline struct span span_skip(struct span s, size_t n)
{
	return (struct span){ .p = n > 0 ? s.p + n : s.p, .len = s.len - n };
}

static inline struct span span_head(struct span s, size_t n)
{
	return (struct span){ .p = s.p, .len = n < s.len ? n : s.len };
}
