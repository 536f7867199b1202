/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mframe.c - a yamux header: what decodes, encodes to the same bytes. */
#include "proto/wire/mframe.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mframe f;
	uint8_t again[MFRAME_LEN];

	for (; size >= MFRAME_LEN; data += MFRAME_LEN, size -= MFRAME_LEN) {
		if (mframe_decode(data, &f) != 0) {
			MUST(data[0] != 0 || data[1] > 3);
			continue;
		}
		mframe_encode(&f, again);
		MUST(memcmp(data, again, MFRAME_LEN) == 0);
	}
	return 0;
}
