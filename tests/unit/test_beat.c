/* SPDX-License-Identifier: Apache-2.0 */
/* test_beat.c - the liveness clock on a virtual clock: never too early, never too late, never
 * fooled by a pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/base/jitter.h"
#include "proto/base/limits.h"
#include "proto/session/beat.h"

#define SEEDS 1000
#define FOUND_MS 15000 /* fault matrix: a dead path is found in at most this time */

/* Tick at every deadline, @late_ms late, until the path is dead or a deadline lies beyond
 * @until_ms. Returns when it died (0: it did not), and the number of pings. */
static uint64_t run_until(struct beat *b, uint64_t *now_ms, uint64_t until_ms, uint64_t late_ms,
			  unsigned *n_pings)
{
	for (;;) {
		uint64_t at_ms = beat_deadline(b);
		int r;

		if (at_ms < *now_ms)
			at_ms = *now_ms;
		if (at_ms > until_ms || at_ms + late_ms > until_ms)
			return 0;
		*now_ms = at_ms + late_ms;
		r = beat_tick(b, *now_ms);
		if (r == BEAT_E_PING)
			(*n_pings)++;
		if (r == BEAT_E_DEAD)
			return *now_ms;
	}
}

static void test_a_quiet_session_is_pinged_after_nine_seconds(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 1000);
	assert_int_equal(b.state, BEAT_STATE_QUIET);
	assert_int_equal(beat_deadline(&b), 1000 + WAIT_PING_IDLE_MS);
	assert_int_equal(beat_tick(&b, 1000 + WAIT_PING_IDLE_MS - 1), 0);
	assert_int_equal(beat_tick(&b, 1000 + WAIT_PING_IDLE_MS), BEAT_E_PING);
	assert_int_equal(b.state, BEAT_STATE_PINGED);
	assert_int_equal(b.ping_id, 1);
	assert_int_equal(beat_deadline(&b), 1000 + WAIT_DEAD_MS);
}

static void test_a_busy_session_is_pinged_after_two_seconds(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 0);
	beat_set_busy(&b, true);
	assert_int_equal(beat_deadline(&b), WAIT_PING_BUSY_MS);
	beat_set_busy(&b, false);
	assert_int_equal(beat_deadline(&b), WAIT_PING_IDLE_MS);
	/* Busy in the middle of a silence: at once. */
	beat_set_busy(&b, true);
	assert_int_equal(beat_tick(&b, 5000), BEAT_E_PING);
	assert_int_equal(beat_deadline(&b), WAIT_DEAD_MS);
}

static void test_any_byte_is_life(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 0);
	assert_int_equal(beat_tick(&b, WAIT_PING_IDLE_MS), BEAT_E_PING);
	beat_heard(&b, WAIT_DEAD_MS - 1);
	assert_int_equal(b.state, BEAT_STATE_QUIET);
	assert_int_equal(beat_tick(&b, WAIT_DEAD_MS), 0);
	assert_int_equal(beat_deadline(&b), WAIT_DEAD_MS - 1 + WAIT_PING_IDLE_MS);
}

static void test_a_byte_between_the_two_last_ticks_saves_the_session(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 0);
	assert_int_equal(beat_tick(&b, WAIT_PING_IDLE_MS), BEAT_E_PING);
	assert_int_equal(beat_tick(&b, WAIT_DEAD_MS + 500), 0);
	assert_int_equal(beat_deadline(&b), WAIT_DEAD_MS + 500 + WAIT_CONFIRM_MS);
	beat_heard(&b, WAIT_DEAD_MS + 500);
	assert_int_equal(beat_tick(&b, WAIT_DEAD_MS + 700), 0);
	assert_int_equal(b.state, BEAT_STATE_QUIET);
}

