/* SPDX-License-Identifier: Apache-2.0 */
/* test_chan.c - messages through a byte stream cut anywhere, in clear and through each layer. */
#include <errno.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/session/chan.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/unit.h"

#define N_MESSAGES 40

enum layer_kind { LAYER_NONE, LAYER_CFB, LAYER_GCM, LAYER_XCHACHA, N_LAYERS };

static const uint8_t key_a[32] = { 1 }, key_b[32] = { 2 }, nonce[24] = { 3 };

/* The layers of two ends that fit each other; NULL without one. */
static struct layer *new_layer(enum layer_kind kind, bool is_server)
{
	struct aead_params p = {
		.kind = kind == LAYER_GCM ? PRIM_AEAD_AES_256_GCM : PRIM_AEAD_XCHACHA20_POLY1305,
		.key_out = is_server ? key_b : key_a,
		.key_in = is_server ? key_a : key_b,
		.nonce = nonce,
	};
	struct layer *l = NULL;

	if (kind == LAYER_CFB)
		assert_int_equal(cfb_new(&l, span_str("token"), nonce), 0);
	else if (kind != LAYER_NONE)
		assert_int_equal(aead_new(&l, &p), 0);
	return l;
}

static void new_chan(struct chan *c, enum wire wire, enum layer_kind kind, bool is_server)
{
	struct layer *l = new_layer(kind, is_server);

	chan_init(c, wire, 1 << 20);
	if (l != NULL)
		chan_set_layer(c, l);
}

/* The @i-th message of a test, of some type and size. */
static struct msg message(unsigned i, char *room, size_t cap)
{
	struct msg m = { .type = MSG_PING };

	(void) snprintf(room, cap, "name-%u", i);
	if (i % 4 == 1) {
		m.type = MSG_NEW_PROXY_RESP;
		m.new_proxy_resp.name = room;
		m.new_proxy_resp.remote_addr = ":7001";
	} else if (i % 4 == 2) {
		m.type = MSG_REQ_WORK_CONN;
	} else if (i % 4 == 3) {
		memset(room, 'x', cap - 1);
		room[(i * 997) % (cap - 1)] = '\0';
		m.type = MSG_CLOSE_PROXY;
		m.close_proxy.name = room;
	} else {
		m.ping.timestamp = i + 1;
	}
	return m;
}

static void assert_message(const struct msg *got, unsigned i)
{
	char room[9000];
	struct msg want = message(i, room, sizeof(room));

	assert_int_equal(got->type, want.type);
	if (want.type == MSG_PING)
		assert_int_equal(got->ping.timestamp, want.ping.timestamp);
	if (want.type == MSG_NEW_PROXY_RESP) {
		assert_string_equal(got->new_proxy_resp.name, want.new_proxy_resp.name);
		assert_string_equal(got->new_proxy_resp.remote_addr, ":7001");
	}
	if (want.type == MSG_CLOSE_PROXY && room[0] != '\0')
		assert_string_equal(got->close_proxy.name, want.close_proxy.name);
}

/* All that waits in @c, as heap bytes of exactly that size. */
static struct span take_out(struct chan *c)
{
	struct span out = chan_out(c);
	uint8_t *p = malloc(out.len);

	assert_non_null(p);
	memcpy(p, out.p, out.len);
	chan_sent(c, out.len);
	assert_int_equal(chan_out(c).len, 0);
	return span_of(p, out.len);
}

static void run_stream(enum wire wire, enum layer_kind kind, unsigned how)
{
	struct unit_split split = unit_split_of(how);
	struct chan a, b;
	struct span stream, rest;
	unsigned n = 0;
	struct msg m;

	new_chan(&a, wire, kind, false);
	new_chan(&b, wire, kind, true);
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		char room[9000];
		struct msg out = message(i, room, sizeof(room));

		assert_int_equal(chan_send(&a, &out), 0);
	}
	stream = take_out(&a);
	for (rest = stream; rest.len > 0;) {
		struct span in = span_head(rest, unit_piece(&split, rest.len));
		int r;

		rest = span_skip(rest, in.len);
		for (r = chan_next(&b, &in, &m); r == 0; r = chan_next(&b, &in, &m)) {
			assert_message(&m, n++);
			msg_deinit(&m);
		}
		assert_int_equal(r, CHAN_E_MORE);
		assert_int_equal(in.len, 0);
	}
	assert_int_equal(n, N_MESSAGES);
	unit_free_span(stream);
	chan_deinit(&a);
	chan_deinit(&b);
}

