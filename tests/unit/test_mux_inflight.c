/* SPDX-License-Identifier: Apache-2.0 */
/* test_mux_inflight.c - bulk waits for the peer to have read what went before; small messages do
 * not wait, a distant peer is not slowed down, and answers that do not come do not stop it. */
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

/* What a service has for each turn is any number of bytes. */
static void test_long_turns_end_near_the_limit(void **state)
{
	/* behind the mark before, with the next mark, and behind that */
	const size_t most = 2 * LIMIT_INFLIGHT + 3 * (LIMIT_BATCH / 2);
	size_t n_marked = 0, n_behind = 0, n_worst = 0, quantum, cap;
	struct sent sent = { 0 };
	struct mux_stream *s, *turn;
	uint32_t seed = 1;
	struct fixture f;
	uint8_t *dst;
	void *user;

	(void) state;
	s = start_at(&f, 1);
	mux_set_wide(f.m, true);
	for (int i = 0; i < 3000; i++) {
		unsigned n_marks = sent.n_marks;

		mux_want(f.m, s);
		if (mux_turn(f.m, &turn, &user, &quantum) != 0) {
			answer(&f, sent.mark);
			n_marked = 0;
			kit_window(&f.in, 0, mux_stream_id(s), (uint32_t) n_behind);
			kit_feed(f.m, &f.in, f.log);
			continue;
		}
		assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
		seed = seed * 1664525 + 1013904223;
		cap = cap < seed >> 14 ? cap : seed >> 14;
		memset(dst, 'x', cap);
		mux_commit(f.m, s, cap);
		drain_noting(f.m, &sent);
		n_behind += cap;
		if (sent.n_marks > n_marks) {
			n_marked += n_behind;
			n_behind = 0;
		}
		n_worst = n_worst > n_marked + n_behind ? n_worst : n_marked + n_behind;
	}
	assert_in_range(n_worst, LIMIT_INFLIGHT, most);
	assert_true(sent.n_marks > 500);
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

/* What passes in each @every_ms while no answer comes. */
static size_t sent_unanswered(struct fixture *f, struct mux_stream *s, uint64_t every_ms)
{
	size_t n = 0;

	for (uint64_t ms = 0; ms < every_ms; ms++) {
		mux_tick(f->m, ++f->log->now_ms);
		n += send_all_it_may(f->m, s, FAR).n_bytes;
	}
	return n;
}

static void test_bulk_goes_on_without_an_answer(void **state)
{
	struct fixture f;
	struct mux_stream *s = start_at(&f, 1);
	uint32_t mark = send_all_it_may(f.m, s, FAR).mark;
	uint64_t due_ms = mux_deadline(f.m);
	struct sent sent;

	(void) state;
	assert_int_equal(due_ms, f.log->now_ms + 1 + WAIT_MARK_MS);
	assert_int_equal(sent_unanswered(&f, s, WAIT_MARK_MS), 0);
	mux_tick(f.m, f.log->now_ms = due_ms);
	assert_true(mux_deadline(f.m) > due_ms); /* no timer that rings for ever */
	sent = send_all_it_may(f.m, s, FAR);
	assert_in_range(sent.n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
	assert_int_equal(sent.n_marks, 1);
	for (int i = 0; i < 10; i++)
		assert_in_range(sent_unanswered(&f, s, 1 + WAIT_MARK_MS), LIMIT_INFLIGHT,
				2 * LIMIT_INFLIGHT);
	answer(&f, mark); /* too late to count */
	assert_int_equal(send_all_it_may(f.m, s, FAR).n_bytes, 0);
	fixture_deinit(&f);
}

/* Nothing arrived and nothing was due for a while: the mux has an old time. */
static void test_an_old_time_lets_one_limit_more_pass(void **state)
{
	struct fixture f;
	struct mux_stream *s = start_at(&f, 1);

	(void) state;
	f.log->now_ms += 1500;
	(void) send_all_it_may(f.m, s, FAR);
	mux_tick(f.m, f.log->now_ms);
	assert_in_range(send_all_it_may(f.m, s, FAR).n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
	mux_tick(f.m, f.log->now_ms);
	assert_int_equal(send_all_it_may(f.m, s, FAR).n_bytes, 0);
	fixture_deinit(&f);
}

/* The peer reads at once, but its answers queue @delay_ms behind what others upload, on a line that
 * takes @line bytes a ms. Bytes a ms. */
static size_t rate_with_answers_after(uint64_t delay_ms, size_t line)
{
	uint64_t due_ms[4096] = { 0 };
	uint32_t marks[4096] = { 0 };
	size_t first = 0, last = 0, sum = 0;
	struct fixture f;
	struct mux_stream *s = start_at(&f, 1);

	for (unsigned ms = 0; ms < 1000; ms++) {
		struct sent sent = send_all_it_may(f.m, s, line);

		sum += sent.n_bytes;
		if (sent.mark != 0) {
			marks[last % UNIT_N(marks)] = sent.mark;
			due_ms[last++ % UNIT_N(marks)] = f.log->now_ms + delay_ms;
		}
		f.log->now_ms++;
		for (; first < last && due_ms[first % UNIT_N(marks)] <= f.log->now_ms; first++)
			kit_ping(&f.in, KIT_ACK, marks[first % UNIT_N(marks)]);
		kit_feed(f.m, &f.in, f.log);
		mux_tick(f.m, f.log->now_ms);
	}
	fixture_deinit(&f);
	return sum / 1000;
}

static void test_a_queue_on_the_way_back_does_not_stop_bulk(void **state)
{
	static const uint64_t delays[] = { 1, 2, 3, 5, 6, 10, 20, 50, 100, 200, 500 };

	(void) state;
	for (size_t i = 0; i < UNIT_N(delays); i++) {
		size_t rate = rate_with_answers_after(delays[i], 50000);

		print_message("answers after %d ms: %d bytes a ms of 50000\n", (int) delays[i],
			      (int) rate);
		assert_true(rate > 40000);
	}
}

/* Who wants more than a small message is bulk, however little of a turn it uses: a stream that is
 * compressed sends 400 bytes of 4,096. It does not keep one that uses its turns waiting. */
static void test_bulk_in_small_pieces_waits_its_turn(void **state)
{
	struct fixture f;
	struct mux_stream *a = start_at(&f, 1), *b = open_with_credit(&f), *turn;
	size_t n_a = 0, n_b = 0, quantum, cap;
	uint8_t *dst;
	void *user;

	(void) state;
	mux_want(f.m, a);
	mux_want(f.m, b);
	for (int i = 0; i < 20; i++) { /* less than the limit */
		assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
		assert_int_equal(mux_reserve(f.m, turn, &dst, &cap), 0);
		cap = turn == a ? 400 : cap < quantum ? cap : quantum;
		memset(dst, 'x', cap);
		mux_commit(f.m, turn, cap);
		mux_want(f.m, turn);
		*(turn == a ? &n_a : &n_b) += 1;
		drain_all(&f);
	}
	assert_int_equal(n_a, 10);
	assert_int_equal(n_b, 10);
	fixture_deinit(&f);
}

/* However many they are, what they send is not taken from bulk. */
static void test_small_messages_do_not_use_up_what_bulk_may_send(void **state)
{
	struct fixture f;
	struct mux_stream *bulk = start_at(&f, 1), *small = open_with_credit(&f), *turn;
	struct sent sent;
	size_t n, quantum;
	void *user;

	(void) state;
	for (int i = 0; i < 4 * LIMIT_INFLIGHT / 1000; i++) {
		static const uint8_t message[1000] = { 0 };

		mux_want(f.m, small);
		assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
		assert_int_equal(mux_write(f.m, small, span_of(message, sizeof(message)), &n), 0);
		assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
		sent = (struct sent){ 0 };
		drain_noting(f.m, &sent);
		assert_int_equal(sent.n_marks, 0);
	}
	sent = send_all_it_may(f.m, bulk, FAR);
	assert_in_range(sent.n_bytes, LIMIT_INFLIGHT, 2 * LIMIT_INFLIGHT);
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
		cmocka_unit_test(test_long_turns_end_near_the_limit),
		cmocka_unit_test(test_small_messages_pass_bulk_that_waits),
		cmocka_unit_test(test_a_distant_peer_is_left_to_tcp),
		cmocka_unit_test(test_the_answer_to_a_mark_tells_the_distance),
		cmocka_unit_test(test_bulk_goes_on_without_an_answer),
		cmocka_unit_test(test_an_old_time_lets_one_limit_more_pass),
		cmocka_unit_test(test_a_queue_on_the_way_back_does_not_stop_bulk),
		cmocka_unit_test(test_bulk_in_small_pieces_waits_its_turn),
		cmocka_unit_test(test_small_messages_do_not_use_up_what_bulk_may_send),
		cmocka_unit_test(test_a_server_does_not_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
