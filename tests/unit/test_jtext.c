/* SPDX-License-Identifier: Apache-2.0 */
/* test_jtext.c - what the JSON reader takes and refuses, compared with jansson's where both agree;
 * the writer. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/base/limits.h"
#include "proto/wire/jtext.h"
#include "tests/unit/failmalloc.h"

/* Parse a heap copy of exactly @len bytes, so that a read beyond is seen. */
static int parse(const char *text, size_t len, json_t **ret_root, const char **ret_why)
{
	char *copy = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = jtext_parse(span_of(copy, len), ret_root, ret_why);
	free(copy);
	return r;
}

static json_t *parse_good(const char *text)
{
	const char *why = NULL;
	json_t *root = NULL;
	int r;

	r = parse(text, strlen(text), &root, &why);
	if (r != 0)
		fail_msg("%s: %s", text, why);
	return root;
}

static void assert_value(const char *text, const char *want)
{
	json_t *root = parse_good(text);
	const json_t *v = json_object_get(root, "a");

	assert_true(json_is_string(v));
	assert_int_equal(json_string_length(v), strlen(want));
	assert_string_equal(json_string_value(v), want);
	json_decref(root);
}

static void test_good_texts_are_read_as_jansson_reads_them(void **state)
{
	static const char *const texts[] = {
		"{}",
		" \t\r\n{ \"a\" : [ ] , \"b\":[{}]}\n ",
		"{\"a\":[1,-1,0,-0,9223372036854775807,-9223372036854775808]}",
		"{\"a\":true,\"b\":false,\"c\":null}",
		"{\"\":\"\",\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
		"{\"a\":\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uFFFF\"}",
		"{\"a\":\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\"}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"a\":{\"b\":{\"c\":[[[1]]]}}}",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(texts); i++) {
		json_t *want = json_loads(texts[i], 0, NULL);
		json_t *got = parse_good(texts[i]);

		assert_non_null(want);
		assert_true(json_equal(want, got));
		json_decref(want);
		json_decref(got);
	}
}

static void test_bad_texts_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"null",
		"[]",
		"1",
		"\"a\"",
		"{",
		"}",
		"{}}",
		"{} x",
		"{,}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":1 \"b\":2}",
		"{a:1}",
		"{'a':1}",
		"{\"a\":[1,]}",
		"{\"a\":[,1]}",
		"{\"a\":[1 2]}",
		"{\"a\":[1}",
		"{\"a\":tru}",
		"{\"a\":True}",
		"{\"a\":nul",
		"{\"a\":01}",
		"{\"a\":+1}",
		"{\"a\":.5}",
		"{\"a\":1.}",
		"{\"a\":1e}",
		"{\"a\":1e+}",
		"{\"a\":-}",
		"{\"a\":--1}",
		"{\"a\":0x1}",
		"{\"a\":NaN}",
		"{\"a\":\"x}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12\"}",
		"{\"a\":\"\\u12g4\"}",
		"{\"a\":\"\\",
		"{\"a\":\"\\u",
		"{\"a\":\"\t\"}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\x01\"}",
		"{1:2}",
		"\xef\xbb\xbf{}",
		"{\"a\":1}{}",
		"{\"a\":\xff}",
		"{\"a\":1/**/}",
	};
	const char *why;
	json_t *root;

	(void) state;
	for (size_t i = 0; i < UNIT_N(texts); i++) {
		why = NULL;
		if (parse(texts[i], strlen(texts[i]), &root, &why) != JTEXT_E_BAD)
			fail_msg("accepted: %s", texts[i]);
		assert_non_null(why);
	}
	assert_int_equal(parse("{}\0", 3, &root, &why), JTEXT_E_BAD);
	assert_int_equal(parse("{\"a\0\":1}", 8, &root, &why), JTEXT_E_BAD);
	assert_int_equal(parse("{\"a\":\"\\\0\"}", 9, &root, &why), JTEXT_E_BAD);
}

