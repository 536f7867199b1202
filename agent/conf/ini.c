/* SPDX-License-Identifier: Apache-2.0 */
/* ini.c - frp's legacy INI files to a tree, by libinih. Floor 4.
 *
 * libinih gets its lines from ini_read_line(), which counts them (the library does not say where it
 * is) and keeps the section headers to itself: libinih would cut their names at 49 bytes and say
 * nothing about empty sections. The keys of a section are collected first; what they mean is known
 * at its end, since "role" may stand anywhere. frp reads the same files with other rules in corners
 * (continued lines, %(name)s, back quotes); what would mean something else to frp is refused. The
 * file holds the token: lines are never quoted, and every copy is wiped. */
#include "agent/conf/ini.h"

#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "agent/conf/legacy.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define INI_LINE_MAX (16 * 1024) /* of a line; a value of any use is far shorter */
#define INI_PLACE 1024		 /* "PATH:LINE: [SECTION] KEY", escaped */
#define INI_LABEL 600
#define INI_QUOTE 128
#define INI_RANGE "range:"

enum ini_section {
	INI_SECTION_NONE, /* before the first header */
	INI_SECTION_COMMON,
	INI_SECTION_PROXY,
	INI_SECTION_REFUSED, /* its keys say nothing that matters */
};

struct ini_reader {
	/* set by owner */
	const struct reader *rd;
	struct tree *tree;
	const char *text; /* what is left of the file; ends with NUL */
	/* private */
	unsigned line, section_line;
	enum ini_section section;
	char *name;		    /* of the section */
	struct tree keys;	    /* of the section: a map of what stands in it */
	bool has_common, is_joined; /* is_joined: the line before ended with a backslash */
	bool is_hopeless;	    /* no INI file at all: one line said so */
	int err;
};

/* "[SECTION] KEY", "[SECTION]" or nothing. */
static const char *ini_put_label(const struct ini_reader *ini, const char *key,
				 char dst[static INI_LABEL])
{
	dst[0] = '\0';
	if (ini->section != INI_SECTION_NONE)
		(void) snprintf(dst, INI_LABEL, "[%s]%s%s", ini->name, key != NULL ? " " : "",
				key != NULL ? key : "");
	return dst;
}

static void ini_put_place(const struct ini_reader *ini, unsigned line, const char *key,
			  char dst[static INI_PLACE])
{
	char place[READER_PLACE], label[INI_LABEL], quote[INI_LABEL / 2];

	(void) reader_put_place(ini->rd, (struct place){ .line = line }, place);
	(void) text_escape(span_str(ini_put_label(ini, key, label)), quote, sizeof(quote));
	(void) snprintf(dst, INI_PLACE, "%s%s%s", place, quote[0] != '\0' ? ": " : "", quote);
}

static void ini_refuse(struct ini_reader *ini, unsigned line, const char *key, const char *words)
{
	char place[INI_PLACE];

	ini_put_place(ini, line, key, place);
	problems_add(ini->rd->problems, "%s: %s", place, words);
}

/* -- from the keys of a section to the tree -- */

/* One more child; what is too much becomes a problem, and *ret_n is NULL. */
static int ini_add(struct ini_reader *ini, struct node *parent, const struct node_new *new,
		   const char *label_key, struct node **ret_n)
{
	char label[INI_LABEL];
	int r = node_add(ini->tree, parent, new, ret_n);

	if (r > 0) {
		ini_refuse(ini, new->at.line, label_key, node_error_text(r));
		*ret_n = NULL;
		return 0;
	}
	return r < 0 ? r : node_set_label(*ret_n, ini_put_label(ini, label_key, label));
}

/* The map or list @name in @map, made when it is not there. */
static int ini_open(struct ini_reader *ini, struct node *map, const char *name, size_t len,
		    enum node_kind kind, unsigned line, const char *label_key, struct node **ret_n)
{
	struct node_new new = {
		.key = name, .key_len = len, .kind = kind, .at.line = line, .key_at.line = line
	};

	for (struct node *c = map->first; c != NULL; c = c->next)
		if (strlen(c->key) == len && memcmp(c->key, name, len) == 0) {
			*ret_n = c;
			return 0;
		}
	return ini_add(ini, map, &new, label_key, ret_n);
}

