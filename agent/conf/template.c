/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - the templates of frp's files, {{ ... }}, before any format is looked at. Floor 4.
 *
 * One pass that executes while it parses: the body of a range is parsed anew for each element. */
#include "agent/conf/template.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/conf/node.h"
#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define TEMPLATE_NUMBERS_MAX 65536	 /* of one range: there are no more ports */
#define TEMPLATE_TURNS_MAX (1024 * 1024) /* of all ranges together */
#define TEMPLATE_DEPTH_MAX 8
#define TEMPLATE_QUOTE 128

struct tmpl_loop {
	struct span index_name, value_name; /* "$i"; empty when there is none */
	const unsigned *first, *second;	    /* second: NULL for parseNumberRange */
	size_t i;
	const struct tmpl_loop *outer;
};

struct tmpl {
	/* set by owner */
	const char *name, *text;
	size_t len;
	char *const *envp;
	struct problems *problems;
	/* private */
	struct buf out;
	struct buf lines; /* unsigned each: the line an output line begins in; the highest bit:
			     changed */
	unsigned out_line_from;
	bool is_line_changed;
	size_t seen_pos; /* of tmpl_line() */
	unsigned seen_line;
	size_t n_turns;
	unsigned depth;
	bool is_bad; /* a problem ends the run; an unset variable does not */
};
#define TEMPLATE_CHANGED (1u << 31)

/* Counts from the place that was asked for last, forward or back. */
static unsigned tmpl_line(struct tmpl *t, size_t pos)
{
	for (; t->seen_pos < pos; t->seen_pos++)
		t->seen_line += t->text[t->seen_pos] == '\n';
	for (; t->seen_pos > pos; t->seen_pos--)
		t->seen_line -= t->text[t->seen_pos - 1] == '\n';
	return t->seen_line;
}

static void tmpl_tell(struct tmpl *t, size_t pos, size_t end, const char *words)
{
	char quote[TEMPLATE_QUOTE];
	size_t column = pos + 1;

	for (size_t i = 0; i < pos; i++)
		if (t->text[i] == '\n')
			column = pos - i;
	(void) text_escape(span_of(t->text + pos, end - pos), quote, sizeof(quote));
	problems_add(t->problems, "%s:%u:%zu: %s%s%s", t->name, tmpl_line(t, pos), column, quote,
		     quote[0] != '\0' ? ": " : "", words);
}

static int tmpl_refuse(struct tmpl *t, size_t pos, size_t end, const char *words)
{
	tmpl_tell(t, pos, end, words);
	t->is_bad = true;
	return 0;
}

/* -- output -- */

static int tmpl_end_line(struct tmpl *t, unsigned next_from)
{
	unsigned entry = t->out_line_from | (t->is_line_changed ? TEMPLATE_CHANGED : 0);
	int r = buf_add(&t->lines, span_of(&entry, sizeof(entry)));

	t->out_line_from = next_from;
	t->is_line_changed = false;
	return r;
}

/* Bytes that stand at @pos of the file (or in place of what stands there: @is_changed). */
static int tmpl_put(struct tmpl *t, const char *s, size_t len, size_t pos, bool is_changed)
{
	unsigned line = tmpl_line(t, pos);
	int r = buf_add(&t->out, span_of(s, len));

	if (r == BUF_E_FULL)
		return tmpl_refuse(t, pos, pos, "the text grows beyond 1 MiB here");
	t->is_line_changed |= is_changed;
	for (size_t i = 0; i < len && r == 0; i++) {
		if (s[i] != '\n')
			continue;
		line += !is_changed;
		r = tmpl_end_line(t, line);
		t->is_line_changed = is_changed;
	}
	return r;
}

/* -- actions -- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_word(struct span s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

/* The next word of an action: a name with $ and dots, a string with its quotes, or
 * one character. */
static struct span take_word(struct span *in)
{
	size_t n = 0;
	struct span word;

	while (in->len > 0 && is_space((char) in->p[0]))
		*in = span_skip(*in, 1);
	if (in->len > 0 && (in->p[0] == '"' || in->p[0] == '`')) {
		for (n = 1; n < in->len && in->p[n] != in->p[0]; n++)
			;
		n += n < in->len;
	} else if (in->len > 1 && in->p[0] == ':' && in->p[1] == '=') {
		n = 2;
	} else {
		while (n < in->len &&
		       (is_name((char) in->p[n]) || in->p[n] == '$' || in->p[n] == '.'))
			n++;
		if (n == 0 && in->len > 0)
			n = 1;
	}
	word = span_head(*in, n);
	*in = span_skip(*in, n);
	return word;
}

