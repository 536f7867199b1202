/* SPDX-License-Identifier: Apache-2.0 */
/* test_login.c - the login against recorded sessions of stock frps and against a server
 * made here. */
#include <errno.h>

#include "proto/base/limits.h"
#include "proto/session/login.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/unit.h"

static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM, PRIM_AEAD_XCHACHA20_POLY1305 };

static struct login_params params(enum wire wire)
{
	return (struct login_params){
		.wire = wire,
		.token = span_str("vector-token"),
		.login = { .version = "0.70.1",
			   .user = "alice",
			   .timestamp = 1700000000,
			   .pool_count = 1 },
		.iv = { 1, 2, 3 },
		.hello = { .kinds = kinds, .n_kinds = 2, .random = { 4, 5, 6 } },
		.nonce = { 7, 8, 9 },
	};
}

/* Feed @stream in the pieces of @how. What login_next() said last; *ret_rest: what it did
 * not eat. */
static int feed_split(struct login *l, struct chan *c, struct span stream, unsigned how,
		      struct span *ret_rest)
{
	struct unit_split split = unit_split_of(how);
	int r = LOGIN_E_MORE;

	while (stream.len > 0 && r == LOGIN_E_MORE) {
		struct span in = span_head(stream, unit_piece(&split, stream.len)), left = in;

		r = login_next(l, c, &left);
		assert_true(r != LOGIN_E_MORE || left.len == 0);
		stream = span_skip(stream, in.len - left.len);
	}
	*ret_rest = stream;
	return r;
}

/* -- recorded sessions -- */

static struct span load_bytes(const char *session, const char *name)
{
	static uint8_t room[1 << 20];
	char path[4096];
	uint8_t *p;
	size_t len;
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/sessions/%s/%s", unit_vectors_dir(), session, name);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s", path);
	len = fread(room, 1, sizeof(room), f);
	(void) fclose(f); /* read only */
	p = malloc(len);
	assert_non_null(p);
	memcpy(p, room, len);
	return span_of(p, len);
}

/* The ClientHello of the recording, taken apart: ours must come out the same, or no key fits. */
static void take_hello(struct span c2s, struct hello_client *ret_h,
		       enum prim_aead_kind ret_kinds[static 2])
{
	struct span in = span_skip(c2s, FRAME_MAGIC_LEN);
	const char *why = NULL;
	struct frame f;

	assert_int_equal(frame_next(WIRE_V2, in, &f, &why), 0);
	assert_int_equal(f.kind, FRAME_CLIENT_HELLO);
	assert_int_equal(hello_decode_client(f.body, ret_h, ret_kinds, &why), 0);
	ret_h->kinds = ret_kinds;
}

static void run_recorded(const char *session, enum wire wire, unsigned how)
{
	struct span c2s = load_bytes(session, "c2s.bin"), s2c = load_bytes(session, "s2c.bin"),
		    rest, out;
	struct login_params p = params(wire);
	enum prim_aead_kind taken[2];
	unsigned n_of[MSG_N_TYPES] = { 0 };
	struct login l;
	struct chan c;
	struct msg m;
	int r;

	if (wire == WIRE_V2)
		take_hello(c2s, &p.hello, taken);
	chan_init(&c, wire, LIMIT_CONTROL_OUT);
	login_init(&l, &p);
	assert_int_equal(login_start(&l, &c), 0);
	out = chan_out(&c);
	if (wire == WIRE_V2) /* magic and hello, byte by byte as stock frpc sends them */
		assert_memory_equal(out.p, c2s.p, FRAME_MAGIC_LEN + 8 + buf_len(&l.client_hello));
	chan_sent(&c, out.len);
	assert_int_equal(feed_split(&l, &c, s2c, how, &rest), 0);
	assert_int_equal(l.state, LOGIN_STATE_DONE);
	assert_int_equal(strlen(l.run_id), 16);
	assert_memory_equal(l.server_version, "0.", 2);
	for (r = chan_next(&c, &rest, &m); r == 0; r = chan_next(&c, &rest, &m)) {
		n_of[m.type]++;
		msg_deinit(&m);
	}
	assert_int_equal(r, CHAN_E_MORE);
	assert_int_equal(rest.len, 0);
	assert_in_range(n_of[MSG_REQ_WORK_CONN], 1, 100);
	assert_in_range(n_of[MSG_NEW_PROXY_RESP], 1, 100);
	login_deinit(&l);
	chan_deinit(&c);
	unit_free_span(c2s);
	unit_free_span(s2c);
}

