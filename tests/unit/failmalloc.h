/* SPDX-License-Identifier: Apache-2.0 */
/* failmalloc.h - make the n-th allocation of the code under test fail. Tests only.
 *
 * Link with -Wl,--wrap= for malloc, calloc, realloc, free, strdup and strndup, and with the static
 * archives of libraries whose allocations are to fail as well; a shared library is not reached. */
#pragma once
#include <stddef.h>

/* The @n-th allocation from now (0 is the next) returns NULL with errno ENOMEM, once; counting
 * starts anew. */
void failmalloc_at(size_t n);
/* No allocation fails any more. True when one did since failmalloc_at(). */
int failmalloc_stop(void);
/* Allocations since failmalloc_at(), the failed one included. */
size_t failmalloc_count(void);
/* Blocks that were allocated and not freed yet. */
size_t failmalloc_n_live(void);
