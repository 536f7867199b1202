/* SPDX-License-Identifier: Apache-2.0 */
/* test_frame.c - frames of stock frp at any split, refusals as early as possible, limits. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "tests/unit/failmalloc.h"

static int load_vectors(void **state)
{
	*state = unit_load("messages.json");
	return 0;
}

static int free_vectors(void **state)
{
	json_decref(*state);
	return 0;
}

static const json_t *messages(void **state)
{
	return json_object_get(*state, "messages");
}

static void test_every_message_of_stock(void **state)
{
	const json_t *list = messages(state);

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < 2 * json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i / 2);
		enum wire wire = i % 2 == 0 ? WIRE_V1 : WIRE_V2;
		struct span bytes = unit_hex_of(v, wire == WIRE_V1 ? "v1" : "v2");
		const char *why = NULL;
		struct frame f;
		struct buf out;
		struct msg m;

		/* Every beginning wants more: the header, then exactly the frame. */
		for (size_t n = 0; n < bytes.len; n++) {
			size_t header_len = wire == WIRE_V1 ? 9 : 8;

			assert_int_equal(frame_next(wire, span_head(bytes, n), &f, &why),
					 FRAME_E_MORE);
			assert_int_equal(f.total_len, n < header_len ? header_len : bytes.len);
		}
		assert_int_equal(frame_next(wire, bytes, &f, &why), 0);
		assert_int_equal(f.kind, FRAME_MESSAGE);
		assert_string_equal(msg_type_name(f.type), unit_str(v, "name"));
		assert_int_equal(f.total_len, bytes.len);
		unit_assert_text(f.body, unit_str(v, "json"));
		assert_null(why);

		buf_init(&out, 20000);
		assert_int_equal(msg_decode(f.type, f.body, &m, NULL), 0);
		if (f.type < MSG_NAT_HOLE_VISITOR) {
			assert_int_equal(frame_encode(wire, &m, &out), 0);
			unit_assert_span(buf_span(&out), bytes);
		}
		msg_deinit(&m);
		buf_deinit(&out);
		unit_free_span(bytes);
	}
}

/* All messages back to back, in pieces, through a reading buffer of the largest frame. */
static void check_stream(const json_t *list, enum wire wire, unsigned how)
{
	struct unit_split split = unit_split_of(how);
	const char *key = wire == WIRE_V1 ? "v1" : "v2", *why;
	struct buf stream, in;
	struct span rest;
	size_t k = 0;

	buf_init(&stream, 1 << 20);
	buf_init(&in, 2 * frame_max(wire));
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct span bytes = unit_hex_of(json_array_get(list, i), key);

		assert_int_equal(buf_add(&stream, bytes), 0);
		unit_free_span(bytes);
	}
	for (rest = buf_span(&stream); rest.len > 0;) {
		struct span piece = span_head(rest, unit_piece(&split, rest.len));
		struct frame f;

		rest = span_skip(rest, piece.len);
		assert_int_equal(buf_add(&in, piece), 0);
		while (frame_next(wire, buf_span(&in), &f, &why) == 0) {
			unit_assert_text(f.body, unit_str(json_array_get(list, k++), "json"));
			buf_eat(&in, f.total_len);
		}
	}
	assert_int_equal(k, json_array_size(list));
	assert_int_equal(buf_len(&in), 0);
	buf_deinit(&stream);
	buf_deinit(&in);
}

static void test_a_stream_at_any_split(void **state)
{
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		check_stream(messages(state), WIRE_V1, how);
		check_stream(messages(state), WIRE_V2, how);
	}
}

struct refusal {
	enum wire wire;
	const char *hex; /* the shortest beginning that is refused */
	const char *why;
};

