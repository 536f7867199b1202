/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.c - one client session against a server whose every message is written here. */
#include "proto/wire/mframe.h"
#include "tests/unit/clientkit.h"

/* -- login -- */

static void test_login_and_proxies_on_every_wire(void **state)
{
	struct peer p;

	(void) state;
	for (int wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		for (int mux = 0; mux < 2; mux++) {
			peer_up(&p, (enum wire) wire, mux);
			assert_string_equal(client_run_id(p.c), "abc");
			assert_string_equal(client_server_version(p.c), "0.65.0");
			peer_run(&p, 0);
			assert_int_equal(p.n_pings, 1); /* right after the login */
			peer_deinit(&p);
		}
	}
}

static void test_first_ack_may_take_its_time_whatever_the_clock(void **state)
{
	struct peer p;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	peer_run(&p, 5000); /* nothing arrives */
	peer_expect(&p, "");
	peer_accept(&p);
	peer_expect(&p, "LOGIN 0;");
	peer_deinit(&p);
}

/* How often a server is asked that answers each mux ping after @rtt_ms, the @near-th after 1 ms. */
static unsigned pings_of_a_start(uint64_t rtt_ms, unsigned near)
{
	struct client_event ev;
	uint8_t pong[MFRAME_LEN];
	unsigned n_pings = 0;
	struct mframe f;
	struct span out;
	struct peer p;

	peer_init(&p, WIRE_V1, true);
	p.c = client_free(p.c); /* its first ping is answered already */
	assert_int_equal(client_new(&p.c, &p.params, &p.roster, p.now_ms), 0);
	for (unsigned turn = 0; turn < 30; turn++) {
		client_tick(p.c, p.now_ms);
		for (out = client_drain(p.c); out.len > 0; out = client_drain(p.c)) {
			assert_int_equal(mframe_decode(out.p, &f), 0);
			client_drained(p.c, MFRAME_LEN + (f.type == MFRAME_DATA ? f.len : 0));
			if (f.type != MFRAME_PING)
				continue;
			n_pings++;
			p.now_ms += n_pings == near ? 1 : rtt_ms;
			f.flags = MFRAME_ACK;
			mframe_encode(&f, pong);
			client_feed(p.c, span_of(pong, sizeof(pong)), p.now_ms);
			assert_int_equal(client_next(p.c, &ev), CLIENT_E_MORE);
		}
	}
	peer_deinit(&p);
	return n_pings;
}

static void test_a_server_that_seems_distant_is_asked_some_times_more(void **state)
{
	(void) state;
	assert_int_equal(pings_of_a_start(1, 0), 1);
	assert_int_equal(pings_of_a_start(300, 0), 8);
	assert_int_equal(pings_of_a_start(30, 3), 3); /* it was busy */
}

static void test_refused_login_names_the_servers_text(void **state)
{
	struct msg m = { .type = MSG_LOGIN_RESP,
			 .login_resp = { .version = "0.65.0", .error = "no such token" } };
	struct client_event ev;
	struct peer p;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	assert_int_equal(chan_send(&p.chan, &m), 0);
	assert_int_equal(mux_write_urgent(p.mux, p.streams[1], chan_out(&p.chan)), 0);
	client_feed(p.c, mux_drain(p.mux), p.now_ms);
	assert_int_equal(client_next(p.c, &ev), 0);
	assert_int_equal(ev.kind, CLIENT_EV_DEAD);
	assert_int_equal(ev.cause, CLIENT_CAUSE_REFUSED);
	assert_string_equal(ev.text, "no such token");
	assert_int_equal(client_next(p.c, &ev), CLIENT_E_MORE);
	peer_deinit(&p);
}

static void test_login_of_a_silent_server_ends_in_time(void **state)
{
	struct peer p;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	peer_run(&p, WAIT_LOGIN_MS - 1);
	peer_expect(&p, "");
	peer_run(&p, 1);
	peer_expect(&p, "DEAD login unanswered;");
	peer_deinit(&p);
}

