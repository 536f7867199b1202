/* SPDX-License-Identifier: Apache-2.0 */
/* test_map.c - map against a plain array, growth, shrinking, iteration, failures. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/base/map.h"
#include "tests/unit/failmalloc.h"

#define N_KEYS 600

static void test_same_as_an_array(void **state)
{
	static char values[N_KEYS];
	bool is_in[N_KEYS] = { false };
	uint32_t seed = 99;
	size_t n = 0;
	struct map m;

	(void) state;
	map_init(&m);
	for (unsigned round = 0; round < 60000; round++) {
		uint32_t k = unit_random(&seed) % N_KEYS;
		uint32_t key = k * 2 + 1;
		/* Phases of growth and of shrinking. */
		bool want_put = unit_random(&seed) % 100 < (round / 10000 % 2 == 0 ? 70u : 20u);

		assert_ptr_equal(map_get(&m, key), is_in[k] ? &values[k] : NULL);
		if (want_put && !is_in[k]) {
			assert_int_equal(map_put(&m, key, &values[k]), 0);
			is_in[k] = true;
			n++;
		} else if (!want_put) {
			assert_ptr_equal(map_del(&m, key), is_in[k] ? &values[k] : NULL);
			n -= is_in[k];
			is_in[k] = false;
		}
		assert_int_equal(m.n_items, n);
		assert_true(m.cap == 0 || m.n_items <= m.cap / 2);
	}
	for (uint32_t k = 0; k < N_KEYS; k++)
		assert_ptr_equal(map_get(&m, k * 2 + 1), is_in[k] ? &values[k] : NULL);
	map_deinit(&m);
}

static void test_iteration_visits_each_item_once(void **state)
{
	static char values[100];
	bool is_seen[100] = { false };
	size_t it = 0, n = 0;
	struct map m;
	char *v;

	(void) state;
	map_init(&m);
	assert_null(map_next(&m, &it));
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(map_put(&m, UINT32_MAX - i, &values[i]), 0);
	it = 0;
	while ((v = map_next(&m, &it)) != NULL) {
		assert_false(is_seen[v - values]);
		is_seen[v - values] = true;
		n++;
	}
	assert_int_equal(n, 100);
	map_deinit(&m);
}

static void test_empty_map_has_nothing(void **state)
{
	struct map m;

	(void) state;
	map_init(&m);
	assert_null(map_get(&m, 1));
	assert_null(map_get(&m, 0));
	assert_null(map_del(&m, 1));
	assert_null(map_del(&m, 0));
	map_deinit(&m);
}

static void test_table_shrinks_again(void **state)
{
	static char value;
	struct map m;

	(void) state;
	map_init(&m);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(map_put(&m, i, &value), 0);
	assert_int_equal(m.cap, 2048);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_ptr_equal(map_del(&m, i), &value);
	assert_int_equal(m.cap, 16);
	map_deinit(&m);
}

static void test_without_memory(void **state)
{
	static char value;
	struct map m;

	(void) state;
	map_init(&m);
	failmalloc_at(0);
	assert_int_equal(map_put(&m, 1, &value), -ENOMEM);
	assert_true(failmalloc_stop());
	assert_null(map_get(&m, 1));
	for (uint32_t i = 1; i <= 64; i++)
		assert_int_equal(map_put(&m, i, &value), 0);
	failmalloc_at(0);
	assert_int_equal(map_put(&m, 65, &value), -ENOMEM);
	assert_true(failmalloc_stop());
	assert_int_equal(m.n_items, 64);
	/* Shrinking is skipped, not failed. */
	for (uint32_t i = 1; i <= 64; i++) {
		failmalloc_at(0);
		assert_ptr_equal(map_del(&m, i), &value);
		(void) failmalloc_stop();
	}
	assert_int_equal(m.n_items, 0);
	map_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_an_array),
		cmocka_unit_test(test_iteration_visits_each_item_once),
		cmocka_unit_test(test_empty_map_has_nothing),
		cmocka_unit_test(test_table_shrinks_again),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