/* Put @text at @path (names with dots) below @map; with @pair the last name. */
static int ini_put(struct ini_reader *ini, struct node *map, const struct legacy_key *k,
		   const char *pair, const struct node *from)
{
	struct node_new new = { .kind = NODE_BARE, .at = from->at, .key_at = from->at };
	const char *name = k->path, *dot;
	const char *text = from->text;
	struct node *n = map;
	int r;

	for (; (dot = strchr(name, '.')) != NULL || pair != NULL; name = dot + 1) {
		size_t len = dot != NULL ? (size_t) (dot - name) : strlen(name);

		r = ini_open(ini, n, name, len, NODE_MAP, from->at.line, from->key, &n);
		if (r < 0 || n == NULL)
			return r;
		if (dot == NULL) {
			name = pair;
			break;
		}
	}
	if (k->kind == LEGACY_LIST || k->kind == LEGACY_SCOPE) {
		r = ini_open(ini, n, name, strlen(name), NODE_LIST, from->at.line, from->key, &n);
		if (r < 0 || n == NULL)
			return r;
	} else {
		new.key = name;
		new.key_len = strlen(name);
	}
	if (k->kind == LEGACY_SCOPE)
		text = k->key.words;
	do {
		struct node *ignored;
		size_t len = k->kind == LEGACY_LIST ? strcspn(text, ",") : strlen(text);
		const char *word = text + (k->kind == LEGACY_LIST ? strspn(text, " \t") : 0);
		size_t n_word = word < text + len ? (size_t) (text + len - word) : 0;

		while (k->kind == LEGACY_LIST && n_word > 0 &&
		       (word[n_word - 1] == ' ' || word[n_word - 1] == '\t'))
			n_word--;
		new.text = word;
		new.len = n_word;
		r = k->kind == LEGACY_LIST && n_word == 0
			    ? 0
			    : ini_add(ini, n, &new, from->key, &ignored);
		text += len + (text[len] == ',');
	} while (r == 0 && k->kind == LEGACY_LIST && *text != '\0');
	return r;
}

static void ini_refuse_unknown(struct ini_reader *ini, const struct legacy_keys *keys,
			       const struct node *n)
{
	char quote[INI_QUOTE], place[INI_PLACE];

	ini_put_place(ini, n->at.line, NULL, place);
	problems_add(ini->rd->is_strict ? ini->rd->problems : ini->rd->warnings,
		     "%s: unknown key \"%s\"; the nearest known one is \"%s\"", place,
		     text_escape(span_str(n->key), quote, sizeof(quote)),
		     legacy_nearest(keys, n->key));
}

static int ini_translate_key(struct ini_reader *ini, const struct legacy_keys *keys,
			     const struct node *n, struct node *map)
{
	const struct legacy_key *k = legacy_find(keys, n->key);
	char place[INI_PLACE];
	bool is_on;

	if (k == NULL) {
		ini_refuse_unknown(ini, keys, n);
		return 0;
	}
	ini_put_place(ini, n->at.line, n->key, place);
	switch (k->kind) {
	case LEGACY_INERT: return key_apply(&k->key, NULL, place, n->text, ini->rd->problems);
	case LEGACY_FAMILY: return ini_put(ini, map, k, n->key + strlen(k->key.name), n);
	case LEGACY_SCOPE:
		if (text_parse_bool(n->text, &is_on) != 0)
			problems_add(ini->rd->problems, "%s: this is not true or false", place);
		else if (is_on)
			return ini_put(ini, map, k, NULL, n);
		return 0;
	case LEGACY_TEXT:
	case LEGACY_LIST: return ini_put(ini, map, k, NULL, n);
	}
	return 0;
}

static int ini_translate(struct ini_reader *ini, const struct legacy_keys *keys, struct node *map)
{
	int r = 0;

	for (const struct node *c = ini->keys.root->first; c != NULL && r == 0; c = c->next)
		r = ini_translate_key(ini, keys, c, map);
	return r;
}

