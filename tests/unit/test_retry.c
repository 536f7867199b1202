/* SPDX-License-Identifier: Apache-2.0 */
/* test_retry.c - the schedule of tries on a virtual clock: fast at first, never a burden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/jitter.h"
#include "proto/base/limits.h"
#include "proto/session/retry.h"

#define SEEDS 1000
#define AGENTS 1000

/* Wait for the due time and begin. Returns how long after @now_ms that was. */
static uint64_t begin_when_due(struct retry *r, uint64_t *now_ms)
{
	uint64_t wait_ms = r->due_ms > *now_ms ? r->due_ms - *now_ms : 0;

	if (wait_ms > 0)
		assert_int_equal(retry_begin(r, r->due_ms - 1), RETRY_E_EARLY);
	assert_int_equal(r->state, RETRY_STATE_WAITING);
	*now_ms += wait_ms;
	assert_int_equal(retry_begin(r, *now_ms), 0);
	assert_int_equal(r->state, RETRY_STATE_TRYING);
	return wait_ms;
}

/* A machine that lost a session of a minute's age at *ret_now_ms. */
static void after_session(struct retry *r, uint64_t seed, uint64_t *ret_now_ms)
{
	uint64_t now_ms = 1000;

	retry_init(r, seed);
	retry_lost(r, RETRY_NETWORK, now_ms);
	(void) begin_when_due(r, &now_ms);
	retry_done(r, now_ms);
	now_ms += 60000;
	retry_lost(r, RETRY_NETWORK, now_ms);
	*ret_now_ms = now_ms;
}

static void test_network_schedule(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms = 5000, wait_ms;

		retry_init(&r, seed);
		assert_int_equal(r.state, RETRY_STATE_IDLE);
		retry_lost(&r, RETRY_NETWORK, now_ms);
		assert_in_range(begin_when_due(&r, &now_ms), 0, 250);
		retry_lost(&r, RETRY_NETWORK, now_ms);
		assert_in_range(begin_when_due(&r, &now_ms), 350, 500);
		while (now_ms < 5000 + 400000) {
			uint64_t outage_ms = now_ms - 5000;

			retry_lost(&r, RETRY_NETWORK, now_ms);
			assert_true(r.outage_since_ms <= r.due_ms);
			wait_ms = begin_when_due(&r, &now_ms);
			if (outage_ms < 15000)
				assert_in_range(wait_ms, 630, 900);
			else if (outage_ms < 120000)
				assert_in_range(wait_ms, 3500, 5000);
			else
				assert_in_range(wait_ms, 14000, 20000);
		}
	}
}

static void test_at_most_ten_tries_in_the_first_five_seconds(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms, from_ms, rng = seed;

		after_session(&r, seed, &now_ms);
		from_ms = now_ms;
		for (;;) {
			if (seed % 2 == 1) /* a link that flaps all the time */
				retry_hurry(&r, now_ms);
			if (r.due_ms >= from_ms + 5000)
				break;
			(void) begin_when_due(&r, &now_ms);
			if (jitter_between(&rng, 0, 3) == 0)
				retry_hurry(&r, now_ms);
			retry_lost(&r, RETRY_NETWORK, now_ms); /* refused by TCP: at once */
		}
		assert_in_range(r.n_tries, 5, 10);
	}
}

/* F1: what a server that returns after @outage_ms waits for the next try. */
static void test_a_server_that_returns_is_found(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms, from_ms, rng = seed, outage_ms = jitter_between(&rng, 0, 300000);

		after_session(&r, seed, &now_ms);
		from_ms = now_ms;
		for (;;) {
			(void) begin_when_due(&r, &now_ms);
			if (now_ms >= from_ms + outage_ms)
				break;
			retry_lost(&r, RETRY_NETWORK, now_ms);
		}
		assert_in_range(now_ms - from_ms - outage_ms, 0,
				outage_ms <= 14000    ? 950
				: outage_ms <= 115000 ? 5000
						      : 20000);
	}
}

