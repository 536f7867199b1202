/* SPDX-License-Identifier: Apache-2.0 */
/* test_runid.c - the run id is forgotten when it does harm, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/session/runid.h"

#define ID "0123456789abcdef"

static void set_up(struct runid *r)
{
	runid_init(r, "");
	assert_string_equal(r->at, "");
	runid_on_login(r, ID, 1);
	assert_string_equal(r->at, ID);
}

/* A session that was up has ended. */
static enum retry_class lost(struct runid *r, enum client_cause cause, uint64_t now_ms)
{
	return runid_on_dead(r, /* was_up= */ true, cause, "text", /* n_tries= */ 1, now_ms);
}

static enum retry_class failed(struct runid *r, enum client_cause cause, const char *text,
			       unsigned n_tries)
{
	return runid_on_dead(r, /* was_up= */ false, cause, text, n_tries, /* now_ms= */ 1000);
}

static void test_lost_session_keeps_it(void **state)
{
	struct runid r;

	(void) state;
	set_up(&r);
	for (int cause = CLIENT_CAUSE_SERVER_CLOSED; cause <= CLIENT_CAUSE_LEFT; cause++) {
		assert_int_equal(lost(&r, (enum client_cause) cause, 1000),
				 cause == CLIENT_CAUSE_REFUSED ? RETRY_REFUSED : RETRY_NETWORK);
		assert_string_equal(r.at, ID);
	}
	runid_deinit(&r);
	assert_string_equal(r.at, "");
}

static void test_login_that_is_not_answered_forgets_it(void **state)
{
	static const enum client_cause silent[] = { CLIENT_CAUSE_LATE, CLIENT_CAUSE_SILENT };
	struct runid r;

	(void) state;
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		set_up(&r);
		assert_int_equal(failed(&r, silent[i], "", 1), RETRY_NETWORK);
		assert_string_equal(r.at, "");
	}
	set_up(&r);
	assert_int_equal(failed(&r, CLIENT_CAUSE_SERVER_CLOSED, "", 1), RETRY_NETWORK);
	assert_string_equal(r.at, ID);
	assert_int_equal(failed(&r, CLIENT_CAUSE_SERVER_CLOSED, "", 2), RETRY_NETWORK);
	assert_string_equal(r.at, ""); /* whatever the server has against it */
}

static void test_refusal_forgets_it_when_it_speaks_of_it(void **state)
{
	struct runid r;

	(void) state;
	set_up(&r);
	assert_int_equal(failed(&r, CLIENT_CAUSE_REFUSED, "token mismatch", 9), RETRY_REFUSED);
	assert_string_equal(r.at, ID);
	assert_int_equal(failed(&r, CLIENT_CAUSE_REFUSED, "invalid run id", 1), RETRY_REFUSED);
	assert_string_equal(r.at, "");
}

static void test_another_agent_is_known_by_the_second_eviction(void **state)
{
	struct runid r;

	(void) state;
	set_up(&r);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 10000), RETRY_NETWORK);
	runid_on_login(&r, ID, 1);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 70000), RETRY_RIVAL);
	assert_string_equal(r.at, "");
	/* a new count */
	runid_on_login(&r, ID, 1);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 70100), RETRY_NETWORK);
	runid_on_login(&r, ID, 1);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 130101),
			 RETRY_NETWORK); /* more than a minute */
	/* a server that was restarted: the first try found nobody */
	runid_on_login(&r, ID, 2);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 130200), RETRY_NETWORK);
	runid_on_login(&r, ID, 1);
	assert_int_equal(lost(&r, CLIENT_CAUSE_REPLACED, 130300), RETRY_RIVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_session_keeps_it),
		cmocka_unit_test(test_login_that_is_not_answered_forgets_it),
		cmocka_unit_test(test_refusal_forgets_it_when_it_speaks_of_it),
		cmocka_unit_test(test_another_agent_is_known_by_the_second_eviction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
