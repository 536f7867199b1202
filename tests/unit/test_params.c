/* SPDX-License-Identifier: Apache-2.0 */
/* test_params.c - how much credit is given where memory is limited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/tunnel/params.h"
#include "proto/base/limits.h"

#define MIB (1024ULL * 1024)

static void test_200_stalled_streams_fit_into_64_mib(void **state)
{
	(void) state;
	assert_in_range(params_budget(64 * MIB), 1 * MIB,
			64 * MIB - 200 * LIMIT_WINDOW_MIN - 6 * MIB);
}

static void test_a_quarter_of_what_there_is(void **state)
{
	(void) state;
	assert_int_equal(params_budget(128 * MIB), 32 * MIB);
	assert_int_equal(params_budget(256 * MIB), LIMIT_BUDGET);
	assert_int_equal(params_budget(UINT64_MAX), LIMIT_BUDGET);
}

static void test_where_there_is_little(void **state)
{
	(void) state;
	assert_int_equal(params_budget(0), 1); /* 0 means something else */
	assert_int_equal(params_budget(32 * MIB), 2 * MIB);
	assert_int_equal(params_budget(LIMIT_STALLED), LIMIT_STALLED / 16);
}

static void test_what_may_wait_for_services(void **state)
{
	(void) state;
	assert_true(params_held(64 * MIB) >= 200 * LIMIT_WINDOW_MIN);
	assert_true(params_held(64 * MIB) <= 50 * MIB);
	assert_int_equal(params_held(UINT64_MAX), LIMIT_HELD);
	assert_int_equal(params_held(0), LIMIT_WINDOW_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_200_stalled_streams_fit_into_64_mib),
		cmocka_unit_test(test_a_quarter_of_what_there_is),
		cmocka_unit_test(test_where_there_is_little),
		cmocka_unit_test(test_what_may_wait_for_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
