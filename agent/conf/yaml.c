/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - YAML text to a tree, by libyaml. Floor 4.
 *
 * libyaml yields events; a stack of open lists and maps turns them into nodes. An anchor is the
 * node itself; an alias is a copy of it, so that NODE_MAX bounds what aliases of aliases
 * can make. */
#include "agent/conf/yaml.h"

#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "proto/base/text.h"

#define YAML_ANCHORS_MAX 256

struct yanchor {
	char *name;
	const struct node *node;
};

struct yreader {
	/* set by owner */
	struct tree *tree;
	struct parse_error *error;
	/* private */
	struct node *open; /* the innermost list or map that is not over */
	char *key;	   /* in a map: the name whose value comes next; NULL: a name comes next */
	struct place key_at;
	struct yanchor anchors[YAML_ANCHORS_MAX];
	size_t n_anchors;
	size_t n_documents;
	bool is_over;
};

static struct place place_of(const yaml_mark_t *mark)
{
	return (struct place){ .line = (unsigned) mark->line + 1,
			       .column = (unsigned) mark->column + 1 };
}

static int yaml_refuse(struct yreader *y, struct place at, const char *why)
{
	y->error->at = at;
	(void) snprintf(y->error->why, PARSE_WHY, "%s", why);
	return PARSE_E_BAD;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

/* A number as Go's ParseInt(s, 0, 64) reads it, underscores left out, in decimal. */
static bool yaml_int(const char *s, char dst[static 24])
{
	static const char digits[] = "0123456789abcdef";
	bool is_negative = *s == '-';
	unsigned base = 10, d;
	unsigned __int128 v = 0;
	const char *at;

	s += *s == '-' || *s == '+';
	if (*s < '0' || *s > '9')
		return false;
	if (*s == '0' && s[1] != '\0') {
		base = s[1] == 'x' || s[1] == 'X' ? 16 : s[1] == 'b' || s[1] == 'B' ? 2 : 8;
		s += base == 8 ? 1 + (s[1] == 'o' || s[1] == 'O') : 2;
		if (*s == '\0')
			return false;
	}
	for (; *s != '\0'; s++) {
		if (*s == '_')
			continue;
		at = strchr(digits, *s >= 'A' && *s <= 'F' ? *s + ('a' - 'A') : *s);
		d = at != NULL ? (unsigned) (at - digits) : base;
		v = v * base + d;
		if (d >= base || v > (unsigned __int128) INT64_MAX + is_negative)
			return false;
	}
	(void) snprintf(dst, 24, "%s%llu", is_negative && v > 0 ? "-" : "", (unsigned long long) v);
	return true;
}

/* [-+]?(digits[.digits] | .digits)[e[-+]digits], or .inf, .nan */
static bool is_float(const char *s)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };
	size_t n, n_digits;

	s += *s == '-' || *s == '+';
	if (is_one_of(s, words))
		return true;
	n_digits = strspn(s, "0123456789_");
	if (n_digits > 0 && *s == '_')
		return false;
	s += n_digits;
	if (*s == '.') {
		n = strspn(++s, "0123456789_");
		n_digits += n;
		s += n;
	}
	if (n_digits > 0 && (*s == 'e' || *s == 'E')) {
		s += 1 + (s[1] == '-' || s[1] == '+');
		n = strspn(s, "0123456789");
		s += n;
		if (n == 0)
			return false;
	}
	return n_digits > 0 && *s == '\0';
}

/* What a scalar without quotes means. */
static enum node_kind yaml_resolve(const char *s, char dst[static 24])
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", "yes", "Yes", "YES",
					     "on",   "On",   "ON",   "y",   "Y",   NULL };
	static const char *const falses[] = { "false", "False", "FALSE", "no", "No", "NO",
					      "off",   "Off",	"OFF",	 "n",  "N",  NULL };

	dst[0] = '\0';
	if (is_one_of(s, nulls))
		return NODE_NULL;
	if (is_one_of(s, trues) || is_one_of(s, falses)) {
		(void) snprintf(dst, 24, "%s", is_one_of(s, trues) ? "true" : "false");
		return NODE_BOOL;
	}
	if (yaml_int(s, dst))
		return NODE_INT;
	return is_float(s) ? NODE_OTHER : NODE_STRING;
}

/* -- anchors and merge keys -- */

static int yaml_anchor(struct yreader *y, const yaml_char_t *name, const struct node *n,
		       struct place at)
{
	struct yanchor *a = NULL;

	if (name == NULL)
		return 0;
	for (size_t i = 0; i < y->n_anchors; i++)
		if (strcmp(y->anchors[i].name, (const char *) name) == 0)
			a = &y->anchors[i]; /* the last one of a name counts */
	if (a == NULL) {
		if (y->n_anchors == YAML_ANCHORS_MAX)
			return yaml_refuse(y, at, "too many anchors");
		a = &y->anchors[y->n_anchors];
		a->name = text_dup((const char *) name, strlen((const char *) name));
		if (a->name == NULL)
			return -ENOMEM;
		y->n_anchors++;
	}
	a->node = n;
	return 0;
}

