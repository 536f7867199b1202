/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - from the tree of a file to a configuration, by the table of keys. Floor 4.
 *
 * As in Go's decoder: null is absent, an empty string and the number 0 ask for the default, names
 * of keys match in any case. Types are not converted: "7000" is no number, 123 no token. INI files
 * have no types, so their values are only text. */
#include "agent/conf/reader.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/conf/file.h"
#include "agent/conf/keys.h"
#include "agent/conf/legacy.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define READER_PATH 256 /* of the longest name in a message; longer ones are cut */
#define READER_LINE 800

/* What a part of the tree describes. */
struct scope {
	const struct keys *keys;
	void *object;
	const char *name; /* "" or "proxies[0]." */
	unsigned type;	  /* 1 << enum conf_type; 0: unknown */
	const char *type_name;
};

const char *reader_put_place(const struct reader *rd, struct place at,
			     char dst[static READER_PLACE])
{
	bool is_same = true;
	unsigned line = at.line;

	if (rd->lines != NULL)
		line = template_line(rd->lines, at.line, &is_same);
	if (rd->file == NULL)
		dst[0] = '\0';
	else if (line == 0)
		(void) snprintf(dst, READER_PLACE, "%s", rd->file);
	else if (at.column == 0 || !is_same)
		(void) snprintf(dst, READER_PLACE, "%s:%u", rd->file, line);
	else
		(void) snprintf(dst, READER_PLACE, "%s:%u:%u", rd->file, line, at.column);
	return dst;
}

/* "FILE:LINE:COLUMN: PATH" of a node; @path may be NULL. */
static const char *reader_put_node(const struct reader *rd, const struct node *n, struct place at,
				   const char *path, char dst[static READER_LINE])
{
	char place[READER_PLACE], quote[READER_PATH];

	(void) reader_put_place(rd, at, place);
	(void) text_escape(span_str(n->label != NULL ? n->label
				    : path != NULL   ? path
						     : ""),
			   quote, sizeof(quote));
	(void) snprintf(dst, READER_LINE, "%s%s%s", place,
			place[0] != '\0' && quote[0] != '\0' ? ": " : "", quote);
	return dst;
}

static void reader_refuse(const struct reader *rd, const struct node *n, const char *path,
			  const char *words)
{
	char line[READER_LINE];

	problems_add(rd->problems, "%s: %s", reader_put_node(rd, n, n->at, path, line), words);
}

static bool is_empty(const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL: return true;
	case NODE_BOOL: return strcmp(n->text, "false") == 0;
	case NODE_INT: return strcmp(n->text, "0") == 0;
	case NODE_OTHER: return false;
	case NODE_STRING:
	case NODE_BARE: return n->text[0] == '\0';
	case NODE_LIST: return n->n == 0;
	case NODE_MAP:
		for (const struct node *c = n->first; c != NULL; c = c->next)
			if (!is_empty(c))
				return false;
		return true;
	}
	return false;
}

/* An empty string, or the number 0; in files without types, 0 where a number is wanted. */
static bool asks_for_default(const struct key *k, const struct node *n)
{
	if (k->kind == KEY_INT && n->kind == NODE_BARE)
		return strcmp(n->text, "0") == 0;
	return is_empty(n) && (k->kind == KEY_STR || (k->kind == KEY_INT && n->kind == NODE_INT));
}

/* -- one key -- */

static void reader_refuse_kind(const struct reader *rd, const struct node *n, const char *path,
			       const char *want)
{
	char words[READER_PATH];
	bool is_bare_word = strcmp(want, "a string") == 0 && n->kind != NODE_LIST &&
			    n->kind != NODE_MAP;

	(void) snprintf(words, sizeof(words), "this is %s, but has to be %s%s",
			node_kind_name(n->kind), want, is_bare_word ? " (in quotes)" : "");
	reader_refuse(rd, n, path, words);
}

