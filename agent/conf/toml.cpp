/* SPDX-License-Identifier: Apache-2.0 */
/* toml.cpp - the border to toml++: C++ that C calls, and nothing thrown across. Floor 4.
 *
 * Errors of the text are values (TOML_EXCEPTIONS 0). What is left to be thrown is std::bad_alloc,
 * so this file is compiled with exceptions, for its one catch. Some assertions of version 3.3 fail for
 * a bad text, which the lines behind them refuse with its place ("[,x]"): they are left out. */
#undef NDEBUG /* else toml++ tells the compiler that its assertions hold */
#define TOML_ASSERT(expr) ((void) 0)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32 /* node.h allows 16 */
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#include "agent/conf/toml.h"

#include <cerrno>

#include <toml++/toml.h>

static void toml_set_place(const toml::source_region &r, unsigned *line, unsigned *column)
{
	*line = r.begin.line;
	*column = r.begin.column;
}

static int toml_tell(const toml::node &n, const toml::key *key, const struct toml_ops *ops,
		     void *arg);

static int toml_tell_members(const toml::node &n, const struct toml_ops *ops, void *arg)
{
	int r = 0;

	if (const toml::table *table = n.as_table()) {
		for (auto &&[key, value] : *table)
			if (r == 0)
				r = toml_tell(value, &key, ops, arg);
	} else if (const toml::array *list = n.as_array()) {
		for (auto &&value : *list)
			if (r == 0)
				r = toml_tell(value, nullptr, ops, arg);
	} else {
		return 0;
	}
	return r != 0 ? r : ops->on_close(arg);
}

/* As deep as on_value() lets it go. */
static int toml_tell(const toml::node &n, const toml::key *key, const struct toml_ops *ops,
		     void *arg)
{
	struct toml_value v = {};
	int r;

	if (key != nullptr) {
		v.key = key->str().data();
		v.key_len = key->str().size();
		toml_set_place(key->source(), &v.key_line, &v.key_column);
	}
	toml_set_place(n.source(), &v.line, &v.column);
	if (n.is_table()) {
		v.kind = TOML_TABLE;
	} else if (n.is_array()) {
		v.kind = TOML_LIST;
	} else if (const toml::value<std::string> *s = n.as_string()) {
		v.kind = TOML_STRING;
		v.text = s->get().data();
		v.len = s->get().size();
	} else if (const toml::value<int64_t> *i = n.as_integer()) {
		v.kind = TOML_INT;
		v.number = i->get();
	} else if (const toml::value<bool> *b = n.as_boolean()) {
		v.kind = TOML_BOOL;
		v.number = b->get();
	} else {
		v.kind = TOML_OTHER;
	}
	r = ops->on_value(arg, &v);
	return r != 0 ? r : toml_tell_members(n, ops, arg);
}

extern "C" int toml_walk(const char *text, size_t len, const struct toml_ops *ops, void *arg)
{
	try {
		toml::parse_result result = toml::parse(std::string_view(text, len));

		if (!result) {
			const toml::parse_error &e = result.error();
			unsigned line, column;

			toml_set_place(e.source(), &line, &column);
			ops->on_error(arg, e.description().data(), e.description().size(), line,
				      column);
			return TOML_E_BAD;
		}
		return toml_tell(result.table(), nullptr, ops, arg);
	} catch (...) {
		return -ENOMEM;
	}
}
