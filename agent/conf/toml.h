/* SPDX-License-Identifier: Apache-2.0 */
/* toml.h - TOML text to a tree, by toml++: the border to C++. Floor 4.
 *
 * toml.cpp knows nothing of our types and we nothing of its: it walks what toml++ has read and
 * tells each value to tomltree.c. Nothing is thrown across. */
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_kind {
	TOML_STRING,
	TOML_INT,
	TOML_BOOL,
	TOML_OTHER, /* a float, a date, a time */
	TOML_LIST,
	TOML_TABLE,
};

struct toml_value {
	const char *key; /* NULL in a list and for the root */
	size_t key_len;
	unsigned key_line, key_column;
	enum toml_kind kind;
	const char *text; /* of a string */
	size_t len;
	long long number; /* of an int; of a bool: 0 or 1 */
	unsigned line, column;
};

struct toml_ops {
	/* A value, in a list or table the members follow, then on_close(). Not 0 ends the walk. */
	int (*on_value)(void *arg, const struct toml_value *v);
	int (*on_close)(void *arg);
	/* No TOML: once, instead of all values. @words may quote the text. */
	void (*on_error)(void *arg, const char *words, size_t len, unsigned line, unsigned column);
};

/* 0, what on_value() said, -ENOMEM, or TOML_E_BAD after on_error(). */
enum { TOML_E_BAD = 1 };
int toml_walk(const char *text, size_t len, const struct toml_ops *ops, void *arg);

#ifdef __cplusplus
}
#endif
