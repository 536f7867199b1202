/* SPDX-License-Identifier: Apache-2.0 */
/* jtext.c - JSON text into jansson's values, and values into a buf. Floor 1. */
#include "proto/wire/jtext.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "proto/base/limits.h"
#include "proto/base/text.h"

/* -- reading -- */

struct jread {
	struct span in; /* what is left */
	unsigned depth;
	const char *why;
	struct buf text; /* the string that was read last */
};

static int jread_value(struct jread *j, json_t **ret_value);

static int jread_refuse(struct jread *j, const char *why)
{
	j->why = why;
	return JTEXT_E_BAD;
}

/* The next byte, or NUL at the end: a NUL is no legal byte outside strings. */
static uint8_t jread_peek(const struct jread *j)
{
	return j->in.len > 0 ? j->in.p[0] : 0;
}

static void jread_skip_space(struct jread *j)
{
	while (j->in.len > 0 && (j->in.p[0] == ' ' || j->in.p[0] == '\t' || j->in.p[0] == '\n' ||
				 j->in.p[0] == '\r'))
		j->in = span_skip(j->in, 1);
}

/* Skip space and one byte @c; false when something else stands there. */
static bool jread_take(struct jread *j, char c)
{
	jread_skip_space(j);
	if (j->in.len == 0 || j->in.p[0] != (uint8_t) c)
		return false;
	j->in = span_skip(j->in, 1);
	return true;
}