/* One element of @list, called @name. */
static int ini_element(struct ini_reader *ini, const char *list, const struct legacy_keys *keys,
		       const char *name)
{
	struct node_new element = { .kind = NODE_MAP, .at.line = ini->section_line };
	struct node_new label = { .key = "name",
				  .key_len = 4,
				  .kind = NODE_BARE,
				  .text = name,
				  .len = strlen(name),
				  .at.line = ini->section_line };
	struct node *n, *ignored;
	int r;

	r = ini_open(ini, ini->tree->root, list, strlen(list), NODE_LIST, ini->section_line, NULL,
		     &n);
	if (r == 0 && n != NULL)
		r = ini_add(ini, n, &element, NULL, &n);
	if (r == 0 && n != NULL)
		r = ini_add(ini, n, &label, NULL, &ignored);
	if (r == 0 && n != NULL)
		r = ini_translate(ini, keys, n);
	return r;
}

static struct node *ini_key(const struct ini_reader *ini, const char *name)
{
	for (struct node *c = ini->keys.root->first; c != NULL; c = c->next)
		if (strcmp(c->key, name) == 0)
			return c;
	return NULL;
}

static int ini_set_number(struct node *n, unsigned number)
{
	char text[16];

	(void) snprintf(text, sizeof(text), "%u", number);
	return key_store(&n->text, text);
}

/* "[range:NAME]": one proxy NAME_0, NAME_1 ... for each pair of ports. */
static int ini_range(struct ini_reader *ini)
{
	struct node *local = ini_key(ini, "local_port"), *remote = ini_key(ini, "remote_port");
	unsigned *a = calloc(2 * LIMIT_PROXIES, sizeof(*a));
	size_t n_local = 0, n_remote = 0, n_prefix;
	const char *prefix = ini->name + strlen(INI_RANGE);
	char *name = NULL;
	int r = -ENOMEM;

	prefix += strspn(prefix, " \t");
	n_prefix = strlen(prefix) + 16;
	if (a != NULL)
		name = malloc(n_prefix);
	if (name != NULL)
		r = 0;
	if (r == 0 &&
	    (local == NULL || remote == NULL ||
	     template_numbers(local->text, strlen(local->text), a, LIMIT_PROXIES, &n_local) != 0 ||
	     template_numbers(remote->text, strlen(remote->text), a + LIMIT_PROXIES, LIMIT_PROXIES,
			      &n_remote) != 0 ||
	     n_local != n_remote)) {
		ini_refuse(
			ini, ini->section_line, NULL,
			"local_port and remote_port have to be two ranges of one length, as \"6000-6005,6010\"");
		n_local = 0;
	}
	for (size_t i = 0; i < n_local && r == 0; i++) {
		(void) snprintf(name, n_prefix, "%s_%zu", prefix, i);
		r = ini_set_number(local, a[i]);
		if (r == 0)
			r = ini_set_number(remote, a[LIMIT_PROXIES + i]);
		if (r == 0)
			r = ini_element(ini, "proxies", &legacy_proxy, name);
	}
	free(name);
	free(a);
	return r;
}

static int ini_close_section(struct ini_reader *ini)
{
	const struct node *role;

	switch (ini->section) {
	case INI_SECTION_NONE:
	case INI_SECTION_REFUSED: return 0;
	case INI_SECTION_COMMON:
		if (ini_key(ini, "server_addr") == NULL && !ini->rd->is_included)
			ini_refuse(ini, ini->section_line, NULL, "server_addr is missing");
		return ini_translate(ini, &legacy_common, ini->tree->root);
	case INI_SECTION_PROXY:
		role = ini_key(ini, "role");
		if (strncmp(ini->name, INI_RANGE, strlen(INI_RANGE)) == 0)
			return ini_range(ini);
		if (role != NULL && strcmp(role->text, "visitor") == 0)
			return ini_element(ini, "visitors", &legacy_visitor, ini->name);
		return ini_element(ini, "proxies", &legacy_proxy, ini->name);
	}
	return 0;
}

static void ini_end_section(struct ini_reader *ini)
{
	if (ini->err == 0)
		ini->err = ini_close_section(ini);
	tree_deinit(&ini->keys);
}