static void test_pong_measures_the_round_trip_of_the_last_ping_only(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 0);
	beat_pong(&b, 0, 5);
	assert_int_equal(b.rtt_ms, 0);
	beat_probe(&b, 10);
	assert_int_equal(beat_tick(&b, 10), BEAT_E_PING);
	beat_heard(&b, 52); /* the driver reports bytes before their meaning */
	beat_pong(&b, b.ping_id, 52);
	assert_int_equal(b.rtt_ms, 42);
	beat_pong(&b, b.ping_id, 900); /* said twice */
	assert_int_equal(b.rtt_ms, 42);
	beat_probe(&b, 1000);
	assert_int_equal(beat_tick(&b, 1000), BEAT_E_PING);
	beat_pong(&b, b.ping_id - 1, 1500); /* of the ping before */
	assert_int_equal(b.rtt_ms, 42);
	beat_pong(&b, b.ping_id, 1000); /* faster than the clock */
	assert_int_equal(b.rtt_ms, 1);
}

static void test_probe_pings_at_once_and_shortens_nothing(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 100);
	beat_probe(&b, 100);
	assert_true(beat_deadline(&b) <= 100);
	assert_int_equal(beat_tick(&b, 100), BEAT_E_PING);
	assert_int_equal(beat_deadline(&b), 100 + WAIT_DEAD_MS);
	/* Near the verdict it gives a second chance. */
	beat_probe(&b, 100 + WAIT_DEAD_MS - 10);
	assert_int_equal(beat_tick(&b, 100 + WAIT_DEAD_MS - 10), BEAT_E_PING);
	assert_int_equal(beat_deadline(&b), 100 + WAIT_DEAD_MS - 10 + WAIT_PROBE_MS);
}

static void test_a_dead_path_stays_dead(void **state)
{
	struct beat b;
	uint64_t now_ms = 0;
	unsigned n_pings = 0;

	(void) state;
	beat_init(&b, 0);
	assert_int_not_equal(run_until(&b, &now_ms, 60000, 0, &n_pings), 0);
	assert_int_equal(beat_deadline(&b), UINT64_MAX);
	beat_heard(&b, now_ms + 1);
	beat_probe(&b, now_ms + 1);
	assert_int_equal(beat_tick(&b, now_ms + 100000), 0);
	assert_int_equal(b.state, BEAT_STATE_DEAD);
	assert_string_equal(beat_state_name(b.state), "dead");
}

/* Arrivals at random, busy or not at random, timers up to 100 ms late: silence is found in time at
 * any phase. */
static void test_silence_is_found_in_time_at_any_phase(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct beat b;
		uint64_t rng = seed, now_ms = jitter_between(&rng, 0, 1000000), dead_ms;
		unsigned n = (unsigned) jitter_between(&rng, 0, 40), n_pings = 0;

		beat_init(&b, now_ms);
		if (seed % 2 == 0)
			beat_probe(&b, now_ms);
		for (unsigned i = 0; i < n; i++) {
			/* Every stall up to 12 s is survived. */
			uint64_t heard_ms = now_ms +
					    jitter_between(&rng, 0, i % 3 == 0 ? 12000 : 3000);

			assert_int_equal(run_until(&b, &now_ms, heard_ms,
						   jitter_between(&rng, 0, 100), &n_pings),
					 0);
			now_ms = heard_ms;
			beat_heard(&b, now_ms);
			if (jitter_between(&rng, 0, 1) == 0)
				beat_pong(&b, b.ping_id, now_ms);
			beat_set_busy(&b, jitter_between(&rng, 0, 1) == 0);
		}
		n_pings = 0;
		dead_ms = run_until(&b, &now_ms, UINT64_MAX - 1000, jitter_between(&rng, 0, 100),
				    &n_pings);
		assert_in_range(dead_ms - b.heard_ms, WAIT_DEAD_MS, FOUND_MS);
		assert_int_equal(n_pings, 1);
	}
}

static void test_a_stall_of_twelve_seconds_is_no_verdict(void **state)
{
	struct beat b;
	uint64_t now_ms = 0;
	unsigned n_pings = 0;

	(void) state;
	for (uint64_t busy = 0; busy < 2; busy++) {
		now_ms = 0;
		beat_init(&b, 0);
		beat_set_busy(&b, busy == 1);
		for (unsigned i = 1; i <= 100; i++) {
			assert_int_equal(run_until(&b, &now_ms, i * UINT64_C(12000), 0, &n_pings),
					 0);
			now_ms = i * UINT64_C(12000);
			beat_heard(&b, now_ms);
		}
	}
}

