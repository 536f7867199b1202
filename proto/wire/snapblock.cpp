/* SPDX-License-Identifier: Apache-2.0 */
/* snapblock.cpp - the border to libsnappy. Floor 1. */
#include "proto/wire/snapblock.h"

#include <cerrno>

#include <snappy-c.h>

/* The C interface does not catch what operator new throws inside the library. */
int snapblock_encode(const uint8_t *src, size_t n, uint8_t *dst, size_t *ret_n)
{
	size_t len = SNAPBLOCK_LEN_MAX(n);

	try {
		if (snappy_compress((const char *) src, n, (char *) dst, &len) != SNAPPY_OK)
			return -EIO; /* only for less room than the longest form needs */
	} catch (...) {
		return -ENOMEM;
	}
	*ret_n = len;
	return 0;
}

int snapblock_plain_len(const uint8_t *src, size_t n, size_t *ret_n)
{
	size_t len;

	if (snappy_uncompressed_length((const char *) src, n, &len) != SNAPPY_OK)
		return SNAPBLOCK_E_BAD;
	*ret_n = len;
	return 0;
}

int snapblock_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t len)
{
	try {
		if (snappy_uncompress((const char *) src, n, (char *) dst, &len) != SNAPPY_OK)
			return SNAPBLOCK_E_BAD;
	} catch (...) {
		return SNAPBLOCK_E_BAD;
	}
	return 0;
}