/* -- sections -- */

static void ini_begin_common(struct ini_reader *ini)
{
	ini->section = INI_SECTION_COMMON;
	if (ini->has_common) {
		ini_refuse(ini, ini->line, NULL, "this section is there already");
		ini->section = INI_SECTION_REFUSED;
	}
	ini->has_common = true;
}

static void ini_begin_proxy(struct ini_reader *ini, const char *name)
{
	const char *why = NULL;

	ini->section = INI_SECTION_REFUSED;
	if (*name == '[')
		why = "this is no INI file";
	else if (*name == '\0' || *name == ' ' || name[strlen(name) - 1] == ' ')
		why = "a section name is not empty and has no space around it";
	else if (!text_is_utf8(span_str(name)))
		why = "a section name is UTF-8";
	if (why != NULL) {
		ini_refuse(ini, ini->line, NULL, why);
		ini->is_hopeless = *name == '[';
		return;
	}
	ini->section = INI_SECTION_PROXY;
}

/* The header in @line, which starts with "[" and has @len bytes. */
static void ini_begin_section(struct ini_reader *ini, const char *line, size_t len)
{
	static const struct node_new empty = { .kind = NODE_MAP };
	const char *close = memrchr(line, ']', len);
	const char *rest = close != NULL ? close + 1 : line;
	struct node *ignored;

	ini_end_section(ini);
	ini->section = INI_SECTION_NONE;
	ini->section_line = ini->line;
	rest += strspn(rest, " \t\r");
	if (close == NULL || (rest < line + len && *rest != ';' && *rest != '#')) {
		ini_refuse(ini, ini->line, NULL,
			   "a section header is \"[name]\", alone in its line");
		ini->section = INI_SECTION_REFUSED;
		return;
	}
	free(ini->name);
	ini->name = text_dup(line + 1, (size_t) (close - line - 1));
	if (ini->name == NULL)
		ini->err = -ENOMEM;
	if (ini->err == 0)
		ini->err = node_add(&ini->keys, NULL, &empty, &ignored);
	if (ini->err != 0)
		return;
	if (strcmp(ini->name, "common") == 0)
		ini_begin_common(ini);
	else
		ini_begin_proxy(ini, ini->name);
}

/* -- lines -- */

/* Take the next line of the text, without the white space before it (to libinih it would mean that
 * the value above goes on). False at the end. */
static bool ini_take_line(struct ini_reader *ini, const char **ret_line, size_t *ret_len)
{
	const char *line = ini->text;
	size_t len = strcspn(line, "\n");

	if (*line == '\0' || ini->err < 0 || ini->is_hopeless)
		return false;
	ini->text += len + (line[len] == '\n');
	ini->line++;
	*ret_line = line + strspn(line, " \t\r\v\f");
	if (*ret_line > line + len)
		*ret_line = line + len;
	*ret_len = (size_t) (line + len - *ret_line);
	return true;
}

/* What libinih calls in place of fgets(): the next line that is no header. */
static char *ini_read_line(char *dst, int cap, void *stream)
{
	struct ini_reader *ini = stream;
	const char *line;
	size_t len;

	while (ini_take_line(ini, &line, &len)) {
		bool is_joined = ini->is_joined;

		while (len > 0 && line[len - 1] == '\r')
			len--;
		ini->is_joined = len > 0 && line[len - 1] == '\\' && *line != '#' && *line != ';';
		if (is_joined)
			continue;
		if (ini->is_joined) {
			ini_refuse(ini, ini->line, NULL,
				   "a line that goes on after a backslash is not supported");
		} else if (len > 0 && *line == '[') {
			ini_begin_section(ini, line, len);
		} else if (len >= INI_LINE_MAX || len + 2 > (size_t) cap) {
			ini_refuse(ini, ini->line, NULL, "the line is too long");
		} else {
			memcpy(dst, line, len);
			memcpy(dst + len, "\n", 2);
			return dst;
		}
	}
	secret_wipe(dst, (size_t) cap);
	return NULL;
}

/* The value as frp takes it: one pair of quotes around it does not count. NULL, and @ret_why, for
 * what means something else to frp. */
