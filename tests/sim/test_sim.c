/* SPDX-License-Identifier: Apache-2.0 */
/* test_sim.c - the agent's machines against faults, by name, on a virtual clock. */
#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct sim *sim_up(uint64_t seed)
{
	struct sim *s = sim_new(seed, 1);

	assert_true(sim_run_until(s, sim_is_up, 2000) <= 1000);
	return s;
}

static void users(struct sim *s, int n)
{
	s->frps.rules.is_gentle = true;
	for (; n > 0; n--)
		frps_user(&s->frps);
}

static bool has_joined(const struct sim *s)
{
	return s->a->client != NULL && client_n_joined(s->a->client) > 0;
}

static void test_user_is_served_whole(void **state)
{
	struct sim *s = sim_up(1);

	(void) state;
	s->frps.rules.big_pct = 20;
	for (int i = 0; i < 20; i++) {
		users(s, 5);
		sim_run_ms(s, 100);
	}
	assert_true(sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
	assert_int_equal(s->frps.n_whole, 100);
	assert_int_equal(s->frps.n_cut + s->frps.n_timeouts + s->a->n_deaths, 0);
	s = sim_free(s);
}

static void test_both_proxies_are_up_after_two_round_trips(void **state)
{
	struct sim *s = sim_new(3, 1);

	(void) state;
	s->net.latency_ms = 100;
	/* The first try is spread over 250 ms; then TCP, Login, NewProxy. */
	assert_true(sim_run_until(s, sim_is_up, 5000) <= 250 + 100 + 200 + 200 + 10);
	s = sim_free(s);
}

static void test_server_that_breaks_after_login_is_asked_every_two_seconds(void **state)
{
	struct sim *s = sim_new(7, 1);

	(void) state;
	s->frps.rules.closes_after_login = true;
	sim_run_ms(s, 20000);
	assert_in_range(s->frps.n_logins, 9, 11);
	s = sim_free(s);
}

static void test_restarted_server_is_found_within_a_second(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = sim_up(seed);

		sim_run_ms(s, 10000);
		sim_stop_server(s);
		sim_run_ms(s, 2000);
		sim_start_server(s);
		assert_true(sim_run_until(s, sim_is_up, 5000) <= 1000);
		s = sim_free(s);
	}
}

static void test_outage_is_asked_with_measure(void **state)
{
	struct sim *s = sim_up(5);
	size_t n;

	(void) state;
	sim_run_ms(s, 10000);
	n = s->a->n_tries;
	sim_stop_server(s);
	sim_run_ms(s, 5000);
	assert_in_range(s->a->n_tries - n, 5, 10);
	sim_run_ms(s, 3600000); /* an hour: each 15-20 s in the end */
	assert_in_range(s->a->n_tries - n, 180, 300);
	sim_start_server(s);
	assert_true(sim_run_until(s, sim_is_up, 60000) <= 21000);
	s = sim_free(s);
}

/* Silence from @age_ms on: up, down or both. */
static void check_dead_path(uint64_t seed, uint64_t age_ms, bool is_up, bool is_down, bool is_busy)
{
	struct sim *s = sim_up(seed);
	uint64_t found_ms;

	sim_run_ms(s, age_ms);
	if (is_busy) {
		s->frps.rules.big_pct = 100;
		users(s, 3);
		assert_true(sim_run_until(s, has_joined, 1000) != UINT64_MAX);
	}
	sim_go_black(s, is_up, is_down);
	found_ms = sim_run_until(s, sim_is_lost, 60000);
	assert_true(found_ms <= 15000);
	assert_int_equal(s->a->last_cause, CLIENT_CAUSE_SILENT);
	assert_true(sim_run_until(s, sim_is_up, 60000) <= 2000); /* the names are ours by run id */
	s = sim_free(s);
}

static void test_half_open_path_is_found_within_15_s_at_any_age(void **state)
{
	static const uint64_t ages_ms[] = { 0, 1000, 8999, 9000, 9001, 29999, 30001, 3600000 };

	(void) state;
	for (size_t i = 0; i < sizeof(ages_ms) / sizeof(ages_ms[0]); i++)
		for (int how = 1; how < 4; how++)
			for (int busy = 0; busy < 2; busy++)
				check_dead_path(i, ages_ms[i], how & 1, true, busy);
}

