/* SPDX-License-Identifier: Apache-2.0 */
/* test_wrap.c - layers over an end: bytes, credit, turns, limits and ends between a lower end that
 * stalls and a user that dawdles. */
#include "tests/loop/wraprig.h"

/* -- tests -- */

static void run_both_ways(const struct kind *k, uint32_t seed)
{
	struct rig r = { .loop = new_loop() };
	struct buf want_up, want_down, got_up;
	struct bucket bucket;

	if (k->rate > 0)
		bucket_init(&bucket, r.loop, k->rate);
	assert_int_equal(rig_init(&r, k, k->rate > 0 ? &bucket : NULL, seed), 0);
	buf_init(&want_up, BUF_MAX);
	buf_init(&want_down, BUF_MAX);
	buf_init(&got_up, BUF_MAX);
	fill(&r, &want_up, 300000);
	fill(&r, &want_down, 300000);
	assert_int_equal(buf_add(&r.to_send, buf_span(&want_up)), 0);
	server_encode(&r, buf_span(&want_down));
	while (!is_done(&r, buf_len(&want_down)))
		step(&r);
	assert_same(buf_span(&r.down), buf_span(&want_down));
	assert_int_equal(r.credit, WINDOW);
	/* FIN behind all that is pending, and only then. */
	end_fin(r.e);
	assert_int_equal(r.n_owed_max <= WRAP_OWED_MAX + 160 * 1024, true);
	r.wrap->ops->on_fin(r.wrap);
	assert_true(r.has_fin);
	end_forget(r.e);
	while (!r.is_forgotten) {
		r.is_stuck = false;
		give_turn(&r);
		spin(&r);
	}
	assert_true(r.is_fin);
	assert_false(r.is_rst);
	server_decode(&r, buf_span(&r.up_wire), &got_up);
	assert_same(buf_span(&got_up), buf_span(&want_up));
	assert_true(r.n_turns > 0);
	buf_deinit(&want_up);
	buf_deinit(&want_down);
	buf_deinit(&got_up);
	rig_deinit(&r);
	if (k->rate > 0)
		bucket_deinit(&bucket);
	(void) loop_free(r.loop); /* always NULL */
}

static void test_bytes_and_credit_both_ways(void **state)
{
	(void) state;
	for (size_t i = 0; i < N_KINDS; i++)
		for (uint32_t seed = 1; seed <= (kinds[i].rate > 0 ? 1 : 10); seed++)
			run_both_ways(&kinds[i], seed);
}

static void test_nothing_asked_for_is_no_wrap(void **state)
{
	struct rig r = { .loop = new_loop() };
	struct kind none = { false, false, 0 };

	(void) state;
	assert_int_equal(rig_init(&r, &none, NULL, 1), 0);
	assert_ptr_equal(r.e.carrier, &r);
	assert_ptr_equal(r.wrap, &r.user);
	rig_deinit(&r);
	(void) loop_free(r.loop); /* always NULL */
}

/* A direction that never speaks sends no IV and no identifier. */
static void test_silence_stays_silent(void **state)
{
	(void) state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r = { .loop = new_loop() };
		uint8_t *dst;
		size_t cap;

		assert_int_equal(rig_init(&r, &kinds[i], NULL, 1), 0);
		assert_int_equal(end_reserve(r.e, &dst, &cap), 0);
		end_commit(r.e, 0);
		end_fin(r.e);
		end_fin(r.e);
		assert_true(r.is_fin);
		assert_int_equal(buf_len(&r.up_wire), 0);
		end_forget(r.e);
		assert_true(r.is_forgotten);
		rig_deinit(&r);
		(void) loop_free(r.loop); /* always NULL */
	}
}

/* 8 MiB of zeros are 400 kB on the wire; a user who reads nothing gets a bounded part of them. */
static void test_a_bomb_is_bounded(void **state)
{
	static const size_t n_plain = 8 << 20;
	struct rig r = { .loop = new_loop() };
	uint8_t *zeros = calloc(1, n_plain);

	(void) state;
	assert_non_null(zeros);
	assert_int_equal(rig_init(&r, &kinds[1], NULL, 1), 0);
	server_encode(&r, span_of(zeros, n_plain));
	assert_in_range(buf_len(&r.down_wire), 300000, 500000);
	r.is_lazy = true;
	for (int i = 0; i < 1000; i++) {
		deliver(&r, 5000);
		spin(&r);
	}
	assert_in_range(r.n_owed, WRAP_OWED_MAX, WRAP_OWED_MAX + 160 * 1024);
	assert_int_equal(r.credit, 0); /* the window is full of what is held */
	while (!r.has_fin || r.n_owed > 0) {
		assert_in_range(r.n_owed, 0, WRAP_OWED_MAX + 160 * 1024);
		if (buf_len(&r.down_wire) > 0) {
			deliver(&r, 5000);
			if (buf_len(&r.down_wire) == 0) /* what is held still comes before it */
				r.wrap->ops->on_fin(r.wrap);
		}
		consume(&r, r.n_owed < 30000 ? r.n_owed : 30000);
		spin(&r);
		assert_false(r.has_rst);
	}
	assert_int_equal(buf_len(&r.down), n_plain);
	assert_memory_equal(buf_span(&r.down).p, zeros, n_plain);
	assert_int_equal(r.credit, WINDOW);
	end_forget(r.e);
	rig_deinit(&r);
	free(zeros);
	(void) loop_free(r.loop); /* always NULL */
}

