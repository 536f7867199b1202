/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - wipe and compare what must not leak. Floor 0. */
#include "proto/base/secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void secret_wipe(void *p, size_t n)
{
	if (n == 0)
		return;
	memset(p, 0, n);
	/* The barrier claims to read the memory, so the memset is not a dead store. */
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	const volatile uint8_t *x = a, *y = b;
	unsigned diff = 0;

	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		diff |= (unsigned) (x[i] ^ y[i]);
	return diff == 0;
}

char *secret_free(char *s)
{
	if (s != NULL)
		secret_wipe(s, strlen(s));
	free(s);
	return NULL;
}