static const struct node *yaml_find(const struct yreader *y, const char *name)
{
	for (size_t i = 0; i < y->n_anchors; i++)
		if (strcmp(y->anchors[i].name, name) == 0)
			return y->anchors[i].node;
	return NULL;
}

/* An anchor may stand on what is dropped. */
static void yaml_forget(struct yreader *y, const struct node *n)
{
	for (size_t i = 0; i < y->n_anchors; i++)
		for (const struct node *up = y->anchors[i].node; up != NULL; up = up->parent)
			if (up == n) {
				y->anchors[i].node = NULL;
				break;
			}
}

/* Copy into @map what it has not itself. */
static int yaml_merge_one(struct yreader *y, struct node *map, const struct node *from,
			  struct place at)
{
	struct node *ignored;
	int r;

	if (from->kind != NODE_MAP)
		return yaml_refuse(y, at, "\"<<\" takes a map, or a list of maps");
	for (const struct node *c = from->first; c != NULL; c = c->next) {
		struct node_new new = {
			.key = c->key, .key_len = strlen(c->key), .key_at = c->key_at, .at = c->at
		};

		r = node_add_copy(y->tree, map, &new, c, &ignored);
		if (r == NODE_E_FULL)
			return yaml_refuse(y, at, node_error_text(r));
		if (r < 0)
			return r;
	}
	return 0;
}

static int yaml_merge(struct yreader *y, struct node *map)
{
	struct node *from;
	int r = 0;

	for (from = map->first; from != NULL && strcmp(from->key, "<<") != 0; from = from->next)
		;
	if (from == NULL)
		return 0;
	if (from->kind != NODE_LIST) {
		r = yaml_merge_one(y, map, from, from->key_at);
	} else {
		for (const struct node *c = from->first; c != NULL && r == 0; c = c->next)
			r = yaml_merge_one(y, map, c, from->key_at);
	}
	yaml_forget(y, from);
	node_drop(y->tree, from);
	return r;
}

/* -- events -- */

static int yaml_put(struct yreader *y, struct node_new *new, const struct node *copied,
		    struct node **ret_n)
{
	int r;

	if (y->open == NULL && new->kind != NODE_MAP && copied == NULL)
		return yaml_refuse(y, new->at, "the file is no list of \"key: value\"");
	if (y->open != NULL && y->open->kind == NODE_MAP) {
		new->key = y->key;
		new->key_len = strlen(y->key);
		new->key_at = y->key_at;
	}
	r = copied != NULL ? node_add_copy(y->tree, y->open, new, copied, ret_n)
			   : node_add(y->tree, y->open, new, ret_n);
	if (r > 0)
		return yaml_refuse(y, r == NODE_E_TWICE ? y->key_at : new->at, node_error_text(r));
	free(y->key);
	y->key = NULL;
	return r;
}

static bool wants_key(const struct yreader *y)
{
	return y->open != NULL && y->open->kind == NODE_MAP && y->key == NULL;
}

static bool is_known_tag(const char *tag)
{
	static const char *const tags[] = { "!",
					    "tag:yaml.org,2002:str",
					    "tag:yaml.org,2002:int",
					    "tag:yaml.org,2002:bool",
					    "tag:yaml.org,2002:null",
					    "tag:yaml.org,2002:float",
					    "tag:yaml.org,2002:map",
					    "tag:yaml.org,2002:seq",
					    NULL };

	return is_one_of(tag, tags);
}

static int yaml_on_scalar(struct yreader *y, const yaml_event_t *ev)
{
	const char *text = (const char *) ev->data.scalar.value;
	const char *tag = (const char *) ev->data.scalar.tag;
	size_t len = ev->data.scalar.length;
	struct node_new new = { .kind = NODE_STRING, .at = place_of(&ev->start_mark) };
	struct node *n;
	char plain[24];
	int r;

	if (memchr(text, '\0', len) != NULL)
		return yaml_refuse(y, new.at, "a NUL character inside a value");
	if (tag != NULL && !is_known_tag(tag))
		return yaml_refuse(y, new.at,
				   "tags other than those of the core schema are unknown");
	if (wants_key(y)) {
		y->key_at = new.at;
		y->key = text_dup(text, len);
		return y->key == NULL ? -ENOMEM : 0;
	}
	new.text = text;
	new.len = len;
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (tag == NULL || strcmp(tag, "tag:yaml.org,2002:str") != 0))
		new.kind = yaml_resolve(text, plain);
	if (new.kind == NODE_BOOL || new.kind == NODE_INT) {
		new.text = plain;
		new.len = strlen(plain);
	}
	if (new.kind == NODE_NULL && y->open == NULL)
		new.kind = NODE_MAP; /* a file with nothing in it */
	r = yaml_put(y, &new, /* copied= */ NULL, &n);
	return r != 0 ? r : yaml_anchor(y, ev->data.scalar.anchor, n, new.at);
}