static void test_a_damaged_stream_is_reset(void **state)
{
	(void) state;
	for (int how = 0; how < 3; how++) {
		struct rig r = { .loop = new_loop() };

		assert_int_equal(rig_init(&r, &kinds[1], NULL, 1), 0);
		if (how == 0) { /* no compressed stream at all */
			assert_int_equal(buf_add(&r.down_wire, span_str("GET / HTTP/1.1")), 0);
		} else { /* good bytes, then a cut or a bad chunk */
			server_encode(&r, span_str("hello"));
			assert_int_equal(buf_add(&r.down_wire, span_str("\x02..")), 0);
		}
		deliver(&r, 1000);
		assert_false(r.has_rst);
		if (how == 1)
			r.wrap->ops->on_fin(r.wrap);
		if (how == 2) {
			assert_int_equal(buf_add(&r.down_wire, span_str("...")), 0);
			deliver(&r, 1000);
		}
		assert_true(r.is_rst);
		assert_false(r.has_rst || r.has_fin); /* told from the loop, not from inside */
		spin(&r);
		assert_true(r.has_rst);
		assert_int_equal(buf_len(&r.down), how == 0 ? 0 : 5);
		consume(&r, 0);
		end_forget(r.e);
		assert_true(r.is_forgotten);
		rig_deinit(&r);
		(void) loop_free(r.loop); /* always NULL */
	}
}

static void test_resets(void **state)
{
	(void) state;
	for (int how = 0; how < 4; how++) {
		struct rig r = { .loop = new_loop() };

		assert_int_equal(rig_init(&r, &kinds[2], NULL, 1), 0);
		fill(&r, &r.to_send, 100000);
		r.is_stuck = true;
		user_say(&r, LIMIT_TURN);
		server_encode(&r, span_of(r.place, sizeof(r.place)));
		switch (how) {
		case 0: /* by the server */
			deliver(&r, 5000);
			r.wrap->ops->on_rst(r.wrap);
			assert_true(r.has_rst);
			end_forget(r.e);
			assert_false(r.is_fin);
			break;
		case 1: /* by the user */
			end_rst(r.e);
			end_rst(r.e);
			assert_true(r.is_rst);
			end_forget(r.e);
			break;
		case 2: /* by the user, while it is given bytes */
			r.resets_in_data = true;
			while (r.wrap != NULL)
				deliver(&r, 20000);
			assert_true(r.is_rst);
			break;
		default: /* given up without an end */
			end_forget(r.e);
			assert_false(r.is_fin);
			break;
		}
		assert_true(r.is_forgotten);
		spin(&r);
		rig_deinit(&r);
		(void) loop_free(r.loop); /* always NULL */
	}
}

static void test_a_failure_is_not_told_to_a_user_who_resets(void **state)
{
	struct rig r = { .loop = new_loop() };

	(void) state;
	assert_int_equal(rig_init(&r, &kinds[1], NULL, 1), 0);
	assert_int_equal(buf_add(&r.down_wire, span_str("GET / HTTP/1.1")), 0);
	deliver(&r, 1000);
	assert_true(r.is_rst); /* the user hears of it from the loop */
	end_rst(r.e);
	spin(&r);
	assert_false(r.has_rst);
	end_forget(r.e);
	rig_deinit(&r);
	(void) loop_free(r.loop); /* always NULL */
}

/* What was committed before end_fin() is sent after end_forget() as well; what arrives
 * is dropped. */
static void test_lingering(void **state)
{
	(void) state;
	for (int how = 0; how < 3; how++) {
		struct rig r = { .loop = new_loop() };
		struct buf got;

		buf_init(&got, BUF_MAX);
		assert_int_equal(rig_init(&r, &kinds[2], NULL, 1), 0);
		fill(&r, &r.to_send, 3000);
		r.is_stuck = true;
		while (buf_len(&r.to_send) == 3000)
			user_say(&r, 3000);
		server_encode(&r, span_of(r.place, 9000));
		r.is_lazy = true;
		deliver(&r, 4000);
		end_fin(r.e);
		end_forget(r.e);
		assert_false(r.is_fin || r.is_forgotten);
		assert_int_equal(r.credit, WINDOW);
		deliver(&r, 4000);
		assert_int_equal(r.credit, WINDOW);
		r.wrap->ops->on_fin(r.wrap);
		if (how == 0) {
			r.is_stuck = false;
			while (!r.is_forgotten)
				give_turn(&r);
			assert_true(r.is_fin);
			assert_false(r.is_rst);
			server_decode(&r, buf_span(&r.up_wire), &got);
			assert_int_equal(buf_len(&got), 3000 - buf_len(&r.to_send));
		} else if (how == 1) {
			r.wrap->ops->on_rst(r.wrap);
			assert_true(r.is_forgotten);
		} else {
			wrap_abandon_all(&r.host);
			assert_false(r.is_forgotten); /* not touched */
		}
		buf_deinit(&got);
		rig_deinit(&r);
		(void) loop_free(r.loop); /* always NULL */
	}
}