static void test_stall_of_12_s_costs_no_stream(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = sim_up(seed);

		s->frps.rules.big_pct = 100;
		users(s, 5);
		sim_run_ms(s, 300); /* all are joined: who waits for a work connection is sent away
				       after 10 s */
		sim_go_black(s, true, true);
		sim_run_ms(s, 12000);
		net_heal(&s->net);
		assert_true(sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
		assert_int_equal(s->a->n_deaths, 0);
		assert_int_equal(s->frps.n_whole, 5);
		s = sim_free(s);
	}
}

static void test_paused_process_with_a_living_path_goes_on(void **state)
{
	struct sim *s = sim_up(11);

	(void) state;
	users(s, 5);
	sim_run_ms(s, 3000);
	agent_pause(s->a, 8000); /* the server would give up after its own ping */
	sim_run_ms(s, 20000);
	assert_int_equal(s->a->n_deaths, 0);
	assert_true(sim_is_up(s));
	s = sim_free(s);
}

static void test_process_paused_for_a_minute_is_back_within_two_seconds(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = sim_up(seed);

		agent_pause(s->a, 60000);
		sim_run_ms(s, 59999);
		assert_true(sim_run_until(s, sim_is_up, 60000) <= 2001);
		s = sim_free(s);
	}
}

static void test_names_of_a_dead_session_come_back_when_the_server_has_forgotten_it(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = sim_up(seed);
		uint64_t ms;

		s->a->keeps_run_id = false; /* else the new session takes over at once */
		sim_run_ms(s, 20000);
		sim_go_black(s, true, true);
		assert_true(sim_run_until(s, sim_is_lost, 60000) <= 15000);
		ms = sim_run_until(s, sim_is_up, 120000);
		assert_true(ms <= 40000 + 2000);
		s = sim_free(s);
	}
}

static void test_parked_login_is_held_and_answered(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct sim *s = sim_up(seed);

		s->frps.kind = FRPS_PARKS;
		sim_run_ms(s, 31000 + seed * 1000);
		sim_go_black(s, true, true);
		assert_true(sim_run_until(s, sim_is_lost, 60000) <= 15000);
		assert_true(sim_run_until(s, sim_is_up, 120000) <= 42000);
		assert_int_equal(s->a->deaths[CLIENT_CAUSE_LATE], 0);
		s = sim_free(s);
	}
}

static void test_login_that_is_never_answered_ends_after_a_minute(void **state)
{
	struct sim *s = sim_new(13, 1);

	(void) state;
	s->frps.rules.goes_silent = true;
	assert_int_equal(sim_run_until(s, sim_is_up, 55000), UINT64_MAX);
	assert_int_equal(s->a->n_deaths, 0);
	sim_run_ms(s, 7000);
	assert_int_equal(s->a->deaths[CLIENT_CAUSE_LATE], 1);
	s->frps.rules.goes_silent = false;
	assert_true(sim_run_until(s, sim_is_up, 120000) <=
		    80000); /* the second one was begun in silence, too */
	s = sim_free(s);
}

static void test_refused_login_is_repeated_slowly(void **state)
{
	struct sim *s = sim_new(17, 1);

	(void) state;
	s->frps.rules.refuse_login_pct = 100;
	sim_run_ms(s, 60000);
	assert_in_range(s->a->n_tries, 6, 9); /* 1, 2, 5, 10, 15, 15 s */
	assert_int_equal(s->a->deaths[CLIENT_CAUSE_REFUSED], s->a->n_tries);
	s->frps.rules.refuse_login_pct = 0;
	assert_true(sim_run_until(s, sim_is_up, 60000) <= 20000);
	s = sim_free(s);
}

static void test_refused_proxy_closes_its_partner_and_both_come_back(void **state)
{
	struct sim *s = sim_up(19);

	(void) state;
	s->frps.rules.refuse_proxy_pct = 50;
	for (int i = 0; i < 20; i++) {
		sim_cut(s, true);
		sim_run_ms(s, 5000);
	}
	assert_true(s->a->n_downs > 0);
	s->frps.rules.refuse_proxy_pct = 0;
	assert_true(sim_run_until(s, sim_is_up, 60000) <= 16000);
	s = sim_free(s);
}

static void test_swallowed_answer_is_asked_again(void **state)
{
	struct sim *s = sim_new(23, 1);

	(void) state;
	s->frps.rules.forgets_answers = true;
	sim_run_ms(s, 200000);
	s->frps.rules.forgets_answers = false;
	assert_true(sim_run_until(s, sim_is_up, 120000) <= 60000);
	s = sim_free(s);
}

