/* SPDX-License-Identifier: Apache-2.0 */
/* ini.c - frp's legacy INI files, by libinih. Floor 4.
 *
 * libinih gets its lines from ini_read_line(), which counts them (the library does not say where it
 * is) and keeps the section headers to itself: libinih would cut their names at 49 bytes and say
 * nothing about empty sections. frp reads the same files with other rules in corners (templates,
 * continued lines, %(name)s, back quotes); what would mean something else to frp is refused. The
 * file holds the token: lines are never quoted, and every copy is wiped. */
#include "agent/conf/ini.h"

#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "agent/conf/file.h"
#include "agent/conf/legacy.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define INI_FILE_MAX (1024 * 1024) /* 4,096 proxies with long names fit */
#define INI_LINE_MAX (16 * 1024)   /* of a line; a value of any use is far shorter */
#define INI_KEYS_MAX 64		   /* rows of a key table */
#define INI_PLACE 1024		   /* "PATH:LINE: [SECTION] KEY", escaped */
#define INI_QUOTE 128

enum ini_section {
	INI_SECTION_NONE, /* before the first header */
	INI_SECTION_COMMON,
	INI_SECTION_PROXY,
	INI_SECTION_REFUSED, /* its keys say nothing that matters */
};

struct ini_reader {
	/* set by owner */
	const char *path;
	struct problems *problems;
	struct conf *conf;
	const char *text; /* what is left of the file; ends with NUL */
	/* private */
	unsigned line, section_line;
	enum ini_section section;
	char name[INI_QUOTE];		  /* of the section, escaped */
	bool has_common, is_joined;	  /* is_joined: the line before ended with a backslash */
	bool is_hopeless;		  /* no INI file at all: one line said so */
	unsigned key_lines[INI_KEYS_MAX]; /* where each key of this section stands; 0: not yet */
	int err;
};

static void ini_put_place(const struct ini_reader *rd, unsigned line, const char *key,
			  char dst[static INI_PLACE])
{
	char path[INI_PLACE / 2], quote[INI_QUOTE];

	(void) text_escape(span_str(rd->path), path, sizeof(path));
	if (rd->section == INI_SECTION_NONE)
		(void) snprintf(dst, INI_PLACE, "%s:%u", path, line);
	else if (key == NULL)
		(void) snprintf(dst, INI_PLACE, "%s:%u: [%s]", path, line, rd->name);
	else
		(void) snprintf(dst, INI_PLACE, "%s:%u: [%s] %s", path, line, rd->name,
				text_escape(span_str(key), quote, sizeof(quote)));
}

static void ini_refuse(struct ini_reader *rd, unsigned line, const char *key, const char *words)
{
	char place[INI_PLACE];

	ini_put_place(rd, line, key, place);
	problems_add(rd->problems, "%s: %s", place, words);
}

static const struct legacy_keys *ini_keys(const struct ini_reader *rd)
{
	return rd->section == INI_SECTION_COMMON ? &legacy_common : &legacy_proxy;
}

/* Where @name stands in this section; 0: nowhere. */
static unsigned ini_line_of(const struct ini_reader *rd, const char *name)
{
	const struct legacy_keys *keys = ini_keys(rd);

	return rd->key_lines[key_find(keys->at, keys->n, name) - keys->at];
}

/* These do nothing without TLS; who wrote them believes the connection is protected. */
static void ini_check_tls(struct ini_reader *rd)
{
	static const char *const names[] = { "tls_trusted_ca_file", "tls_cert_file", "tls_key_file",
					     "tls_server_name" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned line = ini_line_of(rd, names[i]);

		if (line != 0 && !rd->conf->tls.is_on)
			ini_refuse(rd, line, names[i], "has no effect with tls_enable = false");
	}
}

static void ini_end_section(struct ini_reader *rd)
{
	if (rd->section == INI_SECTION_COMMON) {
		if (ini_line_of(rd, "server_addr") == 0)
			ini_refuse(rd, rd->section_line, NULL, "server_addr is missing");
		ini_check_tls(rd);
	} else if (rd->section == INI_SECTION_PROXY && ini_line_of(rd, "local_port") == 0) {
		ini_refuse(rd, rd->section_line, NULL, "local_port is missing");
	}
	memset(rd->key_lines, 0, sizeof(rd->key_lines));
}

static void ini_begin_common(struct ini_reader *rd)
{
	rd->section = INI_SECTION_COMMON;
	if (rd->has_common) {
		ini_refuse(rd, rd->line, NULL, "this section is there already");
		rd->section = INI_SECTION_REFUSED;
	}
	rd->has_common = true;
}

