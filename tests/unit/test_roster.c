/* SPDX-License-Identifier: Apache-2.0 */
/* test_roster.c - the roster against a model of the server's rules: names are unique, answers come
 * in order, a NewProxy for a live name is a fault of ours. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/jitter.h"
#include "proto/session/roster.h"

#define SEEDS 1000
#define PROXIES 5
#define IN_FLIGHT 4096

static const char *const names[PROXIES] = { "u.a", "u.b", "u.c", "u.d", "u.e" };

struct cargo {
	uint64_t at_ms; /* arrival */
	size_t proxy;
	bool is_close; /* or, in an answer: is it a refusal? */
};

/* First in, first out. */
struct wire_queue {
	struct cargo at[IN_FLIGHT];
	size_t n_in, n_out;
};

struct world {
	struct roster r;
	struct msg_new_proxy msgs[PROXIES];
	uint64_t rng, now_ms;
	bool live[PROXIES];
	struct wire_queue to_server, to_client;
	/* how the server behaves */
	unsigned refuse_percent, swallow_percent;
	uint64_t delay_max_ms;
	bool is_renaming;
	/* what was seen */
	unsigned n_asks, n_closes;
};

static void world_init(struct world *w, uint64_t seed, size_t n_proxies, bool all_or_none)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	w->rng = seed;
	w->now_ms = 1000000;
	roster_init(&w->r, seed);
	w->r.all_or_none = all_or_none;
	for (size_t k = 0; k < n_proxies; k++) {
		w->msgs[k].name = names[k];
		assert_int_equal(roster_add(&w->r, &w->msgs[k], NULL, &i), 0);
		assert_int_equal(i, k);
	}
}

static bool chance(struct world *w, unsigned percent)
{
	return jitter_between(&w->rng, 1, 100) <= percent;
}

static void put(struct world *w, struct wire_queue *q, size_t proxy, bool is_close)
{
	uint64_t at_ms = w->now_ms + jitter_between(&w->rng, 0, w->delay_max_ms);

	assert_true(q->n_in < IN_FLIGHT);
	if (q->n_in > 0 && q->at[q->n_in - 1].at_ms > at_ms)
		at_ms = q->at[q->n_in - 1].at_ms; /* a stream keeps the order */
	q->at[q->n_in++] = (struct cargo){ .at_ms = at_ms, .proxy = proxy, .is_close = is_close };
}

static struct cargo *take(struct world *w, struct wire_queue *q)
{
	if (q->n_out == q->n_in || q->at[q->n_out].at_ms > w->now_ms)
		return NULL;
	return &q->at[q->n_out++];
}

static uint64_t arrival(const struct wire_queue *q)
{
	return q->n_out == q->n_in ? UINT64_MAX : q->at[q->n_out].at_ms;
}

static void check_group(const struct roster *r)
{
	bool has_waiting = false, has_up = false;

	for (size_t i = 0; i < r->n_entries; i++) {
		has_waiting |= r->entries[i].is_wanted &&
			       r->entries[i].state == ROSTER_STATE_WAITING;
		has_up |= r->entries[i].is_wanted && r->entries[i].state == ROSTER_STATE_UP;
	}
	if (r->all_or_none)
		assert_false(has_waiting && has_up);
}

static void drain(struct world *w)
{
	size_t i;
	bool is_close;

	while (roster_next(&w->r, w->now_ms, &i, &is_close) == 0) {
		put(w, &w->to_server, i, is_close);
		*(is_close ? &w->n_closes : &w->n_asks) += 1;
	}
	assert_true(roster_deadline(&w->r) > w->now_ms);
	check_group(&w->r);
}

static void serve(struct world *w)
{
	struct cargo *c;
	int r;
	size_t i;

	for (c = take(w, &w->to_server); c != NULL; c = take(w, &w->to_server)) {
		if (c->is_close) {
			w->live[c->proxy] = false;
			continue;
		}
		if (w->live[c->proxy])
			fail_msg("NewProxy for the live name %s", names[c->proxy]);
		w->live[c->proxy] = !chance(w, w->refuse_percent);
		if (!chance(w, w->swallow_percent))
			put(w, &w->to_client, c->proxy, !w->live[c->proxy]);
	}
	for (c = take(w, &w->to_client); c != NULL; c = take(w, &w->to_client)) {
		r = roster_answer(&w->r, w->is_renaming ? "changed" : names[c->proxy],
				  c->is_close ? "port already used" : "", w->now_ms, &i);
		if (r == 0 && !w->is_renaming)
			assert_int_equal(i, c->proxy);
		drain(w);
	}
}

