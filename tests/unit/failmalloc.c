/* SPDX-License-Identifier: Apache-2.0 */
/* failmalloc.c - make the n-th allocation of the code under test fail. Tests only. */
#include "tests/unit/failmalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The linker turns every call of malloc into __wrap_malloc, and __real_malloc into malloc. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

/* A test program is single-threaded, and the wrapped functions have no place for a context. */
static size_t fail_at, n_calls, n_live;
static int is_armed, has_failed;

void failmalloc_at(size_t n)
{
	fail_at = n;
	n_calls = 0;
	has_failed = 0;
	is_armed = 1;
}

int failmalloc_stop(void)
{
	is_armed = 0;
	return has_failed;
}

size_t failmalloc_count(void)
{
	return n_calls;
}

size_t failmalloc_n_live(void)
{
	return n_live;
}

static int is_to_fail(void)
{
	if (!is_armed || n_calls++ != fail_at)
		return 0;
	has_failed = 1;
	errno = ENOMEM;
	return 1;
}

/* A block that is there from now on; NULL: none. */
static void *born(void *p)
{
	n_live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return is_to_fail() ? NULL : born(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return is_to_fail() ? NULL : born(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (is_to_fail())
		return NULL;
	return p == NULL ? born(__real_realloc(NULL, n)) : __real_realloc(p, n);
}

/* A test program that looks at blocks as they go has its own. */
__attribute__((weak)) void __wrap_free(void *p)
{
	n_live -= p != NULL;
	__real_free(p);
}

char *__wrap_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = is_to_fail() ? NULL : born(__real_malloc(len + 1));

	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *__wrap_strdup(const char *s)
{
	return __wrap_strndup(s, strlen(s));
}