static void test_a_lost_session_is_replaced_at_once(void **state)
{
	struct retry r;
	uint64_t now_ms;

	(void) state;
	after_session(&r, 1, &now_ms);
	assert_int_equal(begin_when_due(&r, &now_ms), 0);
	assert_int_equal(r.n_tries, 1);
	retry_done(&r, now_ms);
	assert_int_equal(r.state, RETRY_STATE_IDLE);
	/* If that fails, the ordinary schedule begins. */
	after_session(&r, 2, &now_ms);
	(void) begin_when_due(&r, &now_ms);
	retry_lost(&r, RETRY_NETWORK, now_ms);
	assert_in_range(begin_when_due(&r, &now_ms), 0, 250);
	retry_lost(&r, RETRY_NETWORK, now_ms);
	assert_in_range(begin_when_due(&r, &now_ms), 350, 500);
	retry_done(&r, now_ms);
	/* The next outage is fast again. */
	retry_lost(&r, RETRY_NETWORK, now_ms + WAIT_LOGIN_SPACING_MS);
	assert_int_equal(r.due_ms, now_ms + WAIT_LOGIN_SPACING_MS);
	assert_int_equal(r.n_tries, 0);
}

static void test_server_that_breaks_after_login_is_asked_every_two_seconds(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms, from_ms, rng = seed, n_logins = 0;

		after_session(&r, seed, &now_ms);
		from_ms = now_ms;
		while (now_ms < from_ms + 20000) {
			(void) begin_when_due(&r, &now_ms);
			now_ms += jitter_between(&rng, 0, 20); /* dial and login */
			retry_done(&r, now_ms);
			n_logins++;
			now_ms += jitter_between(&rng, 0, 30); /* then it breaks */
			retry_lost(&r, RETRY_NETWORK, now_ms);
			retry_hurry(&r, now_ms); /* and no hurry changes that */
		}
		assert_in_range(n_logins, 9, 11);
	}
}

static void test_refused_schedule(void **state)
{
	static const uint64_t steps_ms[] = { 1000, 2000, 5000, 10000, 15000 };

	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms, wait_ms, since_ms;

		after_session(&r, seed, &now_ms);
		(void) begin_when_due(&r, &now_ms);
		since_ms = now_ms;
		for (unsigned i = 0; now_ms < since_ms + 600000; i++) {
			uint64_t d_ms = steps_ms[i < 5 ? i : 4];

			if (now_ms - since_ms >= 120000)
				d_ms = 60000;
			retry_lost(&r, RETRY_REFUSED, now_ms);
			wait_ms = begin_when_due(&r, &now_ms);
			assert_in_range(wait_ms, d_ms - d_ms * 3 / 10, d_ms);
		}
		/* A good login forgets it. */
		retry_done(&r, now_ms);
		now_ms += 60000;
		retry_lost(&r, RETRY_REFUSED, now_ms);
		assert_in_range(begin_when_due(&r, &now_ms), 700, 1000);
	}
}

static void test_a_network_failure_between_refusals_forgets_nothing(void **state)
{
	struct retry r;
	uint64_t now_ms;

	(void) state;
	after_session(&r, 3, &now_ms);
	for (unsigned i = 0; i < 4; i++) {
		(void) begin_when_due(&r, &now_ms);
		retry_lost(&r, RETRY_REFUSED, now_ms);
	}
	(void) begin_when_due(&r, &now_ms); /* at 18 s of outage at most */
	retry_lost(&r, RETRY_NETWORK, now_ms);
	assert_in_range(r.due_ms - now_ms, 630, 5000);
	(void) begin_when_due(&r, &now_ms);
	retry_lost(&r, RETRY_REFUSED, now_ms);
	assert_in_range(r.due_ms - now_ms, 10500, 15000);
}