static void test_recorded_sessions(void **state)
{
	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		run_recorded("0.65.0-nomux-v1/basic", WIRE_V1, how);
		run_recorded("0.70.1-nomux-v1/basic", WIRE_V1, how);
		run_recorded("0.70.1-nomux-v2/basic", WIRE_V2, how);
	}
}

/* -- a server made here -- */

/* What it answers, and what follows when it accepts. */
struct answer {
	struct msg resp;
	struct hello_server hello;
	bool is_mute; /* no ServerHello before the answer */
};

static void put_message(struct buf *out, enum wire wire, const struct msg *m)
{
	assert_int_equal(frame_encode(wire, m, out), 0);
}

static struct answer accept_with(const char *run_id)
{
	return (struct answer){
		.resp = { .type = MSG_LOGIN_RESP,
			  .login_resp = { .version = "0.70.1", .run_id = run_id } },
		.hello = { .kind = PRIM_AEAD_XCHACHA20_POLY1305, .random = { 10, 11 } },
	};
}

/* The client's bytes; *ret_login is to be deinitialised. */
static void read_client(struct span in, enum wire wire, struct msg *ret_login,
			struct span *ret_hello)
{
	struct frame f;
	const char *why;

	if (wire == WIRE_V2) {
		assert_memory_equal(in.p, FRAME_MAGIC, FRAME_MAGIC_LEN);
		in = span_skip(in, FRAME_MAGIC_LEN);
		assert_int_equal(frame_next(wire, in, &f, &why), 0);
		assert_int_equal(f.kind, FRAME_CLIENT_HELLO);
		*ret_hello = f.body;
		in = span_skip(in, f.total_len);
	}
	assert_int_equal(frame_next(wire, in, &f, &why), 0);
	assert_int_equal(f.total_len, in.len);
	assert_int_equal(f.type, MSG_LOGIN);
	assert_int_equal(msg_decode(f.type, f.body, ret_login, &why), 0);
}

static struct layer *server_layer(enum wire wire, const struct answer *a, struct span client_hello,
				  struct span server_hello)
{
	static const uint8_t nonce[24] = { 99 };
	struct hello_keys keys;
	struct aead_params p = { a->hello.kind, keys.server_to_client, keys.client_to_server,
				 nonce };
	struct layer *l;

	if (wire == WIRE_V1) {
		assert_int_equal(cfb_new(&l, span_str("vector-token"), nonce), 0);
		return l;
	}
	assert_int_equal(hello_derive(span_str("vector-token"), client_hello, server_hello,
				      a->hello.kind, &keys),
			 0);
	assert_int_equal(aead_new(&l, &p), 0);
	return l;
}

/* All that the server sends: its answer, then a Pong through the layer. */
static void serve(enum wire wire, struct span client, const struct answer *a, struct buf *out,
		  struct layer **ret_layer)
{
	struct msg login, pong = { .type = MSG_PONG };
	struct span client_hello = { 0 };
	struct buf hello, plain;

	buf_init(&hello, 65536);
	buf_init(&plain, 65536);
	read_client(client, wire, &login, &client_hello);
	assert_string_equal(login.login.user, "alice");
	assert_string_equal(login.login.privilege_key, "0750aeceb50865671fbd87e08160ab27");
	msg_deinit(&login);
	if (wire == WIRE_V2 && !a->is_mute) {
		assert_int_equal(hello_encode_server(&a->hello, &hello), 0);
		assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&hello), out), 0);
	}
	put_message(out, wire, &a->resp);
	*ret_layer = server_layer(wire, a, client_hello, buf_span(&hello));
	put_message(&plain, wire, &pong);
	assert_int_equal(layer_encode(*ret_layer, buf_span(&plain), out), 0);
	buf_deinit(&hello);
	buf_deinit(&plain);
}

