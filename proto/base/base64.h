/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648 base64 with padding, as Go writes a []byte into JSON. Floor 0. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

/* Characters for @n bytes, without the NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* BASE64_LEN(s.len) characters and NUL; @cap must suffice. */
void base64_encode(struct span s, char *dst, size_t cap);
/* Strict: whole groups, padding only at the end, no space. Up to @text.len / 4 * 3 bytes. 0, or
 * BASE64_E_BAD: not base64, or more than @cap bytes (@dst is then undefined). */
enum { BASE64_E_BAD = 1 };
int base64_decode(struct span text, uint8_t *dst, size_t cap, size_t *ret_len);
