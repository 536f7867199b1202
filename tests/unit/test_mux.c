/* SPDX-License-Identifier: Apache-2.0 */
/* test_mux.c - what a mux makes of the peer's frames: every rule of yamux, at any split. */
#include "tests/unit/muxkit.h"

/* -- opening -- */

static void test_client_ids_are_odd_and_syn_carries_no_credit(void **state)
{
	struct mux_stream *a, *b, *c;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &a), 0);
	assert_int_equal(mux_open(f.m, NULL, &b), 0);
	assert_int_equal(mux_stream_id(a), 1);
	assert_int_equal(mux_stream_id(b), 3);
	kit_expect_sent(f.m, "Swin 1 0;Swin 3 0;");
	mux_forget(f.m, a);
	kit_expect_sent(f.m, "Rwin 1 0;");
	assert_int_equal(mux_open(f.m, NULL, &c), 0);
	assert_int_equal(mux_stream_id(c), 5); /* an id is never used again */
	kit_expect_sent(f.m, "Swin 5 0;");
	fixture_deinit(&f);
}

static void test_stream_reset_before_its_syn_left_is_never_heard_of(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	mux_forget(f.m, s);
	kit_expect_sent(f.m, "");
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_at_most_128_syns_wait_for_their_ack(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	for (int i = 0; i < LIMIT_STREAMS_UNACKED; i++)
		assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_open(f.m, NULL, &s), MUX_E_UNACKED);
	kit_window(&f.in, KIT_ACK, 1, 0);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_open(f.m, NULL, &s), MUX_E_UNACKED);
	kit_window(&f.in, KIT_RST, 3, 0); /* a refusal is an answer as well */
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_open(f.m, NULL, &s), MUX_E_UNACKED);
	fixture_deinit(&f);
}

static void test_number_of_streams_is_bounded(void **state)
{
	struct mux_params p = { .n_streams_max = 3 };
	struct mux_stream *s;
	struct mux *m;

	(void) state;
	assert_int_equal(mux_new(&m, &p), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mux_open(m, NULL, &s), 0);
	assert_int_equal(mux_open(m, NULL, &s), MUX_E_STREAMS);
	m = mux_free(m);
}

static void test_client_refuses_streams_of_the_server(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	kit_window(&f.in, KIT_SYN, 2, 0);
	kit_data(&f.in, KIT_SYN, 4, 100, &f.seed);
	kit_ping(&f.in, KIT_SYN, 7);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	kit_expect_sent(f.m, "Rwin 2 0;Rwin 4 0;Aping 0 7;");
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_flood_of_foreign_syns_is_bounded_and_pings_still_fit(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	for (uint32_t i = 0; i < 20000; i++)
		kit_window(&f.in, KIT_SYN, 2 + 2 * i, 0);
	kit_ping(&f.in, KIT_SYN, 7);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	assert_true(mux_drain(f.m).len <= LIMIT_CTL);
	assert_int_equal(mux_ping(f.m, 1), 0);
	fixture_deinit(&f);
}

static void test_server_accepts_and_acknowledges(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 1, 100);
	kit_data(&f.in, KIT_SYN, 3, 5, &f.seed);
	kit_window(&f.in, KIT_SYN | KIT_FIN, 5, 0);
	kit_feed(f.m, &f.in, f.log);
	assert_non_null(strstr(f.log->text, "OPENED 1 0;OPENED 3 0;DATA 3 5 "));
	assert_non_null(strstr(f.log->text, "OPENED 5 0;FIN 5 0;"));
	kit_expect_sent(f.m, "Awin 1 0;Awin 3 0;Awin 5 0;");
	fixture_deinit(&f);
}

static void test_syn_of_a_stream_that_exists_is_deadly(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 1, 0);
	kit_window(&f.in, KIT_SYN, 1, 0);
	feed_deadly(&f);
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 0, 0);
	feed_deadly(&f);
	fixture_init(&f, true);
	kit_window(&f.in, KIT_SYN, 2, 0); /* an id of ours: the next mux_open() would meet it */
	feed_deadly(&f);
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_window(&f.in, KIT_SYN, 1, 0);
	feed_deadly(&f);
}

