/* SPDX-License-Identifier: Apache-2.0 */
/* test_roster_places.c - who stands in the roster: as many as fit, changed, removed, renamed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/session/roster.h"
#include "tests/unit/failmalloc.h"

static void test_a_full_roster(void **state)
{
	static char many[LIMIT_PROXIES][16];
	static struct msg_new_proxy msgs[LIMIT_PROXIES];
	struct roster r;
	size_t i, n = 0;
	bool is_close;

	(void) state;
	roster_init(&r, 6);
	roster_start(&r, 100);
	for (size_t k = 0; k < LIMIT_PROXIES; k++) {
		(void) snprintf(many[k], sizeof(many[k]), "p%zu", k);
		msgs[k].name = many[k];
		assert_int_equal(roster_add(&r, &msgs[k], &r, &i), 0);
	}
	assert_int_equal(roster_add(&r, &msgs[0], NULL, &i), ROSTER_E_FULL);
	while (roster_next(&r, 100, &i, &is_close) == 0)
		assert_int_equal(i, n++);
	assert_int_equal(n, LIMIT_PROXIES);
	assert_ptr_equal(r.entries[7].user, &r);
	roster_deinit(&r);
	roster_deinit(&r);
}

/* What roster_next() says now: an ask (1), a close (-1) of entry @i, or nothing (0). */
static int next_of(struct roster *r, uint64_t now_ms, size_t i)
{
	bool is_close;
	size_t k;

	if (roster_next(r, now_ms, &k, &is_close) != 0)
		return 0;
	assert_int_equal(k, i);
	return is_close ? -1 : 1;
}

/* One entry, UP at 1000. */
static void one_up(struct roster *r, const struct msg_new_proxy *m, int *user)
{
	size_t i;

	roster_init(r, 1);
	assert_int_equal(roster_add(r, m, user, &i), 0);
	roster_start(r, 1000);
	assert_int_equal(next_of(r, 1000, 0), 1);
	assert_int_equal(roster_answer(r, m->name, "", 1000, &i), 0);
	assert_int_equal(next_of(r, 1000, 0), 0);
}

static void test_a_changed_one_is_closed_and_asked_for_anew(void **state)
{
	struct msg_new_proxy old = { .name = "a", .remote_port = 1 },
			     new = { .name = "a", .remote_port = 2 };
	struct roster r;
	int users[2];
	size_t i;

	(void) state;
	one_up(&r, &old, &users[0]);
	roster_replace(&r, 0, &new, &users[1], 2000);
	assert_int_equal(next_of(&r, 2000, 0), -1);
	assert_int_equal(next_of(&r, 2000, 0), 1);
	assert_ptr_equal(r.entries[0].msg, &new);
	assert_ptr_equal(r.entries[0].user, &users[1]);
	/* once more before the answer: that answer is of no use then */
	roster_replace(&r, 0, &old, &users[0], 2000);
	assert_int_equal(next_of(&r, 2000, 0), -1);
	assert_int_equal(next_of(&r, 2000, 0), 1);
	assert_int_equal(roster_answer(&r, "a", "", 2001, &i), ROSTER_E_STALE);
	assert_int_equal(roster_answer(&r, "a", "", 2001, &i), 0);
	assert_int_equal(r.entries[0].state, ROSTER_STATE_UP);
	roster_deinit(&r);
}

static void test_a_changed_one_is_not_kept_waiting_for_old_refusals(void **state)
{
	struct msg_new_proxy m = { .name = "a" };
	struct roster r;
	size_t i;

	(void) state;
	roster_init(&r, 1);
	assert_int_equal(roster_add(&r, &m, NULL, &i), 0);
	roster_start(&r, 0);
	for (uint64_t now_ms = 0; now_ms < 100000; now_ms += 20000) {
		assert_int_equal(next_of(&r, now_ms, 0), 1);
		assert_int_equal(roster_answer(&r, "a", "no", now_ms, &i), 0);
	}
	assert_int_equal(next_of(&r, 80001, 0), 0);
	roster_replace(&r, 0, &m, NULL, 80001);
	assert_int_equal(next_of(&r, 80001, 0), 1); /* nothing is live: no close */
	assert_int_equal(roster_answer(&r, "a", "no", 80001, &i), 0);
	assert_int_equal(r.entries[0].n_refused, 1);
	roster_deinit(&r);
}

static void test_a_removed_one_gives_its_place_away_when_it_is_closed(void **state)
{
	struct msg_new_proxy a = { .name = "a" }, b = { .name = "b" };
	struct roster r;
	int user;
	size_t i;

	(void) state;
	one_up(&r, &a, &user);
	roster_remove(&r, 0, 2000);
	assert_int_equal(roster_forget(&r, 0), ROSTER_E_BUSY);
	assert_false(roster_is_all_up(&r));
	assert_int_equal(next_of(&r, 2000, 0), -1);
	assert_int_equal(roster_find(&r, "a", &i), 0); /* users of it may still come */
	assert_int_equal(roster_forget(&r, 0), 0);
	assert_int_equal(roster_find(&r, "a", &i), ROSTER_E_NONE);
	assert_int_equal(next_of(&r, 2000, 0), 0);
	assert_int_equal(roster_add(&r, &b, NULL, &i), 0);
	assert_int_equal(i, 0);
	assert_int_equal(r.n_entries, 1);
	assert_int_equal(next_of(&r, 2000, 0), 1);
	roster_stop(&r);
	roster_remove(&r, 0, 3000);
	assert_int_equal(roster_forget(&r, 0), 0); /* without a session nothing is left of it */
	roster_start(&r, 3000);
	assert_int_equal(next_of(&r, 3000, 0), 0);
	roster_deinit(&r);
}