static int reader_scalar(const struct reader *rd, const struct scope *s, const struct key *k,
			 const struct node *n, const char *path)
{
	static const enum node_kind kinds[] = {
		[KEY_STR] = NODE_STRING,  [KEY_INT] = NODE_INT,	     [KEY_BOOL] = NODE_BOOL,
		[KEY_STRS] = NODE_STRING, [KEY_PAIRS] = NODE_STRING, [KEY_PAIR_LIST] = NODE_STRING
	};
	enum node_kind want = kinds[k->kind];
	char line[READER_LINE];

	if (n->kind != NODE_BARE && n->kind != want) {
		reader_refuse_kind(rd, n, path, node_kind_name(want));
		return 0;
	}
	if (asks_for_default(k, n))
		return 0;
	return key_apply(k, s->object, reader_put_node(rd, n, n->at, path, line), n->text,
			 rd->problems);
}

static int reader_strs(const struct reader *rd, const struct scope *s, const struct key *k,
		       const struct node *n, const char *path)
{
	int r = 0;

	if (n->kind != NODE_LIST) {
		reader_refuse_kind(rd, n, path, "a list of strings");
		return 0;
	}
	for (const struct node *c = n->first; c != NULL && r == 0; c = c->next)
		r = reader_scalar(rd, s, k, c, path);
	return r;
}

static int reader_pair(const struct reader *rd, struct conf_pairs *pairs, const char *name,
		       const struct node *value, const char *path)
{
	if (value->kind != NODE_STRING && value->kind != NODE_BARE) {
		reader_refuse_kind(rd, value, path, "a string");
		return 0;
	}
	if (!text_is_utf8(span_str(name)) || !text_is_utf8(span_str(value->text))) {
		reader_refuse(rd, value, path, "its value (not shown) is not UTF-8");
		return 0;
	}
	return conf_pairs_add(pairs, name, value->text);
}

static int reader_pairs(const struct reader *rd, const struct scope *s, const struct key *k,
			const struct node *n, const char *path)
{
	struct conf_pairs *pairs = (void *) ((char *) s->object + k->at);
	char name[READER_PATH];
	int r = 0;

	if (n->kind != NODE_MAP) {
		reader_refuse_kind(rd, n, path, "a table of strings");
		return 0;
	}
	for (const struct node *c = n->first; c != NULL && r == 0; c = c->next) {
		(void) snprintf(name, sizeof(name), "%.120s.%.120s", path,
				c->key); /* to be shown */
		if (c->kind != NODE_NULL)
			r = reader_pair(rd, pairs, c->key, c, name);
	}
	return r;
}

static int reader_pair_list(const struct reader *rd, const struct scope *s, const struct key *k,
			    const struct node *n, const char *path)
{
	struct conf_pairs *pairs = (void *) ((char *) s->object + k->at);
	int r = 0;

	if (n->kind != NODE_LIST) {
		reader_refuse_kind(rd, n, path, "a list of tables with \"name\" and \"value\"");
		return 0;
	}
	for (const struct node *c = n->first; c != NULL && r == 0; c = c->next) {
		const struct node *name = c->kind == NODE_MAP ? node_get(c, "name") : NULL;
		const struct node *value = c->kind == NODE_MAP ? node_get(c, "value") : NULL;

		if (name == NULL || value == NULL || c->n != 2 || name->kind != NODE_STRING ||
		    name->text[0] == '\0' || strchr(name->text, '=') != NULL)
			reader_refuse(rd, c, path,
				      "this is no table with \"name\" and \"value\", strings");
		else
			r = reader_pair(rd, pairs, name->text, value, path);
	}
	return r;
}

static int reader_key(const struct reader *rd, const struct scope *s, const struct key *k,
		      const struct node *n, const char *path)
{
	char line[READER_LINE];

	if (n->kind == NODE_NULL)
		return 0;
	if (k->set == NULL) {
		if (is_empty(n))
			return 0;
		return key_apply(k, s->object, reader_put_node(rd, n, n->key_at, path, line), "",
				 rd->problems);
	}
	if (k->types != 0 && s->type != 0 && (k->types & s->type) == 0) {
		problems_add(rd->is_strict ? rd->problems : rd->warnings,
			     "%s: a proxy of type %s has no such key",
			     reader_put_node(rd, n, n->key_at, path, line), s->type_name);
		return 0;
	}
	switch (k->kind) {
	case KEY_STR:
	case KEY_INT:
	case KEY_BOOL: return reader_scalar(rd, s, k, n, path);
	case KEY_STRS: return reader_strs(rd, s, k, n, path);
	case KEY_PAIRS: return reader_pairs(rd, s, k, n, path);
	case KEY_PAIR_LIST: return reader_pair_list(rd, s, k, n, path);
	}
	return 0;
}

