/* SPDX-License-Identifier: Apache-2.0 */
/* test_work.c - the beginning of a work connection, cut anywhere, with payload behind it. */
#include <errno.h>

#include "proto/base/limits.h"
#include "proto/session/work.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/unit.h"

#define STAMP 1700000000

static const char payload[] = "GET /hello HTTP/1.1\r\n";

static struct msg start_of(const char *name, const char *error)
{
	return (struct msg){
		.type = MSG_START_WORK_CONN,
		.start_work_conn = {
			.proxy_name = name,
			.error = error,
			.src_addr = "192.0.2.7",
			.dst_addr = "::1",
			.src_port = 50496,
			.dst_port = 7001,
		},
	};
}

static void new_work(struct work *w, enum wire wire)
{
	work_init(w, wire);
	assert_int_equal(w->state, WORK_STATE_IDLE);
	assert_int_equal(work_start(w, "0123456789abcdef", span_str("vector-token"), STAMP), 0);
	assert_int_equal(w->state, WORK_STATE_PARKED);
}

/* Give @w what the server says, in pieces; *ret_rest: what it did not eat. */
static int feed_split(struct work *w, struct span stream, unsigned how, struct span *ret_rest)
{
	struct unit_split split = unit_split_of(how);
	int r = WORK_E_MORE;

	while (stream.len > 0 && r == WORK_E_MORE) {
		struct span in = span_head(stream, unit_piece(&split, stream.len)), left = in;

		r = work_next(w, &left);
		assert_true(r != WORK_E_MORE || left.len == 0);
		stream = span_skip(stream, in.len - left.len);
	}
	*ret_rest = stream;
	return r;
}

static void test_the_request_is_signed(void **state)
{
	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		struct work w;
		struct span out;
		struct frame f;
		struct msg m;
		const char *why;

		new_work(&w, wire);
		out = work_out(&w);
		if (wire == WIRE_V2) {
			assert_memory_equal(out.p, FRAME_MAGIC, FRAME_MAGIC_LEN);
			out = span_skip(out, FRAME_MAGIC_LEN);
		}
		assert_int_equal(frame_next(wire, out, &f, &why), 0);
		assert_int_equal(f.total_len, out.len);
		assert_int_equal(f.type, MSG_NEW_WORK_CONN);
		assert_int_equal(msg_decode(f.type, f.body, &m, &why), 0);
		assert_string_equal(m.new_work_conn.run_id, "0123456789abcdef");
		assert_string_equal(m.new_work_conn.privilege_key,
				    "0750aeceb50865671fbd87e08160ab27");
		assert_int_equal(m.new_work_conn.timestamp, STAMP);
		msg_deinit(&m);
		work_sent(&w, work_out(&w).len - 1);
		assert_int_equal(work_out(&w).len, 1);
		work_sent(&w, 1);
		assert_int_equal(work_out(&w).len, 0);
		work_deinit(&w);
		work_deinit(&w); /* twice is fine */
	}
}

static void run_start(enum wire wire, unsigned how, const struct msg *m, enum work_state want,
		      bool is_sent)
{
	struct work w;
	struct buf stream;
	struct span rest;

	buf_init(&stream, 1 << 20);
	assert_int_equal(frame_encode(wire, m, &stream), 0);
	assert_int_equal(buf_add(&stream, span_str(payload)), 0);
	new_work(&w, wire);
	if (is_sent)
		work_sent(&w, work_out(&w).len);
	assert_int_equal(feed_split(&w, buf_span(&stream), how, &rest), 0);
	assert_int_equal(w.state, want);
	unit_assert_text(rest, payload);
	if (want == WORK_STATE_STARTED) {
		assert_string_equal(w.start.start_work_conn.proxy_name, "alice.one");
		assert_string_equal(w.start.start_work_conn.src_addr, "192.0.2.7");
		assert_int_equal(w.start.start_work_conn.dst_port, 7001);
		assert_true(work_has_numeric_addrs(&w.start.start_work_conn));
	}
	if (want == WORK_STATE_REFUSED)
		assert_string_equal(w.start.start_work_conn.error,
				    "work connection pool is full, discarding");
	assert_int_equal(w.why != NULL, want == WORK_STATE_BAD);
	/* Final: the payload is not ours. */
	assert_int_equal(work_next(&w, &rest), 0);
	unit_assert_text(rest, payload);
	/* A request that has not left yet is still there. */
	assert_int_equal(work_out(&w).len > 0, !is_sent);
	work_deinit(&w);
	buf_deinit(&stream);
}