/* Every prefix of a good text is refused, and none is read beyond its end. */
static void test_every_prefix_is_refused(void **state)
{
	static const char text[] =
		"{\"ab\":[1,-2.5e3,true,null,{}],\"c\":\"\\ud83d\\ude00\xc3\xa9\"}";
	const char *why;
	json_t *root;

	(void) state;
	for (size_t n = 0; n < sizeof(text) - 1; n++)
		assert_int_equal(parse(text, n, &root, &why), JTEXT_E_BAD);
	json_decref(parse_good(text));
}

static void test_depth(void **state)
{
	char text[4 * LIMIT_JSON_DEPTH + 64];
	const char *why;
	json_t *root;

	(void) state;
	for (size_t depth = LIMIT_JSON_DEPTH - 1; depth <= LIMIT_JSON_DEPTH; depth++) {
		size_t n = 0;

		n += (size_t) snprintf(text, sizeof(text), "{\"a\":");
		memset(text + n, '[', depth);
		n += depth;
		memset(text + n, ']', depth);
		n += depth;
		text[n++] = '}';
		if (depth < LIMIT_JSON_DEPTH) {
			assert_int_equal(parse(text, n, &root, &why), 0);
			json_decref(root);
		} else {
			assert_int_equal(parse(text, n, &root, &why), JTEXT_E_BAD);
			assert_string_equal(why, "nested too deeply");
		}
	}
	/* Width is no depth. */
	json_decref(
		parse_good("{\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}"));
}