static void test_a_removed_one_may_come_back_before_its_answer(void **state)
{
	struct msg_new_proxy a = { .name = "a" };
	struct roster r;
	size_t i;

	(void) state;
	roster_init(&r, 1);
	assert_int_equal(roster_add(&r, &a, NULL, &i), 0);
	roster_start(&r, 0);
	assert_int_equal(next_of(&r, 0, 0), 1);
	roster_remove(&r, 0, 1);
	assert_int_equal(next_of(&r, 1, 0), -1);
	assert_int_equal(roster_forget(&r, 0), ROSTER_E_BUSY); /* its answer is still to come */
	roster_replace(&r, 0, &a, NULL, 2);
	assert_int_equal(next_of(&r, 2, 0), 1);
	assert_int_equal(roster_answer(&r, "a", "taken", 3, &i), ROSTER_E_STALE);
	assert_int_equal(roster_answer(&r, "a", "", 3, &i), 0);
	assert_true(roster_is_all_up(&r));
	roster_deinit(&r);
}

static void test_places_are_used_again_for_ever(void **state)
{
	struct msg_new_proxy m[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	struct roster r;
	bool is_close;
	size_t i, k;

	(void) state;
	roster_init(&r, 1);
	for (k = 0; k < 3; k++)
		assert_int_equal(roster_add(&r, &m[k], NULL, &i), 0);
	roster_start(&r, 0);
	for (uint64_t now_ms = 0; now_ms < 10000; now_ms++) {
		while (roster_next(&r, now_ms, &i, &is_close) == 0)
			if (!is_close)
				assert_int_equal(
					roster_answer(&r, r.entries[i].msg->name, "", now_ms, &k),
					0);
		assert_true(roster_is_all_up(&r));
		k = now_ms % 3;
		roster_remove(&r, k, now_ms);
		assert_int_equal(roster_next(&r, now_ms, &i, &is_close), 0);
		assert_true(is_close && i == k);
		assert_int_equal(roster_forget(&r, k), 0);
		assert_int_equal(roster_add(&r, &m[k], NULL, &i), 0);
		assert_int_equal(i, k);
	}
	assert_int_equal(r.n_entries, 3);
	roster_deinit(&r);
}

static void test_an_alias_lasts_until_the_proxy_is_gone(void **state)
{
	struct msg_new_proxy m[2] = { { .name = "a" }, { .name = "b" } };
	struct roster r;
	bool is_close;
	size_t i;

	(void) state;
	roster_init(&r, 1);
	assert_int_equal(roster_add(&r, &m[0], NULL, &i), 0);
	assert_int_equal(roster_add(&r, &m[1], NULL, &i), 0);
	roster_start(&r, 0);
	while (roster_next(&r, 0, &i, &is_close) == 0)
		continue;
	assert_int_equal(roster_answer(&r, "x.a", "", 1, &i), 0); /* in the order of the asks */
	assert_int_equal(i, 0);
	assert_int_equal(roster_answer(&r, "x.b", "", 1, &i), 0);
	assert_int_equal(i, 1);
	assert_int_equal(roster_find(&r, "x.a", &i), 0);
	assert_int_equal(i, 0);
	assert_int_equal(roster_find(&r, "b", &i), 0);
	assert_int_equal(i, 1);
	roster_want(&r, 1, false, 2);
	assert_int_equal(roster_next(&r, 2, &i, &is_close), 0);
	assert_true(is_close && i == 1);
	assert_string_equal(roster_name(&r, i), "x.b"); /* what the server has to hear */
	roster_want(&r, 1, true, 3);
	assert_int_equal(roster_next(&r, 3, &i, &is_close), 0);
	assert_int_equal(roster_answer(&r, "b", "", 4, &i), 0); /* the plugin thinks better of it */
	assert_string_equal(roster_name(&r, 1), "b");
	assert_int_equal(roster_find(&r, "x.b", &i), ROSTER_E_NONE);
	roster_stop(&r);
	assert_int_equal(roster_find(&r, "x.a", &i), ROSTER_E_NONE);
	roster_start(&r, 5);
	assert_int_equal(roster_next(&r, 5, &i, &is_close), 0);
	assert_int_equal(roster_answer(&r, "x.a", "", 5, &i), 0);
	roster_deinit(&r); /* and nothing leaks */
}

static void test_one_more_without_memory(void **state)
{
	struct msg_new_proxy msg = { .name = "a", .type = "tcp" };
	size_t i, n_failed = 0;
	struct roster r;

	(void) state;
	roster_init(&r, 1);
	while (r.n_entries < 100) {
		int err;

		failmalloc_at(0);
		err = roster_add(&r, &msg, NULL, &i);
		if (!failmalloc_stop()) {
			assert_int_equal(err, 0);
			continue;
		}
		assert_int_equal(err, -ENOMEM);
		n_failed++;
		assert_int_equal(roster_add(&r, &msg, NULL, &i), 0);
		assert_int_equal(i, r.n_entries - 1);
	}
	assert_in_range(n_failed, 2, 10);
	roster_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_roster),
		cmocka_unit_test(test_a_changed_one_is_closed_and_asked_for_anew),
		cmocka_unit_test(test_a_changed_one_is_not_kept_waiting_for_old_refusals),
		cmocka_unit_test(test_a_removed_one_gives_its_place_away_when_it_is_closed),
		cmocka_unit_test(test_a_removed_one_may_come_back_before_its_answer),
		cmocka_unit_test(test_places_are_used_again_for_ever),
		cmocka_unit_test(test_an_alias_lasts_until_the_proxy_is_gone),
		cmocka_unit_test(test_one_more_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