/* Let @ms pass. */
static void run(struct world *w, uint64_t ms)
{
	uint64_t until_ms = w->now_ms + ms;

	for (;;) {
		uint64_t at_ms = roster_deadline(&w->r);

		drain(w);
		serve(w);
		at_ms = roster_deadline(&w->r);
		if (arrival(&w->to_server) < at_ms)
			at_ms = arrival(&w->to_server);
		if (arrival(&w->to_client) < at_ms)
			at_ms = arrival(&w->to_client);
		if (at_ms > until_ms)
			break;
		if (at_ms > w->now_ms)
			w->now_ms = at_ms;
	}
	w->now_ms = until_ms;
}

/* The connection is gone, and with it what was under way; the server forgets. */
static void lose(struct world *w)
{
	roster_stop(&w->r);
	assert_int_equal(roster_deadline(&w->r), UINT64_MAX);
	memset(w->live, 0, sizeof(w->live));
	memset(&w->to_server, 0, sizeof(w->to_server));
	memset(&w->to_client, 0, sizeof(w->to_client));
}

static void check_settled(struct world *w)
{
	for (size_t i = 0; i < w->r.n_entries; i++) {
		const struct roster_entry *e = &w->r.entries[i];

		assert_int_equal(e->state, e->is_wanted ? ROSTER_STATE_UP : ROSTER_STATE_OFF);
		assert_int_equal(w->live[i], e->is_wanted);
	}
	assert_int_equal(w->r.n_closing, 0);
}

/* A random life: refusals, slow answers, health changes, lost sessions. Then the server turns good,
 * and everything must be up. */
static void live_and_settle(uint64_t seed, unsigned swallow_percent, bool is_renaming)
{
	static struct world w;
	unsigned n_steps;

	world_init(&w, seed, 1 + seed % PROXIES, seed % 2 == 0);
	w.delay_max_ms = seed % 3 == 0 ? 15000 : seed % 3 == 1 ? 300 : 0;
	w.refuse_percent = (unsigned) jitter_between(&w.rng, 0, 100);
	w.swallow_percent = swallow_percent;
	w.is_renaming = is_renaming;
	n_steps = (unsigned) jitter_between(&w.rng, 5, 40);
	roster_start(&w.r, w.now_ms);
	for (unsigned n = 0; n < n_steps; n++) {
		uint64_t i = jitter_between(&w.rng, 0, w.r.n_entries - 1);

		run(&w, jitter_between(&w.rng, 0, chance(&w, 50) ? 50 : 5000));
		if (chance(&w, 60))
			roster_want(&w.r, i, !w.r.entries[i].is_wanted, w.now_ms);
		if (chance(&w, 10)) {
			lose(&w);
			w.now_ms += 100;
			roster_start(&w.r, w.now_ms);
		}
	}
	w.refuse_percent = 0;
	w.swallow_percent = 0;
	w.delay_max_ms = 100;
	run(&w, 120000);
	if (!is_renaming)
		check_settled(&w);
	roster_deinit(&w.r);
}

static void test_random_lives(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		live_and_settle(seed, 0, false);
}

static void test_random_lives_with_a_server_that_swallows_answers(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		live_and_settle(seed, 20, false);
}

static void test_random_lives_with_a_server_that_changes_names(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		live_and_settle(seed, 0, true);
}

