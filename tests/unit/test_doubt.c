/* SPDX-License-Identifier: Apache-2.0 */
/* test_doubt.c - when it is certain that a server cannot speak wire protocol v2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/session/doubt.h"

#define U CLIENT_CAUSE_UNHEARD
#define R CLIENT_CAUSE_REFUSED
#define C CLIENT_CAUSE_SERVER_CLOSED
#define L CLIENT_CAUSE_LATE

/* How many ends it takes; 0: they prove nothing. */
static size_t proven_after(const enum client_cause *causes, size_t n)
{
	enum doubt d = DOUBT_NONE;

	for (size_t i = 0; i < n; i++)
		if (doubt_on_end(&d, causes[i]))
			return i + 1;
	return 0;
}

#define PROVEN_AFTER(...)                                        \
	proven_after((const enum client_cause[]){ __VA_ARGS__ }, \
		     sizeof((const enum client_cause[]){ __VA_ARGS__ }) / sizeof(U))

static void test_v1_is_answered_and_v2_closed_on_both_sides_of_it(void **state)
{
	(void) state;
	assert_int_equal(PROVEN_AFTER(U, R, U), 3);
	assert_int_equal(PROVEN_AFTER(C, L, U, R, U), 5);
}

static void test_everything_else_proves_nothing(void **state)
{
	(void) state;
	assert_int_equal(PROVEN_AFTER(U, U, U, U, U, U, U, U), 0); /* v1 is closed as well */
	assert_int_equal(PROVEN_AFTER(R, U, R, C, U, R), 0);
	assert_int_equal(PROVEN_AFTER(U, R, C, U), 0); /* something else came between */
	assert_int_equal(PROVEN_AFTER(U, L, U, C, U), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1_is_answered_and_v2_closed_on_both_sides_of_it),
		cmocka_unit_test(test_everything_else_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