static void test_a_hello_that_is_closed_unheard_is_told_from_other_ends(void **state)
{
	struct peer p;

	(void) state;
	for (int wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		const char *closed = wire == WIRE_V2 ? "DEAD hello unheard;"
						     : "DEAD server closed;";

		peer_init(&p, (enum wire) wire, true);
		mux_fin(p.mux, p.streams[1]);
		peer_talk(&p, false);
		peer_expect(&p, closed);
		peer_deinit(&p);
		peer_init(&p, (enum wire) wire, false);
		client_lost(p.c, "cut");
		peer_run(&p, 0);
		peer_expect(&p, closed);
		peer_deinit(&p);
		/* The path is cut under a mux: nothing is said of the channel in it. */
		peer_init(&p, (enum wire) wire, true);
		client_lost(p.c, "cut");
		peer_run(&p, 0);
		peer_expect(&p, "DEAD server closed;");
		peer_deinit(&p);
		peer_up(&p, (enum wire) wire, false);
		client_lost(p.c, "cut");
		peer_run(&p, 0);
		peer_expect(&p, "DEAD server closed;");
		peer_deinit(&p);
	}
}

/* -- control -- */

/* The process does not run for @ms: what the server said meanwhile is read before it is judged,
 * after one tick that is due. */
static void check_login_after_a_pause(uint64_t ms)
{
	struct peer p;

	peer_init(&p, WIRE_V1, true);
	p.now_ms += ms;
	client_tick(p.c, p.now_ms);
	peer_events(&p);
	peer_expect(&p, "");
	peer_accept(&p);
	peer_expect(&p, "LOGIN 0;");
	peer_deinit(&p);
}

static void test_login_is_not_judged_right_after_a_pause(void **state)
{
	struct peer p;

	(void) state;
	check_login_after_a_pause(WAIT_LOGIN_MS);
	check_login_after_a_pause(WAIT_LOGIN_MS + 500);
	check_login_after_a_pause(60000);
	peer_init(&p, WIRE_V1, true);
	p.now_ms += 60000;
	client_tick(p.c, p.now_ms);
	peer_run(&p, WAIT_PROBE_MS + WAIT_CONFIRM_MS - 1);
	peer_expect(&p, "");
	peer_run(&p, 1);
	peer_expect(&p, "DEAD login unanswered;");
	peer_deinit(&p);
}

static void test_messages_that_mean_nothing_are_ignored(void **state)
{
	static const enum msg_type types[] = {
		MSG_LOGIN_RESP, MSG_NEW_PROXY,	 MSG_START_WORK_CONN, MSG_UDP_PACKET,
		MSG_PING,	MSG_CLOSE_PROXY, MSG_NEW_WORK_CONN,   MSG_PONG
	};
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	for (size_t i = 0; i < UNIT_N(types); i++) { /* all at once: none of them may be leaked */
		struct msg m = { .type = types[i] };

		assert_int_equal(chan_send(&p.chan, &m), 0);
	}
	peer_flush(&p);
	peer_answer(&p, "stranger", NULL);
	peer_expect(&p, "");
	peer_deinit(&p);
}

static void test_pong_error_is_told_and_the_session_goes_on(void **state)
{
	struct msg m = { .type = MSG_PONG, .pong = { .error = "not signed" } };
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	peer_say(&p, &m);
	peer_expect(&p, "PONGERR not signed;");
	assert_true(client_is_up(p.c));
	peer_deinit(&p);
}

static void test_several_messages_in_one_aead_record_are_all_seen(void **state)
{
	struct msg m = { .type = MSG_NEW_PROXY_RESP };
	struct buf plain, wire;
	struct peer p;

	(void) state;
	peer_init(&p, WIRE_V2, true);
	peer_accept(&p);
	peer_expect(&p, "LOGIN 0;");
	buf_init(&plain, 65536);
	buf_init(&wire, 65536);
	m.new_proxy_resp.name = "one";
	assert_int_equal(frame_encode(WIRE_V2, &m, &plain), 0);
	m.new_proxy_resp.name = "two";
	assert_int_equal(frame_encode(WIRE_V2, &m, &plain), 0);
	assert_int_equal(layer_encode(p.chan.layer, buf_span(&plain), &wire), 0);
	peer_send_on(&p, 1, buf_span(&wire));
	peer_expect(&p, "UP 0;UP 1;");
	buf_deinit(&plain);
	buf_deinit(&wire);
	peer_deinit(&p);
}

