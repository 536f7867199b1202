/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - the entry every fuzz target defines, and what several share. Tests only. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/span.h"

/* libFuzzer's entry; replay.c calls it too. Always 0; a broken property aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next byte of the input that steers the target; 0 when there is none. */
static inline uint8_t fuzz_take_byte(struct span *in)
{
	uint8_t b;

	if (in->len == 0)
		return 0;
	b = in->p[0];
	*in = span_skip(*in, 1);
	return b;
}

/* The length of the next piece of @left > 0 bytes: a simple generator, so that a byte of the input
 * picks a split. */
static inline size_t fuzz_piece(uint32_t *seed, size_t left)
{
	size_t n;

	*seed = *seed * 1664525u + 1013904223u;
	n = (*seed >> 16) % 37 + 1;
	return n < left ? n : left;
}

static inline void fuzz_must_be_equal(struct span a, struct span b)
{
	MUST(a.len == b.len);
	MUST(a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
