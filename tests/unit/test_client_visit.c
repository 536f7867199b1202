/* SPDX-License-Identifier: Apache-2.0 */
/* test_client_visit.c - visits of one client session: asked for, opened, refused, given up. */
#include "tests/unit/clientkit.h"

#include "proto/base/limits.h"
#include "tests/unit/failmalloc.h"

static const struct visit_params bob = {
	.proxy_name = "bob.secret",
	.secret_key = { (const uint8_t *) "key", 3 },
	.use_compression = true,
};

static struct client_work *visit(struct peer *p, void *user)
{
	struct client_work *w = NULL;

	assert_int_equal(client_open_visit(p->c, &bob, user, &w), 0);
	peer_run(p, 0);
	return w;
}

/* The request is the last thing said, in full. */
static void expect_request(struct peer *p)
{
	struct span said = span_of(p->said, p->n_said);
	enum wire wire = p->params.login.wire;
	struct frame f;
	const char *why;
	struct msg m;

	if (wire == WIRE_V2) {
		assert_memory_equal(said.p, FRAME_MAGIC, FRAME_MAGIC_LEN);
		said = span_skip(said, FRAME_MAGIC_LEN);
	}
	assert_int_equal(frame_next(wire, said, &f, &why), 0);
	assert_int_equal(f.total_len, said.len);
	assert_int_equal(f.type, MSG_NEW_VISITOR_CONN);
	assert_int_equal(msg_decode(f.type, f.body, &m, &why), 0);
	assert_string_equal(m.new_visitor_conn.run_id, "abc");
	assert_string_equal(m.new_visitor_conn.proxy_name, "bob.secret");
	assert_true(m.new_visitor_conn.use_compression);
	assert_false(m.new_visitor_conn.use_encryption);
	msg_deinit(&m);
}

/* The server's answer with payload behind it, to stream @id. */
static void answer(struct peer *p, uint32_t id, const char *error, const char *payload)
{
	struct msg m = {
		.type = MSG_NEW_VISITOR_CONN_RESP,
		.new_visitor_conn_resp = { .proxy_name = "bob.secret", .error = error },
	};
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(frame_encode(p->params.login.wire, &m, &b), 0);
	assert_int_equal(buf_add(&b, span_str(payload)), 0);
	assert_int_equal(mux_write_urgent(p->mux, p->streams[id], buf_span(&b)), 0);
	buf_deinit(&b);
}

static void test_a_visit_becomes_a_joined_work(void **state)
{
	(void) state;
	for (int how = 0; how < 4; how++) {
		struct client_work *w;
		uint8_t *dst;
		struct peer p;
		size_t cap;

		peer_up(&p, how % 2 == 0 ? WIRE_V1 : WIRE_V2, true);
		w = visit(&p, &p);
		expect_request(&p);
		assert_int_equal(client_n_joined(p.c), 0);
		answer(&p, 3, NULL, "welcome");
		if (how < 2) {
			peer_talk(&p, false);
			peer_expect(&p, "VISIT 0;DATA 7;");
		} else {
			peer_talk(&p, true);
			peer_expect(&p,
				    "VISIT 0;DATA 1;DATA 1;DATA 1;DATA 1;DATA 1;DATA 1;DATA 1;");
		}
		assert_int_equal(client_n_joined(p.c), 1);
		assert_int_equal(client_reserve(p.c, w, &dst, &cap), 0);
		memcpy(dst, "hello", 5);
		client_commit(p.c, w, 5);
		client_fin(p.c, w);
		p.n_fins = 0;
		peer_run(&p, 0);
		unit_assert_text(span_of(p.said, p.n_said), "hello");
		assert_int_equal(p.n_fins, 1);
		mux_fin(p.mux, p.streams[3]);
		peer_talk(&p, false);
		peer_expect(&p, "FIN 0;");
		client_forget(p.c, w);
		assert_int_equal(client_n_joined(p.c), 0);
		peer_run(&p, WAIT_VISIT_MS + 1);
		peer_expect(&p, "");
		peer_deinit(&p);
	}
}

static void test_what_the_server_refuses(void **state)
{
	static const char want[] = "NOVISIT custom listener for [bob.secret] doesn't exist;";
	struct client_work *w;
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	w = visit(&p, NULL);
	p.n_fins = 0;
	answer(&p, 3, "custom listener for [bob.secret] doesn't exist", "and more");
	peer_talk(&p, false);
	peer_expect(&p, want);
	assert_int_equal(p.n_fins, 1);
	mux_fin(p.mux, p.streams[3]);
	peer_talk(&p, false);
	peer_expect(&p, "");
	client_forget(p.c, w);

	w = visit(&p, NULL);
	peer_send_on(&p, 5, span_str("HTTP/1.1 400 Bad Request"));
	peer_expect(&p, "NOVISIT unknown message type;");
	client_forget(p.c, w);

	for (uint32_t id = 7; id <= 9; id += 2) {
		w = visit(&p, NULL);
		if (id == 7)
			mux_fin(p.mux, p.streams[id]);
		else
			mux_rst(p.mux, p.streams[id]);
		peer_talk(&p, false);
		peer_expect(&p, "NOVISIT the server closed the connection before it answered;");
		client_forget(p.c, w);
	}
	peer_run(&p, WAIT_VISIT_MS + 1); /* no deadline is left */
	peer_expect(&p, "");
	peer_deinit(&p);
}

