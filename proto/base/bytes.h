/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - big-endian integers in raw bytes. Floor 0. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline void bytes_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t) (v >> 8);
	p[1] = (uint8_t) v;
}

static inline void bytes_put_u32(uint8_t *p, uint32_t v)
{
	bytes_put_u16(p, (uint16_t) (v >> 16));
	bytes_put_u16(p + 2, (uint16_t) v);
}

static inline void bytes_put_u64(uint8_t *p, uint64_t v)
{
	bytes_put_u32(p, (uint32_t) (v >> 32));
	bytes_put_u32(p + 4, (uint32_t) v);
}

static inline uint16_t bytes_get_u16(const uint8_t *p)
{
	return (uint16_t) (((unsigned) p[0] << 8) | p[1]);
}

static inline uint32_t bytes_get_u32(const uint8_t *p)
{
	return ((uint32_t) bytes_get_u16(p) << 16) | bytes_get_u16(p + 2);
}

static inline uint64_t bytes_get_u64(const uint8_t *p)
{
	return ((uint64_t) bytes_get_u32(p) << 32) | bytes_get_u32(p + 4);
}
