/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_conf.h - the body of the targets of configuration files: text to a checked configuration.
 * Tests only.
 *
 * What loads, loads the same again and without strictness; what is wrong is told in lines that a
 * terminal may be trusted with. */
#pragma once
#include "agent/conf/check.h"
#include "agent/conf/diff.h"
#include "agent/conf/ident.h"
#include "agent/conf/load.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"
#include "tests/fuzz/nofiles.h"

#define FUZZ_CONF_MAX 8192   /* of an input; a longer one shows nothing more */
#define FUZZ_PROXIES_MAX 300 /* each is compared with each; a range of ports makes thousands */

/* The checked configuration, or NULL: it has problems. */
static inline struct conf *fuzz_load(const char *path, const char *text, size_t len,
				     bool is_lenient)
{
	static char name[] = "NAME=value", empty[] = "EMPTY=";
	static char *const env[] = { name, empty, NULL };
	const struct load_options o = { .is_lenient = is_lenient, .envp = env };
	struct problems p, warnings;
	struct conf *c = NULL;

	problems_init(&p);
	problems_init(&warnings);
	MUST(load_text(path, text, len, &o, &p, &warnings, &c) == 0 && c != NULL);
	if (c->n_proxies <= FUZZ_PROXIES_MAX)
		MUST(conf_check(c, &p) == 0);
	else
		problems_add(&p, "too many for here");
	fuzz_check_lines(&p);
	fuzz_check_lines(&warnings);
	if (p.n_lines > 0)
		c = conf_free(c);
	problems_deinit(&p);
	problems_deinit(&warnings);
	return c;
}

static inline void fuzz_must_be_same(const struct conf *a, const struct conf *b)
{
	char ident[IDENT_CAP], again[IDENT_CAP];

	MUST(conf_diff_session(a, b) == NULL && conf_diff_start(a, b) == NULL);
	MUST(a->n_proxies == b->n_proxies && a->n_visitors == b->n_visitors);
	for (size_t i = 0; i < a->n_proxies; i++)
		MUST(conf_proxy_is_same(&a->proxies[i], &b->proxies[i]));
	for (size_t i = 0; i < a->n_visitors; i++)
		MUST(conf_visitor_is_same(&a->visitors[i], &b->visitors[i]));
	MUST(conf_ident(a, ident) == 0 && conf_ident(b, again) == 0);
	MUST(strcmp(ident, again) == 0);
}

/* @path tells the format by its ending. */
static inline int fuzz_conf(const char *path, const uint8_t *data, size_t size)
{
	struct conf *c, *again;
	char *text;

	if (size > FUZZ_CONF_MAX)
		return 0;
	text = text_dup((const char *) data, size);
	MUST(text != NULL);
	nofiles_is_on = true;
	c = fuzz_load(path, text, size, /* is_lenient= */ false);
	again = fuzz_load(path, text, size, /* is_lenient= */ true);
	if (c != NULL) {
		MUST(again != NULL);
		fuzz_must_be_same(c, again);
	}
	c = conf_free(c);
	again = conf_free(again);
	nofiles_is_on = false;
	free(text);
	return 0;
}