static const char *tmpl_env(const struct tmpl *t, struct span name)
{
	for (char *const *e = t->envp; e != NULL && *e != NULL; e++)
		if (strncmp(*e, (const char *) name.p, name.len) == 0 && (*e)[name.len] == '=')
			return *e + name.len + 1;
	return NULL;
}

static bool is_env(struct span word)
{
	return word.len > 6 && memcmp(word.p, ".Envs.", 6) == 0 &&
	       memchr(word.p + 6, '.', word.len - 6) == NULL &&
	       memchr(word.p + 6, '$', word.len - 6) == NULL;
}

int template_numbers(const char *s, size_t len, unsigned *numbers, size_t cap, size_t *ret_n)
{
	uint64_t v[2];
	size_t n = 0, i = 0;

	for (;;) {
		unsigned n_bounds = 0;

		while (n_bounds < 2) {
			size_t start;

			while (i < len && is_space(s[i]))
				i++;
			start = i;
			for (v[n_bounds] = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++)
				if (v[n_bounds] <= UINT32_MAX)
					v[n_bounds] = v[n_bounds] * 10 + (uint64_t) (s[i] - '0');
			if (i == start || v[n_bounds] > UINT32_MAX)
				return TEMPLATE_E_BAD;
			while (i < len && is_space(s[i]))
				i++;
			if (n_bounds++ > 0 || i == len || s[i] != '-')
				break;
			i++;
		}
		if (n_bounds == 1)
			v[1] = v[0];
		if (v[1] < v[0] || v[1] - v[0] >= cap - n)
			return TEMPLATE_E_BAD;
		for (uint64_t k = v[0]; k <= v[1]; k++)
			numbers[n++] = (unsigned) k;
		if (i == len)
			break;
		if (s[i++] != ',')
			return TEMPLATE_E_BAD;
	}
	*ret_n = n;
	return 0;
}

/* The numbers of the argument @word: a string, or a variable of the environment. */
static int tmpl_numbers(struct tmpl *t, struct span word, size_t pos, size_t end, unsigned **ret_n,
			size_t *ret_count)
{
	const char *s = (const char *) word.p + 1;
	size_t len = word.len >= 2 ? word.len - 2 : 0;
	unsigned *numbers;

	if (is_env(word)) {
		s = tmpl_env(t, span_skip(word, 6));
		if (s == NULL)
			return tmpl_refuse(t, pos, end,
					   "this variable is not set in the environment");
		len = strlen(s);
	} else if (word.len < 2 || (word.p[0] != '"' && word.p[0] != '`') ||
		   word.p[word.len - 1] != word.p[0]) {
		return tmpl_refuse(t, pos, end,
				   "a range of numbers is expected, as \"6000-6005,6010\"");
	}
	numbers = calloc(TEMPLATE_NUMBERS_MAX, sizeof(*numbers));
	if (numbers == NULL)
		return -ENOMEM;
	if (template_numbers(s, len, numbers, TEMPLATE_NUMBERS_MAX, ret_count) != 0) {
		free(numbers);
		return tmpl_refuse(t, pos, end,
				   "no range of at most 65,536 numbers, as \"6000-6005,6010\"");
	}
	*ret_n = numbers;
	return 0;
}

static const char *tmpl_number(const struct tmpl_loop *loop, struct span word, char dst[static 24])
{
	for (; loop != NULL; loop = loop->outer) {
		struct span v = loop->value_name;
		const unsigned *from = NULL;

		if (loop->index_name.len > 0 && word.len == loop->index_name.len &&
		    memcmp(word.p, loop->index_name.p, word.len) == 0) {
			(void) snprintf(dst, 24, "%zu", loop->i);
			return dst;
		}
		if (v.len == 0 || word.len < v.len || memcmp(word.p, v.p, v.len) != 0)
			continue;
		if (word.len == v.len)
			from = loop->second == NULL ? loop->first : NULL;
		else if (is_word(span_skip(word, v.len), ".First"))
			from = loop->second != NULL ? loop->first : NULL;
		else if (is_word(span_skip(word, v.len), ".Second"))
			from = loop->second;
		if (from == NULL)
			return NULL;
		(void) snprintf(dst, 24, "%u", from[loop->i]);
		return dst;
	}
	return NULL;
}

static bool is_first_turn(const struct tmpl_loop *loop)
{
	while (loop != NULL && loop->i == 0)
		loop = loop->outer;
	return loop == NULL;
}