/* -- credit -- */

static void test_peer_may_use_its_window_and_not_one_byte_more(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_data(&f.in, 0, 1, LIMIT_WINDOW_MIN, &f.seed); /* in one frame */
	kit_data(&f.in, 0, 1, 0, &f.seed);		  /* empty data needs no credit */
	kit_feed(f.m, &f.in, f.log);
	assert_null(strstr(f.log->text, "DEAD"));
	kit_data(&f.in, 0, 1, 1, &f.seed);
	feed_deadly(&f);
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_raw(&f.in, 0, MFRAME_DATA, 0, 1, UINT32_MAX); /* the announcement alone is enough */
	feed_deadly(&f);
}

static void test_credit_returns_only_after_consumption_and_by_half_windows(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	kit_data(&f.in, 0, 1, LIMIT_WINDOW_MIN, &f.seed);
	f.log->now_ms += 400; /* far beyond a round trip: the window does not grow */
	kit_feed(f.m, &f.in, f.log);
	kit_expect_sent(f.m, "");
	mux_consume(f.m, s, LIMIT_WINDOW_MIN / 2 - 1);
	kit_expect_sent(f.m, "");
	mux_consume(f.m, s, 1);
	kit_expect_sent(f.m, "win 1 131072;");
	mux_tick(f.m, f.log->now_ms + 400);
	mux_consume(f.m, s, LIMIT_WINDOW_MIN / 2);
	kit_expect_sent(f.m, "win 1 131072;");
	fixture_deinit(&f);
}

static void test_credit_returns_by_small_steps_on_a_long_path(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	mux_set_rtt(f.m, 50);
	s = open_acked(&f);
	drain_all(&f);
	kit_data(&f.in, 0, 1, LIMIT_WINDOW_MIN, &f.seed);
	f.log->now_ms += 1000;
	kit_feed(f.m, &f.in, f.log);
	mux_consume(f.m, s, LIMIT_WINDOW_MIN / 16 - 1);
	kit_expect_sent(f.m, "");
	mux_consume(f.m, s, 1);
	kit_expect_sent(f.m, "win 1 16384;");
	fixture_deinit(&f);
}

/* Feed half a window, consume it after @delay_ms; returns the grant. */
static size_t grant_after(struct fixture *f, struct mux_stream *s, size_t n, uint64_t delay_ms)
{
	struct buf out;
	struct mframe m;
	size_t grant = 0;

	kit_data(&f->in, 0, mux_stream_id(s), n, &f->seed);
	kit_feed(f->m, &f->in, f->log);
	f->log->len = 0;
	f->log->now_ms += delay_ms;
	mux_tick(f->m, f->log->now_ms);
	mux_consume(f->m, s, n);
	buf_init(&out, 1 << 20);
	kit_drain(f->m, 0, &out);
	while (buf_len(&out) > 0) {
		assert_int_equal(mframe_decode(buf_span(&out).p, &m), 0);
		assert_int_equal(m.type, MFRAME_WINDOW);
		grant += m.len;
		buf_eat(&out, MFRAME_LEN);
	}
	buf_deinit(&out);
	return grant;
}

