/* SPDX-License-Identifier: Apache-2.0 */
/* test_herd.c - a thousand agents lose one server in the same moment; it is back later (faults
 * F28). Tests only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

#define AGENTS 1000
#define PEAK_MS 100
#define PEAK_MAX (AGENTS / 5) /* logins in any PEAK_MS */
#define STORM_MS 5000
#define STORM_TRIES_MAX 10 /* of one agent in the first STORM_MS */

struct herd {
	struct sim *s;
	size_t n;
	uint64_t login_ms[2 * AGENTS]; /* in order */
	size_t n_tries[AGENTS];	       /* when the outage began */
};

static void on_login(void *arg)
{
	struct herd *h = arg;

	assert_true(h->n < 2 * AGENTS);
	h->login_ms[h->n++] = h->s->env.now_ms;
}

/* A thousand agents that are up since a while. */
static void herd_init(struct herd *h, uint64_t seed)
{
	*h = (struct herd){ .s = sim_new(seed, AGENTS) };
	h->s->frps.on_login = on_login;
	h->s->frps.arg = h;
	assert_true(sim_run_until(h->s, sim_is_up, 5000) <= 1000);
	assert_int_equal(h->n, AGENTS);
	sim_run_ms(h->s, 20000);
	h->n = 0;
	for (size_t i = 0; i < AGENTS; i++)
		h->n_tries[i] = h->s->agents[i].n_tries;
}

static size_t herd_peak(const struct herd *h)
{
	size_t first = 0, peak = 0;

	for (size_t i = 0; i < h->n; i++) {
		while (h->login_ms[i] - h->login_ms[first] >= PEAK_MS)
			first++;
		peak = i - first + 1 > peak ? i - first + 1 : peak;
	}
	return peak;
}

/* The most tries of one agent since the outage began. */
static size_t herd_tries(const struct herd *h)
{
	size_t most = 0;

	for (size_t i = 0; i < AGENTS; i++) {
		size_t n = h->s->agents[i].n_tries - h->n_tries[i];

		most = n > most ? n : most;
	}
	return most;
}

static void run_herd(uint64_t seed, uint64_t outage_ms, uint64_t back_max_ms)
{
	uint64_t storm_ms = outage_ms < STORM_MS ? outage_ms : STORM_MS, back_ms;
	static struct herd h;
	size_t n_tries, peak;

	herd_init(&h, seed);
	sim_stop_server(h.s);
	sim_run_ms(h.s, storm_ms);
	n_tries = herd_tries(&h);
	sim_run_ms(h.s, outage_ms - storm_ms);
	sim_start_server(h.s);
	back_ms = sim_run_until(h.s, sim_is_up, 60000);
	peak = herd_peak(&h);
	(void) printf(
		"# outage %7llu ms: at most %zu of %d logins in %d ms, all back after %llu ms, "
		"at most %zu tries in the first %llu ms\n",
		(unsigned long long) outage_ms, peak, AGENTS, PEAK_MS, (unsigned long long) back_ms,
		n_tries, (unsigned long long) storm_ms);
	assert_int_equal(h.n, AGENTS); /* each once */
	assert_true(peak <= PEAK_MAX);
	assert_true(back_ms <= back_max_ms);
	assert_true(n_tries <= STORM_TRIES_MAX);
	h.s = sim_free(h.s);
}

static void test_f28_a_thousand_agents_come_back_spread(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		run_herd(seed, 2000, 1000);
		run_herd(seed, 3700, 1000);
		run_herd(seed, 10000, 1000);
		run_herd(seed, 60000, 5000);
		run_herd(seed, 300000, 20000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_f28_a_thousand_agents_come_back_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
