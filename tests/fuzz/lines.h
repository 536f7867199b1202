/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - what problems of a configuration may look like. Tests only. */
#pragma once
#include "agent/conf/problems.h"
#include "proto/base/err.h"

/* Lines of printable ASCII, as many as were counted unless some had no room. */
static inline void fuzz_check_lines(const struct problems *p)
{
	struct span s = buf_span(&p->text);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		MUST(s.p[i] == '\n' || (s.p[i] >= ' ' && s.p[i] <= '~'));
		n += s.p[i] == '\n';
	}
	MUST(n + p->n_dropped == p->n_lines && (s.len == 0 || s.p[s.len - 1] == '\n'));
}
