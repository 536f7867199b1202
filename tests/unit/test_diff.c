/* SPDX-License-Identifier: Apache-2.0 */
/* test_diff.c - what a reload sees: every member of the configuration has its row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf/diff.h"

/* A member was added or has changed: it needs a row in diff.c (or a reason there to be left out),
 * and a line below. */
static void test_no_member_was_forgotten(void **state)
{
	(void) state;
	assert_int_equal(sizeof(struct conf_proxy), 560);
	assert_int_equal(sizeof(struct conf_visitor), 88);
	assert_int_equal(sizeof(struct conf), 448);
}

static void test_each_member_of_a_proxy_makes_a_difference(void **state)
{
	char *strs[] = { (char *) "x" };
	struct msg_pair pairs[] = { { "a", "b" } };
	struct conf_proxy a, b;

	(void) state;
#define CHECK(member, value)                              \
	do {                                              \
		memset(&a, 0, sizeof(a));                 \
		memset(&b, 0, sizeof(b));                 \
		assert_true(conf_proxy_is_same(&a, &b));  \
		b.member = value;                         \
		assert_false(conf_proxy_is_same(&a, &b)); \
		a.member = value;                         \
		assert_true(conf_proxy_is_same(&a, &b));  \
	} while (0)
	CHECK(name, strs[0]);
	CHECK(wire_name, strs[0]);
	CHECK(kind, CONF_TYPE_UDP);
	CHECK(local_host, strs[0]);
	CHECK(local_port, 1);
	CHECK(remote_port, 1);
	CHECK(use_encryption, true);
	CHECK(use_compression, true);
	CHECK(bandwidth, strs[0]);
	CHECK(bandwidth_bytes, 1);
	CHECK(is_bandwidth_of_server, true);
	CHECK(proxy_protocol, 2);
	CHECK(health.kind, CONF_HEALTH_TCP);
	CHECK(health.interval_ms, 1);
	CHECK(health.timeout_ms, 1);
	CHECK(health.n_failed_max, 1);
	CHECK(health.path, strs[0]);
	CHECK(health.headers, ((struct conf_pairs){ pairs, 1 }));
	CHECK(group, strs[0]);
	CHECK(group_key, strs[0]);
	CHECK(metas, ((struct conf_pairs){ pairs, 1 }));
	CHECK(annotations, ((struct conf_pairs){ pairs, 1 }));
	CHECK(domains, ((struct conf_strs){ strs, 1 }));
	CHECK(locations, ((struct conf_strs){ strs, 1 }));
	CHECK(subdomain, strs[0]);
	CHECK(http_user, strs[0]);
	CHECK(http_password, strs[0]);
	CHECK(host_header_rewrite, strs[0]);
	CHECK(route_by_http_user, strs[0]);
	CHECK(multiplexer, strs[0]);
	CHECK(request_headers, ((struct conf_pairs){ pairs, 1 }));
	CHECK(response_headers, ((struct conf_pairs){ pairs, 1 }));
	CHECK(secret_key, strs[0]);
	CHECK(allow_users, ((struct conf_strs){ strs, 1 }));
#undef CHECK
}

static void test_lists_are_compared_by_what_is_in_them(void **state)
{
	char x1[] = "x", x2[] = "x", y[] = "y";
	char *one[] = { x1, y }, *same[] = { x2, y }, *other[] = { y, x2 };
	struct msg_pair p1[] = { { "a", x1 } }, p2[] = { { "a", x2 } }, p3[] = { { "a", y } };
	struct conf_proxy a, b;

	(void) state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.domains = (struct conf_strs){ one, 2 };
	b.domains = (struct conf_strs){ same, 2 };
	a.metas = (struct conf_pairs){ p1, 1 };
	b.metas = (struct conf_pairs){ p2, 1 };
	a.subdomain = (char *) "";
	assert_true(conf_proxy_is_same(&a, &b));
	b.metas.at = p3;
	assert_false(conf_proxy_is_same(&a, &b));
	b.metas.at = p2;
	b.domains.at = other;
	assert_false(conf_proxy_is_same(&a, &b));
}

static void test_what_needs_a_new_session_or_a_new_start(void **state)
{
	struct conf *a = conf_new(), *b = conf_new();

	(void) state;
	assert_true(a != NULL && b != NULL);
	a->server_host = strdup("one");
	b->server_host = strdup("one");
	b->grace_ms++;
	b->login_fail_exit = !a->login_fail_exit;
	b->log_level = a->log_level + 1;
	assert_null(conf_diff_session(a, b));
	assert_null(conf_diff_start(a, b));
	a->token_file = strdup("/run/token");
	b->token_file = strdup("/run/token");
	free(b->token);
	b->token = strdup("a new one in the same file");
	assert_null(conf_diff_session(a, b));
	free(a->token_file);
	free(b->token_file);
	a->token_file = NULL;
	b->token_file = NULL;
	assert_string_equal(conf_diff_session(a, b), "auth.token");
	free(b->token);
	b->token = strdup("");
	b->web.port = 7400;
	assert_null(conf_diff_session(a, b));
	assert_string_equal(conf_diff_start(a, b), "webServer.port");
	b->tls.pin = strdup("x");
	assert_string_equal(conf_diff_session(a, b), "the pin of the server's key");
	b->server_host[0] = 'O';
	assert_string_equal(conf_diff_session(a, b), "serverAddr");
	a = conf_free(a);
	b = conf_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_member_was_forgotten),
		cmocka_unit_test(test_each_member_of_a_proxy_makes_a_difference),
		cmocka_unit_test(test_lists_are_compared_by_what_is_in_them),
		cmocka_unit_test(test_what_needs_a_new_session_or_a_new_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
