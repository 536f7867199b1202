/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mux_client.c - a mux in the client's role against any peer. */
#include "tests/fuzz/fuzz_mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_mux(/* is_server= */ false, data, size);
}
