/* SPDX-License-Identifier: Apache-2.0 */
/* test_proxyhdr.c - the PROXY header, byte by byte that of stock frp. */
#include "tests/unit/unit.h"

#include "proto/base/text.h"
#include "proto/wire/proxyhdr.h"

static void test_headers_of_stock(void **state)
{
	json_t *root = unit_load("crypto.json");
	const json_t *list = json_object_get(root, "proxy_protocol");

	(void) state;
	assert_int_equal(json_array_size(list), 10);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		struct span want = unit_hex_of(v, "header");
		struct text_hostport src, dst;
		const char *dst_text = unit_str(v, "dst");
		uint8_t out[PROXYHDR_MAX];
		size_t len = 0;
		struct proxyhdr h = {
			.version = strcmp(unit_str(v, "version"), "v1") == 0 ? PROXYHDR_V1
									     : PROXYHDR_V2,
			.is_udp = strcmp(unit_str(v, "network"), "udp") == 0,
		};

		assert_int_equal(text_parse_hostport(unit_str(v, "src"), 0, &src), 0);
		h.src_addr = src.host;
		h.src_port = src.port;
		if (strcmp(dst_text, "127.0.0.1:0") != 0) { /* else absent, which is the same */
			assert_int_equal(text_parse_hostport(dst_text, 0, &dst), 0);
			h.dst_addr = dst.host;
			h.dst_port = dst.port;
		}
		assert_int_equal(proxyhdr_encode(&h, out, &len), 0);
		unit_assert_span(span_of(out, len), want);
		unit_free_span(want);
	}
	json_decref(root);
}

static void test_nothing_to_tell(void **state)
{
	static const struct proxyhdr cases[] = {
		{ .src_addr = NULL, .src_port = 1 },
		{ .src_addr = "", .src_port = 1 },
		{ .src_addr = "192.0.2.7", .src_port = 0 },
		{ .src_addr = "user.example", .src_port = 1 },
		{ .src_addr = "192.0.2.7\r\nGET /", .src_port = 1 },
		{ .src_addr = "192.0.2.7", .src_port = 1, .dst_addr = "example" },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases) * 2; i++) {
		struct proxyhdr h = cases[i / 2];
		uint8_t out[PROXYHDR_MAX];
		size_t len = 77;

		h.version = i % 2 == 0 ? PROXYHDR_V1 : PROXYHDR_V2;
		assert_int_equal(proxyhdr_encode(&h, out, &len), PROXYHDR_E_ABSENT);
		assert_int_equal(len, 77);
	}
}

static void test_rare_addresses(void **state)
{
	static const struct {
		const char *src, *dst, *want;
	} cases[] = {
		{ "::ffff:192.0.2.7", "192.0.2.1", "PROXY TCP4 192.0.2.7 192.0.2.1 65535 1\r\n" },
		{ "fe80::1%eth0", "::1", "PROXY TCP6 fe80::1 ::1 65535 1\r\n" },
		{ "2001:DB8:0::7", "::1", "PROXY TCP6 2001:db8::7 ::1 65535 1\r\n" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888",
		  "1111:2222:3333:4444:5555:6666:7777:8888",
		  "PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888 "
		  "1111:2222:3333:4444:5555:6666:7777:8888 65535 1\r\n" },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct proxyhdr h = {
			.version = PROXYHDR_V1,
			.src_addr = cases[i].src,
			.dst_addr = cases[i].dst,
			.src_port = 65535,
			.dst_port = 1,
		};
		uint8_t out[PROXYHDR_MAX];
		size_t len;

		assert_int_equal(proxyhdr_encode(&h, out, &len), 0);
		unit_assert_text(span_of(out, len), cases[i].want);
	}
}

/* The source is IPv4, the destination IPv6: both are told as IPv6. */
static void test_mixed_pair_of_v2(void **state)
{
	struct proxyhdr h = {
		.version = PROXYHDR_V2,
		.is_udp = true,
		.src_addr = "192.0.2.7",
		.dst_addr = "2001:db8::1",
		.src_port = 258,
		.dst_port = 53,
	};
	struct span want = unit_unhex("0d0a0d0a000d0a515549540a21220024"
				      "00000000000000000000ffffc0000207"
				      "20010db8000000000000000000000001"
				      "01020035");
	uint8_t out[PROXYHDR_MAX];
	size_t len;

	(void) state;
	assert_int_equal(proxyhdr_encode(&h, out, &len), 0);
	unit_assert_span(span_of(out, len), want);
	unit_free_span(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_of_stock),
		cmocka_unit_test(test_nothing_to_tell),
		cmocka_unit_test(test_rare_addresses),
		cmocka_unit_test(test_mixed_pair_of_v2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