static void test_window_grows_only_while_the_reader_keeps_up(void **state)
{
	struct mux_stream *s;
	struct mux_facts facts;
	struct fixture f;
	size_t window = LIMIT_WINDOW_MIN, grant;

	(void) state;
	fixture_init(&f, false);
	mux_set_rtt(f.m, 50);
	s = open_acked(&f);
	drain_all(&f);
	assert_int_equal(grant_after(&f, s, window / 2, 500), window / 2); /* slow: no growth */
	while (window < LIMIT_WINDOW_MAX) {
		grant = grant_after(&f, s, window / 2, 40);
		assert_true(grant > window / 2);
		window += grant - window / 2;
	}
	assert_int_equal(window, LIMIT_WINDOW_MAX);
	assert_int_equal(grant_after(&f, s, window / 2, 40), window / 2); /* the end of growth */
	mux_facts(f.m, &facts);
	assert_int_equal(facts.budget_used, LIMIT_WINDOW_MAX - LIMIT_WINDOW_MIN);
	while (window > LIMIT_WINDOW_MIN) { /* a slow reader keeps what it reads */
		grant = grant_after(&f, s, window / 2, 500);
		assert_true(grant < window / 2);
		window -= window / 2 - grant;
	}
	assert_int_equal(window, LIMIT_WINDOW_MIN);
	assert_int_equal(grant_after(&f, s, window / 2, 500),
			 window / 2); /* no less on such a line */
	mux_facts(f.m, &facts);
	assert_int_equal(facts.budget_used, 0);
	assert_true(grant_after(&f, s, window / 2, 40) > window / 2);
	mux_facts(f.m, &facts);
	assert_true(facts.budget_used > 0);
	mux_rst(f.m, s);
	mux_forget(f.m, s);
	drain_all(&f);
	mux_facts(f.m, &facts);
	assert_int_equal(facts.budget_used, 0);
	fixture_deinit(&f);
}

/* 40 KiB/s: what queues in front of other things becomes small, and no smaller than a prompt. */
static void thin_line(struct fixture *f, struct mux_stream *s, size_t *window)
{
	size_t grant;

	for (int i = 0; i < 12; i++) {
		grant = grant_after(f, s, *window / 2, *window / 2 / 40);
		assert_true(grant <= *window / 2);
		*window -= *window / 2 - grant;
	}
	assert_in_range(*window, LIMIT_WINDOW_THIN, 2 * LIMIT_WINDOW_THIN);
}

static void test_window_of_a_thin_line_is_small(void **state)
{
	static const uint64_t rtts_ms[] = { 1, 50 };
	struct mux_stream *s;
	struct mux_facts facts;
	struct fixture f;

	(void) state;
	for (size_t i = 0; i < UNIT_N(rtts_ms); i++) {
		size_t window = LIMIT_WINDOW_MIN, before;

		fixture_init(&f, false);
		mux_set_rtt(f.m, rtts_ms[i]);
		s = open_acked(&f);
		drain_all(&f);
		thin_line(&f, s, &window);
		mux_facts(f.m, &facts);
		assert_int_equal(facts.budget_used, 0);
		/* Idle is not slow: the clock starts with the first byte of what comes then. */
		f.log->now_ms += WAIT_BUSY_MS + 1;
		before = window;
		window += grant_after(&f, s, window / 2, 10) - window / 2;
		assert_true(window > before);
		while (window < LIMIT_WINDOW_MIN) { /* the line is a good one again */
			before = window;
			window += grant_after(&f, s, window / 2, 10) - window / 2;
			assert_true(window > before);
		}
		mux_facts(f.m, &facts);
		assert_int_equal(facts.budget_used, window - LIMIT_WINDOW_MIN);
		mux_rst(f.m, s);
		mux_forget(f.m, s);
		drain_all(&f);
		mux_facts(f.m, &facts);
		assert_int_equal(facts.budget_used, 0);
		fixture_deinit(&f);
	}
}

static void test_growth_stays_within_the_budget(void **state)
{
	struct mux_params p = { .budget = 300000 };
	struct mux_stream *s[4];
	struct mux_facts facts;
	struct fixture f;

	(void) state;
	fixture_init_with(&f, &p);
	mux_set_rtt(f.m, 50);
	mux_tick(f.m, f.log->now_ms);
	for (size_t i = 0; i < UNIT_N(s); i++)
		s[i] = open_acked(&f);
	drain_all(&f);
	for (int round = 0; round < 6; round++) {
		for (size_t i = 0; i < UNIT_N(s); i++)
			(void) grant_after(&f, s[i], LIMIT_WINDOW_MIN / 2, 0);
		mux_facts(f.m, &facts);
		assert_true(facts.budget_used <= 300000);
	}
	assert_int_equal(facts.budget_used, 300000);
	for (size_t i = 0; i < UNIT_N(s); i++)
		mux_forget(f.m, s[i]);
	drain_all(&f);
	mux_facts(f.m, &facts);
	assert_int_equal(facts.budget_used, 0);
	fixture_deinit(&f);
}

