/* SPDX-License-Identifier: Apache-2.0 */
/* test_secret.c - wiping and comparing. */
#include "tests/unit/unit.h"

#include "proto/base/secret.h"

static void test_wipe_is_exact(void **state)
{
	uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	const uint8_t want[8] = { 1, 0, 0, 0, 0, 0, 0, 8 };

	(void) state;
	secret_wipe(b + 1, 6);
	assert_memory_equal(b, want, 8);
	secret_wipe(NULL, 0);
}

static void test_equal_looks_at_every_byte(void **state)
{
	uint8_t a[32], b[32];

	(void) state;
	memset(a, 0x5a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(b, a, sizeof(a));
			assert_true(secret_equal(a, sizeof(a), b, sizeof(b)));
			b[i] ^= (uint8_t) (1u << bit);
			assert_false(secret_equal(a, sizeof(a), b, sizeof(b)));
		}
	}
	assert_false(secret_equal(a, 31, a, 32));
	assert_true(secret_equal(NULL, 0, a, 0));
}

static void test_free_returns_null(void **state)
{
	(void) state;
	assert_null(secret_free(NULL));
	assert_null(secret_free(strdup("token")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wipe_is_exact),
		cmocka_unit_test(test_equal_looks_at_every_byte),
		cmocka_unit_test(test_free_returns_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