/* -- tables -- */

static void reader_unknown(const struct reader *rd, const struct scope *s, const struct node *n,
			   const char *name, const char *path)
{
	char line[READER_LINE], nearest[READER_PATH];

	(void) reader_put_node(rd, n, n->key_at, path, line);
	if (strchr(n->key, '.') != NULL)
		problems_add(rd->is_strict ? rd->problems : rd->warnings,
			     "%s: unknown key: a point inside a name leads to no table", line);
	else
		problems_add(rd->is_strict ? rd->problems : rd->warnings,
			     "%s: unknown key; the nearest known one is %s%s", line, s->name,
			     keys_nearest(s->keys, name, nearest, sizeof(nearest)));
}

static bool is_list_of_tables(const struct scope *s, const char *name)
{
	return s->keys == &keys_common &&
	       (strcasecmp(name, "proxies") == 0 || strcasecmp(name, "visitors") == 0);
}

/* All of @map; @name is its path in the table of keys, "" at the top. */
static int reader_table(const struct reader *rd, const struct scope *s, const struct node *map,
			const char *name)
{
	char mine[READER_PATH], path[READER_PATH + 64];
	int r = 0, n;

	for (const struct node *c = map->first; c != NULL && r == 0; c = c->next) {
		const struct key *k = NULL;
		bool is_table = false;

		n = snprintf(mine, sizeof(mine), "%s%s%s", name, *name != '\0' ? "." : "", c->key);
		(void) snprintf(path, sizeof(path), "%s%s", s->name, mine);
		/* A point inside a name is no path. */
		if ((size_t) n < sizeof(mine) && strchr(c->key, '.') == NULL && c->key[0] != '\0')
			k = keys_find(s->keys, mine, &is_table);
		if (is_list_of_tables(s, mine))
			continue;
		if (rd->is_included && s->keys == &keys_common)
			reader_refuse(rd, c, path,
				      "in an included file only proxies and visitors count");
		else if (k != NULL)
			r = reader_key(rd, s, k, c, path);
		else if (!is_table)
			reader_unknown(rd, s, c, mine, path);
		else if (c->kind == NODE_MAP)
			r = reader_table(rd, s, c, mine);
		else if (c->kind != NODE_NULL)
			reader_refuse_kind(rd, c, path, "a table");
	}
	return r;
}

/* -- proxies and visitors -- */

static bool is_text(const struct node *n)
{
	return n != NULL && (n->kind == NODE_STRING || n->kind == NODE_BARE) && n->text[0] != '\0';
}

/* The name and the type of an element; what is wrong with them is told. False: it is no table. */
static bool reader_identity(const struct reader *rd, const struct node *n, const char *path,
			    bool is_visitor, const char **ret_name, enum conf_type *ret_type,
			    bool *ret_has_type)
{
	static const char all[] = "tcp, udp, http, https, tcpmux, stcp or sudp";
	const struct node *name = n->kind == NODE_MAP ? node_get(n, "name") : NULL;
	const struct node *type = n->kind == NODE_MAP ? node_get(n, "type") : NULL;
	char words[READER_PATH], quote[64], place[READER_PATH + sizeof(".type")];

	*ret_name = "?";				  /* what else is wrong is told as well */
	*ret_has_type = type == NULL && n->label != NULL; /* INI: tcp */
	if (n->kind != NODE_MAP) {
		reader_refuse_kind(rd, n, path, "a table");
		return false;
	}
	if (is_text(type) && conf_type_of_name(type->text, ret_type) == 0)
		*ret_has_type = !is_visitor || *ret_type == CONF_TYPE_STCP ||
				*ret_type == CONF_TYPE_SUDP;
	if (is_text(type) && !*ret_has_type) {
		(void) snprintf(words, sizeof(words),
				"\"%s\" is not %s, all that this version supports",
				text_escape(span_str(type->text), quote, sizeof(quote)),
				is_visitor ? "stcp or sudp" : all);
		(void) snprintf(place, sizeof(place), "%s.type", path);
		reader_refuse(rd, type, place, words);
	} else if (!*ret_has_type && (type == NULL || is_empty(type))) {
		reader_refuse(rd, n, path, "it has no type");
	}
	if (is_text(name) && text_is_utf8(span_str(name->text)))
		*ret_name = name->text;
	else if (name == NULL || is_empty(name) || is_text(name))
		reader_refuse(rd, n, path,
			      name != NULL && name->text[0] != '\0' ? "its name is not UTF-8"
								    : "it has no name");
	return true;
}

