/* SPDX-License-Identifier: Apache-2.0 */
/* test_key.c - parsers of single settings, the nearest name, and the list of problems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf/key.h"

struct object {
	char *text;
	uint64_t ms;
	unsigned n;
	uint16_t port;
	bool is_on;
};

static const struct key keys[] = {
	KEY("text", key_text, offsetof(struct object, text), "text"),
	KEY("host", key_host, offsetof(struct object, text), "a host"),
	KEY("pin", key_pin, offsetof(struct object, text), "a pin"),
	KEY("wait", key_wait, offsetof(struct object, ms), "a time", .max = 60000),
	KEY("beat", key_beat, offsetof(struct object, ms), "seconds", .min = 1, .max = 10),
	KEY("count", key_count, offsetof(struct object, n), "a number", .min = 2, .max = 4),
	KEY("port", key_port, offsetof(struct object, port), "a port"),
	KEY("port_or_none", key_port, offsetof(struct object, port), "a port", .min = 0, .max = 1),
	KEY("switch", key_bool, offsetof(struct object, is_on), "a switch"),
	KEY("inverted", key_not, offsetof(struct object, is_on), "a switch"),
	KEY("only_true", key_true, 0, "true"),
	KEY("only_false", key_false, 0, "false"),
	KEY("word", key_words, 0, "a word", .words = "one|two|"),
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* The parser's answer alone. */
static int set(struct object *o, const char *name, const char *value)
{
	const struct key *k = key_find(keys, N_KEYS, name);

	assert_non_null(k);
	return k->set(k, (char *) o + k->at, value);
}

static void test_strings(void **state)
{
	struct object o = { 0 };

	(void) state;
	assert_int_equal(set(&o, "text", "gr\xc3\xbc\xc3\x9f"), 0);
	assert_string_equal(o.text, "gr\xc3\xbc\xc3\x9f");
	assert_int_equal(set(&o, "text", "\x80"), KEY_E_BAD);
	assert_int_equal(set(&o, "text", "a\tb"), KEY_E_BAD);
	assert_int_equal(set(&o, "text", "a\x7f"), KEY_E_BAD);
	assert_string_equal(o.text, "gr\xc3\xbc\xc3\x9f");
	assert_int_equal(set(&o, "text", ""), 0);
	assert_null(o.text);
}