static void test_refused_proxy_takes_its_partner_down(void **state)
{
	struct peer p;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	peer_accept(&p);
	peer_answer(&p, "one", NULL);
	peer_answer(&p, "two", "port already used");
	peer_expect(&p, "LOGIN 0;UP 0;REFUSED port already used;DOWN 0;");
	assert_int_equal(p.n_closes, 1);
	peer_run(&p, 201); /* both are asked for again */
	assert_int_equal(p.n_new_proxies, 4);
	peer_deinit(&p);
}

static void test_end_of_the_control_stream_ends_the_session(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	mux_fin(p.mux, p.streams[1]);
	peer_talk(&p, false);
	peer_expect(&p, "DEAD replaced;");
	assert_int_equal(client_deadline(p.c), UINT64_MAX);
	peer_deinit(&p);
	peer_up(&p, WIRE_V1, true);
	client_lost(p.c, "reset");
	peer_events(&p);
	peer_expect(&p, "DEAD server closed;");
	peer_deinit(&p);
}

static void test_thousands_of_proxies_on_a_stuck_link_do_not_spin(void **state)
{
	static struct msg_new_proxy many[LIMIT_PROXIES];
	static char names[LIMIT_PROXIES][128];
	struct peer p;
	size_t i, k;

	(void) state;
	peer_init(&p, WIRE_V1, true);
	p.roster.all_or_none = false;
	for (i = 2; i < LIMIT_PROXIES; i++) {
		(void) snprintf(names[i], sizeof(names[i]), "a-rather-long-name-of-a-proxy-%090zu",
				i);
		many[i] = (struct msg_new_proxy){ .name = names[i], .type = "tcp" };
		assert_int_equal(roster_add(&p.roster, &many[i], NULL, &k), 0);
	}
	p.is_blocked = true;
	peer_accept(&p);
	peer_run(&p, 9000); /* peer_run() counts the turns */
	p.is_blocked = false;
	peer_run(&p, 100);
	assert_true(p.n_new_proxies > 1000);
	peer_deinit(&p);
}

static void test_goaway_ends_after_the_joined_or_five_seconds(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	mux_goaway(p.mux, 0);
	peer_talk(&p, false);
	peer_expect(&p, "DEAD server going away;");
	peer_deinit(&p);
}

/* -- work connections -- */

static void peer_start(struct peer *p, uint32_t id, const char *name, const char *addr,
		       const char *error)
{
	struct msg m = { .type = MSG_START_WORK_CONN,
			 .start_work_conn = {
				 .proxy_name = name, .src_addr = addr, .error = error } };
	struct buf b;

	buf_init(&b, 20000);
	assert_int_equal(frame_encode(p->params.login.wire, &m, &b), 0);
	assert_int_equal(buf_add(&b, span_str("early")), 0); /* payload in the same segment */
	peer_send_on(p, id, buf_span(&b));
	buf_deinit(&b);
}

static void test_work_connections_are_parked_started_or_closed(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	for (int i = 0; i < 6; i++)
		peer_say_type(&p, MSG_REQ_WORK_CONN);
	assert_int_equal(p.n_works, 6);
	p.n_fins = 0;
	peer_start(&p, 3, "two", "10.0.0.1", NULL);
	peer_expect(&p, "START 1;DATA 5;");
	assert_int_equal(client_n_joined(p.c), 1);
	peer_start(&p, 5, "stranger", NULL, NULL); /* of a proxy just closed, perhaps: quietly */
	peer_expect(&p, "");
	peer_start(&p, 7, NULL, NULL, "work connection pool is full, discarding");
	peer_expect(&p, "ERROR work connection pool is full, discarding;");
	peer_start(&p, 9, "one", "evil.example", NULL);
	peer_expect(&p, "ERROR StartWorkConn with an address that is not numeric;");
	peer_send_on(&p, 11, span_str("Xnonsense"));
	assert_int_equal(strncmp(p.log, "ERROR ", 6), 0);
	p.log[0] = '\0';
	mux_fin(p.mux, p.streams[13]); /* a parked one that the server gives up */
	peer_talk(&p, false);
	peer_expect(&p, "");
	assert_int_equal(p.n_fins, 5);
	assert_int_equal(client_n_joined(p.c), 1);
	mux_fin(p.mux, p.streams[3]);
	peer_talk(&p, true);
	peer_expect(&p, "FIN 0;");
	client_fin(p.c, p.works[0]);
	client_forget(p.c, p.works[0]);
	assert_int_equal(client_n_joined(p.c), 0);
	peer_deinit(&p);
}

