/* SPDX-License-Identifier: Apache-2.0 */
/* test_mux_send.c - what a mux sends: credit, turns, records, order; any split; without memory. */
#include "tests/unit/muxkit.h"

#include "tests/unit/failmalloc.h"

static uint8_t bulk[1 << 20];

static size_t send_bulk(struct mux *m, struct mux_stream *s, size_t n, int want)
{
	size_t sent;

	assert_int_equal(mux_write(m, s, span_of(bulk, n), &sent), want);
	return sent;
}

/* Write as much as goes, draining; returns how much went. */
static size_t send_until_stuck(struct mux *m, struct mux_stream *s)
{
	size_t sent, sum = 0, quantum;
	struct mux_stream *turn;
	void *user;
	int err;

	for (;;) {
		err = mux_write(m, s, span_of(bulk, sizeof(bulk)), &sent);
		sum += sent;
		if (err != MUX_E_ROOM)
			return sum;
		while (mux_drain(m).len > 0)
			mux_drained(m, mux_drain(m).len);
		assert_int_equal(mux_turn(m, &turn, &user, &quantum), 0);
		assert_ptr_equal(turn, s);
	}
}

/* -- credit -- */

/* Does a stream wait for a turn? */
static bool has_waiting(const struct mux *m)
{
	struct mux_facts facts;

	mux_facts(m, &facts);
	return facts.n_waiting > 0;
}

static void test_never_a_byte_beyond_the_credit(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	assert_int_equal(send_until_stuck(f.m, s), LIMIT_WINDOW_MIN);
	assert_int_equal(send_bulk(f.m, s, 1, MUX_E_CREDIT), 0);
	kit_window(&f.in, 0, 1, 10);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(send_bulk(f.m, s, 100, MUX_E_CREDIT), 10);
	kit_window(&f.in, KIT_ACK, 1, 70000); /* also the delta that comes with an ACK counts */
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(send_until_stuck(f.m, s), 70000);
	assert_int_equal(mux_write_urgent(f.m, s, span_str("x")), MUX_E_CREDIT);
	fixture_deinit(&f);
}

static void test_stream_without_credit_gets_a_turn_when_some_comes(void **state)
{
	struct mux_stream *s, *turn;
	struct fixture f;
	size_t quantum;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	(void) send_until_stuck(f.m, s);
	drain_all(&f);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	assert_false(has_waiting(f.m));
	kit_window(&f.in, 0, 1, 5);
	kit_feed(f.m, &f.in, f.log);
	assert_true(has_waiting(f.m));
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s);
	assert_ptr_equal(user, &f);
	fixture_deinit(&f);
}

/* What it was to say has left in another way before its turn came. */
static void test_turn_of_a_stream_whose_credit_is_gone_is_passed_over(void **state)
{
	struct mux_stream *s, *turn;
	size_t quantum, left;
	struct fixture f;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	mux_want(f.m, s);
	for (left = LIMIT_WINDOW_MIN; left > 0; left -= 16384) {
		assert_int_equal(mux_write_urgent(f.m, s, span_of(bulk, 16384)), 0);
		drain_all(&f);
	}
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	kit_window(&f.in, 0, 1, 5);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s);
	fixture_deinit(&f);
}

/* -- records -- */

static void test_header_and_body_leave_in_one_record(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	struct span out;
	uint8_t *dst;
	size_t cap;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
	assert_true(cap >= 1 && cap <= LIMIT_TURN);
	memcpy(dst, "hello", 5);
	mux_commit(f.m, s, 5);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
	mux_commit(f.m, s, 0); /* nothing came */
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
	memcpy(dst, "world!", 6);
	mux_commit(f.m, s, 6);
	out = mux_drain(f.m);
	assert_int_equal(out.len, 2 * MFRAME_LEN + 11);
	assert_memory_equal(out.p, "\0\0\0\0\0\0\0\1\0\0\0\5hello\0\0\0\0\0\0\0\1\0\0\0\6world!",
			    out.len);
	fixture_deinit(&f);
}

