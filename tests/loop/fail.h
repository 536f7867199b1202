/* SPDX-License-Identifier: Apache-2.0 */
/* fail.h - lets the n-th allocation of our own objects fail; link with --wrap=malloc,--wrap=calloc.
 * One includer per program. */
#pragma once
#include <stddef.h>

/* Counted down by each allocation; the one that reaches 0 fails. 0: none does. */
static unsigned fail_at;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static inline int fail_now(void)
{
	return fail_at > 0 && --fail_at == 0;
}

void *__wrap_malloc(size_t n)
{
	return fail_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fail_now() ? NULL : __real_calloc(n, size);
}