struct run {
	struct login l;
	struct chan c;
	struct buf server;   /* all its bytes */
	struct layer *layer; /* its layer */
	struct span rest;    /* of its bytes */
};

static void run_init(struct run *x, enum wire wire, const struct answer *a, unsigned how)
{
	struct login_params p = params(wire);

	chan_init(&x->c, wire, LIMIT_CONTROL_OUT);
	login_init(&x->l, &p);
	buf_init(&x->server, 1 << 20);
	assert_int_equal(login_start(&x->l, &x->c), 0);
	serve(wire, chan_out(&x->c), a, &x->server, &x->layer);
	chan_sent(&x->c, chan_out(&x->c).len);
	assert_int_equal(feed_split(&x->l, &x->c, buf_span(&x->server), how, &x->rest), 0);
}

static void run_deinit(struct run *x)
{
	login_deinit(&x->l);
	chan_deinit(&x->c);
	buf_deinit(&x->server);
	assert_null(layer_free(x->layer));
}

static void test_accepted_at_any_split(void **state)
{
	struct answer a = accept_with("0123456789abcdef");

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
			struct msg ping = { .type = MSG_PING }, m;
			uint8_t plain[256];
			struct span up;
			struct run x;
			size_t n;

			a.hello.udp_binary = false;
			run_init(&x, wire, &a, how);
			assert_int_equal(x.l.state, LOGIN_STATE_DONE);
			assert_string_equal(x.l.run_id, "0123456789abcdef");
			assert_string_equal(x.l.server_version, "0.70.1");
			/* Down: what followed the answer is still there and passes the layer. */
			assert_int_equal(chan_next(&x.c, &x.rest, &m), 0);
			assert_int_equal(m.type, MSG_PONG);
			msg_deinit(&m);
			assert_int_equal(x.rest.len, 0);
			/* Up: the server understands us. */
			assert_int_equal(chan_send(&x.c, &ping), 0);
			up = chan_out(&x.c);
			assert_int_equal(layer_decode(x.layer, &up, plain, sizeof(plain), &n), 0);
			assert_int_equal(up.len, 0);
			assert_true(n > 4);
			assert_memory_equal(plain + n - 2, "{}", 2);
			run_deinit(&x);
		}
	}
}

static void test_refused(void **state)
{
	struct answer a = accept_with(NULL);

	(void) state;
	a.resp.login_resp.error = "token in login doesn't match\x1b[31m";
	for (unsigned how = 0; how < 3; how++) {
		for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
			struct run x;

			run_init(&x, wire, &a, how);
			assert_int_equal(x.l.state, LOGIN_STATE_REFUSED);
			assert_string_equal(x.l.error, "token in login doesn't match\x1b[31m");
			assert_string_equal(x.l.server_version, "0.70.1");
			run_deinit(&x);
		}
	}
}

static void test_refused_before_or_in_the_hello(void **state)
{
	struct answer a = accept_with(NULL);
	struct run x;

	(void) state;
	a.resp.login_resp.error = "missing v2 crypto negotiation";
	a.is_mute = true;
	run_init(&x, WIRE_V2, &a, 1);
	assert_int_equal(x.l.state, LOGIN_STATE_REFUSED);
	run_deinit(&x);
	a.is_mute = false;
	(void) snprintf(a.hello.error, sizeof(a.hello.error), "no common algorithm");
	run_init(&x, WIRE_V2, &a, 1);
	assert_int_equal(x.l.state, LOGIN_STATE_REFUSED);
	assert_string_equal(x.l.error, "no common algorithm");
	run_deinit(&x);
}