static void test_a_record_under_way_is_never_interleaved(void **state)
{
	struct mux_stream *s, *other;
	struct fixture f;
	struct buf out;
	uint8_t *dst;
	size_t cap;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	other = open_acked(&f);
	drain_all(&f);
	buf_init(&out, 1 << 20);
	assert_int_equal(send_bulk(f.m, s, 1000, 0), 1000);
	assert_int_equal(buf_add(&out, span_head(mux_drain(f.m), 100)), 0);
	mux_drained(f.m, 100);
	assert_int_equal(mux_reserve(f.m, other, &dst, &cap),
			 MUX_E_ROOM); /* the record is closed */
	mux_fin(f.m, s);
	assert_int_equal(mux_ping(f.m, 3), 0);
	assert_int_equal(mux_write_urgent(f.m, other, span_str("now")), 0);
	kit_drain(f.m, 7, &out);
	f.log->len = 0;
	kit_frames(&out, f.log);
	kit_expect_events(f.log, "data 1 1000;Sping 0 3;data 3 3;");
	buf_deinit(&out);
	fixture_deinit(&f);
}

static void test_record_is_never_longer_than_a_tls_record(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(send_bulk(f.m, s, 100000, MUX_E_ROOM), LIMIT_RECORD - 2 * MFRAME_LEN);
	mux_fin(f.m, s); /* there is room for it behind the data */
	assert_int_equal(mux_drain(f.m).len, LIMIT_RECORD);
	fixture_deinit(&f);
}

static void test_wide_record_is_one_frame_up_to_a_mark(void **state)
{
	struct mux_stream *s, *turn;
	size_t quantum, cap;
	struct fixture f;
	uint8_t *dst;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	mux_set_wide(f.m, true);
	mux_want(f.m, s);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_int_equal(quantum, LIMIT_TURN_NEW); /* small messages stay what they are */
	mux_want(f.m, s);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_int_equal(quantum, LIMIT_BATCH);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
	assert_int_equal(cap, LIMIT_INFLIGHT / 2);
	mux_commit(f.m, s, cap);
	kit_expect_sent(f.m, "data 1 122880;Sping 0 2147483649;");
	mux_want(f.m, s);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), 0);
	assert_int_equal(cap, LIMIT_BATCH - 2 * MFRAME_LEN);
	mux_commit(f.m, s, cap);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), MUX_E_ROOM);
	kit_expect_sent(f.m, "data 1 130024;");
	fixture_deinit(&f);
}

static void test_record_that_became_narrow_takes_nothing_more(void **state)
{
	struct mux_stream *s, *turn;
	struct fixture f;
	size_t quantum, cap;
	uint8_t *dst;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	mux_set_wide(f.m, true);
	assert_int_equal(send_bulk(f.m, s, 50000, 0), 50000);
	mux_set_wide(f.m, false);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), MUX_E_ROOM);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	mux_fin(f.m, s); /* waits for its turn */
	kit_expect_sent(f.m, "data 1 50000;");
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	kit_expect_sent(f.m, "Fwin 1 0;");
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(send_bulk(f.m, s, 50000, MUX_E_ROOM), LIMIT_RECORD - 2 * MFRAME_LEN);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE); /* no room yet */
	fixture_deinit(&f);
}

static void test_control_bytes_leave_before_payload(void **state)
{
	struct mux_stream *control, *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	control = open_acked(&f);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(send_bulk(f.m, s, 5000, 0), 5000);
	assert_int_equal(mux_write_urgent(f.m, control, span_str("Ping")), 0);
	assert_int_equal(mux_ping(f.m, 8), 0);
	kit_expect_sent(f.m, "data 1 4;Sping 0 8;data 3 5000;");
	fixture_deinit(&f);
}

static void test_urgent_bytes_wait_behind_their_syn_and_leave_room_for_pings(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	int err = 0, n = 0;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_write_urgent(f.m, s, span_str("first")), 0);
	kit_expect_sent(f.m, "Swin 1 0;data 1 5;");
	while ((err = mux_write_urgent(f.m, s, span_of(bulk, 1000))) == 0)
		n++;
	assert_int_equal(err, MUX_E_ROOM);
	assert_in_range(n, 10, 64);
	for (int i = 0; i < 200; i++)
		assert_int_equal(mux_ping(f.m, 1), 0);
	while (mux_ping(f.m, 1) == 0)
		n++;
	assert_int_equal(mux_ping(f.m, 1), MUX_E_ROOM);
	assert_true(mux_drain(f.m).len <= LIMIT_CTL);
	fixture_deinit(&f);
}

