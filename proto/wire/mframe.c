/* SPDX-License-Identifier: Apache-2.0 */
/* mframe.c - the 12-byte yamux frame header. Floor 1. */
#include "proto/wire/mframe.h"

#include "proto/base/bytes.h"

/* version 0 | type | flags u16 | stream id u32 | length u32 */

void mframe_encode(const struct mframe *f, uint8_t ret_bytes[static MFRAME_LEN])
{
	ret_bytes[0] = 0;
	ret_bytes[1] = (uint8_t) f->type;
	bytes_put_u16(ret_bytes + 2, f->flags);
	bytes_put_u32(ret_bytes + 4, f->stream_id);
	bytes_put_u32(ret_bytes + 8, f->len);
}

int mframe_decode(const uint8_t bytes[static MFRAME_LEN], struct mframe *ret_f)
{
	if (bytes[0] != 0 || bytes[1] > MFRAME_GOAWAY)
		return MFRAME_E_BAD;
	*ret_f = (struct mframe){
		.type = (enum mframe_type) bytes[1],
		.flags = bytes_get_u16(bytes + 2),
		.stream_id = bytes_get_u32(bytes + 4),
		.len = bytes_get_u32(bytes + 8),
	};
	return 0;
}