static void test_messages_at_any_split(void **state)
{
	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++)
		for (enum layer_kind kind = LAYER_NONE; kind < N_LAYERS; kind++) {
			run_stream(WIRE_V1, kind, how);
			run_stream(WIRE_V2, kind, how);
		}
}

static void test_nothing_beyond_a_frame_is_eaten(void **state)
{
	(void) state;
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		struct msg ping = { .type = MSG_PING }, m;
		struct chan a, b;
		struct span in;

		new_chan(&a, wire, LAYER_NONE, false);
		new_chan(&b, wire, LAYER_NONE, true);
		assert_int_equal(chan_send(&a, &ping), 0);
		assert_int_equal(chan_send_raw(&a, span_str("payload that follows")), 0);
		in = chan_out(&a);
		assert_int_equal(chan_next(&b, &in, &m), 0);
		msg_deinit(&m);
		unit_assert_text(in, "payload that follows");
		chan_deinit(&a);
		chan_deinit(&b);
	}
}

static void test_many_messages_in_one_record(void **state)
{
	struct msg ping = { .type = MSG_PING }, m;
	struct layer *l = new_layer(LAYER_GCM, false);
	struct buf plain, wire;
	struct span in;
	struct chan b;

	(void) state;
	buf_init(&plain, 4096);
	buf_init(&wire, 4096);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(frame_encode(WIRE_V2, &ping, &plain), 0);
	assert_int_equal(layer_encode(l, buf_span(&plain), &wire), 0);
	new_chan(&b, WIRE_V2, LAYER_GCM, true);
	in = buf_span(&wire);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(chan_next(&b, &in, &m), 0);
		assert_int_equal(in.len, 0); /* yet there is more */
		msg_deinit(&m);
	}
	assert_int_equal(chan_next(&b, &in, &m), CHAN_E_MORE);
	chan_deinit(&b);
	buf_deinit(&plain);
	buf_deinit(&wire);
	assert_null(layer_free(l));
}

static void assert_bad(enum wire wire, struct span in)
{
	struct chan c;
	struct msg m;

	new_chan(&c, wire, LAYER_NONE, false);
	assert_int_equal(chan_next(&c, &in, &m), CHAN_E_BAD);
	assert_non_null(c.why);
	assert_int_equal(chan_next(&c, &in, &m), CHAN_E_BAD); /* for ever */
	chan_deinit(&c);
}

static void test_refusals(void **state)
{
	uint8_t v1[9] = { 'h' }, v2[10] = { 0, 16 };

	(void) state;
	assert_bad(WIRE_V1, span_str("Hello, world"));
	assert_bad(WIRE_V1, span_of("h\0\0\0\0\0\0\0\2[]", 11)); /* no object */
	bytes_put_u64(v1 + 1, LIMIT_V1_BODY + 1);
	assert_bad(WIRE_V1, span_of(v1, sizeof(v1)));
	bytes_put_u64(v1 + 1, UINT64_MAX);
	assert_bad(WIRE_V1, span_of(v1, sizeof(v1)));
	bytes_put_u32(v2 + 4, LIMIT_V2_BODY + 1);
	assert_bad(WIRE_V2, span_of(v2, 8));
	bytes_put_u32(v2 + 4, 2);
	bytes_put_u16(v2 + 8, 99);
	assert_bad(WIRE_V2, span_of(v2, sizeof(v2)));
	v2[3] = 1; /* flags */
	assert_bad(WIRE_V2, span_of(v2, sizeof(v2)));
	assert_bad(WIRE_V2, span_of("\0\2\0\0\0\0\0\2{}", 10)); /* a hello where messages are due */
}

static void test_hello_frames(void **state)
{
	struct buf b;
	struct chan c;
	struct frame f;
	struct span in;

	(void) state;
	buf_init(&b, 4096);
	assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, span_str("{\"a\":1}"), &b), 0);
	new_chan(&c, WIRE_V2, LAYER_NONE, false);
	in = buf_span(&b);
	assert_int_equal(chan_next_frame(&c, &in, &f), 0);
	assert_int_equal(f.kind, FRAME_SERVER_HELLO);
	unit_assert_text(f.body, "{\"a\":1}");
	assert_int_equal(chan_next_frame(&c, &in, &f), CHAN_E_MORE);
	chan_deinit(&c);
	buf_deinit(&b);
}

