/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - JSON text to a tree (RFC 8259). Floor 4. */
#include "agent/conf/json.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/secret.h"
#include "proto/base/text.h"

struct jsreader {
	/* set by owner */
	const char *p, *end; /* *end is NUL */
	struct tree *tree;
	struct parse_error *error;
	/* private */
	const char *line_start;
	unsigned line;
	char *buf; /* the string that was read last; as long as the text */
};

static struct place json_place(const struct jsreader *j)
{
	return (struct place){ .line = j->line, .column = (unsigned) (j->p - j->line_start) + 1 };
}

static int json_refuse(struct jsreader *j, struct place at, const char *why)
{
	j->error->at = at;
	(void) snprintf(j->error->why, PARSE_WHY, "no JSON: %s", why);
	return PARSE_E_BAD;
}

static void json_skip_space(struct jsreader *j)
{
	for (; *j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'; j->p++)
		if (*j->p == '\n') {
			j->line++;
			j->line_start = j->p + 1;
		}
}

static bool json_take(struct jsreader *j, char c)
{
	json_skip_space(j);
	if (*j->p != c)
		return false;
	j->p++;
	return true;
}

static size_t json_put_rune(char *dst, uint32_t c)
{
	if (c < 0x80) {
		dst[0] = (char) c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char) (0xc0 | c >> 6);
		dst[1] = (char) (0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char) (0xe0 | c >> 12);
		dst[1] = (char) (0x80 | (c >> 6 & 0x3f));
		dst[2] = (char) (0x80 | (c & 0x3f));
		return 3;
	}
	dst[0] = (char) (0xf0 | c >> 18);
	dst[1] = (char) (0x80 | (c >> 12 & 0x3f));
	dst[2] = (char) (0x80 | (c >> 6 & 0x3f));
	dst[3] = (char) (0x80 | (c & 0x3f));
	return 4;
}