static void test_hurry(void **state)
{
	struct retry r;
	uint64_t now_ms, due_ms;

	(void) state;
	after_session(&r, 4, &now_ms);
	for (unsigned i = 0; i < 6; i++) {
		(void) begin_when_due(&r, &now_ms);
		retry_lost(&r, RETRY_REFUSED, now_ms);
	}
	assert_true(r.due_ms > now_ms + 10000);
	retry_hurry(&r, now_ms + 5000);
	assert_int_equal(r.due_ms, now_ms + 5000);
	/* It never makes a wait longer. */
	retry_hurry(&r, now_ms + 6000);
	assert_int_equal(r.due_ms, now_ms + 5000);
	/* During a try: that one has the old token, the next one follows soon. */
	now_ms += 5000;
	(void) begin_when_due(&r, &now_ms);
	retry_hurry(&r, now_ms + 100);
	assert_int_equal(r.state, RETRY_STATE_TRYING);
	retry_lost(&r, RETRY_REFUSED, now_ms + 900);
	assert_int_equal(r.due_ms, now_ms + 900);
	/* Once. */
	now_ms += 900;
	(void) begin_when_due(&r, &now_ms);
	retry_lost(&r, RETRY_REFUSED, now_ms);
	assert_true(r.due_ms > now_ms + 10000);
	/* Two losses of one session are one. */
	due_ms = r.due_ms;
	retry_lost(&r, RETRY_NETWORK, now_ms + 1);
	assert_int_equal(r.due_ms, due_ms);
	/* Nothing to hurry in a session. */
	(void) begin_when_due(&r, &now_ms);
	retry_done(&r, now_ms);
	retry_hurry(&r, now_ms);
	assert_int_equal(r.state, RETRY_STATE_IDLE);
	assert_string_equal(retry_state_name(r.state), "idle");
}

/* F28: a thousand agents lose one server in the same millisecond; it is back @outage_ms later. */
static void run_herd(uint64_t outage_ms)
{
	static unsigned n_at[30000];
	unsigned n_window = 0, n_peak = 0;

	memset(n_at, 0, sizeof(n_at));
	for (uint64_t agent = 0; agent < AGENTS; agent++) {
		struct retry r;
		uint64_t now_ms, from_ms;
		uint64_t seed = agent;

		after_session(&r, jitter_next(&seed), &now_ms);
		/* Not the agents' clocks decide, the loss does. */
		from_ms = now_ms;
		for (;;) {
			(void) begin_when_due(&r, &now_ms);
			if (now_ms >= from_ms + outage_ms)
				break;
			retry_lost(&r, RETRY_NETWORK, now_ms);
		}
		n_at[now_ms - from_ms - outage_ms]++;
	}
	for (size_t i = 0; i < 30000; i++) {
		n_window += n_at[i];
		if (i >= 100)
			n_window -= n_at[i - 100];
		if (n_window > n_peak)
			n_peak = n_window;
	}
	if (n_peak > AGENTS / 5)
		fail_msg("outage of %llu ms: %u logins in 100 ms", (unsigned long long) outage_ms,
			 n_peak);
}

static void test_a_rival_is_avoided_for_a_minute(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct retry r;
		uint64_t now_ms;

		after_session(&r, seed, &now_ms);
		assert_int_equal(retry_begin(&r, r.due_ms), 0);
		retry_done(&r, now_ms);
		now_ms += 3000;
		retry_lost(&r, RETRY_RIVAL, now_ms);
		assert_in_range(begin_when_due(&r, &now_ms), 42000, 60000);
		/* what fails then is the network's */
		retry_lost(&r, RETRY_NETWORK, now_ms);
		assert_in_range(begin_when_due(&r, &now_ms), 0, 5000);
	}
}

static void test_f28_a_herd_is_spread(void **state)
{
	(void) state;
	for (uint64_t outage_ms = 2000; outage_ms < 8000; outage_ms += 50)
		run_herd(outage_ms);
	run_herd(30000);
	run_herd(60000);
	run_herd(200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_schedule),
		cmocka_unit_test(test_at_most_ten_tries_in_the_first_five_seconds),
		cmocka_unit_test(test_a_server_that_returns_is_found),
		cmocka_unit_test(test_a_lost_session_is_replaced_at_once),
		cmocka_unit_test(test_server_that_breaks_after_login_is_asked_every_two_seconds),
		cmocka_unit_test(test_refused_schedule),
		cmocka_unit_test(test_a_network_failure_between_refusals_forgets_nothing),
		cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_a_rival_is_avoided_for_a_minute),
		cmocka_unit_test(test_f28_a_herd_is_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
