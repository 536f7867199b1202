/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64.c - RFC 4648 vectors, refusals, round trips. */
#include "tests/unit/unit.h"

#include "proto/base/base64.h"

static void test_rfc_4648_vectors(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++" },
	};
	char text[16];
	uint8_t bytes[16];
	size_t len;

	(void) state;
	for (size_t i = 0; i < UNIT_N(pairs); i++) {
		base64_encode(span_str(pairs[i][0]), text, sizeof(text));
		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(base64_decode(span_str(text), bytes, sizeof(bytes), &len), 0);
		unit_assert_text(span_of(bytes, len), pairs[i][0]);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "Z",	   "Zg",   "Zg=",      "Zg===", "=",
					   "====", "Z===", "Zg==Zg==", "Zm=v",	"Zm9v\n",
					   "Zm9-", "Zm9_", " Zm9v",    "Zm\0v" };
	uint8_t bytes[16];
	size_t len = 99;

	(void) state;
	for (size_t i = 0; i < UNIT_N(bad); i++)
		if (base64_decode(span_str(bad[i]), bytes, sizeof(bytes), &len) != BASE64_E_BAD)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(base64_decode(span_of("Zm\0v", 4), bytes, 16, &len), BASE64_E_BAD);
	assert_int_equal(base64_decode(span_str("Zm9v"), bytes, 2, &len), BASE64_E_BAD);
	assert_int_equal(len, 99);
	assert_int_equal(base64_decode(span_str("Zm9v"), bytes, 3, &len), 0);
	assert_int_equal(base64_decode(span_str("Zg=="), bytes, 1, &len), 0);
	assert_int_equal(len, 1);
}

static void test_round_trip(void **state)
{
	uint8_t in[100], out[100];
	char text[BASE64_LEN(100) + 1];
	uint32_t seed = 3;
	size_t len;

	(void) state;
	for (size_t n = 0; n <= sizeof(in); n++) {
		unit_fill(&seed, in, n);
		base64_encode(span_of(in, n), text, BASE64_LEN(n) + 1);
		assert_int_equal(strlen(text), BASE64_LEN(n));
		assert_int_equal(base64_decode(span_str(text), out, n, &len), 0);
		unit_assert_span(span_of(out, len), span_of(in, n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_4648_vectors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