static void ini_begin_proxy(struct ini_reader *rd, const char *name)
{
	struct conf *c = rd->conf;
	struct conf_proxy *proxy;
	const char *why = NULL;

	rd->section = INI_SECTION_REFUSED;
	for (size_t i = 0; i < c->n_proxies; i++)
		if (strcmp(c->proxies[i].name, name) == 0)
			why = "a section of this name is there already";
	if (strncmp(name, "range:", strlen("range:")) == 0)
		why = "sections for ranges of ports are not supported by this version";
	else if (*name == '[')
		why = "this is no INI file; only INI files are supported by this version";
	else if (*name == '\0' || *name == ' ' || name[strlen(name) - 1] == ' ')
		why = "a section name is not empty and has no space around it";
	else if (!text_is_utf8(span_str(name)))
		why = "a section name is UTF-8";
	if (why != NULL) {
		ini_refuse(rd, rd->line, NULL, why);
		rd->is_hopeless = *name == '[';
		return;
	}
	rd->section = INI_SECTION_PROXY;
	rd->err = conf_add_proxy(c, name, &proxy);
}

/* The header in @line, which starts with "[" and has @len bytes. */
static void ini_begin_section(struct ini_reader *rd, const char *line, size_t len)
{
	const char *close = memrchr(line, ']', len);
	const char *rest = close != NULL ? close + 1 : line;
	char *name;

	ini_end_section(rd);
	rd->section = INI_SECTION_NONE;
	rd->section_line = rd->line;
	rest += strspn(rest, " \t\r");
	if (close == NULL || (rest < line + len && *rest != ';' && *rest != '#')) {
		ini_refuse(rd, rd->line, NULL, "a section header is \"[name]\", alone in its line");
		rd->section = INI_SECTION_REFUSED;
		return;
	}
	name = text_dup(line + 1, (size_t) (close - line - 1));
	if (name == NULL) {
		rd->err = -ENOMEM;
		return;
	}
	(void) text_escape(span_str(name), rd->name, sizeof(rd->name));
	if (strcmp(name, "common") == 0)
		ini_begin_common(rd);
	else
		ini_begin_proxy(rd, name);
	free(name);
}

/* Take the next line of the text, without the white space before it (to libinih it would mean that
 * the value above goes on). False at the end. */
static bool ini_take_line(struct ini_reader *rd, const char **ret_line, size_t *ret_len)
{
	const char *line = rd->text;
	size_t len = strcspn(line, "\n");

	if (*line == '\0' || rd->err < 0 || rd->is_hopeless)
		return false;
	rd->text += len + (line[len] == '\n');
	rd->line++;
	*ret_line = line + strspn(line, " \t\r\v\f");
	if (*ret_line > line + len)
		*ret_line = line + len;
	*ret_len = (size_t) (line + len - *ret_line);
	return true;
}