/* A pause of any length that begins anywhere in a silence: the first tick after it is no verdict; a
 * living peer is kept, a dead one found WAIT_PROBE_MS later. */
static void test_a_pause_is_no_verdict(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct beat b;
		uint64_t rng = seed, from_ms = jitter_between(&rng, 0, WAIT_DEAD_MS - 1),
			 now_ms = 0, dead_ms;
		uint64_t back_ms = WAIT_DEAD_MS + WAIT_LATE_MS + 1 +
				   jitter_between(&rng, 0, 100000);
		unsigned n_pings = 0;

		beat_init(&b, 0);
		beat_set_busy(&b, seed % 2 == 0);
		assert_int_equal(run_until(&b, &now_ms, from_ms, 0, &n_pings), 0);
		now_ms = back_ms;
		assert_int_equal(beat_tick(&b, now_ms), BEAT_E_PING);
		if (seed % 4 < 2) { /* the answer waited in the socket */
			beat_heard(&b, now_ms + 1);
			assert_int_equal(
				beat_deadline(&b),
				now_ms + 1 + (b.is_busy ? WAIT_PING_BUSY_MS : WAIT_PING_IDLE_MS));
			continue;
		}
		n_pings = 0;
		dead_ms = run_until(&b, &now_ms, UINT64_MAX - 1000, 0, &n_pings);
		assert_in_range(dead_ms - back_ms, WAIT_PROBE_MS, WAIT_PROBE_MS + WAIT_CONFIRM_MS);
		assert_int_equal(n_pings, 0);
	}
}

static void test_a_machine_that_is_always_late_gives_no_verdict(void **state)
{
	struct beat b;
	uint64_t now_ms = 0;
	unsigned n_pings = 0;

	(void) state;
	beat_init(&b, 0);
	assert_int_equal(run_until(&b, &now_ms, 600000, WAIT_LATE_MS + 1, &n_pings), 0);
	assert_in_range(n_pings, 90, 110); /* but asks every WAIT_PROBE_MS + lateness */
}

static void test_hastened_waits(void **state)
{
	struct beat b;

	(void) state;
	beat_init(&b, 1000);
	beat_hasten(&b, UINT64_MAX, 3000); /* a short verdict brings its ping with it */
	assert_int_equal(beat_deadline(&b), 2500);
	beat_init(&b, 1000);
	beat_hasten(&b, 60000, 90000); /* longer ones change nothing */
	assert_int_equal(beat_deadline(&b), 1000 + WAIT_PING_IDLE_MS);
	beat_hasten(&b, 1000, 3000);
	assert_int_equal(beat_deadline(&b), 2000);
	assert_int_equal(beat_tick(&b, 2000), BEAT_E_PING);
	assert_int_equal(beat_deadline(&b), 4000);
	assert_int_equal(beat_tick(&b, 4000), 0); /* the sockets are read once more */
	assert_int_equal(beat_tick(&b, 4000 + WAIT_CONFIRM_MS), BEAT_E_DEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_quiet_session_is_pinged_after_nine_seconds),
		cmocka_unit_test(test_a_busy_session_is_pinged_after_two_seconds),
		cmocka_unit_test(test_any_byte_is_life),
		cmocka_unit_test(test_a_byte_between_the_two_last_ticks_saves_the_session),
		cmocka_unit_test(test_pong_measures_the_round_trip_of_the_last_ping_only),
		cmocka_unit_test(test_probe_pings_at_once_and_shortens_nothing),
		cmocka_unit_test(test_a_dead_path_stays_dead),
		cmocka_unit_test(test_silence_is_found_in_time_at_any_phase),
		cmocka_unit_test(test_a_stall_of_twelve_seconds_is_no_verdict),
		cmocka_unit_test(test_a_pause_is_no_verdict),
		cmocka_unit_test(test_a_machine_that_is_always_late_gives_no_verdict),
		cmocka_unit_test(test_hastened_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
