/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - names of faults. Tests only. */
#include "tests/sim/fault.h"

const char *fault_name(enum fault f)
{
	static const char *const names[N_FAULTS] = {
#define FAULT_NAME(name, text) [FAULT_##name] = #name,
		FAULTS(FAULT_NAME)
	};

	return names[f];
}

const char *fault_text(enum fault f)
{
	static const char *const texts[N_FAULTS] = {
#define FAULT_TEXT(name, text) [FAULT_##name] = (text),
		FAULTS(FAULT_TEXT)
	};

	return texts[f];
}
