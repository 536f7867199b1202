/* SPDX-License-Identifier: Apache-2.0 */
/* mframe.h - the 12-byte yamux frame header (yamux spec.md, const.go). Floor 1. */
#pragma once
#include <stdint.h>

#define MFRAME_LEN 12

enum mframe_type { MFRAME_DATA = 0, MFRAME_WINDOW = 1, MFRAME_PING = 2, MFRAME_GOAWAY = 3 };
enum { MFRAME_SYN = 1, MFRAME_ACK = 2, MFRAME_FIN = 4, MFRAME_RST = 8 };

struct mframe {
	enum mframe_type type;
	uint16_t flags; /* unknown bits are kept and mean nothing */
	uint32_t stream_id;
	uint32_t len; /* payload bytes (data), window delta, ping id or goaway code */
};

void mframe_encode(const struct mframe *f, uint8_t ret_bytes[static MFRAME_LEN]);
/* 0, or MFRAME_E_BAD: version not 0 or type above 3. */
enum { MFRAME_E_BAD = 1 };
int mframe_decode(const uint8_t bytes[static MFRAME_LEN], struct mframe *ret_f);