/* An action that yields text: .Envs.NAME, or a variable of a loop. */
static int tmpl_value(struct tmpl *t, const struct tmpl_loop *loop, struct span action, size_t pos,
		      size_t end)
{
	struct span word = take_word(&action), rest = take_word(&action);
	const char *value = NULL;
	char number[24];

	if (rest.len == 0 && is_env(word)) {
		value = tmpl_env(t, span_skip(word, 6));
		if (value == NULL) {
			if (is_first_turn(loop))
				tmpl_tell(t, pos, end,
					  "this variable is not set in the environment");
			return 0; /* others are told as well */
		}
	} else if (rest.len == 0 && word.len > 0 && word.p[0] == '$') {
		value = tmpl_number(loop, word, number);
	}
	if (value == NULL)
		return tmpl_refuse(t, pos, end,
				   "not supported; templates have .Envs.NAME and range over "
				   "parseNumberRange or parseNumberRangePair");
	return tmpl_put(t, value, strlen(value), pos, /* is_changed= */ true);
}

static int tmpl_body(struct tmpl *t, const struct tmpl_loop *loop, size_t *pos, bool want_end,
		     bool is_trimmed);

/* "[$i, ]$v := " or nothing; false: something else. */
static bool take_names(struct span *action, struct tmpl_loop *loop)
{
	struct span look = *action, word = take_word(&look);

	if (word.len == 0 || word.p[0] != '$')
		return true;
	loop->value_name = word;
	word = take_word(&look);
	if (is_word(word, ",")) {
		loop->index_name = loop->value_name;
		loop->value_name = take_word(&look);
		word = take_word(&look);
	}
	*action = look;
	return is_word(word, ":=") && loop->value_name.len > 1 && loop->value_name.p[0] == '$';
}

static int tmpl_turns(struct tmpl *t, struct tmpl_loop *loop, size_t n, size_t *pos,
		      bool is_trimmed)
{
	size_t start = *pos;
	int r = 0;

	for (loop->i = 0; loop->i < n && r == 0 && !t->is_bad; loop->i++) {
		if (++t->n_turns > TEMPLATE_TURNS_MAX)
			return tmpl_refuse(t, start, start, "the ranges have too many elements");
		*pos = start;
		r = tmpl_body(t, loop, pos, /* want_end= */ true, is_trimmed);
	}
	return r;
}

/* "range ..."; @pos is behind the action and moves behind its end. */
static int tmpl_range(struct tmpl *t, const struct tmpl_loop *outer, struct span action,
		      size_t from, size_t *pos, bool is_trimmed)
{
	struct tmpl_loop loop = { .outer = outer };
	unsigned *first = NULL, *second = NULL;
	size_t n_first = 0, n_second = 0, end = *pos;
	bool is_pair;
	struct span word;
	int r;

	if (!take_names(&action, &loop))
		return tmpl_refuse(t, from, end, "not supported");
	word = take_word(&action);
	is_pair = is_word(word, "parseNumberRangePair");
	if (!is_pair && !is_word(word, "parseNumberRange"))
		return tmpl_refuse(t, from, end,
				   "not supported; a range is over parseNumberRange or "
				   "parseNumberRangePair");
	r = tmpl_numbers(t, take_word(&action), from, end, &first, &n_first);
	if (r == 0 && !t->is_bad && is_pair)
		r = tmpl_numbers(t, take_word(&action), from, end, &second, &n_second);
	if (r == 0 && !t->is_bad && is_pair && n_first != n_second)
		r = tmpl_refuse(t, from, end, "the two ranges differ in length");
	if (r == 0 && !t->is_bad && take_word(&action).len > 0)
		r = tmpl_refuse(t, from, end, "not supported");
	loop.first = first;
	loop.second = second;
	if (r == 0 && !t->is_bad && t->depth++ == TEMPLATE_DEPTH_MAX)
		r = tmpl_refuse(t, from, end, "ranges are nested too deep");
	if (r == 0 && !t->is_bad) {
		r = tmpl_turns(t, &loop, n_first, pos, is_trimmed);
		t->depth--;
	}
	free(first);
	free(second);
	return r;
}

/* The end of the action whose inside begins at @pos: that of its "}}". A comment and strings may
 * hold "}}" as well. 0: none. */
static size_t tmpl_close(const struct tmpl *t, size_t pos)
{
	const char *s = t->text, *end;

	while (pos < t->len && is_space(s[pos]))
		pos++;
	if (t->len - pos > 1 && s[pos] == '/' && s[pos + 1] == '*') {
		end = memmem(s + pos + 2, t->len - pos - 2, "*/", 2);
		if (end == NULL)
			return 0;
		pos = (size_t) (end - s) + 2;
	}
	for (char quote = 0; pos + 1 < t->len; pos++) {
		if (quote != 0)
			quote = s[pos] == quote ? 0 : quote;
		else if (s[pos] == '"' || s[pos] == '`')
			quote = s[pos];
		else if (s[pos] == '}' && s[pos + 1] == '}')
			return pos;
		if (s[pos] == '\n' && quote != '`')
			return 0; /* an action is one line, as in Go before 1.16 */
	}
	return 0;
}

