/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - what MUST() does when it fails. Floor 0. */
#include "proto/base/err.h"

#include <stdio.h>

void must_failed(const char *what, const char *file, int line)
{
	(void) fprintf(stderr, "mltunnel: bug: %s (%s:%d)\n", what, file, line);
	abort();
}
