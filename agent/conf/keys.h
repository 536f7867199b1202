/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - every key of frp's client configuration, and ours: the one table. Floor 4.
 *
 * Names are paths with dots, as frp 0.71 spells them. A row with a parser and a place is supported;
 * a row without a place is accepted only at the value that asks for what happens anyway; a row
 * without a parser is refused, with all that is below it, unless it is empty. */
#pragma once
#include "agent/conf/key.h"

struct keys {
	const struct key *at;
	size_t n;
};
extern const struct keys keys_common;  /* of a struct conf */
extern const struct keys keys_proxy;   /* of a struct conf_proxy */
extern const struct keys keys_visitor; /* of a struct conf_visitor */

/* The row of the path @name, in any case as in Go's decoder. NULL: none; then *ret_is_table says
 * whether rows below @name exist. */
const struct key *keys_find(const struct keys *keys, const char *name, bool *ret_is_table);

/* Write the name, or beginning of names, that is nearest to @name and has as many points, to @dst.
 * Returns @dst. */
const char *keys_nearest(const struct keys *keys, const char *name, char *dst, size_t cap);
