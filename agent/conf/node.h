/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - the content of a configuration file as one tree, whatever its format. Floor 4.
 *
 * The parsers (yaml, json, toml, ini) build it, the reader walks it. Each node knows where it
 * stands. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

enum node_kind {
	NODE_NULL,
	NODE_BOOL,  /* text "true" or "false" */
	NODE_INT,   /* text in decimal, within 64 bits */
	NODE_OTHER, /* a number that is no int, a date: no key takes one */
	NODE_STRING,
	NODE_BARE, /* of an INI file, which has no types: text as it stands */
	NODE_LIST,
	NODE_MAP,
};
#define NODE_N_KINDS 8
const char *node_kind_name(enum node_kind k); /* "a string" */

/* From 1 on; 0: not known. */
struct place {
	unsigned line, column;
};

struct node {
	/* read-only */
	enum node_kind kind;
	char *key;	 /* in a map; NULL in a list */
	struct place at; /* of the value */
	struct place key_at;
	char *text;  /* of a scalar; perhaps a secret */
	char *label; /* what messages call it; NULL: its path */
	struct node *first, *last, *next, *parent;
	size_t n; /* of a list or map */
};

#define NODE_DEPTH_MAX 16	    /* the deepest key of frp has 5 names */
#define NODE_MAX (128 * 1024)	    /* of a file: 4,096 proxies with 30 keys each */
#define NODE_MAP_MAX 2048	    /* keys of one map: as many do not fit into a message */
#define NODE_FILE_MAX (1024 * 1024) /* bytes of a file, before and after its templates */

struct tree {
	/* read-only */
	struct node *root; /* a map; NULL before node_set_root() */
	/* private */
	size_t n_nodes;
};

enum {
	NODE_E_TWICE = 1, /* the map has the key already; a map key and its place are in @ret */
	NODE_E_FULL = 2,  /* more than NODE_MAX, NODE_MAP_MAX or NODE_DEPTH_MAX allow */
};
/* The words that go with these. */
const char *node_error_text(int err);

/* Add to @parent (a list or map; NULL: the root, once) a node of @kind with the @len bytes of @text
 * and, in a map, the name @key of @key_len bytes. All copied; neither has NUL inside. 0, -ENOMEM,
 * NODE_E_TWICE, NODE_E_FULL. */
struct node_new {
	const char *key;
	size_t key_len;
	struct place key_at;
	enum node_kind kind;
	const char *text;
	size_t len;
	struct place at;
};
int node_add(struct tree *t, struct node *parent, const struct node_new *new, struct node **ret_n);
/* A deep copy of @from as one more child. Returns as node_add(). */
int node_add_copy(struct tree *t, struct node *parent, const struct node_new *as,
		  const struct node *from, struct node **ret_n);
/* Messages call @n "@label" from now on. 0 or -ENOMEM. */
int node_set_label(struct node *n, const char *label);
/* The children of @map in the order of their names in the file. */
void node_sort(struct node *map);
/* Take @n out of its parent and free it. */
void node_drop(struct tree *t, struct node *n);
void tree_deinit(struct tree *t); /* wipes all texts */

/* The child called @key, in any case as in Go's decoder; NULL when there is none, or it is null. */
const struct node *node_get(const struct node *map, const char *key);
