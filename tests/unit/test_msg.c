/* SPDX-License-Identifier: Apache-2.0 */
/* test_msg.c - every message as stock frp encodes it, what is refused, what is forgiven. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/wire/msg.h"
#include "tests/unit/failmalloc.h"

static enum msg_type type_of_name(const char *name)
{
	for (unsigned t = MSG_LOGIN; t < MSG_N_TYPES; t++)
		if (strcmp(msg_type_name((enum msg_type) t), name) == 0)
			return (enum msg_type) t;
	return MSG_NONE;
}

/* Decode; the body lies on the heap, exactly, and is gone afterwards. */
static int decode(enum msg_type type, const char *body, struct msg *ret_m, const char **ret_why)
{
	size_t len = strlen(body);
	char *copy = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, body, len);
	r = msg_decode(type, span_of(copy, len), ret_m, ret_why);
	free(copy);
	return r;
}

static struct msg decode_good(enum msg_type type, const char *body)
{
	const char *why = NULL;
	struct msg m;
	int r;

	r = decode(type, body, &m, &why);
	if (r != 0)
		fail_msg("%s: %s", body, why);
	return m;
}

static void test_names_and_type_bytes(void **state)
{
	(void) state;
	assert_string_equal(msg_type_name(MSG_LOGIN), "Login");
	assert_string_equal(msg_type_name(MSG_NAT_HOLE_REPORT), "NatHoleReport");
	assert_string_equal(msg_type_name(MSG_NONE), "?");
	assert_string_equal(msg_type_name((enum msg_type) 19), "?");
	assert_string_equal(msg_type_name((enum msg_type) - 1), "?");
	for (unsigned t = MSG_LOGIN; t < MSG_N_TYPES; t++)
		assert_int_equal(msg_type_of_byte(msg_type_byte((enum msg_type) t)), t);
	assert_int_equal(msg_type_of_byte(0), MSG_NONE);
	assert_int_equal(msg_type_of_byte('x'), MSG_NONE);
	assert_int_equal(msg_type_of_byte('O'), MSG_NONE);
}

/* Decode and encode give the bytes of stock, byte for byte, Go's escapes included. */
static void test_messages_of_stock(void **state)
{
	json_t *root = unit_load("messages.json");
	const json_t *list = json_object_get(root, "messages");
	unsigned n_seen = 0;

	(void) state;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		enum msg_type type = type_of_name(unit_str(v, "name"));
		struct msg m;
		struct buf out;

		assert_int_not_equal(type, MSG_NONE);
		n_seen |= 1u << type;
		m = decode_good(type, unit_str(v, "json"));
		assert_int_equal(m.type, type);
		if (type < MSG_NAT_HOLE_VISITOR) {
			buf_init(&out, 10240);
			assert_int_equal(msg_encode(&m, &out), 0);
			unit_assert_text(buf_span(&out), unit_str(v, "json"));
			buf_deinit(&out);
		}
		msg_deinit(&m);
	}
	assert_int_equal(n_seen, (1u << MSG_N_TYPES) - 2);
	json_decref(root);
}

static void test_decoded_fields(void **state)
{
	struct msg m = decode_good(
		MSG_LOGIN, "{\"version\":\"v\",\"timestamp\":-5,\"metas\":{\"a\":\"1\",\"b\":null},"
			   "\"client_spec\":{\"type\":\"ssh\"},\"pool_count\":9}");

	(void) state;
	assert_string_equal(m.login.version, "v");
	assert_int_equal(m.login.timestamp, -5);
	assert_int_equal(m.login.metas.n, 2);
	assert_string_equal(m.login.metas.at[0].name, "a");
	assert_string_equal(m.login.metas.at[0].value, "1");
	assert_string_equal(m.login.metas.at[1].value, "");
	assert_int_equal(m.login.pool_count, 9);
	assert_null(m.login.hostname);
	msg_deinit(&m);
	assert_int_equal(m.type, MSG_NONE);
	assert_null(m.owner);
	msg_deinit(&m);

	m = decode_good(MSG_NEW_PROXY, "{\"proxy_name\":\"n\",\"use_encryption\":true,"
				       "\"use_compression\":false,\"locations\":[\"/a\",null],"
				       "\"allow_users\":[]}");
	assert_true(m.new_proxy.use_encryption);
	assert_false(m.new_proxy.use_compression);
	assert_int_equal(m.new_proxy.locations.n, 2);
	assert_string_equal(m.new_proxy.locations.at[0], "/a");
	assert_string_equal(m.new_proxy.locations.at[1], "");
	assert_int_equal(m.new_proxy.allow_users.n, 0);
	assert_null(m.new_proxy.allow_users.at);
	msg_deinit(&m);

	m = decode_good(MSG_NEW_PROXY, "{\"metas\":{}}");
	assert_int_equal(m.new_proxy.metas.n, 0);
	assert_null(m.new_proxy.metas.at);
	msg_deinit(&m);

	m = decode_good(MSG_UDP_PACKET, "{\"r\":{\"IP\":null}}");
	assert_true(m.udp_packet.remote.is_set);
	assert_null(m.udp_packet.remote.ip);
	assert_int_equal(m.udp_packet.remote.port, 0);
	msg_deinit(&m);

	m = decode_good(MSG_UDP_PACKET,
			"{\"r\":{\"IP\":\"192.0.2.7\",\"Port\":5000,\"Zone\":\"\"}}");
	assert_false(m.udp_packet.local.is_set);
	assert_true(m.udp_packet.remote.is_set);
	assert_string_equal(m.udp_packet.remote.ip, "192.0.2.7");
	assert_int_equal(m.udp_packet.remote.port, 5000);
	assert_null(m.udp_packet.remote.zone);
	assert_null(m.udp_packet.content);
	msg_deinit(&m);
}