static void test_credit_beyond_32_bits_is_deadly(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_window(&f.in, 0, 1, UINT32_MAX - LIMIT_WINDOW_MIN);
	kit_feed(f.m, &f.in, f.log);
	assert_null(strstr(f.log->text, "DEAD"));
	kit_window(&f.in, 0, 1, 1);
	feed_deadly(&f);
}

/* -- ends -- */

static void test_fin_comes_after_the_data_and_once(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_data(&f.in, KIT_FIN, 1, 10, &f.seed);
	kit_feed(f.m, &f.in, f.log);
	assert_memory_equal(f.log->text, "DATA 1 10 ", 10);
	assert_non_null(strstr(f.log->text, ";FIN 1 0;"));
	f.log->len = 0;
	kit_data(&f.in, 0, 1, 10, &f.seed); /* after its FIN: dropped */
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(f.log->len, 0);
	kit_window(&f.in, KIT_FIN, 1, 0);
	feed_deadly(&f);
}

static void test_second_fin_of_a_forgotten_stream_is_deadly_while_ours_is_due(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	mux_fin(f.m, s);
	mux_forget(f.m, s);
	assert_int_equal(n_streams(f.m), 1); /* it lingers */
	kit_window(&f.in, KIT_FIN, 1, 0);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	drain_all(&f);
	assert_int_equal(n_streams(f.m), 0);
	kit_window(&f.in, KIT_FIN, 1, 0); /* of a stream that is gone: ignored */
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	fixture_deinit(&f);
}

static void test_rst_ends_both_directions(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	size_t n;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	drain_all(&f);
	kit_data(&f.in, KIT_RST | KIT_FIN, 1, 3, &f.seed);
	kit_data(&f.in, 0, 1, 3, &f.seed);
	kit_window(&f.in, KIT_FIN, 1, 0);
	kit_feed(f.m, &f.in, f.log);
	assert_memory_equal(f.log->text, "DATA 1 3 ", 9);
	assert_string_equal(strchr(f.log->text, ';'), ";RST 1 0;");
	assert_int_equal(mux_write(f.m, s, span_str("x"), &n), MUX_E_CLOSED);
	mux_fin(f.m, s);
	mux_rst(f.m, s);
	mux_forget(f.m, s);
	kit_expect_sent(f.m, ""); /* nothing to say about it any more */
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_frames_of_unknown_streams_are_drained(void **state)
{
	struct mux_facts facts;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	kit_data(&f.in, 0, 99, 100000, &f.seed);
	kit_data(&f.in, 0, 0, 10, &f.seed);
	kit_window(&f.in, KIT_FIN, 77, 0);
	kit_window(&f.in, KIT_RST, 78, 5);
	kit_window(&f.in, KIT_ACK, 79, 5);
	kit_ping(&f.in, KIT_ACK, 6);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "PONG 6 0;");
	mux_facts(f.m, &facts);
	assert_int_equal(facts.n_ignored, 5);
	fixture_deinit(&f);
}

static void test_forgotten_stream_is_dropped_data_counts_as_consumed(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	mux_fin(f.m, s);
	mux_forget(f.m, s);
	drain_all(&f);
	f.log->now_ms += 10000;
	kit_data(&f.in, 0, 1, LIMIT_WINDOW_MIN, &f.seed);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "");
	kit_expect_sent(f.m, "win 1 262144;"); /* else the peer's FIN would never come */
	kit_window(&f.in, KIT_FIN, 1, 0);
	kit_feed(f.m, &f.in, f.log);
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

