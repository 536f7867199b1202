/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - what the parsers of all formats have in common. Floor 4. */
#pragma once
#include <stddef.h>

#include "agent/conf/node.h"

#define PARSE_WHY 160 /* room for a reason */

/* Of what makes a text none of this format: the first place, and words for a person that quote
 * nothing of the text (it holds the token). */
struct parse_error {
	struct place at;
	char why[PARSE_WHY];
};

/* Parse @len bytes of @text (a NUL follows) into @t, which is empty. The root is a map; an empty
 * text gives an empty one. 0, -ENOMEM, or PARSE_E_BAD and *ret_e; tree_deinit() @t in any case. */
enum { PARSE_E_BAD = 1 };
typedef int parse_fn(const char *text, size_t len, struct tree *t, struct parse_error *ret_e);