static void test_long_texts_are_cut_and_foreign_bytes_escaped(void **state)
{
	static char text[5000];
	struct answer a = accept_with("id");
	struct run x;

	(void) state;
	memset(text, 'e', sizeof(text) - 1);
	a.resp.login_resp.error = text;
	a.resp.login_resp.version = "0.70\n\x1b]0;x\x07 and so on and so on and so on";
	run_init(&x, WIRE_V1, &a, 0);
	assert_int_equal(x.l.state, LOGIN_STATE_REFUSED);
	assert_int_equal(strlen(x.l.error), sizeof(x.l.error) - 1);
	assert_true(strlen(x.l.server_version) < sizeof(x.l.server_version));
	for (const char *s = x.l.server_version; *s != '\0'; s++)
		assert_in_range(*s, ' ', '~');
	run_deinit(&x);
}

static void test_run_ids_that_are_not_accepted(void **state)
{
	static const char *const bad[] = { NULL, "", "with space", "tab\t", "\xc3\xa4", "\x7f" };
	char longest[LIMIT_RUN_ID + 2];
	struct answer a;
	struct run x;

	(void) state;
	for (size_t i = 0; i < UNIT_N(bad); i++) {
		a = accept_with(bad[i]);
		run_init(&x, i % 2 == 0 ? WIRE_V1 : WIRE_V2, &a, 0);
		assert_int_equal(x.l.state, LOGIN_STATE_BAD);
		assert_string_not_equal(x.l.error, "");
		run_deinit(&x);
	}
	memset(longest, 'i', sizeof(longest));
	longest[LIMIT_RUN_ID] = '\0';
	a = accept_with(longest);
	run_init(&x, WIRE_V1, &a, 0);
	assert_int_equal(x.l.state, LOGIN_STATE_DONE);
	assert_string_equal(x.l.run_id, longest);
	run_deinit(&x);
	longest[LIMIT_RUN_ID] = 'i';
	longest[LIMIT_RUN_ID + 1] = '\0';
	a = accept_with(longest);
	run_init(&x, WIRE_V1, &a, 0);
	assert_int_equal(x.l.state, LOGIN_STATE_BAD);
	run_deinit(&x);
}

/* The server says @bytes to a new login. */
static void assert_bad_bytes(enum wire wire, struct span bytes)
{
	struct login_params p = params(wire);
	struct login l;
	struct chan c;
	struct span rest;

	chan_init(&c, wire, LIMIT_CONTROL_OUT);
	login_init(&l, &p);
	assert_int_equal(l.state, LOGIN_STATE_IDLE);
	assert_int_equal(login_start(&l, &c), 0);
	assert_int_equal(l.state, wire == WIRE_V1 ? LOGIN_STATE_SENT : LOGIN_STATE_HELLO_SENT);
	assert_int_equal(feed_split(&l, &c, bytes, 1, &rest), 0);
	assert_int_equal(l.state, LOGIN_STATE_BAD);
	assert_string_not_equal(l.error, "");
	assert_string_equal(login_state_name(l.state), "bad");
	/* Final: nothing more is eaten. */
	rest = span_str("more");
	assert_int_equal(login_next(&l, &c, &rest), 0);
	assert_int_equal(rest.len, 4);
	login_deinit(&l);
	chan_deinit(&c);
}

static void test_nonsense(void **state)
{
	(void) state;
	assert_bad_bytes(WIRE_V1, span_str("HTTP/1.1 400 Bad Request\r\n"));
	assert_bad_bytes(WIRE_V2, span_str("HTTP/1.1 400 Bad Request\r\n"));
	assert_bad_bytes(WIRE_V1, span_of("4\0\0\0\0\0\0\0\2{}", 11)); /* Pong */
	assert_bad_bytes(WIRE_V1, span_of("1\0\0\0\0\0\0\0\2[]", 11));
	assert_bad_bytes(WIRE_V2, span_of("\0\1\0\0\0\0\0\2{}", 10));	    /* ClientHello */
	assert_bad_bytes(WIRE_V2, span_of("\0\2\0\0\0\0\0\2{}", 10));	    /* selects nothing */
	assert_bad_bytes(WIRE_V2, span_of("\0\20\0\0\0\0\0\4\0\2{}", 12));  /* LoginResp first */
	assert_bad_bytes(WIRE_V2, span_of("\0\20\0\0\0\0\0\4\0\14{}", 12)); /* Pong */
}