static void test_bad_utf8_and_half_pairs_become_replacement(void **state)
{
	(void) state;
	assert_value("{\"a\":\"x\xffy\"}", "x\xef\xbf\xbdy");
	assert_value("{\"a\":\"\xc3\"}", "\xef\xbf\xbd");
	assert_value("{\"a\":\"\xe2\x82\"}", "\xef\xbf\xbd\xef\xbf\xbd");
	assert_value("{\"a\":\"\xed\xa0\x80\"}", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_value("{\"a\":\"\\ud800\"}", "\xef\xbf\xbd");
	assert_value("{\"a\":\"\\udc00x\"}", "\xef\xbf\xbdx");
	assert_value("{\"a\":\"\\ud800\\u0041\"}", "\xef\xbf\xbd"
						   "A");
	assert_value("{\"a\":\"\\ud800\\ud83d\\ude00\"}", "\xef\xbf\xbd\xf0\x9f\x98\x80");
	assert_value("{\"a\":\"\\ud800\\n\"}", "\xef\xbf\xbd\n");
	assert_value("{\"\xff\":1,\"a\":\"ok\"}", "ok");
}

static void test_nul_is_kept_in_a_value_and_ends_a_name(void **state)
{
	json_t *root = parse_good("{\"a\":\"x\\u0000y\",\"b\\u0000c\":1}");

	(void) state;
	assert_int_equal(json_string_length(json_object_get(root, "a")), 3);
	assert_string_equal(json_string_value(json_object_get(root, "a")), "x");
	assert_non_null(json_object_get(root, "b"));
	json_decref(root);
}

static void test_numbers_that_are_no_int64(void **state)
{
	json_t *root = parse_good("{\"a\":[9223372036854775808,-9223372036854775809,1.0,1e3,1e999,"
				  "123456789012345678901234567890]}");
	const json_t *list = json_object_get(root, "a");

	(void) state;
	for (size_t i = 0; i < json_array_size(list); i++)
		assert_true(json_is_real(json_array_get(list, i)));
	json_decref(root);
}

static void test_get_ignores_case_takes_the_last_and_skips_null(void **state)
{
	json_t *root = parse_good("{\"error\":1,\"Error\":2,\"ERROR\":null,\"error\":3,\"x\":4}");

	(void) state;
	assert_int_equal(json_integer_value(jtext_get(root, "eRRor")), 3);
	assert_null(jtext_get(root, "erro"));
	assert_null(jtext_get(NULL, "x"));
	assert_null(jtext_get(jtext_get(root, "x"), "x"));
	json_decref(root);
}

static void test_writer(void **state)
{
	struct jtext j;
	struct buf out;

	(void) state;
	buf_init(&out, 1000);
	assert_int_equal(buf_add(&out, span_str("before ")), 0);
	jtext_begin(&j, &out);
	jtext_open(&j, NULL, '{');
	jtext_put_str(&j, "s",
		      "\"\\\n\r\t\x01\x1f<>&\xc3\xa9\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9/\x7f");
	jtext_put_int(&j, "i", INT64_MIN);
	jtext_put_bool(&j, "b", false);
	jtext_open(&j, "l", '[');
	jtext_put_str(&j, NULL, "");
	jtext_open(&j, NULL, '{');
	jtext_close(&j, '}');
	jtext_put_int(&j, NULL, 0);
	jtext_close(&j, ']');
	jtext_put_bool(&j, "t", true);
	jtext_close(&j, '}');
	assert_int_equal(jtext_end(&j), 0);
	unit_assert_text(
		buf_span(&out),
		"before {\"s\":\"\\\"\\\\\\n\\r\\t\\u0001\\u001f\\u003c\\u003e\\u0026\xc3\xa9"
		"\xe2\x80\xa7\\u2028\\u2029/\x7f\",\"i\":-9223372036854775808,\"b\":false,"
		"\"l\":[\"\",{},0],\"t\":true}");
	buf_deinit(&out);
}

static void test_writer_takes_back_what_it_wrote(void **state)
{
	struct jtext j;
	struct buf out;

	(void) state;
	buf_init(&out, 20);
	assert_int_equal(buf_add(&out, span_str("before")), 0);
	jtext_begin(&j, &out);
	jtext_put_str(&j, "name", "longer than 20 bytes");
	assert_int_equal(jtext_end(&j), BUF_E_FULL);
	unit_assert_text(buf_span(&out), "before");
	jtext_begin(&j, &out);
	jtext_put_str(&j, NULL, "a\xff");
	assert_int_equal(jtext_end(&j), -EINVAL);
	unit_assert_text(buf_span(&out), "before");
	buf_deinit(&out);
	failmalloc_at(0);
	jtext_begin(&j, &out);
	jtext_put_str(&j, NULL, "abc");
	assert_int_equal(jtext_end(&j), -ENOMEM);
	assert_true(failmalloc_stop());
	assert_int_equal(buf_len(&out), 0);
	buf_deinit(&out);
}

static void test_each_allocation_fails(void **state)
{
	static const char text[] = "{\"name of 300\":[\"12345678901234\",\"\\u0041\"],\"x\":1,"
				   "\"y\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,"
				   "\"h\":8,\"i\":9},\"l\":[1,2,3,4,5,6,7,8,9],\"r\":1.5}";
	json_t *want = json_loads(text, 0, NULL);
	bool has_failed = true;
	size_t i;

	(void) state;
	for (i = 0; has_failed; i++) {
		const char *why = NULL;
		json_t *root = NULL;
		int r;

		failmalloc_at(i);
		r = jtext_parse(span_str(text), &root, &why);
		has_failed = failmalloc_stop();
		assert_int_equal(r, has_failed ? -ENOMEM : 0);
		if (r == 0)
			assert_int_equal(json_object_size(root), json_object_size(want));
		json_decref(root);
	}
	assert_true(i > 40);
	json_decref(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_texts_are_read_as_jansson_reads_them),
		cmocka_unit_test(test_bad_texts_are_refused),
		cmocka_unit_test(test_every_prefix_is_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_bad_utf8_and_half_pairs_become_replacement),
		cmocka_unit_test(test_nul_is_kept_in_a_value_and_ends_a_name),
		cmocka_unit_test(test_numbers_that_are_no_int64),
		cmocka_unit_test(test_get_ignores_case_takes_the_last_and_skips_null),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_takes_back_what_it_wrote),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
