/* SPDX-License-Identifier: Apache-2.0 */
/* tomltree.c - TOML text to a tree: what the border to toml++ tells becomes nodes. Floor 4. */
#include "agent/conf/tomltree.h"

#include <stdio.h>
#include <string.h>

#include "agent/conf/toml.h"

/* toml++ 3.3 makes one nested table per dot of a key and frees them by recursion. Names with a
 * thousand dots have no use, and lists of host names are written over several lines. */
#define TOML_DOTS_MAX 1000 /* in one line */

struct toml_reader {
	struct tree *tree;
	struct parse_error *error;
	struct node *open;
};

static int toml_refuse(struct toml_reader *t, struct place at, const char *why)
{
	t->error->at = at;
	(void) snprintf(t->error->why, PARSE_WHY, "%s", why);
	return PARSE_E_BAD;
}

static int toml_on_value(void *arg, const struct toml_value *v)
{
	static const enum node_kind kinds[] = {
		[TOML_STRING] = NODE_STRING, [TOML_INT] = NODE_INT,   [TOML_BOOL] = NODE_BOOL,
		[TOML_OTHER] = NODE_OTHER,   [TOML_LIST] = NODE_LIST, [TOML_TABLE] = NODE_MAP,
	};
	struct toml_reader *t = arg;
	struct node_new new = {
		.key = v->key,
		.key_len = v->key_len,
		.key_at = { .line = v->key_line, .column = v->key_column },
		.kind = kinds[v->kind],
		.at = { .line = v->line, .column = v->column },
	};
	char number[24];
	struct node *n;
	int r;

	if (v->kind == TOML_STRING) {
		new.text = v->text;
		new.len = v->len;
	} else if (v->kind == TOML_INT || v->kind == TOML_BOOL) {
		if (v->kind == TOML_INT)
			(void) snprintf(number, sizeof(number), "%lld", v->number);
		else
			(void) snprintf(number, sizeof(number), "%s",
					v->number != 0 ? "true" : "false");
		new.text = number;
		new.len = strlen(number);
	}
	if ((new.text != NULL &&memchr(new.text, '\0', new.len) != NULL) ||
	    (new.key != NULL &&memchr(new.key, '\0', new.key_len) != NULL))
		return toml_refuse(t, new.at, "a NUL character inside a string");
	r = node_add(t->tree, t->open, &new, &n);
	if (r > 0)
		return toml_refuse(t, new.at, node_error_text(r));
	if (r == 0 && (n->kind == NODE_LIST || n->kind == NODE_MAP))
		t->open = n;
	return r;
}

static int toml_on_close(void *arg)
{
	struct toml_reader *t = arg;

	if (t->open->kind == NODE_MAP)
		node_sort(t->open); /* toml++ has its own order */
	t->open = t->open->parent;
	return 0;
}

/* toml++ quotes what it met, between single quotes and perhaps whole numbers: only words without
 * the quoted parts are shown. */
static void toml_on_error(void *arg, const char *words, size_t len, unsigned line, unsigned column)
{
	static const char prefix[] = "no TOML: ";
	struct toml_reader *t = arg;
	size_t n = sizeof(prefix) - 1;
	bool is_quoted = false;

	t->error->at = (struct place){ .line = line, .column = column };
	memcpy(t->error->why, prefix, n);
	for (size_t i = 0; i < len && n + 4 < PARSE_WHY; i++) {
		if (words[i] == '\'') {
			if (!is_quoted) {
				memcpy(t->error->why + n, "...", 3);
				n += 3;
			}
			is_quoted = !is_quoted;
		} else if (!is_quoted && words[i] >= ' ' && words[i] < 0x7f) {
			t->error->why[n++] = words[i];
		}
	}
	t->error->why[n] = '\0';
}

static int toml_check_dots(struct toml_reader *t, const char *text, size_t len)
{
	struct place at = { .line = 1, .column = 1 };
	unsigned n_dots = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			at.line++;
			n_dots = 0;
		} else if (text[i] == '.' && ++n_dots > TOML_DOTS_MAX) {
			return toml_refuse(t, at, "more than 1,000 dots in one line");
		}
	}
	return 0;
}

int tomltree_parse(const char *text, size_t len, struct tree *t, struct parse_error *ret_e)
{
	static const struct toml_ops ops = {
		.on_value = toml_on_value,
		.on_close = toml_on_close,
		.on_error = toml_on_error,
	};
	struct toml_reader reader = { .tree = t, .error = ret_e };
	int r = toml_check_dots(&reader, text, len);

	if (r != 0)
		return r;
	r = toml_walk(text, len, &ops, &reader);
	return r > 0 ? PARSE_E_BAD : r;
}