static void test_absent_null_and_zero_are_one(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"{\"proxy_name\":null,\"error\":null,\"src_port\":null}",
		"{\"proxy_name\":\"\",\"error\":\"\",\"src_port\":0,\"dst_addr\":\"\"}",
		"{\"unknown\":[1,{\"x\":1e999}],\"Error2\":5}",
		"{\"error\":\"\\u0000hidden\"}",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(bodies); i++) {
		struct msg m = decode_good(MSG_START_WORK_CONN, bodies[i]);
		struct buf out;

		assert_null(m.start_work_conn.proxy_name);
		assert_null(m.start_work_conn.error);
		assert_int_equal(m.start_work_conn.src_port, 0);
		buf_init(&out, 100);
		assert_int_equal(msg_encode(&m, &out), 0);
		unit_assert_text(buf_span(&out), "{}");
		buf_deinit(&out);
		msg_deinit(&m);
	}
}

static void test_names_in_any_case_and_the_last_wins(void **state)
{
	struct msg m;

	(void) state;
	m = decode_good(MSG_PONG, "{\"Error\":\"a\",\"ERROR\":\"b\"}");
	assert_string_equal(m.pong.error, "b");
	msg_deinit(&m);
	m = decode_good(MSG_PONG, "{\"error\":\"a\",\"ERROR\":\"b\",\"error\":\"c\"}");
	assert_string_equal(m.pong.error, "c");
	msg_deinit(&m);
	m = decode_good(MSG_PONG, "{\"error\":\"a\",\"ERROR\":null}");
	assert_string_equal(m.pong.error, "a");
	msg_deinit(&m);
	m = decode_good(MSG_UDP_PACKET, "{\"R\":{\"ip\":\"::1\",\"pOrt\":1,\"ZONE\":\"z\"}}");
	assert_string_equal(m.udp_packet.remote.ip, "::1");
	assert_int_equal(m.udp_packet.remote.port, 1);
	assert_string_equal(m.udp_packet.remote.zone, "z");
	msg_deinit(&m);
}

static void test_invalid_utf8_is_replaced(void **state)
{
	struct msg m = decode_good(MSG_PONG, "{\"error\":\"a\xff"
					     "b\\ud800\"}");

	(void) state;
	assert_string_equal(m.pong.error, "a\xef\xbf\xbd"
					  "b\xef\xbf\xbd");
	msg_deinit(&m);
}

static void test_wrong_types_are_refused(void **state)
{
	static const struct {
		enum msg_type type;
		const char *body;
	} cases[] = {
		{ MSG_PONG, "{\"error\":1}" },
		{ MSG_PONG, "{\"error\":[]}" },
		{ MSG_PING, "{\"timestamp\":\"1\"}" },
		{ MSG_PING, "{\"timestamp\":1.0}" },
		{ MSG_PING, "{\"timestamp\":1e3}" },
		{ MSG_PING, "{\"timestamp\":9223372036854775808}" },
		{ MSG_NEW_PROXY, "{\"use_encryption\":1}" },
		{ MSG_NEW_PROXY, "{\"use_encryption\":\"true\"}" },
		{ MSG_NEW_PROXY, "{\"metas\":[]}" },
		{ MSG_NEW_PROXY, "{\"metas\":{\"a\":1}}" },
		{ MSG_NEW_PROXY, "{\"locations\":{}}" },
		{ MSG_NEW_PROXY, "{\"locations\":\"/\"}" },
		{ MSG_NEW_PROXY, "{\"locations\":[\"/\",1]}" },
		{ MSG_LOGIN, "{\"client_spec\":1}" },
		{ MSG_UDP_PACKET, "{\"r\":\"1.2.3.4:5\"}" },
		{ MSG_UDP_PACKET, "{\"r\":{\"IP\":1}}" },
		{ MSG_UDP_PACKET, "{\"r\":{\"Port\":\"1\"}}" },
		{ MSG_UDP_PACKET, "{\"r\":{\"Zone\":{}}}" },
		{ MSG_UDP_PACKET, "{\"r\":[]}" },
		{ MSG_NEW_PROXY, "{\"metas\":{\"a\":{}}}" },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct msg m = { .type = MSG_PING };
		const char *why = NULL;

		if (decode(cases[i].type, cases[i].body, &m, &why) != MSG_E_BAD)
			fail_msg("accepted: %s", cases[i].body);
		assert_string_equal(why, "member of the wrong JSON type");
		assert_int_equal(m.type, MSG_PING);
		assert_int_equal(decode(cases[i].type, cases[i].body, &m, NULL), MSG_E_BAD);
	}
}