static void test_a_second_hello_is_nonsense(void **state)
{
	struct hello_server h = { .kind = PRIM_AEAD_AES_256_GCM };
	struct buf body, bytes;

	(void) state;
	buf_init(&body, 4096);
	buf_init(&bytes, 4096);
	assert_int_equal(hello_encode_server(&h, &body), 0);
	assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&body), &bytes), 0);
	assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, buf_span(&body), &bytes), 0);
	assert_bad_bytes(WIRE_V2, buf_span(&bytes));
	buf_deinit(&body);
	buf_deinit(&bytes);
}

static void test_a_login_that_cannot_be_sent(void **state)
{
	static char longest[LIMIT_V2_BODY];
	struct login_params p = params(WIRE_V1);
	struct login l;
	struct chan c;

	(void) state;
	memset(longest, 'v', sizeof(longest) - 1);
	for (unsigned i = 0; i < 2; i++) {
		p.login.version = i == 0 ? longest : "\xff";
		chan_init(&c, WIRE_V1, LIMIT_CONTROL_OUT);
		login_init(&l, &p);
		assert_int_equal(login_start(&l, &c), i == 0 ? FRAME_E_BAD : -EINVAL);
		assert_int_equal(l.state, LOGIN_STATE_IDLE);
		login_deinit(&l);
		chan_deinit(&c);
	}
}

/* What a server of 0.65.0 says to it, then what it never says. */
static void test_the_question_in_v1(void **state)
{
	static const struct {
		struct span answer;
		enum login_state state;
	} cases[] = {
		{ { (const uint8_t *) "3\0\0\0\0\0\0\0\15{\"error\":\"x\"}", 22 },
		  LOGIN_STATE_REFUSED },
		{ { (const uint8_t *) "1\0\0\0\0\0\0\0\2{}", 11 }, LOGIN_STATE_BAD },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct login_params p = params(WIRE_V1);
		struct span rest;
		struct login l;
		struct chan c;

		p.is_question = true;
		chan_init(&c, WIRE_V1, LIMIT_CONTROL_OUT);
		login_init(&l, &p);
		assert_int_equal(login_start(&l, &c), 0);
		/* Longer than a mux's frame: a server with the other tcpMux closes it, too. */
		assert_in_range(chan_out(&c).len, 13, 100);
		assert_memory_equal(chan_out(&c).p, "v\0\0\0\0\0\0\0", 8);
		assert_int_equal(feed_split(&l, &c, cases[i].answer, (unsigned) i, &rest), 0);
		assert_int_equal(l.state, cases[i].state);
		login_deinit(&l);
		chan_deinit(&c);
	}
}

/* The whole exchange with the @n-th allocation of the client failing. False: none was left
 * to fail. */
static bool run_failing(enum wire wire, size_t n, struct span server)
{
	struct login_params p = params(wire);
	struct login l;
	struct chan c;
	bool has_failed;
	int r;

	chan_init(&c, wire, LIMIT_CONTROL_OUT);
	login_init(&l, &p);
	failmalloc_at(n);
	r = login_start(&l, &c);
	if (r == 0)
		r = login_next(&l, &c, &server);
	has_failed = failmalloc_stop() != 0;
	assert_int_equal(r, has_failed ? -ENOMEM : 0);
	assert_int_equal(l.state == LOGIN_STATE_DONE, !has_failed);
	login_deinit(&l);
	chan_deinit(&c);
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	struct answer a = accept_with("0123456789abcdef");

	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		struct run x;
		size_t n = 0;

		run_init(&x, wire, &a, 0);
		while (run_failing(wire, n, buf_span(&x.server)))
			n++;
		assert_in_range(n, 5, 1000);
		run_deinit(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_sessions),
		cmocka_unit_test(test_accepted_at_any_split),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_before_or_in_the_hello),
		cmocka_unit_test(test_long_texts_are_cut_and_foreign_bytes_escaped),
		cmocka_unit_test(test_run_ids_that_are_not_accepted),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_a_second_hello_is_nonsense),
		cmocka_unit_test(test_a_login_that_cannot_be_sent),
		cmocka_unit_test(test_the_question_in_v1),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
