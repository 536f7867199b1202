/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h - what several unit tests share: vectors, hex, random splits. Tests only. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "proto/base/buf.h"
#include "proto/base/span.h"

#define UNIT_N(array) (sizeof(array) / sizeof((array)[0]))

/* Environment variable MLTUNNEL_VECTORS, or what the build was told. */
static inline const char *unit_vectors_dir(void)
{
	const char *dir = getenv("MLTUNNEL_VECTORS");

	if (dir != NULL)
		return dir;
#ifdef TEST_VECTORS_DIR
	return TEST_VECTORS_DIR;
#else
	return "tests/vectors";
#endif
}

/* A JSON file of the vectors; json_decref it. */
static inline json_t *unit_load(const char *name)
{
	char path[4096];
	json_error_t e;
	json_t *root;

	(void) snprintf(path, sizeof(path), "%s/%s", unit_vectors_dir(), name);
	root = json_load_file(path, 0, &e);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, e.line, e.text);
	return root;
}

static inline const char *unit_str(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	assert_non_null(s);
	return s;
}

static inline int unit_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	assert_true(c >= 'a' && c <= 'f');
	return c - 'a' + 10;
}

/* The bytes of a hex text, on the heap: free((void *) s.p). Exactly s.len bytes, so that a read
 * beyond is seen. */
static inline struct span unit_unhex(const char *hex)
{
	size_t len = strlen(hex) / 2;
	uint8_t *p = malloc(len > 0 ? len : 1);

	assert_non_null(p);
	assert_int_equal(strlen(hex) % 2, 0);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t) (unit_digit(hex[2 * i]) << 4 | unit_digit(hex[2 * i + 1]));
	return span_of(p, len);
}

static inline struct span unit_hex_of(const json_t *object, const char *name)
{
	return unit_unhex(unit_str(object, name));
}

static inline void unit_free_span(struct span s)
{
	free((void *) (uintptr_t) s.p);
}

static inline void unit_assert_span(struct span got, struct span want)
{
	assert_int_equal(got.len, want.len);
	if (want.len > 0)
		assert_memory_equal(got.p, want.p, want.len);
}

static inline void unit_assert_text(struct span got, const char *want)
{
	unit_assert_span(got, span_str(want));
}

/* xorshift32: the same run everywhere. */
static inline uint32_t unit_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static inline void unit_fill(uint32_t *seed, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t) (unit_random(seed) >> 11);
}

/* How a test cuts its input: whole, byte by byte, and random pieces. */
#define UNIT_N_SPLITS 20
struct unit_split {
	unsigned how; /* 0: whole; 1: bytes; else random */
	uint32_t seed;
};

static inline struct unit_split unit_split_of(unsigned how)
{
	return (struct unit_split){ .how = how, .seed = 2463534242u + how };
}

/* Length of the next piece of @left > 0 bytes. */
static inline size_t unit_piece(struct unit_split *s, size_t left)
{
	size_t n;

	if (s->how == 0)
		return left;
	if (s->how == 1)
		return 1;
	n = unit_random(&s->seed) % (s->how % 2 != 0 ? 7 : 400) + 1;
	return n < left ? n : left;
}