static void test_no_answer_in_time(void **state)
{
	struct client_work *w[3];
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	/* The path is alive all the time. */
	for (size_t i = 0; i < 3; i++) {
		w[i] = visit(&p, NULL);
		peer_run(&p, 1000);
		client_tick(p.c, p.now_ms);
	}
	client_forget(p.c, w[1]);
	peer_run(&p, 0);
	while (p.log[0] == '\0') {
		assert_true(p.now_ms < 777000000 + 3 * WAIT_VISIT_MS);
		peer_say_type(&p, MSG_PONG);
		peer_run(&p, 500);
	}
	peer_expect(&p, "NOVISIT the server did not answer;");
	assert_in_range(p.now_ms, 777000000 + WAIT_VISIT_MS, 777000000 + WAIT_VISIT_MS + 500);
	client_forget(p.c, w[0]);
	/* An answer that came in the same moment counts. */
	peer_say_type(&p, MSG_PONG);
	p.now_ms += WAIT_VISIT_MS / 2;
	client_tick(p.c, p.now_ms);
	answer(&p, 7, NULL, "");
	client_feed(p.c, mux_drain(p.mux), p.now_ms);
	peer_events(&p);
	mux_drained(p.mux, mux_drain(p.mux).len);
	peer_expect(&p, "VISIT 0;");
	client_forget(p.c, w[2]);
	peer_deinit(&p);
}

static void test_when_none_can_be_opened(void **state)
{
	static char longest[LIMIT_V1_BODY];
	struct visit_params p_long = bob, p_bad = bob;
	struct client_work *w = NULL;
	struct peer p;
	size_t n = 0;
	int r;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	assert_int_equal(client_open_visit(p.c, &bob, NULL, &w), CLIENT_E_DOWN);
	peer_deinit(&p);
	peer_up(&p, WIRE_V1, false);
	assert_int_equal(client_open_visit(p.c, &bob, NULL, &w), CLIENT_E_DOWN);
	peer_deinit(&p);
	peer_up(&p, WIRE_V1, true);
	memset(longest, 'x', sizeof(longest) - 1);
	p_long.proxy_name = longest;
	assert_int_equal(client_open_visit(p.c, &p_long, NULL, &w), CLIENT_E_LONG);
	p_bad.proxy_name = "\xff";
	assert_int_equal(client_open_visit(p.c, &p_bad, NULL, &w), -EINVAL);
	p.is_blocked = true;
	longest[LIMIT_CTL * 2 / LIMIT_STREAMS_UNACKED] = '\0';
	while ((r = client_open_visit(p.c, &p_long, NULL, &w)) == 0)
		n++;
	assert_int_equal(r, CLIENT_E_BUSY);
	assert_in_range(n, LIMIT_STREAMS_UNACKED - 1, LIMIT_STREAMS_UNACKED);
	peer_say_type(&p, MSG_REQ_WORK_CONN); /* it waits, and nothing spins */
	peer_run(&p, 1000);
	assert_int_equal(p.n_visits, 0);
	p.is_blocked = false;
	peer_run(&p, 0); /* all requests leave, also those that found no room at first */
	assert_int_equal(p.n_visits, n);
	assert_int_equal(p.n_works, 0);
	peer_talk(&p, false); /* acknowledged */
	peer_run(&p, 0);
	assert_int_equal(p.n_works, 1);
	assert_int_equal(client_open_visit(p.c, &bob, NULL, &w), 0);
	client_leave(p.c, p.now_ms);
	assert_int_equal(client_open_visit(p.c, &bob, NULL, &w), CLIENT_E_DOWN);
	peer_deinit(&p); /* with all of them open */
}

static void test_each_allocation_may_fail(void **state)
{
	bool has_failed = true;
	size_t n = 0;

	(void) state;
	for (; has_failed; n++) {
		struct client_work *w = NULL;
		struct peer p;
		int r;

		peer_up(&p, WIRE_V1, true);
		failmalloc_at(n);
		r = client_open_visit(p.c, &bob, NULL, &w);
		has_failed = failmalloc_stop() != 0;
		assert_int_equal(r, has_failed ? -ENOMEM : 0);
		peer_run(&p, 0);
		peer_expect(&p, "");
		if (!has_failed)
			expect_request(&p);
		peer_deinit(&p);
	}
	assert_in_range(n, 4, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_visit_becomes_a_joined_work),
		cmocka_unit_test(test_what_the_server_refuses),
		cmocka_unit_test(test_no_answer_in_time),
		cmocka_unit_test(test_when_none_can_be_opened),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