static void test_answers_at_any_split(void **state)
{
	struct msg started = start_of("alice.one", NULL);
	struct msg refused = start_of(NULL, "work connection pool is full, discarding");
	struct msg nameless = start_of(NULL, NULL), pong = { .type = MSG_PONG };

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
			run_start(wire, how, &started, WORK_STATE_STARTED, how % 2 == 0);
			run_start(wire, how, &refused, WORK_STATE_REFUSED, true);
			run_start(wire, how, &nameless, WORK_STATE_BAD, true);
			run_start(wire, how, &pong, WORK_STATE_BAD, true);
		}
	}
}

static void test_nonsense(void **state)
{
	static const char *const said[] = { "HTTP/1.1 400 Bad Request\r\n", "s\0\0\0\0\0\0\0\2[]" };

	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		for (size_t i = 0; i < UNIT_N(said); i++) {
			struct work w;
			struct span rest;

			new_work(&w, wire);
			assert_int_equal(
				feed_split(&w, span_of(said[i], i == 0 ? 26 : 11), 1, &rest), 0);
			assert_int_equal(w.state, WORK_STATE_BAD);
			assert_non_null(w.why);
			assert_string_equal(work_state_name(w.state), "bad");
			work_deinit(&w);
		}
	}
}

static void test_only_numeric_addresses(void **state)
{
	static const struct {
		const char *src, *dst;
		bool is_numeric;
	} cases[] = {
		{ NULL, NULL, true },
		{ "", "", true },
		{ "127.0.0.1", NULL, true },
		{ "127.0.0.1", "2001:db8::7", true },
		{ "localhost", NULL, false },
		{ "127.0.0.1", "evil.example", false },
		{ "127.0.0.1:80", NULL, false },
		{ "127.1", NULL, false },
		{ "[::1]", NULL, false },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct msg_start_work_conn s = { .src_addr = cases[i].src,
						 .dst_addr = cases[i].dst };

		assert_int_equal(work_has_numeric_addrs(&s), cases[i].is_numeric);
	}
}

static void test_a_request_that_cannot_be_sent(void **state)
{
	static char longest[LIMIT_V2_BODY];
	struct work w;

	(void) state;
	memset(longest, 'r', sizeof(longest) - 1);
	work_init(&w, WIRE_V2);
	assert_int_equal(work_start(&w, longest, span_str("t"), STAMP), FRAME_E_BAD);
	assert_int_equal(w.state, WORK_STATE_IDLE);
	work_deinit(&w);
	work_init(&w, WIRE_V1);
	assert_int_equal(work_start(&w, "\xff", span_str("t"), STAMP), -EINVAL);
	work_deinit(&w);
}

static bool run_failing(enum wire wire, size_t n, struct span stream)
{
	struct work w;
	bool has_failed;
	int r;

	work_init(&w, wire);
	failmalloc_at(n);
	r = work_start(&w, "0123456789abcdef", span_str("vector-token"), STAMP);
	if (r == 0)
		r = work_next(&w, &stream);
	has_failed = failmalloc_stop() != 0;
	assert_int_equal(r, has_failed ? -ENOMEM : 0);
	assert_int_equal(w.state == WORK_STATE_STARTED, !has_failed);
	work_deinit(&w);
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	struct msg m = start_of("alice.one", NULL);

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
		cmocka_unit_test(test_the_request_is_signed),
		cmocka_unit_test(test_answers_at_any_split),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_only_numeric_addresses),
		cmocka_unit_test(test_a_request_that_cannot_be_sent),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