/* Text and actions up to the end of the file, or to the {{ end }} of a range. @is_trimmed: the
 * action before ends with a trim marker. */
static int tmpl_body(struct tmpl *t, const struct tmpl_loop *loop, size_t *pos, bool want_end,
		     bool is_trimmed)
{
	int r = 0;

	while (r == 0 && !t->is_bad) {
		const char *open = memmem(t->text + *pos, t->len - *pos, "{{", 2);
		size_t from = open != NULL ? (size_t) (open - t->text) : t->len, text_end = from;
		size_t in = from + 2, close, end;
		struct span action, look;

		while (is_trimmed && *pos < text_end && is_space(t->text[*pos]))
			(*pos)++;
		if (open != NULL && t->len - in > 1 && t->text[in] == '-' &&
		    is_space(t->text[in + 1])) {
			in++;
			while (text_end > *pos && is_space(t->text[text_end - 1]))
				text_end--;
		}
		r = tmpl_put(t, t->text + *pos, text_end - *pos, *pos, /* is_changed= */ false);
		if (r != 0 || t->is_bad)
			return r;
		if (open == NULL)
			return want_end
				       ? tmpl_refuse(t, from, from, "a range without its {{ end }}")
				       : 0;
		close = tmpl_close(t, in);
		if (close == 0)
			return tmpl_refuse(t, from, from + 2, "an action without its \"}}\"");
		*pos = end = close + 2;
		is_trimmed = close > in && t->text[close - 1] == '-' &&
			     is_space(t->text[close - 2]);
		action = span_of(t->text + in, close - in - is_trimmed);
		t->is_line_changed = true;
		look = action;
		look = take_word(&look);
		if (is_word(look, "/")) {
			continue; /* a comment: tmpl_close() has seen its end */
		} else if (is_word(look, "end")) {
			if (!want_end)
				return tmpl_refuse(t, from, end, "there is no range to end");
			return 0;
		} else if (is_word(look, "range")) {
			(void) take_word(&action);
			r = tmpl_range(t, loop, action, from, pos, is_trimmed);
			/* What follows the {{ end }} is trimmed as that says. */
			is_trimmed = *pos >= 4 && t->text[*pos - 3] == '-' &&
				     is_space(t->text[*pos - 4]);
		} else {
			r = tmpl_value(t, loop, action, from, end);
		}
	}
	return r;
}

/* -- the file -- */

static int tmpl_finish(struct tmpl *t, struct template_out *out)
{
	struct span text = buf_span(&t->out), lines = buf_span(&t->lines);

	out->len = text.len;
	out->text = text_dup(text.len > 0 ? (const char *) text.p : "", text.len);
	out->n_lines = lines.len / sizeof(*out->lines);
	out->lines = malloc(lines.len > 0 ? lines.len : 1);
	if (out->text == NULL || out->lines == NULL) {
		template_out_deinit(out);
		return -ENOMEM;
	}
	if (lines.len > 0)
		memcpy(out->lines, lines.p, lines.len);
	return 0;
}

int template_run(const char *name, const char *text, size_t len, char *const *envp,
		 struct problems *p, struct template_out *ret_out)
{
	struct tmpl t = { .name = name, .text = text, .len = len, .envp = envp, .problems = p };
	struct template_out out = { 0 };
	size_t pos = 0;
	int r;

	if (memmem(text, len, "{{", 2) == NULL) {
		out.text = text_dup(text, len);
		out.len = len;
		if (out.text == NULL)
			return -ENOMEM;
		*ret_out = out;
		return 0;
	}
	buf_init(&t.out, NODE_FILE_MAX);
	buf_init(&t.lines, (NODE_FILE_MAX + 2) * sizeof(unsigned));
	t.out_line_from = t.seen_line = 1;
	r = tmpl_body(&t, NULL, &pos, /* want_end= */ false, /* is_trimmed= */ false);
	if (r == 0)
		r = tmpl_end_line(&t, 0);
	if (r == 0)
		r = tmpl_finish(&t, &out);
	buf_deinit(&t.out);
	buf_deinit(&t.lines);
	if (r == 0)
		*ret_out = out;
	return r;
}

void template_out_deinit(struct template_out *out)
{
	if (out->text != NULL)
		secret_wipe(out->text, out->len);
	free(out->text);
	free(out->lines);
	*out = (struct template_out){ 0 };
}

unsigned template_line(const struct template_out *out, unsigned line, bool *ret_is_same)
{
	*ret_is_same = true;
	if (out->lines == NULL || line == 0 || line > out->n_lines)
		return line;
	*ret_is_same = (out->lines[line - 1] & TEMPLATE_CHANGED) == 0;
	return out->lines[line - 1] & ~TEMPLATE_CHANGED;
}
