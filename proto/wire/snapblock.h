/* SPDX-License-Identifier: Apache-2.0 */
/* snapblock.h - one snappy block: the border to the C++ library, which no exception crosses.
 * Floor 1.
 *
 * The library asks for working memory of its own while it compresses, and none to decompress. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNAPBLOCK_PLAIN_MAX 65536 /* plain bytes of one block, as frames carry them */
/* The longest form of @n plain bytes; the library's snappy_max_compressed_length(). */
#define SNAPBLOCK_LEN_MAX(n) (32 + (n) + (n) / 6)

/* Compress @n <= SNAPBLOCK_PLAIN_MAX bytes to @dst, which has room for SNAPBLOCK_LEN_MAX(@n). 0 or
 * -ENOMEM. */
int snapblock_encode(const uint8_t *src, size_t n, uint8_t *dst, size_t *ret_n);
/* How long the block is once it is plain, by its own word: known before all of it is looked at. */
enum { SNAPBLOCK_E_BAD = 1 };
int snapblock_plain_len(const uint8_t *src, size_t n, size_t *ret_n);
/* All of it, @len plain bytes by snapblock_plain_len(). 0, or SNAPBLOCK_E_BAD: damaged. */
int snapblock_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t len);

#ifdef __cplusplus
}
#endif