static void test_hosts(void **state)
{
	static const char *const bad[] = { "",	      "[",    "]",   "[]",    "a:1",
					   "[::1]:1", "[::1", "a b", "1.2.3", "[1.2.3.4]" };
	struct object o = { 0 };

	(void) state;
	assert_int_equal(set(&o, "host", "[::1]"), 0);
	assert_string_equal(o.text, "::1");
	assert_int_equal(set(&o, "host", "fe80::1%eth0"), 0);
	assert_string_equal(o.text, "fe80::1%eth0");
	assert_int_equal(set(&o, "host", "a_b.example."), 0);
	assert_int_equal(set(&o, "host", "0.0.0.0"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(set(&o, "host", bad[i]), KEY_E_BAD);
	assert_string_equal(o.text, "0.0.0.0");
	assert_int_equal(key_store(&o.text, NULL), 0);
}

static void test_pins(void **state)
{
	static const char base64[] = "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
	char hex[65];
	struct object o = { 0 };

	(void) state;
	memset(hex, 'a', 64);
	hex[64] = '\0';
	assert_int_equal(set(&o, "pin", hex), 0);
	assert_int_equal(set(&o, "pin", base64), 0);
	assert_string_equal(o.text, base64);
	hex[63] = 'g';
	assert_int_equal(set(&o, "pin", hex), KEY_E_BAD);
	hex[63] = '\0';
	assert_int_equal(set(&o, "pin", hex), KEY_E_BAD);
	assert_int_equal(set(&o, "pin", base64 + 1), KEY_E_BAD);
	assert_int_equal(set(&o, "pin", "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw!Hh8="),
			 KEY_E_BAD);
	assert_int_equal(set(&o, "pin", "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
			 KEY_E_BAD);
	assert_int_equal(set(&o, "pin", base64 + strlen("sha256/")), KEY_E_BAD);
	assert_int_equal(set(&o, "pin", ""), KEY_E_BAD);
	assert_int_equal(key_store(&o.text, NULL), 0);
}

static void test_numbers_and_switches(void **state)
{
	struct object o = { .n = 7, .port = 7 };

	(void) state;
	assert_int_equal(set(&o, "wait", "1m"), 0);
	assert_true(o.ms == 60000);
	assert_int_equal(set(&o, "wait", "61s"), KEY_E_BAD);
	assert_int_equal(set(&o, "wait", "0"), 0);
	assert_true(o.ms == 0);
	assert_int_equal(set(&o, "beat", "10"), 0);
	assert_true(o.ms == 10000);
	assert_int_equal(set(&o, "beat", "11"), KEY_E_BAD);
	assert_int_equal(set(&o, "beat", "-"), KEY_E_BAD);
	assert_int_equal(set(&o, "beat", "-0"), KEY_E_BAD);
	assert_int_equal(set(&o, "beat", "--1"), KEY_E_BAD);
	assert_int_equal(set(&o, "beat", "-100000"), 0);
	assert_true(o.ms == UINT64_MAX);
	assert_int_equal(set(&o, "beat", "9"), 0);
	assert_int_equal(set(&o, "beat", "-1"), 0);
	assert_true(o.ms == UINT64_MAX);
	assert_int_equal(set(&o, "count", "5"), KEY_E_BAD);
	assert_int_equal(set(&o, "count", "1"), KEY_E_BAD);
	assert_int_equal(o.n, 7);
	assert_int_equal(set(&o, "count", "4"), 0);
	assert_int_equal(o.n, 4);
	assert_int_equal(set(&o, "port", "0"), KEY_E_BAD);
	assert_int_equal(set(&o, "port", "65535"), 0);
	assert_int_equal(o.port, 65535);
	assert_int_equal(set(&o, "port_or_none", "0"), 0);
	assert_int_equal(o.port, 0);
	assert_int_equal(set(&o, "port_or_none", "6000"), 0);
	assert_int_equal(set(&o, "switch", "on"), 0);
	assert_true(o.is_on);
	assert_int_equal(set(&o, "inverted", "on"), 0);
	assert_false(o.is_on);
	assert_int_equal(set(&o, "inverted", ""), KEY_E_BAD);
	assert_int_equal(set(&o, "only_true", "true"), 0);
	assert_int_equal(set(&o, "only_true", "false"), KEY_E_BAD);
	assert_int_equal(set(&o, "only_false", "0"), 0);
	assert_int_equal(set(&o, "only_false", "1"), KEY_E_BAD);
	assert_int_equal(set(&o, "word", "two"), 0);
	assert_int_equal(set(&o, "word", ""), 0);
	assert_int_equal(set(&o, "word", "on"), KEY_E_BAD);
	assert_int_equal(set(&o, "word", "one|two"), KEY_E_BAD);
}

static void assert_nearest(const char *name, const char *want, size_t n_want)
{
	size_t n;

	assert_string_equal(key_nearest(keys, N_KEYS, name, &n), want);
	assert_int_equal(n, n_want);
}

static void test_nearest_name(void **state)
{
	char name[300];
	size_t n;

	(void) state;
	assert_nearest("port", "port", 0);
	assert_nearest("prot", "port", 2);
	assert_nearest("ports", "port", 1);
	assert_nearest("ost", "host", 1);
	assert_nearest("countt", "count", 1);
	assert_nearest("WORD", "text", 4); /* all replaced; the first of equals */
	assert_null(key_nearest(keys, 0, "x", &n));
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(key_nearest(keys, N_KEYS, name, &n));
	assert_in_range(n, 60, 64);
}

static void test_messages(void **state)
{
	static const struct key refused = KEY("x", NULL, 0, NULL);
	struct object o = { 0 };
	struct problems p;
	char value[2000];

	(void) state;
	problems_init(&p);
	assert_int_equal(key_apply(&keys[6], &o, "f:1: port", "8\"0\n", &p), 0);
	assert_int_equal(key_apply(&refused, &o, "f:2: x", "secret", &p), 0);
	assert_int_equal(key_apply(&keys[6], &o, "f:3: port", "80", &p), 0);
	assert_int_equal(p.n_lines, 2);
	assert_int_equal(buf_add(&p.text, span_of("", 1)), 0);
	assert_string_equal(
		(const char *) buf_span(&p.text).p,
		"f:1: port: \"8\\\"0\\x0a\" is not a port\nf:2: x: not supported by this version\n");
	problems_deinit(&p);

	/* A value of any length is one line, and any number of lines is bounded and counted. */
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(key_apply(&keys[6], &o, "port", value, &p), 0);
	assert_int_equal(p.n_lines, 1000);
	assert_in_range(p.n_dropped, 1, 999);
	assert_true(buf_len(&p.text) <= 65536);
	assert_int_equal(buf_span(&p.text).p[buf_len(&p.text) - 1], '\n');
	problems_add(&p, "%s", value);
	problems_deinit(&p);
	problems_add(&p, "%s", value);
	assert_int_equal(buf_len(&p.text), 1023);
	problems_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),	     cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_pins),	     cmocka_unit_test(test_numbers_and_switches),
		cmocka_unit_test(test_nearest_name), cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
