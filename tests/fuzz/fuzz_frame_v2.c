/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame_v2.c - message framing of wire v2. */
#include "tests/fuzz/fuzz_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_frames(WIRE_V2, data, size);
}
