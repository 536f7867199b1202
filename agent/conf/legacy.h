/* SPDX-License-Identifier: Apache-2.0 */
/* legacy.h - the keys of frp's INI files, and what they are called in the table of keys.
 * Floor 4. */
#pragma once
#include <stddef.h>

#include "agent/conf/key.h"

enum legacy_kind {
	LEGACY_TEXT,
	LEGACY_LIST,   /* of words with commas between them */
	LEGACY_FAMILY, /* the name is a beginning, and the rest of it the name of a pair */
	LEGACY_SCOPE,  /* true: one more word in the list; @words is the word */
	LEGACY_INERT,  /* no place: a row of a table of its own says what it may be */
};

struct legacy_key {
	struct key key;	  /* the name; for LEGACY_INERT the parser too */
	const char *path; /* in keys.c; NULL for LEGACY_INERT */
	enum legacy_kind kind;
};

struct legacy_keys {
	const struct legacy_key *at;
	size_t n;
};
extern const struct legacy_keys legacy_common;
extern const struct legacy_keys legacy_proxy;
extern const struct legacy_keys legacy_visitor;

/* The row of @name or of its family; NULL when frp has no such key. */
const struct legacy_key *legacy_find(const struct legacy_keys *keys, const char *name);
/* The name in @keys that is nearest to @name. */
const char *legacy_nearest(const struct legacy_keys *keys, const char *name);