static void test_garbage_on_the_control_channel_ends_the_session_with_a_reason(void **state)
{
	struct sim *s = sim_up(29);

	(void) state;
	assert_true(sim_provoke(s->a, frps_spoil));
	assert_true(sim_run_until(s, sim_is_lost, 5000) <= 1000);
	assert_int_equal(s->a->last_cause, CLIENT_CAUSE_PROTOCOL);
	assert_true(sim_run_until(s, sim_is_up, 5000) <= 3000);
	s = sim_free(s);
}

static void test_goaway_drains_and_reconnects_within_five_seconds(void **state)
{
	struct sim *s = sim_up(31);

	(void) state;
	sim_run_ms(s, 10000);
	(void) sim_provoke(s->a, frps_goaway); /* nobody is joined: at once */
	assert_true(sim_run_until(s, sim_is_lost, 5000) <= 20);
	assert_int_equal(s->a->last_cause, CLIENT_CAUSE_GOAWAY);
	assert_true(sim_run_until(s, sim_is_up, 5000) <= 1000);
	sim_run_ms(s, 10000);
	s->frps.rules.big_pct = 100;
	users(s, 3);
	assert_true(sim_run_until(s, has_joined, 1000) != UINT64_MAX);
	for (int i = 0; i < 12; i++) { /* said again and again: it moves nothing */
		if (s->a->n_deaths == 1)
			(void) sim_provoke(s->a, frps_goaway);
		sim_run_ms(s, 500);
	}
	assert_int_equal(s->a->n_deaths, 2);
	assert_true(sim_run_until(s, sim_is_up, 5000) <= 1000);
	s = sim_free(s);
}

static void test_leaving_closes_the_proxies_and_lets_joined_streams_end(void **state)
{
	struct sim *s = sim_up(37);

	(void) state;
	users(s, 5);
	assert_true(sim_run_until(s, has_joined, 1000) != UINT64_MAX);
	sim_run_ms(s, 200);
	agent_leave(s->a);
	sim_run_ms(s, 100);
	assert_false(frps_has_proxy(&s->frps, "node-1"));
	assert_false(frps_has_proxy(&s->frps, "node-2"));
	assert_true(sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
	assert_int_equal(s->frps.n_whole, 5);
	agent_bye(s->a);
	sim_run_ms(s, 100);
	assert_true(s->a->is_left);
	assert_int_equal(s->a->last_cause, CLIENT_CAUSE_LEFT);
	assert_int_equal(s->frps.n_open, 0);
	s = sim_free(s);
}

static void test_idle_session_wakes_up_rarely(void **state)
{
	struct sim *s = sim_up(41);
	size_t n;

	(void) state;
	sim_run_ms(s, 60000);
	n = s->a->n_wakes;
	sim_run_ms(s, 600000);
	/* A ping each 9 s and its answer, a Ping each 30 s and its answer, the server's own. */
	assert_in_range(s->a->n_wakes - n, 100, 300);
	s = sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_is_served_whole),
		cmocka_unit_test(test_both_proxies_are_up_after_two_round_trips),
		cmocka_unit_test(test_server_that_breaks_after_login_is_asked_every_two_seconds),
		cmocka_unit_test(test_restarted_server_is_found_within_a_second),
		cmocka_unit_test(test_outage_is_asked_with_measure),
		cmocka_unit_test(test_half_open_path_is_found_within_15_s_at_any_age),
		cmocka_unit_test(test_stall_of_12_s_costs_no_stream),
		cmocka_unit_test(test_paused_process_with_a_living_path_goes_on),
		cmocka_unit_test(test_process_paused_for_a_minute_is_back_within_two_seconds),
		cmocka_unit_test(
			test_names_of_a_dead_session_come_back_when_the_server_has_forgotten_it),
		cmocka_unit_test(test_parked_login_is_held_and_answered),
		cmocka_unit_test(test_login_that_is_never_answered_ends_after_a_minute),
		cmocka_unit_test(test_refused_login_is_repeated_slowly),
		cmocka_unit_test(test_refused_proxy_closes_its_partner_and_both_come_back),
		cmocka_unit_test(test_swallowed_answer_is_asked_again),
		cmocka_unit_test(
			test_garbage_on_the_control_channel_ends_the_session_with_a_reason),
		cmocka_unit_test(test_goaway_drains_and_reconnects_within_five_seconds),
		cmocka_unit_test(test_leaving_closes_the_proxies_and_lets_joined_streams_end),
		cmocka_unit_test(test_idle_session_wakes_up_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
