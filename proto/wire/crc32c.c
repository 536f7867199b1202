/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - CRC-32C, eight bytes a step. Floor 1.
 *
 * The checksum of a byte is the exclusive or of the checksums of its bits, so each table of 256
 * follows from eight constants, and the compiler writes it down. */
#include "proto/wire/crc32c.h"

#include <stddef.h>

#define BIT(i, k, of_bit) ((((i) >> (k)) & 1u) * (of_bit))
#define BYTE(i, b0, b1, b2, b3, b4, b5, b6, b7)                                          \
	(BIT(i, 0, b0) ^ BIT(i, 1, b1) ^ BIT(i, 2, b2) ^ BIT(i, 3, b3) ^ BIT(i, 4, b4) ^ \
	 BIT(i, 5, b5) ^ BIT(i, 6, b6) ^ BIT(i, 7, b7))
#define ROWS_4(i, ...)                                                                  \
	BYTE(i, __VA_ARGS__), BYTE((i) + 1u, __VA_ARGS__), BYTE((i) + 2u, __VA_ARGS__), \
		BYTE((i) + 3u, __VA_ARGS__)
#define ROWS_16(i, ...)                                                                       \
	ROWS_4(i, __VA_ARGS__), ROWS_4((i) + 4u, __VA_ARGS__), ROWS_4((i) + 8u, __VA_ARGS__), \
		ROWS_4((i) + 12u, __VA_ARGS__)
#define ROWS_64(i, ...)                                                                            \
	ROWS_16(i, __VA_ARGS__), ROWS_16((i) + 16u, __VA_ARGS__), ROWS_16((i) + 32u, __VA_ARGS__), \
		ROWS_16((i) + 48u, __VA_ARGS__)
#define TABLE(...)                                                                               \
	{                                                                                        \
		ROWS_64(0u, __VA_ARGS__), ROWS_64(64u, __VA_ARGS__), ROWS_64(128u, __VA_ARGS__), \
			ROWS_64(192u, __VA_ARGS__)                                               \
	}

/* Of a byte with n zero bytes behind it; the polynomial is 0x82f63b78, its lowest bit first. */
static const uint32_t crc_of_byte[8][256] = {
	TABLE(0xf26b8303u, 0xe13b70f7u, 0xc79a971fu, 0x8ad958cfu, 0x105ec76fu, 0x20bd8edeu,
	      0x417b1dbcu, 0x82f63b78u),
	TABLE(0x13a29877u, 0x274530eeu, 0x4e8a61dcu, 0x9d14c3b8u, 0x3fc5f181u, 0x7f8be302u,
	      0xff17c604u, 0xfbc3faf9u),
	TABLE(0xa541927eu, 0x4f6f520du, 0x9edea41au, 0x38513ec5u, 0x70a27d8au, 0xe144fb14u,
	      0xc76580d9u, 0x8b277743u),
	TABLE(0xdd45aab8u, 0xbf672381u, 0x7b2231f3u, 0xf64463e6u, 0xe964b13du, 0xd725148bu,
	      0xaba65fe7u, 0x52a0c93fu),
	TABLE(0x38116facu, 0x7022df58u, 0xe045beb0u, 0xc5670b91u, 0x8f2261d3u, 0x1ba8b557u,
	      0x37516aaeu, 0x6ea2d55cu),
	TABLE(0xef306b19u, 0xdb8ca0c3u, 0xb2f53777u, 0x6006181fu, 0xc00c303eu, 0x85f4168du,
	      0x0e045bebu, 0x1c08b7d6u),
	TABLE(0x68032cc8u, 0xd0065990u, 0xa5e0c5d1u, 0x4e2dfd53u, 0x9c5bfaa6u, 0x3d5b83bdu,
	      0x7ab7077au, 0xf56e0ef4u),
	TABLE(0x493c7d27u, 0x9278fa4eu, 0x211d826du, 0x423b04dau, 0x847609b4u, 0x0d006599u,
	      0x1a00cb32u, 0x34019664u),
};

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
	       (uint32_t) p[3] << 24;
}

uint32_t crc32c(struct span s)
{
	uint32_t crc = UINT32_MAX;
	const uint8_t *p = s.p;
	size_t n = s.len;

	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = crc ^ get_le32(p), hi = get_le32(p + 4);

		crc = crc_of_byte[7][lo & 0xff] ^ crc_of_byte[6][lo >> 8 & 0xff] ^
		      crc_of_byte[5][lo >> 16 & 0xff] ^ crc_of_byte[4][lo >> 24] ^
		      crc_of_byte[3][hi & 0xff] ^ crc_of_byte[2][hi >> 8 & 0xff] ^
		      crc_of_byte[1][hi >> 16 & 0xff] ^ crc_of_byte[0][hi >> 24];
	}
	for (; n > 0; n--, p++)
		crc = crc >> 8 ^ crc_of_byte[0][(crc ^ *p) & 0xff];
	return ~crc;
}
