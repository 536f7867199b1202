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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
