/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - files of the recorded sessions. Tests only. */
#pragma once
#include "tests/unit/unit.h"

/* tests/vectors/sessions/@session/@name, on the heap: unit_free_span(). */
static inline struct span session_load(const char *session, const char *name)
{
	size_t cap = 1 << 16, n;
	char path[4096];
	uint8_t *p;
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/sessions/%s/%s", unit_vectors_dir(), session, name);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s cannot be opened", path);
	p = malloc(cap);
	assert_non_null(p);
	n = fread(p, 1, cap, f);
	assert_true(n < cap);
	(void) fclose(f); /* read only */
	return span_of(p, n);
}