static char *ini_dup_value(const char *value, const char **ret_why)
{
	size_t len = strlen(value);
	const char *at = strstr(value, "%(");

	*ret_why = NULL;
	if (at != NULL && strstr(at, ")s") != NULL)
		*ret_why = "values made of other values, %(name)s, are not supported";
	else if (*value == '`' || strncmp(value, "\"\"\"", 3) == 0)
		*ret_why = "values in back quotes or triple quotes are not supported";
	if (*ret_why != NULL)
		return NULL;
	if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value)
		return text_dup(value + 1, len - 2);
	return text_dup(value, len);
}

/* Anything else may be a part of the token, as in "token c2VjcmV0==", and is not quoted. */
static bool ini_is_key_name(const char *name)
{
	size_t n = strspn(name,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

	return n > 0 && name[n] == '\0';
}

static int ini_keep(struct ini_reader *ini, const char *name, const char *text)
{
	struct node_new new = {
		.key = name, .key_len = strlen(name), .kind = NODE_BARE, .at.line = ini->line
	};
	struct node *ignored;
	const char *why;
	char *value = ini_dup_value(text, &why);
	int r;

	if (why != NULL) {
		ini_refuse(ini, ini->line, name, why);
		return 0;
	}
	if (value == NULL)
		return -ENOMEM;
	new.text = value;
	new.len = strlen(value);
	r = node_add(&ini->keys, ini->keys.root, &new, &ignored);
	value = secret_free(value);
	if (r > 0)
		ini_refuse(ini, ini->line, name,
			   r == NODE_E_TWICE ? "this key is in the section already"
					     : node_error_text(r));
	return r < 0 ? r : 0;
}

/* 0 (also with a new problem) or -ENOMEM. @value is NULL for a line without "=". */
static int ini_take_key(struct ini_reader *ini, const char *name, const char *value)
{
	if (ini->section == INI_SECTION_REFUSED)
		return 0;
	if (value == NULL || !ini_is_key_name(name)) {
		ini_refuse(ini, ini->line, NULL, "neither \"[section]\" nor \"key = value\"");
		return 0;
	}
	if (ini->section == INI_SECTION_NONE) {
		ini_refuse(ini, ini->line, NULL, "an INI file starts with a [section]");
		ini->is_hopeless = true;
		return 0;
	}
	return ini_keep(ini, name, value);
}

static int ini_on_key(void *user, const char *section, const char *name, const char *value)
{
	struct ini_reader *ini = user;

	(void) section; /* always empty: see the top */
	if (ini->err == 0 && !ini->is_hopeless)
		ini->err = ini_take_key(ini, name, value);
	return ini->err == 0;
}

/* libinih is set up by variables of its own. */
static void ini_set_up_library(void)
{
	ini_allow_inline_comments = false; /* as frp: a token may hold a ";" */
	ini_allow_no_value = true;	   /* shown to us, to be refused with its place */
	ini_use_stack = false;
	ini_allow_realloc = false; /* one buffer, so that it can be wiped */
	ini_max_line = INI_LINE_MAX + 3;
	ini_initial_alloc = INI_LINE_MAX + 3;
}

int ini_read(const struct reader *rd, const char *text, size_t len, struct tree *t)
{
	static const struct node_new root = { .kind = NODE_MAP, .at = { .line = 1 } };
	struct ini_reader ini = { .rd = rd, .tree = t, .text = text };
	struct node *ignored;
	int r;

	(void) len; /* a NUL follows, and load.c has looked for others */
	r = node_add(t, NULL, &root, &ignored);
	if (r < 0)
		return r;
	ini_set_up_library();
	r = ini_parse_stream(ini_read_line, &ini, ini_on_key, &ini);
	if (r == -2)
		ini.err = -ENOMEM;
	if (ini.err == 0 && !ini.is_hopeless)
		ini_end_section(&ini);
	if (ini.err == 0 && !ini.is_hopeless && !ini.has_common && !rd->is_included)
		problems_add(rd->problems, "%s: the section [common] is missing", rd->file);
	tree_deinit(&ini.keys);
	free(ini.name);
	return ini.err;
}
