/* SPDX-License-Identifier: Apache-2.0 */
/* clitree.c - the options of one proxy as the tree of a file that says the same. Floor 6. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/front/cli.h"
#include "agent/front/clioption.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

struct tree_maker {
	struct tree *tree;
	struct problems *problems;
	const char *label; /* "--local-port" */
};

static int put_node(struct tree_maker *m, struct node *parent, const char *key, size_t key_len,
		    enum node_kind kind, const char *text, size_t len, struct node **ret_n)
{
	struct node_new new = {
		.key = key, .key_len = key_len, .kind = kind, .text = text, .len = len
	};
	int r = node_add(m->tree, parent, &new, ret_n);

	if (r > 0) {
		problems_add(m->problems, "%s: %s", m->label, node_error_text(r));
		*ret_n = NULL;
		return 0;
	}
	return r < 0 ? r : node_set_label(*ret_n, m->label);
}

/* The child @key of @map, made when it is not there. */
static int open_node(struct tree_maker *m, struct node *map, const char *key, size_t len,
		     enum node_kind kind, struct node **ret_n)
{
	for (struct node *c = map->first; c != NULL; c = c->next)
		if (strlen(c->key) == len && memcmp(c->key, key, len) == 0) {
			*ret_n = c;
			return 0;
		}
	return put_node(m, map, key, len, kind, NULL, 0, ret_n);
}

/* Each of "a,b" into a list. */
static int put_list(struct tree_maker *m, struct node *list, const char *value)
{
	struct node *ignored;
	int r = 0;

	for (size_t n; r == 0; value += n + 1) {
		n = strcspn(value, ",");
		if (n > 0)
			r = put_node(m, list, NULL, 0, NODE_BARE, value, n, &ignored);
		if (value[n] == '\0')
			break;
	}
	return r;
}

/* Each of "k=v,k2=v2" into a map. */
static int put_pairs(struct tree_maker *m, struct node *map, const char *value)
{
	struct node *ignored;
	int r = 0;

	for (size_t n, n_key; r == 0; value += n + 1) {
		n = strcspn(value, ",");
		n_key = strcspn(value, "=");
		if (n_key >= n || n_key == 0)
			problems_add(m->problems, "%s: this is not name=value,name=value",
				     m->label);
		else
			r = put_node(m, map, value, n_key, NODE_BARE, value + n_key + 1,
				     n - n_key - 1, &ignored);
		if (value[n] == '\0')
			break;
	}
	return r;
}

static int put_flag(struct tree_maker *m, struct node *map, const struct cli_flag *f)
{
	const struct cli_option *o = f->option;
	const char *name = o->path, *dot, *value = f->value != NULL ? f->value : "true";
	struct node *n = map;
	int r;

	for (; (dot = strchr(name, '.')) != NULL; name = dot + 1) {
		r = open_node(m, n, name, (size_t) (dot - name), NODE_MAP, &n);
		if (r < 0 || n == NULL)
			return r;
	}
	if (o->form == CLI_FORM_TEXT || o->form == CLI_FORM_SWITCH)
		return put_node(m, n, name, strlen(name), NODE_BARE, value, strlen(value), &n);
	r = open_node(m, n, name, strlen(name), o->form == CLI_FORM_LIST ? NODE_LIST : NODE_MAP,
		      &n);
	if (r < 0 || n == NULL)
		return r;
	return o->form == CLI_FORM_LIST ? put_list(m, n, value) : put_pairs(m, n, value);
}

int cli_make_tree(const struct cli *cli, struct tree *t, struct problems *p)
{
	const char *list = cli->action == CLI_PROXY ? "proxies" : "visitors";
	struct tree_maker m = { .tree = t,
				.problems = p,
				.label = cli->action == CLI_PROXY ? "the proxy" : "the visitor" };
	struct node *root, *element = NULL, *ignored;
	char label[64];
	int r;

	r = put_node(&m, NULL, NULL, 0, NODE_MAP, NULL, 0, &root);
	if (r == 0)
		r = put_node(&m, root, list, strlen(list), NODE_LIST, NULL, 0, &element);
	if (r == 0)
		r = put_node(&m, element, NULL, 0, NODE_MAP, NULL, 0, &element);
	if (r == 0)
		r = put_node(&m, element, "type", 4, NODE_BARE, cli->type, strlen(cli->type),
			     &ignored);
	for (size_t i = 0; i < cli->n_flags && r == 0; i++) {
		const struct cli_flag *f = &cli->flags[i];

		(void) snprintf(label, sizeof(label), "--%s", f->option->name);
		m.label = label;
		r = put_flag(&m, f->option->use == CLI_USE_COMMON ? root : element, f);
	}
	return r;
}

void cli_wipe(const struct cli *cli)
{
	for (size_t i = 0; i < cli->n_flags; i++) {
		/* argv is ours to write, though cli only borrows it */
		char *value = (char *) (uintptr_t) cli->flags[i].value;

		if (cli->flags[i].option->is_secret && value != NULL)
			secret_wipe(value, strlen(value));
	}
}