static void test_lingering_stream_is_reset_in_the_end(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	uint64_t due_ms;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	mux_fin(f.m, s);
	mux_forget(f.m, s);
	drain_all(&f);
	due_ms = mux_deadline(f.m);
	assert_int_equal(due_ms, f.log->now_ms + WAIT_LINGER_MS);
	mux_tick(f.m, due_ms - 1);
	kit_expect_sent(f.m, "");
	mux_tick(f.m, due_ms);
	kit_expect_sent(f.m, "Rwin 1 0;");
	assert_int_equal(n_streams(f.m), 0);
	assert_int_equal(mux_deadline(f.m), UINT64_MAX);
	fixture_deinit(&f);
}

static void test_session_whose_syn_stays_unanswered_ends(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	assert_int_equal(mux_deadline(f.m), f.log->now_ms + WAIT_SYN_ACK_MS);
	mux_tick(f.m, f.log->now_ms + WAIT_SYN_ACK_MS - 1);
	kit_ping(&f.in, KIT_ACK, 1);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "PONG 1 0;");
	mux_tick(f.m, f.log->now_ms + WAIT_SYN_ACK_MS);
	kit_ping(&f.in, KIT_ACK, 1);
	feed_deadly(&f);
}

static void test_reset_stream_waits_for_no_ack(void **state)
{
	struct mux_facts facts;
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	assert_int_equal(mux_open(f.m, NULL, &s), 0);
	drain_all(&f);
	mux_rst(f.m, s); /* its user forgets it later */
	kit_expect_sent(f.m, "Rwin 1 0;");
	mux_facts(f.m, &facts);
	assert_int_equal(facts.n_unacked, 0);
	assert_int_equal(mux_deadline(f.m), UINT64_MAX);
	mux_forget(f.m, s);
	assert_int_equal(n_streams(f.m), 0);
	fixture_deinit(&f);
}

/* -- session -- */

static void test_ping_is_answered_at_once_with_its_id(void **state)
{
	struct mux_stream *s;
	struct fixture f;
	static uint8_t bulk[LIMIT_RECORD];
	size_t n;

	(void) state;
	fixture_init(&f, false);
	s = open_acked(&f);
	(void) mux_write(f.m, s, span_of(bulk, sizeof(bulk)), &n);
	kit_ping(&f.in, KIT_SYN, 0xdeadbeef);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_sent(f.m,
			"Aping 0 3735928559;Swin 1 0;data 1 16232;"); /* in front of the payload */
	assert_int_equal(mux_ping(f.m, 5), 0);
	kit_expect_sent(f.m, "Sping 0 5;");
	kit_ping(&f.in, 0, 5); /* neither a question nor an answer */
	kit_ping(&f.in, KIT_ACK, 5);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "PONG 5 0;");
	fixture_deinit(&f);
}

static void test_ping_flood_is_deadly(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	for (int second = 0; second < 10; second++) { /* 100 a second are borne */
		for (uint32_t i = 0; i < LIMIT_PINGS_PER_S; i++)
			kit_ping(&f.in, KIT_SYN, i);
		kit_feed(f.m, &f.in, f.log);
		drain_all(&f);
		f.log->now_ms += 1000;
	}
	kit_expect_events(f.log, "");
	for (uint32_t i = 0; i <= LIMIT_PINGS_PER_S; i++)
		kit_ping(&f.in, KIT_SYN, i);
	feed_deadly(&f);
}

static void test_pings_whose_answers_nobody_reads_are_deadly_in_the_end(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	for (size_t n = 0; n < LIMIT_CTL / MFRAME_LEN; n++) {
		kit_ping(&f.in, KIT_SYN, 1);
		kit_feed(f.m, &f.in, f.log);
		f.log->now_ms += 1000 / LIMIT_PINGS_PER_S;
	}
	kit_expect_events(f.log, "");
	kit_ping(&f.in, KIT_SYN, 1);
	feed_deadly(&f);
}