static void test_a_joined_work_is_reset_by_either_side(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	peer_say_type(&p, MSG_REQ_WORK_CONN);
	peer_say_type(&p, MSG_REQ_WORK_CONN);
	peer_start(&p, 3, "one", NULL, NULL);
	peer_start(&p, 5, "two", NULL, NULL);
	peer_expect(&p, "START 0;DATA 5;START 1;DATA 5;");
	client_rst(p.c, p.works[0]);
	peer_run(&p, 0);
	assert_int_equal(p.n_rsts, 1);
	mux_rst(p.mux, p.streams[5]);
	peer_talk(&p, false);
	peer_expect(&p, "RST 0;");
	assert_int_equal(client_n_joined(p.c), 2);
	client_forget(p.c, p.works[0]);
	client_forget(p.c, p.works[1]);
	assert_int_equal(client_n_joined(p.c), 0);
	peer_deinit(&p);
}

static void test_forgetting_a_work_at_its_start_drops_what_came_with_it(void **state)
{
	struct client_event ev;
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	peer_say_type(&p, MSG_REQ_WORK_CONN);
	{
		struct msg m = { .type = MSG_START_WORK_CONN,
				 .start_work_conn = { .proxy_name = "one" } };
		struct buf b;

		buf_init(&b, 20000);
		assert_int_equal(frame_encode(WIRE_V1, &m, &b), 0);
		assert_int_equal(buf_add(&b, span_str("early")), 0);
		assert_int_equal(mux_write_urgent(p.mux, p.streams[3], buf_span(&b)), 0);
		buf_deinit(&b);
	}
	client_feed(p.c, mux_drain(p.mux), p.now_ms);
	assert_int_equal(client_next(p.c, &ev), 0);
	assert_int_equal(ev.kind, CLIENT_EV_START);
	client_forget(p.c, ev.work);
	assert_int_equal(client_next(p.c, &ev), CLIENT_E_MORE);
	mux_drained(p.mux, mux_drain(p.mux).len);
	peer_deinit(&p);
}

static void test_flood_of_requests_is_bounded_and_does_not_spin(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	p.now_ms += 5;
	for (int i = 0; i < 20000; i++) {
		struct msg m = { .type = MSG_REQ_WORK_CONN };

		assert_int_equal(chan_send(&p.chan, &m), 0);
	}
	peer_flush(&p);
	assert_int_equal(p.n_works, LIMIT_WORK_UNSTARTED);
	/* The server uses each at once, until the tokens for new ones run out. */
	for (uint32_t id = 3; p.streams[id] != NULL; id += 2)
		peer_start(&p, id, "one", NULL, NULL);
	assert_int_equal(p.n_works, LIMIT_WORK_PER_S);
	assert_int_equal(client_n_joined(p.c), LIMIT_WORK_PER_S);
	peer_run(&p, 10);
	assert_int_equal(p.n_works, LIMIT_WORK_PER_S + 10 * LIMIT_WORK_PER_S / 1000);
	peer_run(&p, 5000); /* tokens there are, but too many work connections are parked */
	assert_int_equal(p.n_works, LIMIT_WORK_PER_S + LIMIT_WORK_UNSTARTED);
	peer_deinit(&p);
}

/* -- without mux, leaving -- */

