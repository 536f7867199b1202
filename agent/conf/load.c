/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - a configuration file, whatever its format: read, templates, tree, table of keys,
 * included files. Floor 4. */
#include "agent/conf/load.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/conf/file.h"
#include "agent/conf/ini.h"
#include "agent/conf/json.h"
#include "agent/conf/key.h"
#include "agent/conf/reader.h"
#include "agent/conf/template.h"
#include "agent/conf/tomltree.h"
#include "agent/conf/yaml.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define LOAD_QUOTE 400
/* frp says 0.0.0.0, which leads to the local machine too. */
#define LOAD_DEFAULT_SERVER "127.0.0.1"

enum load_format { LOAD_TOML, LOAD_YAML, LOAD_JSON, LOAD_INI };

struct loader {
	/* set by owner */
	const struct load_options *options;
	struct problems *problems, *warnings;
	struct conf *conf;
	/* private */
	enum load_format format; /* of the file that includes others: INI includes INI */
	struct conf_strs includes;
	char places[READER_PLACE]; /* of the includes */
};

/* -- format -- */

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* Does a line of @text begin with @what? */
static bool has_line(const char *text, const char *what)
{
	for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line + strspn(line, " \t"), what, strlen(what)) == 0)
			return true;
	}
	return false;
}

/* TOML has "key = value" or "[table]", YAML "key: value": the first line that says
 * something tells. */
static enum load_format load_guess(const char *text)
{
	const char *s = text;
	size_t n;

	if (has_line(text, "[common]"))
		return LOAD_INI; /* as frp tells */
	for (s = skip_space(s); *s == '#'; s = skip_space(s))
		s += strcspn(s, "\n");
	if (*s == '{')
		return LOAD_JSON;
	if (*s == '[' || *s == '\0')
		return LOAD_TOML;
	if (strncmp(s, "---", 3) == 0 || *s == '-')
		return LOAD_YAML;
	n = *s == '"' ? 1 + strcspn(s + 1, "\"\n") + 1 : strcspn(s, "=:\n");
	n += strspn(s + n, " \t");
	return s[n] == ':' ? LOAD_YAML : LOAD_TOML;
}

static enum load_format load_find_format(const char *path, const char *text)
{
	static const struct {
		const char *end;
		enum load_format format;
	} ends[] = { { ".toml", LOAD_TOML },
		     { ".yaml", LOAD_YAML },
		     { ".yml", LOAD_YAML },
		     { ".json", LOAD_JSON } };
	size_t len = strlen(path), n;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		n = strlen(ends[i].end);
		if (len > n && strcasecmp(path + len - n, ends[i].end) == 0)
			return has_line(text, "[common]") ? LOAD_INI : ends[i].format;
	}
	/* frp's INI files are found by their content; the ending says what a bad one should have
	 * been. */
	if (len > 4 && strcasecmp(path + len - 4, ".ini") == 0 && load_guess(text) == LOAD_TOML &&
	    !has_line(text, "[[") && *skip_space(text) != '\0')
		return LOAD_INI;
	return load_guess(text);
}

/* -- one file -- */

/* The tree of @text; false: it is no text of the format, and that is told. */
static int load_parse(const struct reader *rd, enum load_format format, const char *text,
		      size_t len, struct tree *t, bool *ret_ok)
{
	static parse_fn *const parsers[] = {
		[LOAD_TOML] = tomltree_parse, [LOAD_YAML] = yaml_parse, [LOAD_JSON] = json_parse
	};
	char place[READER_PLACE];
	struct parse_error e;
	int r;

	*ret_ok = true;
	if (format == LOAD_INI)
		return ini_read(rd, text, len, t);
	r = parsers[format](text, len, t, &e);
	if (r > 0) {
		*ret_ok = false;
		problems_add(rd->problems, "%s: %s", reader_put_place(rd, e.at, place), e.why);
		return 0;
	}
	return r;
}

