/* SPDX-License-Identifier: Apache-2.0 */
/* test_mux_inflight.c - bulk waits for the peer to have read what went before; small messages do
 * not wait, a distant peer is not slowed down, and one that never answers only once. */
#include "proto/session/inflight.h"
#include "tests/unit/muxkit.h"

#define CREDIT (64u << 20)
#define FAR (64u << 20) /* beyond what a distant peer has in flight */

/* What left the mux: payload bytes, and the last mark (0: none). */
struct sent {
	size_t n_bytes;
	unsigned n_marks;
	uint32_t mark;
};

static void note_frames(struct buf *b, struct sent *sent)
{
	struct mframe f;

	while (buf_len(b) > 0) {
		assert_int_equal(mframe_decode(buf_span(b).p, &f), 0);
		buf_eat(b, MFRAME_LEN);
		if (f.type == MFRAME_PING) {
			assert_int_equal(f.flags, MFRAME_SYN);
			assert_true(f.len & INFLIGHT_MARK);
			assert_int_not_equal(f.len, sent->mark);
			sent->mark = f.len;
			sent->n_marks++;
		} else if (f.type == MFRAME_DATA) {
			sent->n_bytes += f.len;
			buf_eat(b, f.len);
		}
	}
}

static void drain_noting(struct mux *m, struct sent *sent)
{
	struct buf out;

	buf_init(&out, 1 << 25);
	kit_drain(m, 0, &out);
	note_frames(&out, sent);
	buf_deinit(&out);
}

/* Let @s send as a relay does, as long as it gets turns, and at most @max bytes. */
static struct sent send_all_it_may(struct mux *m, struct mux_stream *s, size_t max)
{
	struct sent sent = { 0 };
	struct mux_stream *turn;
	size_t quantum, cap;
	uint8_t *dst;
	void *user;

	mux_want(m, s);
	while (sent.n_bytes < max && mux_turn(m, &turn, &user, &quantum) == 0) {
		assert_ptr_equal(turn, s);
		if (mux_reserve(m, s, &dst, &cap) == 0) {
			cap = cap < quantum ? cap : quantum;
			memset(dst, 'x', cap);
			mux_commit(m, s, cap);
		}
		mux_want(m, s);
		drain_noting(m, &sent);
	}
	return sent;
}

static void answer(struct fixture *f, uint32_t mark)
{
	kit_ping(&f->in, KIT_ACK, mark);
	kit_feed(f->m, &f->in, f->log);
	kit_expect_events(f->log, ""); /* nobody else's */
}

static struct mux_stream *open_with_credit(struct fixture *f)
{
	struct mux_stream *s = open_acked(f);

	kit_window(&f->in, 0, mux_stream_id(s), CREDIT);
	kit_feed(f->m, &f->in, f->log);
	kit_expect_events(f->log, "");
	drain_all(f);
	return s;
}

/* A session that knows how far away its peer is. */
static struct mux_stream *start_at(struct fixture *f, uint64_t rtt_ms)
{
	struct mux_stream *s;

	fixture_init(f, false);
	s = open_with_credit(f);
	mux_set_rtt(f->m, rtt_ms);
	return s;
}