static void test_without_mux_the_caller_dials_each_work_connection(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, false);
	peer_say_type(&p, MSG_REQ_WORK_CONN);
	peer_say_type(&p, MSG_REQ_WORK_CONN);
	peer_expect(&p, "WANT 0;WANT 0;");
	p.n_pings = 0;
	peer_run(&p, 9500); /* silence: a Ping asks whether the path lives */
	assert_int_equal(p.n_pings, 1);
	peer_run(&p, 5200);
	peer_expect(&p, "DEAD path silent;");
	peer_deinit(&p);
}

static void test_leaving(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	client_leave(p.c, p.now_ms);
	peer_run(&p, 0);
	assert_int_equal(p.n_closes, 2);
	peer_say_type(&p, MSG_REQ_WORK_CONN); /* unanswered from now on */
	assert_int_equal(p.n_works, 0);
	p.n_fins = 0;
	client_bye(p.c);
	peer_run(&p, 0);
	assert_int_equal(p.n_fins, 1);
	peer_events(&p);
	peer_expect(&p, "DEAD left;");
	peer_deinit(&p);
	/* The server may be quicker: it is no less a goodbye. */
	peer_up(&p, WIRE_V1, true);
	p.is_blocked = true;
	client_bye(p.c);
	mux_fin(p.mux, p.streams[1]);
	peer_talk(&p, false);
	peer_expect(&p, "DEAD left;");
	peer_deinit(&p);
}

static void test_after_its_end_nothing_happens(void **state)
{
	struct client_event ev;
	struct peer p;

	(void) state;
	for (int mux = 0; mux < 2; mux++) {
		peer_up(&p, WIRE_V1, mux);
		client_lost(p.c, "cut");
		peer_events(&p);
		peer_expect(&p, "DEAD server closed;");
		client_lost(p.c, "cut");
		client_leave(p.c, p.now_ms);
		client_bye(p.c);
		client_feed(p.c, span_str("anything"), p.now_ms);
		client_tick(p.c, p.now_ms + 1000000);
		assert_int_equal(client_next(p.c, &ev), CLIENT_E_MORE);
		assert_false(client_is_up(p.c));
		peer_deinit(&p);
	}
	assert_null(client_free(NULL));
}

static void test_goodbye_on_a_stuck_link_does_not_spin(void **state)
{
	struct peer p;

	(void) state;
	peer_up(&p, WIRE_V1, true);
	p.is_blocked = true;
	client_leave(p.c, p.now_ms);
	client_bye(p.c);
	peer_run(&p, 14000);
	peer_expect(&p, "");
	peer_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_and_proxies_on_every_wire),
		cmocka_unit_test(test_first_ack_may_take_its_time_whatever_the_clock),
		cmocka_unit_test(test_a_server_that_seems_distant_is_asked_some_times_more),
		cmocka_unit_test(test_refused_login_names_the_servers_text),
		cmocka_unit_test(test_login_of_a_silent_server_ends_in_time),
		cmocka_unit_test(test_a_hello_that_is_closed_unheard_is_told_from_other_ends),
		cmocka_unit_test(test_login_is_not_judged_right_after_a_pause),
		cmocka_unit_test(test_messages_that_mean_nothing_are_ignored),
		cmocka_unit_test(test_pong_error_is_told_and_the_session_goes_on),
		cmocka_unit_test(test_several_messages_in_one_aead_record_are_all_seen),
		cmocka_unit_test(test_refused_proxy_takes_its_partner_down),
		cmocka_unit_test(test_end_of_the_control_stream_ends_the_session),
		cmocka_unit_test(test_thousands_of_proxies_on_a_stuck_link_do_not_spin),
		cmocka_unit_test(test_goaway_ends_after_the_joined_or_five_seconds),
		cmocka_unit_test(test_work_connections_are_parked_started_or_closed),
		cmocka_unit_test(test_a_joined_work_is_reset_by_either_side),
		cmocka_unit_test(test_forgetting_a_work_at_its_start_drops_what_came_with_it),
		cmocka_unit_test(test_flood_of_requests_is_bounded_and_does_not_spin),
		cmocka_unit_test(test_without_mux_the_caller_dials_each_work_connection),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_after_its_end_nothing_happens),
		cmocka_unit_test(test_goodbye_on_a_stuck_link_does_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