/* Two connections and both directions share one bucket: what goes beyond its first second takes
 * time, and neither of them starves. */
static void test_a_shared_limit(void **state)
{
	static const struct kind limited = { false, false, 200000 };
	struct loop *loop = new_loop();
	struct rig r[2] = { { .loop = loop }, { .loop = loop } };
	struct bucket bucket;
	uint64_t start_ms, end_ms, first_ms = 0;

	(void) state;
	bucket_init(&bucket, loop, limited.rate);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(rig_init(&r[i], &limited, &bucket, 3), 0);
		fill(&r[i], &r[i].to_send, 100000);
		fill(&r[i], &r[i].down_wire, 60000);
	}
	start_ms = loop_now_ms(loop);
	for (;;) {
		bool are_done = true;

		for (size_t i = 0; i < 2; i++) {
			if (!r[i].is_asking)
				user_say(&r[i], LIMIT_TURN);
			deliver(&r[i], 20000);
			give_turn(&r[i]);
			consume(&r[i], r[i].n_owed);
			if (!is_done(&r[i], 60000) || buf_len(&r[i].up_wire) < 100000)
				are_done = false;
			else if (first_ms == 0)
				first_ms = loop_now_ms(loop) - start_ms;
		}
		if (are_done)
			break;
		(void) uv_run(&loop->uv,
			      r[0].is_waiting || r[1].is_waiting ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
	/* 320,000 bytes, the first 200,000 at once: 0.6 s. */
	end_ms = loop_now_ms(loop) - start_ms;
	assert_in_range(end_ms, 540, 1500);
	assert_in_range(first_ms, end_ms / 2, end_ms);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(r[i].credit, WINDOW);
		end_fin(r[i].e);
		end_forget(r[i].e);
		assert_true(r[i].is_forgotten);
		rig_deinit(&r[i]);
	}
	bucket_deinit(&bucket);
	(void) loop_free(loop); /* always NULL */
}

/* True: an allocation failed. Then there is no wrap, or its connection is reset. */
static bool run_failing(unsigned n)
{
	struct rig r = { .loop = new_loop() };
	bool has_failed;
	int err;

	fail_at = n;
	err = rig_init(&r, &kinds[2], NULL, 1);
	if (err != 0)
		assert_null(r.wrap);
	if (err == 0) {
		fail_at = 0;
		fill(&r, &r.to_send, 20000);
		server_encode(&r, span_of(r.place, sizeof(r.place)));
		assert_int_equal(buf_reserve(&r.up_wire, 100000, &(uint8_t *){ NULL }), 0);
		assert_int_equal(buf_reserve(&r.down, 100000, &(uint8_t *){ NULL }), 0);
		fail_at = n;
		/* The setup's allocations are counted once more; it matters that each fails. */
		for (int i = 0; i < 40 && !r.has_rst; i++) {
			if (!r.is_asking)
				user_say(&r, LIMIT_TURN);
			if (r.wrap != NULL && buf_len(&r.down_wire) > 0 && !r.is_rst) {
				struct span s = span_head(buf_span(&r.down_wire), 3000);

				r.credit -= s.len;
				r.wrap->ops->on_data(r.wrap, s);
				buf_eat(&r.down_wire, s.len);
			}
			give_turn(&r);
			spin(&r);
		}
	}
	has_failed = n > 0 && fail_at == 0;
	fail_at = 0;
	assert_int_equal(has_failed, err != 0 || r.has_rst);
	if (err == 0)
		end_forget(r.e);
	assert_true(err != 0 || r.is_forgotten);
	rig_deinit(&r);
	(void) loop_free(r.loop); /* always NULL */
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	unsigned n = 1;

	(void) state;
	while (run_failing(n))
		n++;
	assert_in_range(n, 8, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_and_credit_both_ways),
		cmocka_unit_test(test_nothing_asked_for_is_no_wrap),
		cmocka_unit_test(test_silence_stays_silent),
		cmocka_unit_test(test_a_bomb_is_bounded),
		cmocka_unit_test(test_a_damaged_stream_is_reset),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_a_failure_is_not_told_to_a_user_who_resets),
		cmocka_unit_test(test_lingering),
		cmocka_unit_test(test_a_shared_limit),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