static const struct refusal refusals[] = {
	{ WIRE_V1, "00", "unknown message type" },
	{ WIRE_V1, "78", "unknown message type" },
	{ WIRE_V1, "46", "unknown message type" },
	{ WIRE_V1, "340000000000002801", "message longer than 10240 bytes" },
	{ WIRE_V1, "347fffffffffffffff", "message longer than 10240 bytes" },
	{ WIRE_V1, "348000000000000000", "negative message length" },
	{ WIRE_V1, "34ffffffffffffffff", "negative message length" },
	{ WIRE_V2, "0000000000000000", "unknown frame type" },
	{ WIRE_V2, "0003000000000000", "unknown frame type" },
	{ WIRE_V2, "ffff000000000000", "unknown frame type" },
	{ WIRE_V2, "0010000100000004", "frame flags are not zero" },
	{ WIRE_V2, "0001800000000004", "frame flags are not zero" },
	{ WIRE_V2, "0010000000010001", "frame longer than 65536 bytes" },
	{ WIRE_V2, "00020000ffffffff", "frame longer than 65536 bytes" },
	{ WIRE_V2, "0010000000000000", "message frame without a message type" },
	{ WIRE_V2, "0010000000000001", "message frame without a message type" },
	{ WIRE_V2, "00100000000000040000", "unknown message type" },
	{ WIRE_V2, "00100000000000040014", "unknown message type" },
	{ WIRE_V2, "0010000000000004ffff", "unknown message type" },
};

static void test_refused_as_soon_as_the_header_is_there(void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_N(refusals); i++) {
		struct span bytes = unit_unhex(refusals[i].hex);
		struct frame f;
		const char *why = NULL;

		assert_int_equal(
			frame_next(refusals[i].wire, span_head(bytes, bytes.len - 1), &f, &why),
			FRAME_E_MORE);
		f.total_len = 77;
		assert_int_equal(frame_next(refusals[i].wire, bytes, &f, &why), FRAME_E_BAD);
		assert_string_equal(why, refusals[i].why);
		assert_int_equal(f.total_len, 77);
		unit_free_span(bytes);
	}
}

static void test_longest_frames_are_read(void **state)
{
	uint8_t *in = calloc(1, frame_max(WIRE_V2));
	const char *why;
	struct frame f;

	(void) state;
	assert_non_null(in);
	assert_int_equal(frame_max(WIRE_V1), 9 + 10240);
	in[0] = '4';
	bytes_put_u64(in + 1, LIMIT_V1_BODY);
	assert_int_equal(frame_next(WIRE_V1, span_of(in, frame_max(WIRE_V1) - 1), &f, &why),
			 FRAME_E_MORE);
	assert_int_equal(frame_next(WIRE_V1, span_of(in, frame_max(WIRE_V1)), &f, &why), 0);
	assert_int_equal(f.body.len, LIMIT_V1_BODY);
	/* An empty v1 message is a frame; its body is for msg to refuse. */
	bytes_put_u64(in + 1, 0);
	assert_int_equal(frame_next(WIRE_V1, span_of(in, 9), &f, &why), 0);
	assert_int_equal(f.body.len, 0);
	assert_int_equal(f.total_len, 9);

	assert_int_equal(frame_max(WIRE_V2), 8 + 65536);
	bytes_put_u16(in, 2);
	bytes_put_u16(in + 2, 0);
	bytes_put_u32(in + 4, LIMIT_V2_BODY);
	assert_int_equal(frame_next(WIRE_V2, span_of(in, frame_max(WIRE_V2) - 1), &f, &why),
			 FRAME_E_MORE);
	assert_int_equal(frame_next(WIRE_V2, span_of(in, frame_max(WIRE_V2)), &f, &why), 0);
	assert_int_equal(f.kind, FRAME_SERVER_HELLO);
	assert_int_equal(f.type, MSG_NONE);
	assert_int_equal(f.body.len, LIMIT_V2_BODY);
	free(in);
}