/* "FILE:LINE:COLUMN: proxies[0]" for what is found out later. */
static int reader_keep_place(const struct reader *rd, const struct node *n, const char *path,
			     char **at)
{
	char line[READER_LINE];

	return key_store(at, reader_put_node(rd, n, n->at, path, line));
}

static bool has_value(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return n != NULL && !is_empty(n);
}

static bool has_port(const struct node *map, const char *name)
{
	const struct node *n = node_get(map, name);

	return has_value(map, name) && !(n->kind == NODE_BARE && strcmp(n->text, "0") == 0);
}

static int reader_proxy(const struct reader *rd, const struct node *n, size_t i)
{
	struct conf_proxy *p;
	enum conf_type type = CONF_TYPE_TCP;
	char path[64], prefix[72];
	const char *name;
	bool has_type;
	int r;

	(void) snprintf(path, sizeof(path), "proxies[%zu]", i);
	(void) snprintf(prefix, sizeof(prefix), "%s.", path);
	if (!reader_identity(rd, n, path, /* is_visitor= */ false, &name, &type, &has_type))
		return 0;
	r = conf_add_proxy(rd->conf, name, &p);
	if (r == 0)
		r = key_store(&p->type, conf_type_name(type));
	if (r == 0)
		r = reader_keep_place(rd, n, path, &p->place);
	if (r == 0) {
		struct scope s = { .keys = &keys_proxy,
				   .object = p,
				   .name = prefix,
				   .type = has_type ? 1u << type : 0,
				   .type_name = conf_type_name(type) };

		p->kind = type;
		r = reader_table(rd, &s, n, "");
		if (r == 0 && !has_port(n, "localPort") && node_get(n, "plugin") == NULL)
			reader_refuse(rd, n, path,
				      n->label != NULL && rd->file != NULL
					      ? "local_port is missing"
					      : "localPort is missing");
	}
	return r;
}

static int reader_visitor(const struct reader *rd, const struct node *n, size_t i)
{
	struct conf_visitor *v;
	enum conf_type type = CONF_TYPE_STCP;
	char path[64], prefix[72];
	const char *name;
	bool has_type;
	int r;

	(void) snprintf(path, sizeof(path), "visitors[%zu]", i);
	(void) snprintf(prefix, sizeof(prefix), "%s.", path);
	if (!reader_identity(rd, n, path, /* is_visitor= */ true, &name, &type, &has_type))
		return 0;
	r = conf_add_visitor(rd->conf, name, &v);
	if (r == 0)
		r = key_store(&v->type, conf_type_name(type));
	if (r == 0)
		r = reader_keep_place(rd, n, path, &v->place);
	if (r == 0) {
		struct scope s = { .keys = &keys_visitor, .object = v, .name = prefix };

		v->kind = type;
		r = reader_table(rd, &s, n, "");
		if (r == 0 && !has_value(n, "serverName"))
			reader_refuse(rd, n, path, "serverName is missing");
		if (r == 0 && !has_port(n, "bindPort"))
			reader_refuse(rd, n, path, "bindPort is missing");
	}
	return r;
}

static int reader_list(const struct reader *rd, const struct node *root, const char *name,
		       int (*take)(const struct reader *rd, const struct node *n, size_t i))
{
	const struct node *list = node_get(root, name);
	size_t i = 0;
	int r = 0;

	if (list == NULL)
		return 0;
	if (list->kind != NODE_LIST) {
		reader_refuse_kind(rd, list, name, "a list of tables");
		return 0;
	}
	for (const struct node *c = list->first; c != NULL && r == 0; c = c->next)
		r = take(rd, c, i++);
	return r;
}