/* What libinih calls in place of fgets(): the next line that is no header. */
static char *ini_read_line(char *dst, int cap, void *stream)
{
	struct ini_reader *rd = stream;
	const char *line;
	size_t len;

	while (ini_take_line(rd, &line, &len)) {
		bool is_joined = rd->is_joined;

		while (len > 0 && line[len - 1] == '\r')
			len--;
		rd->is_joined = len > 0 && line[len - 1] == '\\' && *line != '#' && *line != ';';
		if (is_joined)
			continue;
		if (rd->is_joined) {
			ini_refuse(rd, rd->line, NULL,
				   "a line that goes on after a backslash is not supported");
		} else if (len > 0 && *line == '[') {
			ini_begin_section(rd, line, len);
		} else if (len >= INI_LINE_MAX || len + 2 > (size_t) cap) {
			ini_refuse(rd, rd->line, NULL, "the line is too long");
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

static void ini_refuse_unknown(struct ini_reader *rd, const char *name)
{
	const struct legacy_keys *keys = ini_keys(rd);
	char quote[INI_QUOTE], place[INI_PLACE];
	size_t n_edits;
	const char *nearest = key_nearest(keys->at, keys->n, name, &n_edits);

	ini_put_place(rd, rd->line, NULL, place);
	problems_add(rd->problems, "%s: unknown key \"%s\"; the nearest known one is \"%s\"", place,
		     text_escape(span_str(name), quote, sizeof(quote)), nearest);
}

static int ini_apply(struct ini_reader *rd, const struct key *k, const char *name, const char *text)
{
	struct conf *c = rd->conf;
	void *object = rd->section == INI_SECTION_COMMON ? (void *) c
							 : &c->proxies[c->n_proxies - 1];
	char place[INI_PLACE];
	const char *why;
	char *value = ini_dup_value(text, &why);
	int r;

	if (why != NULL) {
		ini_refuse(rd, rd->line, name, why);
		return 0;
	}
	if (value == NULL)
		return -ENOMEM;
	ini_put_place(rd, rd->line, name, place);
	r = key_apply(k, object, place, value, rd->problems);
	value = secret_free(value);
	return r;
}

/* Anything else may be a part of the token, as in "token c2VjcmV0==", and is not quoted. */
static bool ini_is_key_name(const char *name)
{
	size_t n = strspn(name,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

	return n > 0 && name[n] == '\0';
}

/* 0 (also with a new problem) or -ENOMEM. @value is NULL for a line without "=". */
static int ini_take_key(struct ini_reader *rd, const char *name, const char *value)
{
	const struct legacy_keys *keys = ini_keys(rd);
	const struct key *k;
	unsigned *line;

	if (rd->section == INI_SECTION_REFUSED)
		return 0;
	if (value == NULL || !ini_is_key_name(name)) {
		ini_refuse(rd, rd->line, NULL, "neither \"[section]\" nor \"key = value\"");
		return 0;
	}
	if (rd->section == INI_SECTION_NONE) {
		ini_refuse(
			rd, rd->line, NULL,
			"an INI file starts with a [section]; files of other formats are not supported by this version");
		rd->is_hopeless = true;
		return 0;
	}
	k = legacy_find(keys, name);
	if (k == NULL) {
		ini_refuse_unknown(rd, name);
		return 0;
	}
	if (k >= keys->at && k < keys->at + keys->n) {
		line = &rd->key_lines[k - keys->at];
		if (*line != 0) {
			ini_refuse(rd, rd->line, name, "this key is in the section already");
			return 0;
		}
		*line = rd->line;
	}
	return ini_apply(rd, k, name, value);
}

static int ini_on_key(void *user, const char *section, const char *name, const char *value)
{
	struct ini_reader *rd = user;

	(void) section; /* always empty: see the top */
	if (rd->err == 0 && !rd->is_hopeless)
		rd->err = ini_take_key(rd, name, value);
	return rd->err == 0;
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

static bool ini_is_other_format(const char *path)
{
	static const char *const ends[] = { ".toml", ".yaml", ".yml", ".json" };
	size_t len = strlen(path), n;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		n = strlen(ends[i]);
		if (len > n && strcmp(path + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

static int ini_parse_text(struct ini_reader *rd, size_t len)
{
	const char *text = rd->text, *template = strstr(text, "{{");
	int r;

	if (strlen(text) != len) {
		problems_add(rd->problems, "%s: this is no text: it has NUL bytes", rd->path);
		return 0;
	}
	if (template != NULL) {
		for (const char *p = text; p < template; p++)
			rd->line += *p == '\n';
		ini_refuse(rd, rd->line + 1, NULL,
			   "templates, {{...}}, are not supported by this version");
		return 0;
	}
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		rd->text += 3; /* a byte order mark */
	ini_set_up_library();
	r = ini_parse_stream(ini_read_line, rd, ini_on_key, rd);
	if (rd->err < 0 || r == -2)
		return -ENOMEM;
	if (rd->is_hopeless)
		return 0;
	ini_end_section(rd);
	if (!rd->has_common)
		problems_add(rd->problems, "%s: the section [common] is missing", rd->path);
	return 0;
}

static int ini_load_file(const char *path, struct problems *p, struct conf *c)
{
	struct ini_reader rd = { .path = path, .problems = p, .conf = c };
	char why[FILE_WHY], quote[INI_PLACE];
	size_t len;
	char *text;
	int r;

	(void) text_escape(span_str(path), quote, sizeof(quote));
	if (ini_is_other_format(path)) {
		problems_add(
			p,
			"%s: TOML, YAML and JSON files are not supported by this version; only INI files are",
			quote);
		return 0;
	}
	r = file_read(path, INI_FILE_MAX, /* want_regular= */ false, &text, &len, why);
	if (r > 0)
		problems_add(p, "%s: cannot be read: %s", quote, why);
	if (r != 0)
		return r < 0 ? r : 0;
	rd.text = text;
	r = ini_parse_text(&rd, len);
	secret_wipe(text, len);
	free(text);
	return r;
}

int ini_load(const char *path, struct problems *p, struct conf **ret_c)
{
	CLEANUP(conf_free) struct conf *c = conf_new();
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->source = text_dup(path, strlen(path));
	if (c->source == NULL)
		return -ENOMEM;
	r = ini_load_file(path, p, c);
	if (r < 0)
		return r;
	*ret_c = TAKE(c);
	return 0;
}