/* -- turns -- */

static void test_grants_that_nobody_reads_leave_room_for_pings(void **state)
{
	const struct mframe half = { .type = MFRAME_DATA,
				     .stream_id = 1,
				     .len = LIMIT_WINDOW_MIN / 2 };
	uint8_t header[MFRAME_LEN];
	struct mux_stream *s;
	struct mux_event ev;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	mframe_encode(&half, header);
	for (size_t i = 0; i < 2 * LIMIT_CTL / MFRAME_LEN; i++) {
		mux_feed(f.m, span_of(header, MFRAME_LEN), 10);
		assert_int_equal(mux_next(f.m, &ev), MUX_E_MORE);
		mux_feed(f.m, span_of(bulk, half.len), 10);
		assert_int_equal(mux_next(f.m, &ev), 0);
		assert_int_equal(ev.kind, MUX_EV_DATA);
		assert_int_equal(mux_next(f.m, &ev), MUX_E_MORE);
		mux_consume(f.m, s, half.len);
		assert_true(mux_drain(f.m).len <= LIMIT_CTL); /* the grant is written, and stays */
	}
	kit_ping(&f.in, KIT_SYN, 7);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(mux_ping(f.m, 1), 0); /* it is alive */
	fixture_deinit(&f);
}

static void test_fresh_streams_come_before_bulk_ones(void **state)
{
	struct mux_stream *s[3], *turn;
	struct fixture f;
	size_t quantum;
	void *user;

	(void) state;
	fixture_init(&f, false);
	for (size_t i = 0; i < UNIT_N(s); i++)
		s[i] = open_acked(&f);
	drain_all(&f);
	mux_want(f.m, s[0]);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s[0]);
	assert_int_equal(quantum, LIMIT_TURN_NEW);
	assert_int_equal(send_bulk(f.m, s[0], quantum, 0), quantum);
	mux_want(f.m, s[0]); /* it has more: bulk from now on */
	mux_want(f.m, s[1]);
	mux_want(f.m, s[1]); /* once is enough */
	mux_want(f.m, s[2]);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s[1]);
	assert_int_equal(quantum, LIMIT_TURN_NEW);
	mux_want(f.m, s[1]);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s[2]);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s[0]);
	assert_int_equal(quantum, LIMIT_TURN);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, s[1]); /* it used its turn of the new */
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	mux_want(f.m, s[0]); /* it had nothing last time: fresh again */
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_int_equal(quantum, LIMIT_TURN_NEW);
	fixture_deinit(&f);
}

static void test_who_comes_while_others_wait_must_queue(void **state)
{
	struct mux_stream *a, *b, *turn;
	struct fixture f;
	size_t quantum, cap;
	uint8_t *dst;
	void *user;

	(void) state;
	fixture_init(&f, false);
	a = open_acked(&f);
	b = open_acked(&f);
	drain_all(&f);
	mux_want(f.m, a);
	assert_int_equal(mux_reserve(f.m, b, &dst, &cap), MUX_E_ROOM);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, a);
	assert_int_equal(mux_reserve(f.m, a, &dst, &cap), 0); /* its turn, though b waits */
	mux_commit(f.m, a, 1);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	assert_ptr_equal(turn, b);
	assert_int_equal(mux_reserve(f.m, b, &dst, &cap), 0);
	mux_commit(f.m, b, 1);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	kit_expect_sent(f.m, "data 1 1;data 3 1;");
	fixture_deinit(&f);
}

static void test_no_turn_while_the_record_is_full(void **state)
{
	struct mux_stream *a, *turn;
	struct fixture f;
	size_t quantum;
	void *user;

	(void) state;
	fixture_init(&f, false);
	a = open_acked(&f);
	drain_all(&f);
	(void) send_bulk(f.m, a, 100000, MUX_E_ROOM);
	assert_true(has_waiting(f.m));
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	drain_all(&f);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	fixture_deinit(&f);
}