/* Four hex digits; false when they are not there. */
static bool json_hex4(struct jsreader *j, uint32_t *ret_c)
{
	uint32_t c = 0;

	for (int i = 0; i < 4; i++, j->p++) {
		char d = *j->p;

		if (d >= '0' && d <= '9')
			c = c << 4 | (uint32_t) (d - '0');
		else if ((d | 0x20) >= 'a' && (d | 0x20) <= 'f')
			c = c << 4 | (uint32_t) ((d | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret_c = c;
	return true;
}

/* What stands behind a backslash. */
static int json_escape(struct jsreader *j, char *dst, size_t *len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	struct place at = json_place(j);
	const char *known = *j->p != '\0' ? strchr(from, *j->p) : NULL;
	uint32_t c, low;

	if (known != NULL) {
		dst[(*len)++] = to[known - from];
		j->p++;
		return 0;
	}
	if (*j->p++ != 'u' || !json_hex4(j, &c))
		return json_refuse(j, at, "an unknown escape in a string");
	if (c == 0)
		return json_refuse(j, at, "a NUL character inside a string");
	if (c >= 0xd800 && c < 0xe000) {
		if (c >= 0xdc00 || j->p[0] != '\\' || j->p[1] != 'u')
			return json_refuse(j, at, "half of a surrogate pair");
		j->p += 2;
		if (!json_hex4(j, &low) || low < 0xdc00 || low >= 0xe000)
			return json_refuse(j, at, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*len += json_put_rune(dst + *len, c);
	return 0;
}

/* The string at the quote into j->buf, where it is terminated. */
static int json_string(struct jsreader *j, size_t *ret_len)
{
	struct place start = json_place(j);
	size_t len = 0;
	int r;

	for (j->p++; *j->p != '"';) {
		if (j->p == j->end || *j->p == '\n')
			return json_refuse(j, start, "a string without its end");
		if ((unsigned char) *j->p < ' ')
			return json_refuse(j, json_place(j), "a control character in a string");
		if (*j->p != '\\') {
			j->buf[len++] = *j->p++;
			continue;
		}
		j->p++;
		r = json_escape(j, j->buf, &len);
		if (r != 0)
			return r;
	}
	j->p++;
	j->buf[len] = '\0';
	*ret_len = len;
	return 0;
}

/* -?(0|[1-9]digits)[.digits][e[-+]digits]; 0: none */
static size_t json_number_len(const char *s, bool *ret_is_int)
{
	const char *p = s + (*s == '-');
	size_t n = strspn(p, "0123456789");

	*ret_is_int = true;
	if (n == 0 || (n > 1 && *p == '0'))
		return 0;
	p += n;
	if (*p == '.') {
		n = strspn(++p, "0123456789");
		p += n;
		*ret_is_int = false;
	}
	if (n > 0 && (*p == 'e' || *p == 'E')) {
		p += 1 + (p[1] == '-' || p[1] == '+');
		n = strspn(p, "0123456789");
		p += n;
		*ret_is_int = false;
	}
	return n > 0 ? (size_t) (p - s) : 0;
}

static int json_scalar(struct jsreader *j, struct node_new *new)
{
	static const struct {
		const char *word;
		enum node_kind kind;
	} words[] = { { "true", NODE_BOOL }, { "false", NODE_BOOL }, { "null", NODE_NULL } };
	bool is_int;
	size_t n;

	if (*j->p == '"') {
		new->kind = NODE_STRING;
		new->text = j->buf;
		return json_string(j, &new->len);
	}
	new->text = j->p;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		n = strlen(words[i].word);
		if (strncmp(j->p, words[i].word, n) == 0) {
			new->kind = words[i].kind;
			new->len = n;
			j->p += n;
			return 0;
		}
	}
	n = json_number_len(j->p, &is_int);
	if (n == 0)
		return json_refuse(j, new->at, "here a value is expected");
	/* 18 digits fit into 64 bits, and no key takes a larger number. */
	new->kind = is_int &&n <= 18 ? NODE_INT : NODE_OTHER;
	new->len = n;
	j->p += n;
	return 0;
}

static int json_value(struct jsreader *j, struct node *parent, struct node_new *new);

/* After the bracket of @n, up to and with the closing one. */
static int json_members(struct jsreader *j, struct node *n)
{
	char close = n->kind == NODE_MAP ? '}' : ']';
	char *key = NULL;
	int r = 0;

	if (json_take(j, close))
		return 0;
	while (r == 0) {
		struct node_new new = { 0 };

		json_skip_space(j);
		if (n->kind == NODE_MAP) {
			new.key_at = json_place(j);
			if (*j->p != '"')
				return json_refuse(j, new.key_at,
						   "here a name in quotes is expected");
			r = json_string(j, &new.key_len);
			if (r != 0)
				return r;
			if (!json_take(j, ':'))
				return json_refuse(j, json_place(j), "here \":\" is expected");
			key = text_dup(j->buf, new.key_len); /* the value reuses buf */
			if (key == NULL)
				return -ENOMEM;
			new.key = key;
		}
		r = json_value(j, n, &new);
		free(key);
		key = NULL;
		if (r != 0 || json_take(j, close))
			break;
		if (!json_take(j, ','))
			r = json_refuse(j, json_place(j),
					n->kind == NODE_MAP ? "here \",\" or \"}\" is expected"
							    : "here \",\" or \"]\" is expected");
	}
	return r;
}

/* Calls itself by json_members(), as deep as node_add() lets it: NODE_DEPTH_MAX. */
static int json_value(struct jsreader *j, struct node *parent, struct node_new *new)
{
	struct node *n;
	bool is_open;
	int r = 0;

	json_skip_space(j);
	new->at = json_place(j);
	is_open = *j->p == '{' || *j->p == '[';
	if (is_open)
		new->kind = *j->p++ == '{' ? NODE_MAP : NODE_LIST;
	else
		r = json_scalar(j, new);
	if (r != 0)
		return r;
	r = node_add(j->tree, parent, new, &n);
	if (r > 0)
		return json_refuse(j, r == NODE_E_TWICE ? new->key_at : new->at,
				   node_error_text(r));
	return r == 0 && is_open ? json_members(j, n) : r;
}

static int json_document(struct jsreader *j)
{
	struct node_new root = { .kind = NODE_MAP, .at = { .line = 1, .column = 1 } };
	struct node *n;
	int r;

	json_skip_space(j);
	if (j->p == j->end)
		return node_add(j->tree, NULL, &root, &n);
	if (*j->p != '{')
		return json_refuse(j, json_place(j), "here \"{\" is expected");
	r = json_value(j, NULL, &root);
	if (r != 0)
		return r;
	json_skip_space(j);
	return j->p == j->end ? 0 : json_refuse(j, json_place(j), "something follows the end");
}

int json_parse(const char *text, size_t len, struct tree *t, struct parse_error *ret_e)
{
	struct jsreader j = { .p = text,
			      .end = text + len,
			      .tree = t,
			      .error = ret_e,
			      .line = 1,
			      .line_start = text };
	int r;

	j.buf = malloc(len + 1);
	if (j.buf == NULL)
		return -ENOMEM;
	r = json_document(&j);
	secret_wipe(j.buf, len + 1);
	free(j.buf);
	return r;
}