static void test_everything_wanted_is_asked_for_at_once(void **state)
{
	static struct world w;
	size_t i;
	bool is_close;

	(void) state;
	world_init(&w, 1, 3, false);
	assert_int_equal(roster_deadline(&w.r), UINT64_MAX);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), ROSTER_E_NONE);
	w.r.entries[1].is_wanted = false;
	roster_start(&w.r, w.now_ms);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_int_equal(i, 0);
	assert_false(is_close);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_ASKED);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_int_equal(i, 2);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), ROSTER_E_NONE);
	assert_int_equal(roster_deadline(&w.r), w.now_ms + WAIT_PROXY_RESP_MS);
	assert_false(roster_is_all_up(&w.r));
	assert_int_equal(roster_answer(&w.r, "u.a", NULL, w.now_ms + 5, &i), 0);
	assert_int_equal(roster_answer(&w.r, "u.c", "", w.now_ms + 5, &i), 0);
	assert_int_equal(i, 2);
	assert_true(roster_is_all_up(&w.r));
	assert_int_equal(roster_next(&w.r, w.now_ms + 5, &i, &is_close), ROSTER_E_NONE);
	roster_stop(&w.r);
	assert_false(roster_is_all_up(&w.r));
	roster_deinit(&w.r);
}

static void test_refused_schedule(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		static struct world w;
		uint64_t since_ms, due_ms;
		size_t i;

		world_init(&w, seed, 1, false);
		roster_start(&w.r, w.now_ms);
		since_ms = w.now_ms;
		for (unsigned n = 1; w.now_ms < since_ms + 120000; n++) {
			drain(&w);
			assert_int_equal(
				roster_answer(&w.r, "u.a", "port unavailable", w.now_ms, &i), 0);
			assert_int_equal(w.r.entries[0].n_refused, n);
			assert_int_equal(w.r.entries[0].cause, ROSTER_CAUSE_REFUSED);
			drain(&w);
			assert_true(roster_deadline(&w.r) <= w.r.entries[0].due_ms);
			due_ms = w.r.entries[0].due_ms - w.now_ms;
			if (n <= 2)
				assert_int_equal(due_ms, n == 1 ? 200 : 500);
			else if (w.now_ms - since_ms < 60000)
				assert_in_range(due_ms, 1000, 2000);
			else
				assert_in_range(due_ms, 10000, 15000);
			w.now_ms += due_ms;
		}
		assert_int_equal(w.n_closes, 0); /* the server holds nothing of a refused name */
		/* A lost session does not reset the pace, an accepted ask does. */
		roster_stop(&w.r);
		roster_start(&w.r, w.now_ms);
		drain(&w);
		assert_true(w.r.entries[0].n_refused > 2);
		assert_int_equal(roster_answer(&w.r, "u.a", NULL, w.now_ms, &i), 0);
		assert_int_equal(w.r.entries[0].n_refused, 0);
		roster_deinit(&w.r);
	}
}

static void test_a_late_answer_closes_before_it_asks_again(void **state)
{
	static struct world w;
	size_t i;
	bool is_close;

	(void) state;
	world_init(&w, 2, 1, false);
	roster_start(&w.r, w.now_ms);
	drain(&w);
	w.now_ms += WAIT_PROXY_RESP_MS;
	assert_int_equal(roster_deadline(&w.r), w.now_ms);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_true(is_close);
	assert_int_equal(w.r.entries[0].cause, ROSTER_CAUSE_LATE);
	assert_false(w.r.entries[0].was_up);
	drain(&w);
	assert_int_equal(roster_deadline(&w.r), w.now_ms + 200);
	w.now_ms += 200;
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_false(is_close);
	/* Now the answer to the first ask, then that to the second. */
	assert_int_equal(roster_answer(&w.r, "u.a", "slow plugin", w.now_ms, &i), ROSTER_E_STALE);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_ASKED);
	assert_int_equal(roster_answer(&w.r, "u.a", "", w.now_ms, &i), 0);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_UP);
	assert_int_equal(roster_answer(&w.r, "u.a", "", w.now_ms, &i), ROSTER_E_STALE);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_UP);
	roster_deinit(&w.r);
}

