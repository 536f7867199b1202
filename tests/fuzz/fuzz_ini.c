/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ini.c - a configuration file in INI. */
#include "tests/fuzz/fuzz_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_conf("fuzz.ini", data, size);
}