/* What stands under "includes", for later. */
static int load_note_includes(struct loader *l, const struct reader *rd, const struct node *root)
{
	const struct node *n = node_get(root, "includes");
	int r = 0;

	if (n == NULL || n->kind != NODE_LIST)
		return 0;
	(void) reader_put_place(rd, n->at, l->places);
	for (const struct node *c = n->first; c != NULL && r == 0; c = c->next)
		if (c->kind == NODE_STRING || c->kind == NODE_BARE)
			r = conf_strs_add(&l->includes, c->text);
	return r;
}

/* The place of the first byte that is no UTF-8. */
static struct place load_bad_byte(const char *text, size_t len)
{
	struct place at = { .line = 1, .column = 1 };
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = text_utf8_len(span_of(text + i, len - i));
		if (n == 0)
			break;
		at.column = text[i] == '\n' ? 1 : at.column + 1;
		at.line += text[i] == '\n';
	}
	return at;
}

static int load_rendered(struct loader *l, struct reader *rd, const char *path,
			 const struct template_out *out)
{
	const char *text = out->text;
	size_t len = out->len;
	enum load_format format;
	char place[READER_PLACE];
	struct tree t = { 0 };
	bool is_ok;
	int r;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
		text += 3;
		len -= 3;
	}
	format = load_find_format(path, text);
	if (rd->is_included && l->format == LOAD_INI)
		format = LOAD_INI;
	else if (!rd->is_included)
		l->format = format;
	if (format != LOAD_INI && !text_is_utf8(span_of(text, len))) {
		problems_add(rd->problems, "%s: this is not UTF-8",
			     reader_put_place(rd, load_bad_byte(text, len), place));
		return 0;
	}
	r = load_parse(rd, format, text, len, &t, &is_ok);
	if (r == 0 && is_ok)
		r = reader_apply(rd, &t);
	if (r == 0 && is_ok && !rd->is_included)
		r = load_note_includes(l, rd, t.root);
	tree_deinit(&t);
	return r;
}

static int load_one_text(struct loader *l, const char *path, const char *text, size_t len,
			 bool is_included)
{
	char quote[LOAD_QUOTE];
	struct template_out out;
	struct reader rd = { .file = text_escape(span_str(path), quote, sizeof(quote)),
			     .lines = &out,
			     .is_included = is_included,
			     .is_strict = !l->options->is_lenient,
			     .may_exec = l->options->may_exec,
			     .problems = l->problems,
			     .warnings = l->warnings,
			     .conf = l->conf };
	size_t n_before = l->problems->n_lines;
	int r;

	if (memchr(text, '\0', len) != NULL) {
		problems_add(l->problems, "%s: this is no text: it has NUL bytes", quote);
		return 0;
	}
	r = template_run(quote, text, len, l->options->envp, l->problems, &out);
	if (r < 0)
		return r;
	if (l->problems->n_lines == n_before)
		r = load_rendered(l, &rd, path, &out);
	template_out_deinit(&out);
	return r;
}

static int load_one_file(struct loader *l, const char *path, bool is_included)
{
	char why[FILE_WHY], quote[LOAD_QUOTE], *text;
	size_t len;
	int r;

	r = file_read(path, NODE_FILE_MAX, /* want_regular= */ is_included, &text, &len, why);
	if (r > 0)
		problems_add(l->problems, "%s: cannot be read: %s",
			     text_escape(span_str(path), quote, sizeof(quote)), why);
	if (r != 0)
		return r < 0 ? r : 0;
	r = load_one_text(l, path, text, len, is_included);
	secret_wipe(text, len);
	free(text);
	return r;
}

/* -- included files -- */

/* All files that match, in the order of their names, as frp takes them: wildcards stand for a part
 * of the last name only, and relative paths start at the working directory. */
