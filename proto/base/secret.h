/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - wipe and compare what must not leak. Floor 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Zero @n bytes; the compiler cannot drop it. */
void secret_wipe(void *p, size_t n);
/* Equality in constant time for equal lengths (the length itself is not secret). */
bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len);
/* Wipe and free a string; NULL is fine. Returns NULL. */
char *secret_free(char *s);
