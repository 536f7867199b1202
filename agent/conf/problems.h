/* SPDX-License-Identifier: Apache-2.0 */
/* problems.h - what is wrong with a configuration, one line each, all of it before anything starts.
 * Floor 4.
 *
 * Words of the user are escaped before they come here; a secret never comes here. */
#pragma once
#include <stddef.h>

#include "proto/base/buf.h"

struct problems {
	/* read-only */
	size_t n_lines;	 /* also those that had no room */
	struct buf text; /* the lines, each with its newline */
	size_t n_dropped;
};

void problems_init(struct problems *p);
void problems_deinit(struct problems *p);
/* One more line. One that finds no room or no memory is counted in n_dropped all the same. */
void problems_add(struct problems *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