static int yaml_on_open(struct yreader *y, enum node_kind kind, const yaml_char_t *anchor,
			const yaml_char_t *tag, struct place at)
{
	struct node_new new = { .kind = kind, .at = at };
	struct node *n;
	int r;

	if (wants_key(y))
		return yaml_refuse(y, at, "a key is a word, no list or map");
	if (tag != NULL && !is_known_tag((const char *) tag))
		return yaml_refuse(y, at, "tags other than those of the core schema are unknown");
	r = yaml_put(y, &new, /* copied= */ NULL, &n);
	if (r != 0)
		return r;
	y->open = n;
	return yaml_anchor(y, anchor, n, at);
}

static int yaml_on_alias(struct yreader *y, const char *name, struct place at)
{
	const struct node *from = yaml_find(y, name);
	struct node_new new = { .at = at };
	struct node *n;

	if (wants_key(y))
		return yaml_refuse(y, at, "a key is a word, no alias");
	if (from == NULL)
		return yaml_refuse(y, at, "an alias of an anchor that is not there");
	for (const struct node *up = y->open; up != NULL; up = up->parent)
		if (up == from)
			return yaml_refuse(y, at, "an alias of what it is a part of");
	return yaml_put(y, &new, from, &n);
}

static int yaml_on_close(struct yreader *y)
{
	struct node *closed = y->open;

	y->open = closed->parent;
	return closed->kind == NODE_MAP ? yaml_merge(y, closed) : 0;
}

static int yaml_on_event(struct yreader *y, const yaml_event_t *ev)
{
	struct place at = place_of(&ev->start_mark);

	switch (ev->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT: return 0;
	case YAML_STREAM_END_EVENT: y->is_over = true; return 0;
	case YAML_DOCUMENT_START_EVENT:
		return ++y->n_documents > 1 ? yaml_refuse(y, at, "more than one document") : 0;
	case YAML_SCALAR_EVENT: return yaml_on_scalar(y, ev);
	case YAML_ALIAS_EVENT: return yaml_on_alias(y, (const char *) ev->data.alias.anchor, at);
	case YAML_MAPPING_START_EVENT:
		return yaml_on_open(y, NODE_MAP, ev->data.mapping_start.anchor,
				    ev->data.mapping_start.tag, at);
	case YAML_SEQUENCE_START_EVENT:
		return yaml_on_open(y, NODE_LIST, ev->data.sequence_start.anchor,
				    ev->data.sequence_start.tag, at);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: return yaml_on_close(y);
	}
	return 0;
}

/* libyaml's words are constants: they quote nothing. */
static int yaml_fail(struct yreader *y, const yaml_parser_t *p)
{
	struct place at = place_of(&p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		y->error->at = place_of(&p->mark); /* where the scanner was; close */
		(void) snprintf(y->error->why, PARSE_WHY, "no YAML: %s",
				p->problem != NULL ? p->problem : "not UTF-8");
		return PARSE_E_BAD;
	}
	y->error->at = at;
	(void) snprintf(y->error->why, PARSE_WHY, "no YAML: %s%s%s",
			p->problem != NULL ? p->problem : "not understood",
			p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
	return PARSE_E_BAD;
}

static int yaml_run(struct yreader *y, yaml_parser_t *p)
{
	yaml_event_t ev;
	int r = 0;

	while (r == 0 && !y->is_over) {
		if (!yaml_parser_parse(p, &ev))
			return yaml_fail(y, p);
		r = yaml_on_event(y, &ev);
		yaml_event_delete(&ev);
	}
	return r;
}

/* In frp these names hold what others merge. */
static void yaml_drop_dotted(struct tree *t)
{
	struct node *next;

	for (struct node *c = t->root->first; c != NULL; c = next) {
		next = c->next;
		if (c->key[0] == '.')
			node_drop(t, c);
	}
}

int yaml_parse(const char *text, size_t len, struct tree *t, struct parse_error *ret_e)
{
	struct yreader y = { .tree = t, .error = ret_e };
	struct node_new empty = { .kind = NODE_MAP, .at = { .line = 1, .column = 1 } };
	struct node *ignored;
	yaml_parser_t p;
	int r;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *) text, len);
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	r = yaml_run(&y, &p);
	yaml_parser_delete(&p);
	free(y.key);
	for (size_t i = 0; i < y.n_anchors; i++)
		free(y.anchors[i].name);
	if (r == 0 && t->root == NULL)
		r = node_add(t, NULL, &empty, &ignored);
	if (r == 0)
		yaml_drop_dotted(t);
	return r;
}