/* -- FIN and RST -- */

static void test_fin_leaves_once_behind_all_data_and_nothing_after_it(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	uint8_t *dst;
	size_t cap;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(send_bulk(f.m, s, 10, 0), 10);
	mux_fin(f.m, s);
	mux_fin(f.m, s);
	assert_int_equal(mux_reserve(f.m, s, &dst, &cap), MUX_E_CLOSED);
	assert_int_equal(mux_write_urgent(f.m, s, span_str("x")), MUX_E_CLOSED);
	mux_want(f.m, s);
	assert_false(has_waiting(f.m));
	kit_expect_sent(f.m, "data 1 10;Fwin 1 0;");
	mux_fin(f.m, s);
	kit_expect_sent(f.m, "");
	fixture_deinit(&f);
}

static void test_fin_without_room_waits_for_a_turn_by_itself(void **state)
{
	struct mux_stream *s, *turn;
	struct fixture f;
	size_t quantum;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(send_bulk(f.m, s, 1000, 0), 1000);
	mux_drained(f.m, span_head(mux_drain(f.m), 10).len); /* under way: nothing can be added */
	mux_fin(f.m, s);
	mux_forget(f.m, s);
	drain_all(&f);
	assert_true(has_waiting(f.m));
	kit_window(&f.in, KIT_FIN, 1, 0);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(n_streams(f.m), 1);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	kit_expect_sent(f.m, "Fwin 1 0;");
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_rst_leaves_once_and_takes_the_stream_out_of_the_queue(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	mux_want(f.m, s);
	mux_rst(f.m, s);
	mux_rst(f.m, s);
	mux_fin(f.m, s);
	assert_false(has_waiting(f.m));
	kit_data(&f.in, KIT_FIN, 1, 20, &f.seed); /* was under way */
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	mux_consume(f.m, s, LIMIT_WINDOW_MIN);
	mux_forget(f.m, s);
	kit_expect_sent(f.m, "Rwin 1 0;");
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_dead_session_says_goodbye_and_sends_no_payload(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(send_bulk(f.m, s, 100, 0), 100);
	kit_raw(&f.in, 9, 9, 9, 9, 9);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "DEAD 0 0;");
	kit_expect_sent(f.m, "goaway 0 1;");
	fixture_deinit(&f);
}

static void test_forgotten_holder_of_the_turn(void **state)
{
	struct mux_stream *s, *turn;
	struct fixture f;
	size_t quantum;
	void *user;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	mux_want(f.m, s);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), 0);
	mux_forget(f.m, s);
	drain_all(&f);
	assert_int_equal(mux_turn(f.m, &turn, &user, &quantum), MUX_E_MORE);
	fixture_deinit(&f);
}

/* -- splits, memory -- */

/* A long run of everything that is legal, and some that is not. */
static void script(struct buf *b, uint32_t seed)
{
	bool is_open[40] = { false };
	bool has_fin[40] = { false };

	for (int i = 0; i < 400; i++) {
		uint32_t k = unit_random(&seed) % 40, id = 2 * k + 1;
		uint32_t what = unit_random(&seed) % 100;

		if (!is_open[k]) {
			kit_window(b, KIT_SYN, id, what);
			is_open[k] = true;
		} else if (what < 70) {
			kit_data(b, 0, id, unit_random(&seed) % 900, &seed);
		} else if (what < 75 && !has_fin[k]) {
			kit_data(b, KIT_FIN, id, unit_random(&seed) % 3, &seed);
			has_fin[k] = true;
		} else if (what < 80) {
			kit_window(b, KIT_RST, id, 0);
			has_fin[k] = true; /* the handle stays: a new SYN would be deadly */
		} else if (what < 90) {
			kit_window(b, 0, id, what);
		} else {
			kit_ping(b, KIT_ACK, what);
		}
	}
	kit_window(b, KIT_SYN, 39, 0);
	kit_window(b, KIT_SYN, 39, 0); /* the end */
	kit_ping(b, KIT_ACK, 1);
}

