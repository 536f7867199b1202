/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_toml.c - a configuration file in TOML. */
#include "tests/fuzz/fuzz_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_conf("fuzz.toml", data, size);
}
