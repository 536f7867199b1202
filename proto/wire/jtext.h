/* SPDX-License-Identifier: Apache-2.0 */
/* jtext.h - JSON text: a reader into jansson's values and a writer into a buf, both as Go's
 * encoding/json. Floor 1.
 *
 * The reader is ours because jansson 2.14's own drops bytes of a string, or reads past it, when it
 * runs out of memory; because it refuses half of a surrogate pair and numbers beyond 64 bits even
 * in members nobody looks at; and because its nesting limit is 2,048. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/span.h"

/* Parse the whole of @in, one object, at most LIMIT_JSON_DEPTH deep. Invalid UTF-8 and lone
 * surrogates become U+FFFD. A repeated member moves to the place of its last appearance. A number
 * that is not an int64 (1.0 is not) is a JSON_REAL of no meaning. A member name ends at a NUL. 0
 * (then json_decref), -ENOMEM, or JTEXT_E_BAD and *ret_why (static text). */
enum { JTEXT_E_BAD = 1 };
int jtext_parse(struct span in, json_t **ret_object, const char **ret_why);
/* The last member called @name in any case that is not null; NULL when absent. @object NULL:
 * absent. */
json_t *jtext_get(const json_t *object, const char *name);

/* A writer with a sticky error: write, then look once at jtext_end(). */
struct jtext {
	/* private */
	struct buf *out; /* borrowed */
	size_t mark;	 /* length of @out before us */
	int err;
	bool is_first; /* the next member or element needs no comma */
};
void jtext_begin(struct jtext *j, struct buf *out);
/* 0; or the first failure (-ENOMEM, BUF_E_FULL, -EINVAL: a string is not UTF-8), and @out is as it
 * was. */
int jtext_end(struct jtext *j);
/* @name NULL: an element of an array, or the root. */
void jtext_open(struct jtext *j, const char *name, char bracket);
void jtext_close(struct jtext *j, char bracket);
void jtext_put_str(struct jtext *j, const char *name, const char *value);
void jtext_put_int(struct jtext *j, const char *name, int64_t value);
void jtext_put_bool(struct jtext *j, const char *name, bool value);