static void test_goaway(void **state)
{
	struct mux_stream *s;
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	(void) open_acked(&f);
	kit_raw(&f.in, 0, MFRAME_GOAWAY, 0, 0, 0);
	kit_data(&f.in, 0, 1, 4, &f.seed); /* open streams go on */
	kit_feed(f.m, &f.in, f.log);
	assert_memory_equal(f.log->text, "GOAWAY 0 0;DATA 1 4 ", 20);
	assert_int_equal(mux_open(f.m, NULL, &s), MUX_E_CLOSED);
	drain_all(&f);
	mux_goaway(f.m, 0);
	kit_expect_sent(f.m, "goaway 0 0;");
	fixture_deinit(&f);
	for (uint32_t code = 1; code < 4; code++) {
		fixture_init(&f, false);
		kit_raw(&f.in, 0, MFRAME_GOAWAY, 0, 0, code);
		feed_deadly(&f);
	}
}

static void test_bytes_that_are_no_frame_are_deadly(void **state)
{
	struct fixture f;

	(void) state;
	fixture_init(&f, false);
	kit_raw(&f.in, 1, MFRAME_DATA, 0, 1, 0);
	feed_deadly(&f);
	fixture_init(&f, false);
	kit_raw(&f.in, 0, 4, 0, 1, 0);
	feed_deadly(&f);
	fixture_init(&f, false);
	kit_raw(&f.in, 0, MFRAME_WINDOW, 0xfff0, 1, 0); /* unknown flags mean nothing */
	kit_ping(&f.in, KIT_ACK, 3);
	kit_feed(f.m, &f.in, f.log);
	kit_expect_events(f.log, "PONG 3 0;");
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_ids_are_odd_and_syn_carries_no_credit),
		cmocka_unit_test(test_stream_reset_before_its_syn_left_is_never_heard_of),
		cmocka_unit_test(test_at_most_128_syns_wait_for_their_ack),
		cmocka_unit_test(test_number_of_streams_is_bounded),
		cmocka_unit_test(test_client_refuses_streams_of_the_server),
		cmocka_unit_test(test_flood_of_foreign_syns_is_bounded_and_pings_still_fit),
		cmocka_unit_test(test_server_accepts_and_acknowledges),
		cmocka_unit_test(test_syn_of_a_stream_that_exists_is_deadly),
		cmocka_unit_test(test_peer_may_use_its_window_and_not_one_byte_more),
		cmocka_unit_test(test_credit_returns_only_after_consumption_and_by_half_windows),
		cmocka_unit_test(test_credit_returns_by_small_steps_on_a_long_path),
		cmocka_unit_test(test_window_grows_only_while_the_reader_keeps_up),
		cmocka_unit_test(test_window_of_a_thin_line_is_small),
		cmocka_unit_test(test_growth_stays_within_the_budget),
		cmocka_unit_test(test_credit_beyond_32_bits_is_deadly),
		cmocka_unit_test(test_fin_comes_after_the_data_and_once),
		cmocka_unit_test(test_second_fin_of_a_forgotten_stream_is_deadly_while_ours_is_due),
		cmocka_unit_test(test_rst_ends_both_directions),
		cmocka_unit_test(test_frames_of_unknown_streams_are_drained),
		cmocka_unit_test(test_forgotten_stream_is_dropped_data_counts_as_consumed),
		cmocka_unit_test(test_lingering_stream_is_reset_in_the_end),
		cmocka_unit_test(test_session_whose_syn_stays_unanswered_ends),
		cmocka_unit_test(test_reset_stream_waits_for_no_ack),
		cmocka_unit_test(test_ping_is_answered_at_once_with_its_id),
		cmocka_unit_test(test_ping_flood_is_deadly),
		cmocka_unit_test(test_pings_whose_answers_nobody_reads_are_deadly_in_the_end),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_bytes_that_are_no_frame_are_deadly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