static void test_bulk_waits_until_the_peer_has_read(void **state)
{
	struct fixture f;
	struct mux_stream *s = start_at(&f, 1);
	struct sent sent = send_all_it_may(f.m, s, FAR);

	(void) state;
	assert_int_equal(sent.n_marks, 1);
	assert_in_range(sent.n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
	assert_int_equal(send_all_it_may(f.m, s, FAR).n_bytes, 0);
	for (int i = 0; i < 100; i++) { /* each answer lets the next ones through */
		answer(&f, sent.mark);
		sent = send_all_it_may(f.m, s, FAR);
		assert_int_equal(sent.n_marks, 1);
		assert_in_range(sent.n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
	}
	answer(&f, 5 | INFLIGHT_MARK); /* of long ago */
	assert_int_equal(send_all_it_may(f.m, s, FAR).n_bytes, 0);
	fixture_deinit(&f);
}

static void test_small_messages_pass_bulk_that_waits(void **state)
{
	struct fixture f;
	struct mux_stream *bulk = start_at(&f, 1), *small = open_with_credit(&f), *turn;
	struct sent sent;
	size_t n, quantum;
	void *user;

	(void) state;
	(void) send_all_it_may(f.m, bulk, FAR);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(mux_write(f.m, small, span_str("token"), &n), MUX_E_ROOM);
		assert_int_equal(n, 0);
		assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
		assert_ptr_equal(turn, small);
		assert_int_equal(mux_write(f.m, small, span_str("token"), &n), 0);
		assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
		sent = (struct sent){ 0 };
		drain_noting(f.m, &sent);
		assert_int_equal(sent.n_bytes, 5);
	}
	fixture_deinit(&f);
}

static void test_a_distant_peer_is_left_to_tcp(void **state)
{
	struct fixture f;
	struct mux_stream *s = start_at(&f, 300);

	(void) state;
	assert_true(send_all_it_may(f.m, s, FAR).n_bytes >= FAR);
	fixture_deinit(&f);
	s = start_at(&f, 20);
	assert_in_range(send_all_it_may(f.m, s, FAR).n_bytes, 20 * LIMIT_INFLIGHT,
			21 * LIMIT_INFLIGHT);
	fixture_deinit(&f);
}

/* The distance is not known: the mark itself tells it. */
static void test_the_answer_to_a_mark_tells_the_distance(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	struct sent sent;

	(void) state;
	fixture_init(&f, false);
	s = open_with_credit(&f);
	sent = send_all_it_may(f.m, s, FAR / 2);
	assert_true(sent.n_bytes >= FAR / 2);
	assert_int_equal(sent.n_marks, 1);
	f.log->now_ms += 3;
	answer(&f, sent.mark);
	sent = send_all_it_may(f.m, s, FAR);
	assert_in_range(sent.n_bytes, 3 * LIMIT_INFLIGHT, 4 * LIMIT_INFLIGHT);
	f.log->now_ms += 50; /* it took long to read: the distance is what it was */
	answer(&f, sent.mark);
	assert_in_range(send_all_it_may(f.m, s, FAR).n_bytes, 3 * LIMIT_INFLIGHT,
			4 * LIMIT_INFLIGHT);
	fixture_deinit(&f);
}

static void test_a_peer_that_does_not_answer_costs_one_wait(void **state)
{
	struct fixture f;
	struct mux_stream *s = start_at(&f, 1);
	uint32_t mark = send_all_it_may(f.m, s, FAR).mark;
	uint64_t due_ms = mux_deadline(f.m);

	(void) state;
	assert_in_range(due_ms, f.log->now_ms, f.log->now_ms + WAIT_MARK_MS);
	mux_tick(f.m, f.log->now_ms = due_ms - 1);
	assert_int_equal(send_all_it_may(f.m, s, FAR).n_bytes, 0);
	mux_tick(f.m, f.log->now_ms = due_ms);
	assert_true(mux_deadline(f.m) > due_ms); /* no timer that rings for ever */
	assert_true(send_all_it_may(f.m, s, FAR / 2).n_bytes >= FAR / 2);
	answer(&f, mark); /* it was only slow: from now on it counts again */
	assert_in_range(send_all_it_may(f.m, s, FAR).n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
	fixture_deinit(&f);
}

static void test_a_server_does_not_mark(void **state)
{
	struct mux_event ev;
	struct fixture f;
	struct sent sent;

	(void) state;
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 1, CREDIT);
	mux_feed(f.m, buf_span(&f.in), f.log->now_ms);
	assert_int_equal(mux_next(f.m, &ev), 0);
	assert_int_equal(ev.kind, MUX_EV_OPENED);
	sent = send_all_it_may(f.m, ev.stream, FAR / 2);
	assert_true(sent.n_bytes >= FAR / 2);
	assert_int_equal(sent.n_marks, 0);
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk_waits_until_the_peer_has_read),
		cmocka_unit_test(test_small_messages_pass_bulk_that_waits),
		cmocka_unit_test(test_a_distant_peer_is_left_to_tcp),
		cmocka_unit_test(test_the_answer_to_a_mark_tells_the_distance),
		cmocka_unit_test(test_a_peer_that_does_not_answer_costs_one_wait),
		cmocka_unit_test(test_a_server_does_not_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