/* {"error":"aaa"} is 12 bytes and the text. */
static void check_longest_message(enum wire wire, size_t max_body)
{
	char *text = malloc(max_body);
	struct msg m = { .type = MSG_PONG, .pong.error = text };
	struct buf out;

	assert_non_null(text);
	buf_init(&out, 2 * frame_max(wire));
	memset(text, 'a', max_body);
	text[max_body - 12] = '\0';
	assert_int_equal(frame_encode(wire, &m, &out), 0);
	assert_int_equal(buf_len(&out), frame_max(wire));
	text[max_body - 12] = 'a';
	text[max_body - 11] = '\0';
	assert_int_equal(frame_encode(wire, &m, &out), FRAME_E_BAD);
	assert_int_equal(buf_len(&out), frame_max(wire));
	buf_deinit(&out);
	free(text);
}

static void test_own_messages_obey_the_limit(void **state)
{
	(void) state;
	check_longest_message(WIRE_V1, LIMIT_V1_BODY);
	check_longest_message(WIRE_V2, LIMIT_V2_BODY - 2);
}

static void test_encode_failures_append_nothing(void **state)
{
	struct msg m = { .type = MSG_PONG, .pong.error = "\xff" };
	struct buf out;

	(void) state;
	buf_init(&out, 12);
	assert_int_equal(buf_add(&out, span_str("ab")), 0);
	assert_int_equal(frame_encode(WIRE_V1, &m, &out), -EINVAL);
	m.pong.error = NULL;
	assert_int_equal(frame_encode(WIRE_V1, &m, &out), BUF_E_FULL);
	assert_int_equal(frame_encode_hello(FRAME_CLIENT_HELLO, span_str("{}x"), &out), BUF_E_FULL);
	unit_assert_text(buf_span(&out), "ab");
	buf_deinit(&out);
}

static void test_hello_frames(void **state)
{
	const char *why;
	struct frame f;
	struct buf out;

	(void) state;
	buf_init(&out, 100);
	assert_int_equal(frame_encode_hello(FRAME_CLIENT_HELLO, span_str("{}"), &out), 0);
	assert_int_equal(frame_encode_hello(FRAME_SERVER_HELLO, span_of(NULL, 0), &out), 0);
	unit_assert_span(buf_span(&out), span_of("\0\1\0\0\0\0\0\2{}\0\2\0\0\0\0\0\0", 18));
	assert_int_equal(frame_next(WIRE_V2, buf_span(&out), &f, &why), 0);
	assert_int_equal(f.kind, FRAME_CLIENT_HELLO);
	unit_assert_text(f.body, "{}");
	buf_eat(&out, f.total_len);
	assert_int_equal(frame_next(WIRE_V2, buf_span(&out), &f, &why), 0);
	assert_int_equal(f.kind, FRAME_SERVER_HELLO);
	assert_int_equal(f.total_len, 8);
	buf_deinit(&out);
}

static void test_each_allocation_fails(void **state)
{
	struct msg m = { .type = MSG_START_WORK_CONN,
			 .start_work_conn = { .proxy_name = "name", .src_port = 5 } };

	(void) state;
	for (unsigned w = WIRE_V1; w <= WIRE_V2; w++) {
		bool has_failed = true;
		size_t i;

		for (i = 0; has_failed; i++) {
			struct buf out;
			int r;

			buf_init(&out, 1000);
			failmalloc_at(i);
			r = frame_encode((enum wire) w, &m, &out);
			has_failed = failmalloc_stop();
			assert_int_equal(r, has_failed ? -ENOMEM : 0);
			assert_int_equal(buf_len(&out) > 0, !has_failed);
			buf_deinit(&out);
		}
		assert_true(i > 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_of_stock),
		cmocka_unit_test(test_a_stream_at_any_split),
		cmocka_unit_test(test_refused_as_soon_as_the_header_is_there),
		cmocka_unit_test(test_longest_frames_are_read),
		cmocka_unit_test(test_own_messages_obey_the_limit),
		cmocka_unit_test(test_encode_failures_append_nothing),
		cmocka_unit_test(test_hello_frames),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
