/* SPDX-License-Identifier: Apache-2.0 */
/* test_alloc.c - one simulated day of an agent in which the i-th allocation fails, for every i:
 * login, two proxies, work connections, bytes both ways, a lost session, another one, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

static void day_users(struct sim *s)
{
	for (int i = 0; i < 20; i++) {
		frps_user(&s->frps);
		sim_run_ms(s, 50);
	}
	assert_true(sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
}

/* True: the allocation was reached and failed. */
static bool day(size_t i)
{
	struct sim *s = sim_new(3, 1);
	bool has_failed;

	s->a->fails_in = i;
	s->frps.rules.is_gentle = true;
	assert_true(sim_run_until(s, sim_is_up, 30000) != UINT64_MAX);
	day_users(s);
	sim_cut(s, true);
	sim_run_ms(s, 10);
	assert_true(sim_run_until(s, sim_is_up, 30000) != UINT64_MAX);
	day_users(s);
	assert_true(sim_run_until(s, sim_is_up, 30000) != UINT64_MAX);
	agent_leave(s->a);
	sim_run_ms(s, 1000);
	agent_bye(s->a);
	sim_run_ms(s, 1000);
	has_failed = s->a->n_failed > 0;
	assert_true(has_failed ? s->a->n_deaths <= 3 : s->a->n_deaths == 2);
	s = sim_free(s);
	return has_failed;
}

static void test_f12_every_allocation_may_fail(void **state)
{
	size_t n = 0;

	(void) state;
	while (day(n))
		n++;
	(void) printf("# %zu allocations failed one by one\n", n);
	assert_true(n >= 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_f12_every_allocation_may_fail) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