static void test_bad_json_is_refused(void **state)
{
	struct msg m;
	const char *why;

	(void) state;
	assert_int_equal(decode(MSG_PONG, "", &m, &why), MSG_E_BAD);
	assert_string_equal(why, "not a JSON object");
	assert_int_equal(decode(MSG_REQ_WORK_CONN, "[]", &m, &why), MSG_E_BAD);
	assert_int_equal(decode(MSG_PONG, "{\"error\":\"a\"", &m, &why), MSG_E_BAD);
	assert_int_equal(decode(MSG_NONE, "{}", &m, &why), MSG_E_BAD);
	assert_string_equal(why, "unknown message type");
	assert_int_equal(decode((enum msg_type) 19, "{}", &m, &why), MSG_E_BAD);
	/* Known by type only. */
	assert_int_equal(decode(MSG_NAT_HOLE_RESP, "\xff", &m, &why), 0);
	assert_int_equal(m.type, MSG_NAT_HOLE_RESP);
	msg_deinit(&m);
}

static void test_encode_failures_append_nothing(void **state)
{
	struct msg m = { .type = MSG_PONG, .pong = { .error = "bad \xc3 text" } };
	struct buf out;

	(void) state;
	buf_init(&out, 30);
	assert_int_equal(buf_add(&out, span_str("before")), 0);
	assert_int_equal(msg_encode(&m, &out), -EINVAL);
	m.pong.error = "longer than the room that is left";
	assert_int_equal(msg_encode(&m, &out), BUF_E_FULL);
	unit_assert_text(buf_span(&out), "before");
	m.pong.error = "ok";
	assert_int_equal(msg_encode(&m, &out), 0);
	unit_assert_text(buf_span(&out), "before{\"error\":\"ok\"}");
	buf_deinit(&out);
}

static void test_encode_of_bare_structs(void **state)
{
	const struct msg_pair pairs[] = { { "k", NULL }, { "<", "v" } };
	const char *const strs[] = { "", "b" };
	struct msg m = {
		.type = MSG_NEW_PROXY,
		.new_proxy = { .name = "n", .headers = { pairs, 2 }, .allow_users = { strs, 2 } }
	};
	struct buf out;

	(void) state;
	buf_init(&out, 200);
	assert_int_equal(msg_encode(&m, &out), 0);
	unit_assert_text(buf_span(&out),
			 "{\"proxy_name\":\"n\",\"headers\":{\"k\":\"\",\"\\u003c\":\"v\"},"
			 "\"allow_users\":[\"\",\"b\"]}");
	buf_eat(&out, buf_len(&out));
	m = (struct msg){ .type = MSG_UDP_PACKET, .udp_packet.local.is_set = true };
	assert_int_equal(msg_encode(&m, &out), 0);
	unit_assert_text(buf_span(&out), "{\"l\":{\"IP\":\"\",\"Port\":0,\"Zone\":\"\"}}");
	buf_deinit(&out);
}

/* Each failing allocation of a decode and of the encode of its result. */
static void test_each_allocation_fails(void **state)
{
	json_t *root = unit_load("messages.json");
	const json_t *list = json_object_get(root, "messages");
	size_t n_total = 0;

	(void) state;
	for (size_t k = 0; k < json_array_size(list); k++) {
		const char *body = unit_str(json_array_get(list, k), "json");
		enum msg_type type = type_of_name(unit_str(json_array_get(list, k), "name"));
		bool has_failed = true;

		for (size_t i = 0; has_failed; i++) {
			struct msg m = { .type = MSG_NONE };
			struct buf out;
			int r;

			buf_init(&out, 10240);
			failmalloc_at(i);
			r = msg_decode(type, span_str(body), &m, NULL);
			if (r == 0)
				r = msg_encode(&m, &out);
			has_failed = failmalloc_stop();
			assert_int_equal(r, has_failed ? -ENOMEM : 0);
			if (r == 0 && type < MSG_NAT_HOLE_VISITOR)
				unit_assert_text(buf_span(&out), body);
			msg_deinit(&m);
			buf_deinit(&out);
			n_total += has_failed;
		}
	}
	assert_true(n_total > 200);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_type_bytes),
		cmocka_unit_test(test_messages_of_stock),
		cmocka_unit_test(test_decoded_fields),
		cmocka_unit_test(test_absent_null_and_zero_are_one),
		cmocka_unit_test(test_names_in_any_case_and_the_last_wins),
		cmocka_unit_test(test_invalid_utf8_is_replaced),
		cmocka_unit_test(test_wrong_types_are_refused),
		cmocka_unit_test(test_bad_json_is_refused),
		cmocka_unit_test(test_encode_failures_append_nothing),
		cmocka_unit_test(test_encode_of_bare_structs),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