static void test_a_broken_record_ends_the_channel(void **state)
{
	struct msg ping = { .type = MSG_PING }, m;
	struct chan a, b;
	struct span stream, in;

	(void) state;
	new_chan(&a, WIRE_V2, LAYER_GCM, false);
	new_chan(&b, WIRE_V2, LAYER_GCM, true);
	assert_int_equal(chan_send(&a, &ping), 0);
	in = stream = take_out(&a);
	((uint8_t *) (uintptr_t) stream.p)[stream.len - 1] ^= 1;
	assert_int_equal(chan_next(&b, &in, &m), CHAN_E_BAD);
	assert_non_null(b.why);
	unit_free_span(stream);
	chan_deinit(&a);
	chan_deinit(&b);
}

static void test_the_output_has_a_limit(void **state)
{
	(void) state;
	for (enum layer_kind kind = LAYER_NONE; kind < N_LAYERS; kind++) {
		struct msg ping = { .type = MSG_PING }, got;
		struct layer *l = new_layer(kind, false);
		struct chan a, b;
		struct span stream, in;
		unsigned n = 0;

		chan_init(&a, WIRE_V2, 500);
		if (l != NULL)
			chan_set_layer(&a, l);
		while (chan_send(&a, &ping) == 0)
			n++;
		assert_in_range(n, 5, 50);
		assert_int_equal(chan_send(&a, &ping), BUF_E_FULL);
		in = stream = take_out(&a);
		/* What was not queued left no trace in the layer. */
		new_chan(&b, WIRE_V2, kind, true);
		for (; n > 0; n--) {
			assert_int_equal(chan_next(&b, &in, &got), 0);
			msg_deinit(&got);
		}
		unit_free_span(stream);
		assert_int_equal(chan_send(&a, &ping), 0);
		in = stream = take_out(&a);
		assert_int_equal(chan_next(&b, &in, &got), 0);
		msg_deinit(&got);
		assert_int_equal(in.len, 0);
		unit_free_span(stream);
		chan_deinit(&a);
		chan_deinit(&b);
	}
}

static void test_what_the_wire_cannot_carry(void **state)
{
	static char longest[LIMIT_V2_BODY + 1];
	struct msg m = { .type = MSG_CLOSE_PROXY, .close_proxy.name = longest };
	struct chan c;

	(void) state;
	memset(longest, 'x', sizeof(longest) - 1);
	for (enum wire wire = WIRE_V1; wire <= WIRE_V2; wire++) {
		chan_init(&c, wire, 100);
		assert_int_equal(chan_send(&c, &m), FRAME_E_BAD); /* not "full" */
		assert_int_equal(chan_out(&c).len, 0);
		chan_deinit(&c);
	}
	m.close_proxy.name = "\xff";
	new_chan(&c, WIRE_V1, LAYER_NONE, false);
	assert_int_equal(chan_send(&c, &m), -EINVAL);
	assert_int_equal(chan_out(&c).len, 0);
	chan_deinit(&c);
}

/* Send and receive with the @n-th allocation failing. False: none was left to fail. */
static bool run_failing(enum wire wire, enum layer_kind kind, size_t n)
{
	char room[9000];
	struct msg out = message(3, room, sizeof(room)), m;
	struct chan a, b;
	struct span in;
	bool has_failed;
	int r;

	new_chan(&a, wire, kind, false);
	new_chan(&b, wire, kind, true);
	failmalloc_at(n);
	r = chan_send(&a, &out);
	if (r == 0) {
		in = chan_out(&a);
		r = chan_next(&b, &in, &m);
		if (r == 0)
			msg_deinit(&m);
	}
	has_failed = failmalloc_stop() != 0;
	assert_int_equal(r, has_failed ? -ENOMEM : 0);
	chan_deinit(&a);
	chan_deinit(&b);
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	(void) state;
	for (enum layer_kind kind = LAYER_NONE; kind < N_LAYERS; kind++) {
		size_t n = 0;

		while (run_failing(WIRE_V1, kind, n))
			n++;
		assert_in_range(n, 2, 1000);
		for (n = 0; run_failing(WIRE_V2, kind, n);)
			n++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_at_any_split),
		cmocka_unit_test(test_nothing_beyond_a_frame_is_eaten),
		cmocka_unit_test(test_many_messages_in_one_record),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_hello_frames),
		cmocka_unit_test(test_a_broken_record_ends_the_channel),
		cmocka_unit_test(test_the_output_has_a_limit),
		cmocka_unit_test(test_what_the_wire_cannot_carry),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
