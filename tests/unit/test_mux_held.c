/* SPDX-License-Identifier: Apache-2.0 */
/* test_mux_held.c - what users of streams hold is bounded, over all of them. */
#include "tests/unit/muxkit.h"

static void feed_data(struct fixture *f, const struct mux_stream *s, size_t n)
{
	kit_data(&f->in, 0, mux_stream_id(s), n, &f->seed);
	kit_feed(f->m, &f->in, f->log);
}

/* Three streams, held until the sum is too much: who took nothing for the longest time is reset. */
static void test_what_is_held_is_bounded(void **state)
{
	struct mux_params p = { .held_max = 2500 };
	struct mux_stream *s[3];
	struct mux_facts facts;
	struct fixture f;

	(void) state;
	fixture_init_with(&f, &p);
	for (size_t i = 0; i < UNIT_N(s); i++)
		s[i] = open_acked(&f);
	drain_all(&f);
	f.log->len = 0;
	feed_data(&f, s[0], 1000);
	feed_data(&f, s[1], 1000);
	mux_tick(f.m, f.log->now_ms += 10);
	mux_consume(f.m, s[0], 500);
	feed_data(&f, s[2], 900);
	assert_null(strstr(f.log->text, "RST"));
	mux_tick(f.m, f.log->now_ms += 10);
	mux_consume(f.m, s[2], 100);
	feed_data(&f, s[0], 700);
	assert_non_null(strstr(f.log->text, "RST 3 0;")); /* s[1]; nobody else */
	assert_null(strstr(f.log->text, "RST 1 0;"));
	assert_null(strstr(f.log->text, "RST 5 0;"));
	mux_facts(f.m, &facts);
	assert_int_equal(facts.n_held, 500 + 700 + 800);
	mux_consume(f.m, s[1], 1000); /* too late to count */
	mux_facts(f.m, &facts);
	assert_int_equal(facts.n_held, 2000);
	for (size_t i = 0; i < UNIT_N(s); i++)
		mux_forget(f.m, s[i]);
	mux_facts(f.m, &facts);
	assert_int_equal(facts.n_held, 0);
	fixture_deinit(&f);
}

/* As fast as a window can be used up over a path of 10 ms. */
static size_t grown_of_three(size_t held_max)
{
	struct mux_params p = { .held_max = held_max };
	struct mux_stream *s[3];
	struct mux_facts facts;
	struct fixture f;

	fixture_init_with(&f, &p);
	mux_set_rtt(f.m, 10);
	for (size_t i = 0; i < UNIT_N(s); i++)
		s[i] = open_acked(&f);
	for (int round = 0; round < 40; round++) {
		for (size_t i = 0; i < UNIT_N(s); i++) {
			feed_data(&f, s[i], LIMIT_WINDOW_MIN / 4);
			mux_consume(f.m, s[i], LIMIT_WINDOW_MIN / 4);
			drain_all(&f);
		}
		f.log->len = 0;
		mux_tick(f.m, f.log->now_ms += 2);
	}
	mux_facts(f.m, &facts);
	fixture_deinit(&f);
	return facts.budget_used;
}

static void test_windows_do_not_grow_beyond_what_may_be_held(void **state)
{
	const size_t three = 3 * (size_t) LIMIT_WINDOW_MIN;

	(void) state;
	assert_true(grown_of_three(0) > three);
	assert_int_equal(grown_of_three(three + 100000), 100000);
	assert_int_equal(grown_of_three(three), 0);
	assert_int_equal(grown_of_three(three / 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_held_is_bounded),
		cmocka_unit_test(test_windows_do_not_grow_beyond_what_may_be_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