static int jread_put_rune(struct jread *j, uint32_t c)
{
	uint8_t u[4];
	size_t n;

	if (c < 0x80) {
		u[0] = (uint8_t) c;
		n = 1;
	} else if (c < 0x800) {
		u[0] = (uint8_t) (0xc0 | c >> 6);
		u[1] = (uint8_t) (0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		u[0] = (uint8_t) (0xe0 | c >> 12);
		u[1] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
		u[2] = (uint8_t) (0x80 | (c & 0x3f));
		n = 3;
	} else {
		u[0] = (uint8_t) (0xf0 | c >> 18);
		u[1] = (uint8_t) (0x80 | (c >> 12 & 0x3f));
		u[2] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
		u[3] = (uint8_t) (0x80 | (c & 0x3f));
		n = 4;
	}
	return buf_add(&j->text, span_of(u, n));
}

/* The four digits of "\uXXXX" at the front of @s, or -1. */
static int32_t jread_hex4(struct span s)
{
	int32_t v = 0;

	if (s.len < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		uint8_t c = s.p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static int jread_unicode_escape(struct jread *j)
{
	int32_t high = jread_hex4(j->in), low;

	if (high < 0)
		return jread_refuse(j, "bad escape in a string");
	j->in = span_skip(j->in, 6);
	if (high < 0xd800 || high > 0xdfff)
		return jread_put_rune(j, (uint32_t) high);
	low = jread_hex4(j->in);
	if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return jread_put_rune(j, 0xfffd); /* half a pair; what follows counts for itself */
	j->in = span_skip(j->in, 6);
	return jread_put_rune(j, 0x10000 + ((uint32_t) (high - 0xd800) << 10) +
					 (uint32_t) (low - 0xdc00));
}

static int jread_escape(struct jread *j)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (j->in.len < 2 || j->in.p[1] == '\0')
		return jread_refuse(j, "bad escape in a string");
	if (j->in.p[1] == 'u')
		return jread_unicode_escape(j);
	at = strchr(letters, (char) j->in.p[1]);
	if (at == NULL)
		return jread_refuse(j, "bad escape in a string");
	j->in = span_skip(j->in, 2);
	return buf_add(&j->text, span_of(&values[at - letters], 1));
}

/* Bytes up to the next escape, quote or bad byte in one piece. */
static int jread_plain(struct jread *j)
{
	struct span rest = j->in;
	size_t n;
	int r;

	while (rest.len > 0 && rest.p[0] != '"' && rest.p[0] != '\\' && rest.p[0] >= ' ') {
		n = text_utf8_len(rest);
		if (n == 0)
			break;
		rest = span_skip(rest, n);
	}
	n = j->in.len - rest.len;
	if (n == 0) {
		j->in = span_skip(j->in, 1);
		return jread_put_rune(j, 0xfffd);
	}
	r = buf_add(&j->text, span_head(j->in, n));
	j->in = rest;
	return r;
}

/* A string into j->text. The opening quote is the next byte. */
static int jread_string(struct jread *j)
{
	int r = 0;

	buf_eat(&j->text, buf_len(&j->text));
	j->in = span_skip(j->in, 1);
	while (r == 0) {
		if (j->in.len == 0)
			return jread_refuse(j, "string without an end");
		if (j->in.p[0] == '"')
			break;
		if (j->in.p[0] < ' ')
			return jread_refuse(j, "control character in a string");
		r = j->in.p[0] == '\\' ? jread_escape(j) : jread_plain(j);
	}
	if (r == 0)
		j->in = span_skip(j->in, 1);
	return r;
}

static int jread_string_value(struct jread *j, json_t **ret_value)
{
	struct span s;
	int r;

	r = jread_string(j);
	if (r != 0)
		return r;
	s = buf_span(&j->text);
	*ret_value = json_stringn_nocheck(s.len > 0 ? (const char *) s.p : "", s.len);
	return *ret_value != NULL ? 0 : -ENOMEM;
}

static size_t jread_n_digits(struct span s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

/* Skip a fraction and an exponent. 0, JTEXT_E_BAD; *ret_is_real: there was one. */
static int jread_skip_real(struct jread *j, bool *ret_is_real)
{
	size_t n;

	if (jread_peek(j) == '.') {
		*ret_is_real = true;
		j->in = span_skip(j->in, 1);
		n = jread_n_digits(j->in);
		if (n == 0)
			return jread_refuse(j, "bad number");
		j->in = span_skip(j->in, n);
	}
	if (jread_peek(j) == 'e' || jread_peek(j) == 'E') {
		*ret_is_real = true;
		j->in = span_skip(j->in, 1);
		if (jread_peek(j) == '+' || jread_peek(j) == '-')
			j->in = span_skip(j->in, 1);
		n = jread_n_digits(j->in);
		if (n == 0)
			return jread_refuse(j, "bad number");
		j->in = span_skip(j->in, n);
	}
	return 0;
}

static int jread_number(struct jread *j, json_t **ret_value)
{
	bool is_negative = jread_peek(j) == '-', is_real = false;
	struct span digits;
	int64_t v = 0;
	int r;

	if (is_negative)
		j->in = span_skip(j->in, 1);
	digits = span_head(j->in, jread_n_digits(j->in));
	if (digits.len == 0 || (digits.len > 1 && digits.p[0] == '0'))
		return jread_refuse(j, "bad number");
	j->in = span_skip(j->in, digits.len);
	r = jread_skip_real(j, &is_real);
	if (r != 0)
		return r;
	/* Downwards from zero: INT64_MIN has no positive twin. */
	for (size_t i = 0; i < digits.len && !is_real; i++)
		is_real = __builtin_mul_overflow(v, 10, &v) ||
			  __builtin_sub_overflow(v, digits.p[i] - '0', &v);
	if (!is_real && !is_negative)
		is_real = __builtin_sub_overflow((int64_t) 0, v, &v);
	*ret_value = is_real ? json_real(0.0) : json_integer(v);
	return *ret_value != NULL ? 0 : -ENOMEM;
}

static int jread_word(struct jread *j, json_t **ret_value)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t i;

	for (i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if (j->in.len >= n && memcmp(j->in.p, words[i], n) == 0) {
			j->in = span_skip(j->in, n);
			break;
		}
	}
	switch (i) {
	case 0: *ret_value = json_true(); return 0;
	case 1: *ret_value = json_false(); return 0;
	case 2: *ret_value = json_null(); return 0;
	default: return jread_refuse(j, "not JSON");
	}
}

/* The value of the member @name into @object. */
static int jread_member_value(struct jread *j, json_t *object, const char *name)
{
	json_t *value;
	int r;

	if (!jread_take(j, ':'))
		return jread_refuse(j, "member without a value");
	r = jread_value(j, &value);
	if (r != 0)
		return r;
	/* Set alone would keep the old place, and among names that differ in case the last place
	 * counts. */
	(void) json_object_del(object, name); /* absent is the rule */
	return json_object_set_new_nocheck(object, name, value) == 0 ? 0 : -ENOMEM;
}

static int jread_member(struct jread *j, json_t *object)
{
	char *name;
	int r;

	jread_skip_space(j);
	if (jread_peek(j) != '"')
		return jread_refuse(j, "member without a name");
	r = jread_string(j);
	if (r != 0)
		return r;
	name = text_dup((const char *) buf_span(&j->text).p, buf_len(&j->text));
	if (name == NULL)
		return -ENOMEM;
	r = jread_member_value(j, object, name);
	free(name);
	return r;
}

static int jread_element(struct jread *j, json_t *array)
{
	json_t *value;
	int r;

	r = jread_value(j, &value);
	if (r != 0)
		return r;
	return json_array_append_new(array, value) == 0 ? 0 : -ENOMEM;
}

/* The members or elements behind an opening bracket, up to and with the closing one. */
static int jread_items(struct jread *j, json_t *value, char end,
		       int (*read_item)(struct jread *j, json_t *value))
{
	int r;

	if (jread_take(j, end))
		return 0;
	do {
		r = read_item(j, value);
		if (r != 0)
			return r;
	} while (jread_take(j, ','));
	return jread_take(j, end) ? 0 : jread_refuse(j, "comma or closing bracket expected");
}

static int jread_container(struct jread *j, json_t **ret_value)
{
	bool is_object = jread_peek(j) == '{';
	json_t *value;
	int r;

	if (j->depth >= LIMIT_JSON_DEPTH)
		return jread_refuse(j, "nested too deeply");
	value = is_object ? json_object() : json_array();
	if (value == NULL)
		return -ENOMEM;
	j->in = span_skip(j->in, 1);
	j->depth++;
	r = is_object ? jread_items(j, value, '}', jread_member)
		      : jread_items(j, value, ']', jread_element);
	j->depth--;
	if (r != 0) {
		json_decref(value);
		return r;
	}
	*ret_value = value;
	return 0;
}

static int jread_value(struct jread *j, json_t **ret_value)
{
	uint8_t c;

	jread_skip_space(j);
	c = jread_peek(j);
	if (c == '{' || c == '[')
		return jread_container(j, ret_value);
	if (c == '"')
		return jread_string_value(j, ret_value);
	if (c == '-' || (c >= '0' && c <= '9'))
		return jread_number(j, ret_value);
	return jread_word(j, ret_value);
}

int jtext_parse(struct span in, json_t **ret_object, const char **ret_why)
{
	struct jread j = { .in = in };
	json_t *root = NULL;
	int r;

	/* Replacing a byte by U+FFFD triples it; nothing else grows. */
	buf_init(&j.text, 3 * in.len);
	jread_skip_space(&j);
	r = jread_peek(&j) == '{' ? jread_value(&j, &root) : jread_refuse(&j, "not a JSON object");
	jread_skip_space(&j);
	if (r == 0 && j.in.len > 0)
		r = jread_refuse(&j, "something follows the JSON object");
	buf_deinit(&j.text);
	if (r != 0) {
		json_decref(root);
		if (r == JTEXT_E_BAD)
			*ret_why = j.why;
		return r;
	}
	*ret_object = root;
	return 0;
}

json_t *jtext_get(const json_t *object, const char *name)
{
	json_t *found = NULL;

	if (!json_is_object(object))
		return NULL;
	/* jansson iterates with a pointer that is not const; nothing is written. */
	for (void *it = json_object_iter((json_t *) (uintptr_t) object); it != NULL;
	     it = json_object_iter_next((json_t *) (uintptr_t) object, it))
		if (strcasecmp(json_object_iter_key(it), name) == 0 &&
		    !json_is_null(json_object_iter_value(it)))
			found = json_object_iter_value(it);
	return found;
}

/* -- writing -- */

void jtext_begin(struct jtext *j, struct buf *out)
{
	*j = (struct jtext){ .out = out, .mark = buf_len(out), .is_first = true };
}

int jtext_end(struct jtext *j)
{
	if (j->err != 0)
		buf_cut(j->out, j->mark);
	return j->err;
}

static void jtext_add(struct jtext *j, const void *p, size_t n)
{
	if (j->err == 0)
		j->err = buf_add(j->out, span_of(p, n));
}

/* Go escapes <, >, & and the two line separators as well: so our message has the length
 * of stock's. */
static void jtext_add_string(struct jtext *j, const char *value)
{
	struct span s = span_str(value);
	char escape[8];

	jtext_add(j, "\"", 1);
	while (s.len > 0 && j->err == 0) {
		size_t n = text_utf8_len(s);
		uint8_t c = s.p[0];

		if (n == 0) {
			j->err = -EINVAL;
		} else if (c == '"' || c == '\\') {
			jtext_add(j, "\\", 1);
			jtext_add(j, &c, 1);
		} else if (c == '\n' || c == '\r' || c == '\t') {
			jtext_add(j, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", 2);
		} else if (c < ' ' || c == '<' || c == '>' || c == '&') {
			(void) snprintf(escape, sizeof(escape), "\\u%04x", c); /* always 6 */
			jtext_add(j, escape, 6);
		} else if (n == 3 && c == 0xe2 && s.p[1] == 0x80 && (s.p[2] & 0xfe) == 0xa8) {
			jtext_add(j, (s.p[2] & 1) != 0 ? "\\u2029" : "\\u2028", 6);
		} else {
			jtext_add(j, s.p, n);
		}
		s = span_skip(s, n);
	}
	jtext_add(j, "\"", 1);
}

/* The comma, and the name of a member. */
static void jtext_lead(struct jtext *j, const char *name)
{
	if (!j->is_first)
		jtext_add(j, ",", 1);
	j->is_first = false;
	if (name != NULL) {
		jtext_add_string(j, name);
		jtext_add(j, ":", 1);
	}
}

void jtext_open(struct jtext *j, const char *name, char bracket)
{
	jtext_lead(j, name);
	jtext_add(j, &bracket, 1);
	j->is_first = true;
}

void jtext_close(struct jtext *j, char bracket)
{
	jtext_add(j, &bracket, 1);
	j->is_first = false;
}

void jtext_put_str(struct jtext *j, const char *name, const char *value)
{
	jtext_lead(j, name);
	jtext_add_string(j, value);
}

void jtext_put_int(struct jtext *j, const char *name, int64_t value)
{
	char digits[24];
	int n;

	jtext_lead(j, name);
	n = snprintf(digits, sizeof(digits), "%" PRId64, value);
	jtext_add(j, digits, (size_t) n);
}

void jtext_put_bool(struct jtext *j, const char *name, bool value)
{
	jtext_lead(j, name);
	jtext_add(j, value ? "true" : "false", value ? 4 : 5);
}