static void test_a_refused_partner_takes_all_down(void **state)
{
	static struct world w;
	size_t i;
	bool is_close;

	(void) state;
	world_init(&w, 3, 3, true);
	roster_start(&w.r, w.now_ms);
	drain(&w);
	assert_int_equal(roster_answer(&w.r, "u.a", "", w.now_ms, &i), 0);
	assert_int_equal(roster_answer(&w.r, "u.b", "port already used", w.now_ms, &i), 0);
	assert_int_equal(i, 1);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_true(is_close);
	assert_int_equal(i, 0);
	assert_true(w.r.entries[0].was_up);
	assert_int_equal(w.r.entries[0].cause, ROSTER_CAUSE_PARTNER);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_true(is_close);
	assert_int_equal(i, 2);
	assert_false(w.r.entries[2].was_up);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), ROSTER_E_NONE);
	assert_int_equal(roster_answer(&w.r, "u.c", "", w.now_ms, &i), ROSTER_E_STALE);
	/* All wait for the same moment, and are asked for in it. */
	assert_int_equal(roster_deadline(&w.r), w.now_ms + 200);
	w.now_ms += 200;
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
		assert_false(is_close);
		assert_int_equal(i, k);
		assert_int_equal(roster_answer(&w.r, names[k], "", w.now_ms, &i), 0);
	}
	assert_true(roster_is_all_up(&w.r));
	/* One that comes back joins its partners without touching them. */
	roster_want(&w.r, 1, false, w.now_ms);
	assert_true(roster_is_all_up(&w.r));
	drain(&w);
	roster_want(&w.r, 1, true, w.now_ms);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_int_equal(i, 1);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_UP);
	roster_deinit(&w.r);
}

static void test_closes_come_before_asks(void **state)
{
	static struct world w;
	size_t i;
	bool is_close;

	(void) state;
	world_init(&w, 4, 2, false);
	w.r.entries[0].is_wanted = false;
	roster_start(&w.r, w.now_ms);
	run(&w, 10);
	/* The port moves from one proxy to the other. */
	roster_want(&w.r, 0, true, w.now_ms);
	roster_want(&w.r, 1, false, w.now_ms);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_true(is_close);
	assert_int_equal(i, 1);
	assert_int_equal(w.r.entries[1].cause, ROSTER_CAUSE_WITHDRAWN);
	assert_int_equal(roster_next(&w.r, w.now_ms, &i, &is_close), 0);
	assert_false(is_close);
	assert_int_equal(i, 0);
	roster_deinit(&w.r);
}

static void test_answers_of_strangers(void **state)
{
	static struct world w;
	size_t i;

	(void) state;
	world_init(&w, 5, 2, false);
	assert_int_equal(roster_answer(&w.r, "u.a", "", w.now_ms, &i), ROSTER_E_STRANGER);
	roster_start(&w.r, w.now_ms);
	assert_int_equal(roster_answer(&w.r, "who", "", w.now_ms, &i), ROSTER_E_STRANGER);
	assert_int_equal(roster_answer(&w.r, NULL, NULL, w.now_ms, &i), ROSTER_E_STRANGER);
	assert_int_equal(roster_answer(&w.r, "u.b", "", w.now_ms, &i), ROSTER_E_STALE);
	assert_int_equal(w.r.entries[1].state, ROSTER_STATE_OFF);
	/* A changed name: the oldest ask. */
	drain(&w);
	assert_int_equal(roster_answer(&w.r, "x.u.a", "", w.now_ms, &i), 0);
	assert_int_equal(i, 0);
	assert_int_equal(roster_answer(&w.r, NULL, "no", w.now_ms, &i), 0);
	assert_int_equal(i, 1);
	assert_int_equal(w.r.entries[1].state, ROSTER_STATE_WAITING);
	/* The guess about the first was wrong: its own answer comes, and the name may be live. */
	assert_int_equal(roster_answer(&w.r, "u.a", "no", w.now_ms, &i), 0);
	assert_int_equal(i, 0);
	assert_int_equal(w.r.entries[0].state, ROSTER_STATE_WAITING);
	drain(&w);
	assert_int_equal(w.n_closes, 2);
	assert_int_equal(roster_find(&w.r, "u.b", &i), 0);
	assert_int_equal(i, 1);
	assert_int_equal(roster_find(&w.r, "u.z", &i), ROSTER_E_NONE);
	roster_deinit(&w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_wanted_is_asked_for_at_once),
		cmocka_unit_test(test_refused_schedule),
		cmocka_unit_test(test_a_late_answer_closes_before_it_asks_again),
		cmocka_unit_test(test_a_refused_partner_takes_all_down),
		cmocka_unit_test(test_closes_come_before_asks),
		cmocka_unit_test(test_answers_of_strangers),
		cmocka_unit_test(test_random_lives),
		cmocka_unit_test(test_random_lives_with_a_server_that_swallows_answers),
		cmocka_unit_test(test_random_lives_with_a_server_that_changes_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