static int load_include(struct loader *l, const char *pattern)
{
	const char *slash = strrchr(pattern, '/');
	const char *base = slash != NULL ? slash + 1 : pattern;
	size_t n_folder = slash != NULL ? (size_t) (slash - pattern) + 1 : 0, n_used = 0;
	char quote[LOAD_QUOTE], *folder = text_dup(pattern, n_folder);
	struct dirent **found = NULL;
	int r = 0, n = 0;

	if (folder == NULL)
		return -ENOMEM;
	(void) text_escape(span_str(pattern), quote, sizeof(quote));
	n = scandir(n_folder > 0 ? folder : ".", &found, NULL, alphasort);
	if (n < 0 && errno == ENOMEM)
		r = -ENOMEM;
	else if (n < 0)
		problems_add(l->problems, "%s: includes: the folder of \"%s\" cannot be read: %s",
			     l->places, quote, strerror(errno));
	for (int i = 0; i < n; i++) {
		size_t cap = n_folder + strlen(found[i]->d_name) + 1;
		char *path = NULL;

		if (r == 0 && found[i]->d_type != DT_DIR &&
		    fnmatch(base, found[i]->d_name, 0) == 0) {
			path = malloc(cap);
			r = path == NULL ? -ENOMEM : 0;
		}
		if (path != NULL) {
			(void) snprintf(path, cap, "%s%s", folder, found[i]->d_name);
			r = load_one_file(l, path, /* is_included= */ true);
			n_used++;
		}
		free(path);
		free(found[i]);
	}
	if (n >= 0 && r == 0 && n_used == 0 && strpbrk(base, "*?[") == NULL)
		problems_add(l->problems, "%s: includes: \"%s\" is not there", l->places, quote);
	free(found);
	free(folder);
	return r;
}

static int load_finish(struct loader *l)
{
	int r = 0;

	for (size_t i = 0; i < l->includes.n && r == 0; i++)
		r = load_include(l, l->includes.at[i]);
	if (r == 0 && l->conf->server_host == NULL)
		r = key_store(&l->conf->server_host, LOAD_DEFAULT_SERVER);
	return r;
}

/* -- the whole -- */

static struct conf *load_begin(const char *source)
{
	struct conf *c = conf_new();

	if (c != NULL && key_store(&c->source, source) < 0)
		c = conf_free(c);
	return c;
}

int load_text(const char *path, const char *text, size_t len, const struct load_options *o,
	      struct problems *p, struct problems *warnings, struct conf **ret_c)
{
	CLEANUP(conf_free) struct conf *c = load_begin(path);
	struct loader l = { .options = o, .problems = p, .warnings = warnings, .conf = c };
	int r;

	if (c == NULL)
		return -ENOMEM;
	r = text != NULL ? load_one_text(&l, path, text, len, /* is_included= */ false)
			 : load_one_file(&l, path, /* is_included= */ false);
	if (r == 0)
		r = load_finish(&l);
	conf_strs_deinit(&l.includes);
	if (r < 0)
		return r;
	*ret_c = TAKE(c);
	return 0;
}

int load_file(const char *path, const struct load_options *o, struct problems *p,
	      struct problems *warnings, struct conf **ret_c)
{
	return load_text(path, /* text= */ NULL, 0, o, p, warnings, ret_c);
}

int load_tree(const char *source, const struct tree *t, const struct load_options *o,
	      struct problems *p, struct conf **ret_c)
{
	CLEANUP(conf_free) struct conf *c = load_begin(source);
	struct loader l = { .options = o, .problems = p, .warnings = p, .conf = c };
	struct reader rd = {
		.is_strict = true, .may_exec = o->may_exec, .problems = p, .warnings = p, .conf = c
	};
	int r;

	if (c == NULL)
		return -ENOMEM;
	r = reader_apply(&rd, t);
	if (r == 0)
		r = load_finish(&l);
	if (r < 0)
		return r;
	*ret_c = TAKE(c);
	return 0;
}