static void test_any_split_gives_the_same_events(void **state)
{
	char *want;

	(void) state;
	for (uint32_t seed = 1; seed < 12; seed++) {
		want = NULL;
		for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
			struct fixture f;

			fixture_init(&f, true);
			f.log->want_consume = true;
			script(&f.in, seed);
			kit_feed_split(f.m, buf_span(&f.in), unit_split_of(how), f.log);
			assert_non_null(strstr(f.log->text, "DEAD 0 0;"));
			if (want == NULL)
				want = strdup(f.log->text);
			assert_string_equal(f.log->text, want);
			fixture_deinit(&f);
		}
		free(want);
	}
}

static void test_without_memory(void **state)
{
	struct mux_params p = { .is_server = false };
	struct mux_stream *s;
	size_t i = 0;
	struct mux *m;
	int err;

	(void) state;
	do {
		failmalloc_at(i);
		err = mux_new(&m, &p);
		if (err == 0) {
			err = mux_open(m, NULL, &s);
			m = mux_free(m);
		}
		assert_int_equal(err, failmalloc_stop() ? -ENOMEM : 0);
		i++;
	} while (err != 0);
	assert_true(i > 3);
}

static void test_a_server_without_memory_for_a_stream_ends(void **state)
{
	struct mux_event ev;
	struct fixture f;
	int err;

	(void) state;
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 1, 0);
	mux_feed(f.m, buf_span(&f.in), f.log->now_ms);
	failmalloc_at(0);
	err = mux_next(f.m, &ev);
	assert_true(failmalloc_stop());
	assert_int_equal(err, 0);
	assert_int_equal(ev.kind, MUX_EV_DEAD);
	assert_string_equal(ev.why, "out of memory");
	fixture_deinit(&f);
}

static void test_payload_never_overtakes_a_syn_that_could_not_be_written(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	size_t n;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_write(f.m, s, span_str("hello"), &n), 0);
	failmalloc_at(0);
	n = mux_drain(f.m).len;
	assert_true(failmalloc_stop());
	assert_int_equal(n, 0);
	kit_ping(&f.in, KIT_ACK, 1);
	feed_deadly(&f); /* out of memory ends this session, not the process */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_a_byte_beyond_the_credit),
		cmocka_unit_test(test_stream_without_credit_gets_a_turn_when_some_comes),
		cmocka_unit_test(test_turn_of_a_stream_whose_credit_is_gone_is_passed_over),
		cmocka_unit_test(test_header_and_body_leave_in_one_record),
		cmocka_unit_test(test_a_record_under_way_is_never_interleaved),
		cmocka_unit_test(test_record_is_never_longer_than_a_tls_record),
		cmocka_unit_test(test_wide_record_is_one_frame_up_to_a_mark),
		cmocka_unit_test(test_record_that_became_narrow_takes_nothing_more),
		cmocka_unit_test(test_control_bytes_leave_before_payload),
		cmocka_unit_test(test_urgent_bytes_wait_behind_their_syn_and_leave_room_for_pings),
		cmocka_unit_test(test_grants_that_nobody_reads_leave_room_for_pings),
		cmocka_unit_test(test_fresh_streams_come_before_bulk_ones),
		cmocka_unit_test(test_who_comes_while_others_wait_must_queue),
		cmocka_unit_test(test_no_turn_while_the_record_is_full),
		cmocka_unit_test(test_fin_leaves_once_behind_all_data_and_nothing_after_it),
		cmocka_unit_test(test_fin_without_room_waits_for_a_turn_by_itself),
		cmocka_unit_test(test_rst_leaves_once_and_takes_the_stream_out_of_the_queue),
		cmocka_unit_test(test_dead_session_says_goodbye_and_sends_no_payload),
		cmocka_unit_test(test_forgotten_holder_of_the_turn),
		cmocka_unit_test(test_any_split_gives_the_same_events),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_a_server_without_memory_for_a_stream_ends),
		cmocka_unit_test(test_payload_never_overtakes_a_syn_that_could_not_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