/* -- the whole -- */

static const struct node *node_at(const struct node *n, const char *const *path)
{
	for (; *path != NULL && n != NULL; path++)
		n = n->kind == NODE_MAP ? node_get(n, *path) : NULL;
	return n;
}

/* These do nothing without TLS; who wrote them believes the connection is protected. */
static void reader_check_tls(const struct reader *rd, const struct node *root)
{
	static const char *const names[] = { "trustedCaFile", "certFile",    "keyFile",
					     "serverName",    "systemRoots", "pin" };
	const struct node *tls = node_at(root, (const char *const[]){ "transport", "tls", NULL });
	char path[READER_PATH];

	if (tls == NULL || tls->kind != NODE_MAP || rd->conf->tls.is_on)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct node *n = node_get(tls, names[i]);

		(void) snprintf(path, sizeof(path), "transport.tls.%s", names[i]);
		if (n != NULL && !is_empty(n))
			reader_refuse(rd, n, path, "has no effect while TLS is off");
	}
}

/* Each login reads it again; now, so that a wrong path is told with its place. */
static int reader_token_file(const struct reader *rd, const struct node *n)
{
	char quote[READER_PATH], why[FILE_WHY], line[READER_LINE], *token;
	struct conf *c = rd->conf;
	int r = file_read_token(c->token_file, &token, why);

	if (r == 0) {
		c->token = secret_free(c->token);
		c->token = token;
	} else if (r > 0) {
		problems_add(rd->problems, "%s: the file \"%s\" cannot be used: %s",
			     reader_put_node(rd, n, n->at, "auth.tokenSource", line),
			     text_escape(span_str(c->token_file), quote, sizeof(quote)), why);
	}
	return r < 0 ? r : 0;
}

/* Where the token comes from, when it does not stand in the file. A program runs at each login, not
 * here. */
static int reader_token_source(const struct reader *rd, const struct node *root)
{
	const struct node *n = node_at(root, (const char *const[]){ "auth", "tokenSource", NULL });
	const struct node *type = n != NULL && n->kind == NODE_MAP ? node_get(n, "type") : NULL;
	struct conf *c = rd->conf;
	bool is_exec;

	if (n == NULL || is_empty(n))
		return 0;
	if (!is_text(type)) {
		reader_refuse(rd, n, "auth.tokenSource.type",
			      "is missing; it is \"file\" or \"exec\"");
		return 0;
	}
	is_exec = strcmp(type->text, "exec") == 0;
	if (c->token[0] != '\0')
		reader_refuse(rd, n, "auth.tokenSource",
			      "auth.token is given too; only one of them can be");
	else if (is_exec ? c->token_file != NULL : c->token_exec.command != NULL)
		reader_refuse(rd, type, "auth.tokenSource", "both a file and a program are given");
	else if (is_exec ? c->token_exec.command == NULL : c->token_file == NULL)
		reader_refuse(rd, n,
			      is_exec ? "auth.tokenSource.exec.command"
				      : "auth.tokenSource.file.path",
			      "is missing");
	else if (is_exec && !rd->may_exec)
		reader_refuse(rd, n, "auth.tokenSource.exec",
			      "programs run only with --allow-unsafe=TokenSourceExec");
	else if (!is_exec)
		return reader_token_file(rd, n);
	return 0;
}

int reader_apply(const struct reader *rd, const struct tree *t)
{
	struct scope s = { .keys = &keys_common, .object = rd->conf, .name = "" };
	size_t n_before = rd->problems->n_lines;
	int r = reader_table(rd, &s, t->root, "");

	if (r == 0 && !rd->is_included)
		reader_check_tls(rd, t->root);
	if (r == 0 && !rd->is_included && rd->problems->n_lines == n_before)
		r = reader_token_source(rd, t->root);
	if (r == 0)
		r = reader_list(rd, t->root, "proxies", reader_proxy);
	if (r == 0)
		r = reader_list(rd, t->root, "visitors", reader_visitor);
	return r;
}
