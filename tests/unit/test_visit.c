/* SPDX-License-Identifier: Apache-2.0 */
/* test_visit.c - the beginning of a visitor's connection: that of stock frpc, cut anywhere. */
#include <errno.h>

#include "proto/base/limits.h"
#include "proto/session/visit.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/session.h"
#include "tests/unit/unit.h"

static const char payload[] = "HTTP/1.1 200 OK\r\n";

static const struct visit_params alice = {
	.proxy_name = "alice.secret",
	.secret_key = { (const uint8_t *) "vector-sk", 9 },
	.use_encryption = true,
	.use_compression = true,
};

static void new_visit(struct visit *v, enum wire wire)
{
	visit_init(v, wire);
	assert_int_equal(v->state, VISIT_STATE_IDLE);
	assert_int_equal(visit_start(v, "0123456789abcdef", &alice, 1700000000), 0);
	assert_int_equal(v->state, VISIT_STATE_ASKED);
}

/* Give @v what the server says, in pieces; *ret_rest: what it did not eat. */
static int feed_split(struct visit *v, struct span stream, unsigned how, struct span *ret_rest)
{
	struct unit_split split = unit_split_of(how);
	int r = VISIT_E_MORE;

	while (stream.len > 0 && r == VISIT_E_MORE) {
		struct span in = span_head(stream, unit_piece(&split, stream.len)), left = in;

		r = visit_next(v, &left);
		assert_true(r != VISIT_E_MORE || left.len == 0);
		stream = span_skip(stream, in.len - left.len);
	}
	*ret_rest = stream;
	return r;
}

/* The request of stock frpc to the byte, and the answer it got. */
static void test_recorded_visits(void **state)
{
	static const struct {
		const char *session, *run_id;
		enum wire wire;
		int64_t timestamp;
	} cases[] = {
		{ "0.65.0-nomux-v1", "c8cf2bd57647f2cb", WIRE_V1, 1795296161 },
		{ "0.70.1-nomux-v1", "9b5fa1a95aa5c940", WIRE_V1, 1795296173 },
		{ "0.70.1-nomux-v2", "52e78a309b39e94f", WIRE_V2, 1795296188 },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases) * UNIT_N_SPLITS; i++) {
		size_t k = i / UNIT_N_SPLITS;
		struct span up = session_load(cases[k].session, "visitor-stcp/c2s.2.bin");
		struct span down = session_load(cases[k].session, "visitor-stcp/s2c.2.bin"), rest;
		struct visit v;

		visit_init(&v, cases[k].wire);
		assert_int_equal(visit_start(&v, cases[k].run_id, &alice, cases[k].timestamp), 0);
		assert_true(visit_out(&v).len < up.len);
		unit_assert_span(visit_out(&v), span_head(up, visit_out(&v).len));
		visit_sent(&v, visit_out(&v).len);
		assert_int_equal(feed_split(&v, down, (unsigned) (i % UNIT_N_SPLITS), &rest), 0);
		assert_int_equal(v.state, VISIT_STATE_OPEN);
		assert_int_equal(rest.len, 121); /* the server's payload behind its answer */
		visit_deinit(&v);
		unit_free_span(up);
		unit_free_span(down);
	}
}

static void run_answer(enum wire wire, unsigned how, const struct msg *m, enum visit_state want,
		       bool is_sent)
{
	struct visit v;
	struct buf stream;
	struct span rest;

	buf_init(&stream, 1 << 20);
	assert_int_equal(frame_encode(wire, m, &stream), 0);
	assert_int_equal(buf_add(&stream, span_str(payload)), 0);
	new_visit(&v, wire);
	if (is_sent)
		visit_sent(&v, visit_out(&v).len);
	assert_int_equal(feed_split(&v, buf_span(&stream), how, &rest), 0);
	assert_int_equal(v.state, want);
	unit_assert_text(rest, payload);
	if (want == VISIT_STATE_REFUSED)
		assert_string_equal(v.why, "custom listener for [alice.secret] doesn't exist");
	assert_int_equal(v.why != NULL, want != VISIT_STATE_OPEN);
	/* Final: the payload is not ours. */
	assert_int_equal(visit_next(&v, &rest), 0);
	unit_assert_text(rest, payload);
	assert_int_equal(visit_out(&v).len > 0, !is_sent);
	visit_deinit(&v);
	visit_deinit(&v); /* twice is fine */
	buf_deinit(&stream);
}

static void test_answers_at_any_split(void **state)
{
	struct msg open = {
		.type = MSG_NEW_VISITOR_CONN_RESP,
		.new_visitor_conn_resp = { .proxy_name = "alice.secret" },
	};
	struct msg refused = {
		.type = MSG_NEW_VISITOR_CONN_RESP,
		.new_visitor_conn_resp = {
			.error = "custom listener for [alice.secret] doesn't exist",
		},
	};
	struct msg pong = { .type = MSG_PONG };

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
			run_answer(wire, how, &open, VISIT_STATE_OPEN, how % 2 == 0);
			run_answer(wire, how, &refused, VISIT_STATE_REFUSED, true);
			run_answer(wire, how, &pong, VISIT_STATE_BAD, true);
		}
	}
}

static void test_nonsense(void **state)
{
	static const char *const said[] = { "HTTP/1.1 400 Bad Request\r\n", "3\0\0\0\0\0\0\0\2[]" };

	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		for (size_t i = 0; i < UNIT_N(said); i++) {
			struct visit v;
			struct span rest;

			new_visit(&v, wire);
			assert_int_equal(
				feed_split(&v, span_of(said[i], i == 0 ? 26 : 11), 1, &rest), 0);
			assert_int_equal(v.state, VISIT_STATE_BAD);
			assert_non_null(v.why);
			assert_string_equal(visit_state_name(v.state), "bad");
			visit_deinit(&v);
		}
	}
}

static void test_a_request_that_cannot_be_sent(void **state)
{
	static char longest[LIMIT_V2_BODY];
	struct visit_params p = alice;
	struct visit v;

	(void) state;
	memset(longest, 'r', sizeof(longest) - 1);
	p.proxy_name = longest;
	visit_init(&v, WIRE_V2);
	assert_int_equal(visit_start(&v, "run", &p, 1), FRAME_E_BAD);
	assert_int_equal(v.state, VISIT_STATE_IDLE);
	visit_deinit(&v);
	p.proxy_name = "\xff";
	visit_init(&v, WIRE_V1);
	assert_int_equal(visit_start(&v, "run", &p, 1), -EINVAL);
	visit_deinit(&v);
}

static bool run_failing(enum wire wire, size_t n, struct span stream)
{
	struct visit v;
	bool has_failed;
	int r;

	visit_init(&v, wire);
	failmalloc_at(n);
	r = visit_start(&v, "0123456789abcdef", &alice, 1);
	if (r == 0)
		r = visit_next(&v, &stream);
	has_failed = failmalloc_stop() != 0;
	assert_int_equal(r, has_failed ? -ENOMEM : 0);
	assert_int_equal(v.state == VISIT_STATE_OPEN, !has_failed);
	visit_deinit(&v);
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	struct msg m = { .type = MSG_NEW_VISITOR_CONN_RESP };

	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		struct buf stream;
		size_t n = 0;

		buf_init(&stream, 4096);
		assert_int_equal(frame_encode(wire, &m, &stream), 0);
		while (run_failing(wire, n, buf_span(&stream)))
			n++;
		assert_in_range(n, 4, 1000);
		buf_deinit(&stream);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_visits),
		cmocka_unit_test(test_answers_at_any_split),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_a_request_that_cannot_be_sent),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
