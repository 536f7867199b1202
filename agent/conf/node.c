/* SPDX-License-Identifier: Apache-2.0 */
/* node.c - the content of a configuration file as one tree, whatever its format. Floor 4. */
#include "agent/conf/node.h"

#include <string.h>
#include <strings.h>

#include "proto/base/secret.h"
#include "proto/base/text.h"

const char *node_kind_name(enum node_kind k)
{
	static const char *const names[NODE_N_KINDS] = {
		[NODE_NULL] = "nothing",    [NODE_BOOL] = "true or false",
		[NODE_INT] = "a number",    [NODE_OTHER] = "a fraction or a date",
		[NODE_STRING] = "a string", [NODE_BARE] = "text",
		[NODE_LIST] = "a list",	    [NODE_MAP] = "a table",
	};

	return (unsigned) k < NODE_N_KINDS ? names[k] : "?";
}

const char *node_error_text(int err)
{
	return err == NODE_E_TWICE ? "this key is there already"
				   : "the file has too many values, or they are nested too deep";
}

static void node_unlink(struct node *n)
{
	struct node *parent = n->parent;
	struct node *before = NULL;

	if (parent == NULL)
		return;
	for (struct node *c = parent->first; c != n; c = c->next)
		before = c;
	if (before != NULL)
		before->next = n->next;
	else
		parent->first = n->next;
	if (parent->last == n)
		parent->last = before;
	parent->n--;
}

/* At most NODE_DEPTH_MAX calls deep. */
static void node_free(struct tree *t, struct node *n)
{
	struct node *next;

	for (struct node *c = n->first; c != NULL; c = next) {
		next = c->next;
		node_free(t, c);
	}
	free(n->key);
	free(n->label);
	n->text = secret_free(n->text);
	free(n);
	t->n_nodes--;
}

void node_drop(struct tree *t, struct node *n)
{
	node_unlink(n);
	if (t->root == n)
		t->root = NULL;
	node_free(t, n);
}

void tree_deinit(struct tree *t)
{
	if (t->root != NULL)
		node_free(t, t->root);
	*t = (struct tree){ 0 };
}

static unsigned node_depth(const struct node *n)
{
	unsigned depth = 0;

	for (; n != NULL; n = n->parent)
		depth++;
	return depth;
}

/* 0, or why @new may not become a child of @parent. */
static int node_may_add(const struct tree *t, const struct node *parent, const struct node_new *new)
{
	if (t->n_nodes >= NODE_MAX || node_depth(parent) >= NODE_DEPTH_MAX)
		return NODE_E_FULL;
	if (parent == NULL || parent->kind != NODE_MAP)
		return 0;
	if (parent->n >= NODE_MAP_MAX)
		return NODE_E_FULL;
	for (const struct node *c = parent->first; c != NULL; c = c->next)
		if (strlen(c->key) == new->key_len && memcmp(c->key, new->key, new->key_len) == 0)
			return NODE_E_TWICE;
	return 0;
}

int node_add(struct tree *t, struct node *parent, const struct node_new *new, struct node **ret_n)
{
	int r = node_may_add(t, parent, new);
	struct node *n;

	if (r != 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	t->n_nodes++;
	*n = (struct node){ .kind = new->kind, .at = new->at, .key_at = new->key_at };
	if (new->text != NULL)
		n->text = text_dup(new->text, new->len);
	if (parent != NULL && parent->kind == NODE_MAP)
		n->key = text_dup(new->key, new->key_len);
	if ((new->text != NULL && n->text == NULL) ||
	    (parent != NULL && parent->kind == NODE_MAP && n->key == NULL)) {
		node_free(t, n);
		return -ENOMEM;
	}
	n->parent = parent;
	if (parent == NULL) {
		t->root = n;
	} else {
		if (parent->last != NULL)
			parent->last->next = n;
		else
			parent->first = n;
		parent->last = n;
		parent->n++;
	}
	*ret_n = n;
	return 0;
}

int node_add_copy(struct tree *t, struct node *parent, const struct node_new *as,
		  const struct node *from, struct node **ret_n)
{
	struct node_new new = *as;
	struct node *copy, *ignored;
	int r;

	new.kind = from->kind;
	new.text = from->text;
	new.len = from->text != NULL ? strlen(from->text) : 0;
	r = node_add(t, parent, &new, &copy);
	if (r == 0 && from->label != NULL)
		r = node_set_label(copy, from->label);
	for (const struct node *c = from->first; c != NULL && r == 0; c = c->next) {
		new = (struct node_new){ .key = c->key,
					 .key_len = c->key != NULL ? strlen(c->key) : 0,
					 .key_at = c->key_at,
					 .at = c->at };
		r = node_add_copy(t, copy, &new, c, &ignored);
	}
	if (r == 0)
		*ret_n = copy;
	return r;
}

int node_set_label(struct node *n, const char *label)
{
	char *copy = text_dup(label, strlen(label));

	if (copy == NULL)
		return -ENOMEM;
	free(n->label);
	n->label = copy;
	return 0;
}

static bool is_before(const struct node *a, const struct node *b)
{
	return a->key_at.line != b->key_at.line ? a->key_at.line < b->key_at.line
						: a->key_at.column < b->key_at.column;
}

void node_sort(struct node *map)
{
	struct node *rest = map->first, *next, **at;

	map->first = map->last = NULL;
	for (; rest != NULL; rest = next) {
		next = rest->next;
		at = &map->first;
		if (map->last != NULL && !is_before(rest, map->last))
			at = &map->last->next;
		while (*at != NULL && !is_before(rest, *at))
			at = &(*at)->next;
		rest->next = *at;
		*at = rest;
		if (rest->next == NULL)
			map->last = rest;
	}
}

const struct node *node_get(const struct node *map, const char *key)
{
	for (const struct node *c = map->first; c != NULL; c = c->next)
		if (c->kind != NODE_NULL && strcasecmp(c->key, key) == 0)
			return c;
	return NULL;
}
