/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - strict parsers of whole values, escaping, UTF-8. */
#include "tests/unit/unit.h"

#include "proto/base/text.h"
#include "tests/unit/failmalloc.h"

static void test_u64(void **state)
{
	static const char *const bad[] = { "",	  " 1",
					   "1 ",  "+1",
					   "-1",  "1a",
					   "0x1", "1.",
					   "1\n", "18446744073709551616",
					   "a",	  "99999999999999999999" };
	uint64_t v = 77;

	(void) state;
	for (size_t i = 0; i < UNIT_N(bad); i++)
		assert_int_equal(text_parse_u64(bad[i], 0, UINT64_MAX, &v), TEXT_E_BAD);
	assert_int_equal(text_parse_u64("9", 10, 20, &v), TEXT_E_BAD);
	assert_int_equal(text_parse_u64("21", 10, 20, &v), TEXT_E_BAD);
	assert_int_equal(v, 77);
	assert_int_equal(text_parse_u64("10", 10, 20, &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(text_parse_u64("0020", 10, 20, &v), 0);
	assert_int_equal(v, 20);
	assert_int_equal(text_parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void test_port(void **state)
{
	uint16_t port = 7;

	(void) state;
	assert_int_equal(text_parse_port("0", &port), TEXT_E_BAD);
	assert_int_equal(text_parse_port("65536", &port), TEXT_E_BAD);
	assert_int_equal(text_parse_port("80x", &port), TEXT_E_BAD);
	assert_int_equal(port, 7);
	assert_int_equal(text_parse_port("1", &port), 0);
	assert_int_equal(port, 1);
	assert_int_equal(text_parse_port("65535", &port), 0);
	assert_int_equal(port, 65535);
}

static void test_bool(void **state)
{
	static const char *const yes[] = { "true", "YES", "On", "1" };
	static const char *const no[] = { "false", "No", "OFF", "0" };
	static const char *const bad[] = { "", "2", "y", "truee", " true", "01" };
	bool v = false;

	(void) state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(text_parse_bool(yes[i], &v), 0);
		assert_true(v);
		assert_int_equal(text_parse_bool(no[i], &v), 0);
		assert_false(v);
	}
	for (size_t i = 0; i < UNIT_N(bad); i++)
		assert_int_equal(text_parse_bool(bad[i], &v), TEXT_E_BAD);
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "0", 0 },
		{ "10", 10000 },
		{ "10s", 10000 },
		{ "500ms", 500 },
		{ "2m", 120000 },
		{ "1h", 3600000 },
		{ "1m30s", 90000 },
		{ "1h1ms", 3600001 },
		{ "1h2m3s4ms", 3723004 },
		{ "86400", 86400000 },
	};
	static const char *const bad[] = { "",
					   "s",
					   "1x",
					   "1m30",
					   "30s1m",
					   "1s1s",
					   "1.5s",
					   "-1s",
					   " 1s",
					   "1s ",
					   "1 s",
					   "1S",
					   "1mss",
					   "86401",
					   "25h",
					   "18446744073709551615h",
					   "1ms1",
					   "1hour",
					   "5000000000000000000h5000000000000000000m" };
	uint64_t v;

	(void) state;
	for (size_t i = 0; i < UNIT_N(good); i++) {
		assert_int_equal(text_parse_duration(good[i].text, 86400000, &v), 0);
		assert_int_equal(v, good[i].ms);
	}
	v = 5;
	for (size_t i = 0; i < UNIT_N(bad); i++)
		assert_int_equal(text_parse_duration(bad[i], 86400000, &v), TEXT_E_BAD);
	assert_int_equal(v, 5);
	assert_int_equal(text_parse_duration("18446744073709551615h", UINT64_MAX, &v), TEXT_E_BAD);
}

static void test_hostport_is_written_with_brackets(void **state)
{
	char at[32];

	(void) state;
	text_format_hostport(at, sizeof(at), "10.0.0.1", 80);
	assert_string_equal(at, "10.0.0.1:80");
	text_format_hostport(at, sizeof(at), "fe80::1%eth0", 65535);
	assert_string_equal(at, "[fe80::1%eth0]:65535");
	text_format_hostport(at, 8, "10.0.0.1", 80);
	assert_string_equal(at, "10.0.0.");
}

static void test_hostport(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		bool is_ip;
	} good[] = {
		{ "frps.example.com:7000", "frps.example.com", 7000, false },
		{ "localhost", "localhost", 99, false },
		{ "api_1.node-2.", "api_1.node-2.", 99, false },
		{ "10.0.0.1:80", "10.0.0.1", 80, true },
		{ "10.0.0.1", "10.0.0.1", 99, true },
		{ "[::1]", "::1", 99, true },
		{ "[fe80::1%eth0]:443", "fe80::1%eth0", 443, true },
		{ "[::ffff:1.2.3.4]:65535", "::ffff:1.2.3.4", 65535, true },
		{ "1a:80", "1a", 80, false },
	};
	static const char *const bad[] = { "",
					   ":80",
					   "host:",
					   "host:0",
					   "host:65536",
					   "host:80x",
					   "a:1:2",
					   "::1",
					   "fe80::1",
					   "[::1",
					   "[::1]80",
					   "[::1]:",
					   "[]:80",
					   "[host]:80",
					   "[1.2.3.4]:80",
					   "1.2.3.400:80",
					   "1.2.3:80",
					   "123:80",
					   "a..b:80",
					   ".a:80",
					   "a b:80",
					   "a/b",
					   "user@host",
					   "[2001:db8::1%eth0]:80",
					   "[fe80::1%]:80",
					   "h\xc3\xa9:80" };
	char longest[300];
	struct text_hostport hp;

	(void) state;
	for (size_t i = 0; i < UNIT_N(good); i++) {
		assert_int_equal(text_parse_hostport(good[i].text, 99, &hp), 0);
		assert_string_equal(hp.host, good[i].host);
		assert_int_equal(hp.port, good[i].port);
		assert_int_equal(hp.is_ip, good[i].is_ip);
	}
	for (size_t i = 0; i < UNIT_N(bad); i++)
		if (text_parse_hostport(bad[i], 99, &hp) != TEXT_E_BAD)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(text_parse_hostport("host", 0, &hp), TEXT_E_BAD);
	for (size_t i = 0; i < 253; i++)
		longest[i] = i % 50 == 49 ? '.' : 'a';
	memcpy(longest + 253, ":80", 4);
	assert_int_equal(text_parse_hostport(longest, 0, &hp), 0);
	assert_int_equal(strlen(hp.host), 253);
	memcpy(longest + 253, "a:80", 5);
	assert_int_equal(text_parse_hostport(longest, 0, &hp), TEXT_E_BAD);
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_int_equal(text_parse_hostport(longest, 80, &hp), TEXT_E_BAD);
	longest[63] = '\0';
	assert_int_equal(text_parse_hostport(longest, 80, &hp), 0);
}

static void test_is_ip(void **state)
{
	(void) state;
	assert_true(text_is_ip("0.0.0.0"));
	assert_true(text_is_ip("::"));
	assert_true(text_is_ip("fe80::1%eth0"));
	assert_false(text_is_ip(""));
	assert_false(text_is_ip("1.2.3"));
	assert_false(text_is_ip("1.2.3.4 "));
	assert_false(text_is_ip("1.2.3.04"));
	assert_false(text_is_ip("::1%eth0"));
	assert_false(text_is_ip("fe80::1%"));
	assert_false(text_is_ip("fe80::1%a/b"));
	assert_false(text_is_ip("fe80::1%a b"));
	assert_false(text_is_ip("fe80::1%a\x7f"));
	assert_false(text_is_ip("fe80::1%a%b"));
	assert_false(text_is_ip("fe80::1%name-longer-than-15"));
	assert_false(text_is_ip("[::1]"));
	assert_false(text_is_ip("0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0"));
}

static void test_ip_as_bytes(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint8_t len;
	} good[] = {
		{ "192.0.2.7", "192.0.2.7", 4 },
		{ "0.0.0.0", "0.0.0.0", 4 },
		{ "::ffff:192.0.2.7", "192.0.2.7", 4 },
		{ "::FFFF:c000:0207", "192.0.2.7", 4 },
		{ "::", "::", 16 },
		{ "2001:DB8:0:0::7", "2001:db8::7", 16 },
		{ "fe80::1%eth0", "fe80::1", 16 },
	};
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4.5", "1.2.3.4%e", "::1%e", "x" };
	struct text_ip ip;
	char text[TEXT_IP_CAP];

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(text_parse_ip(good[i].text, &ip), 0);
		assert_int_equal(ip.len, good[i].len);
		for (size_t k = ip.len; k < sizeof(ip.bytes); k++)
			assert_int_equal(ip.bytes[k], 0);
		text_format_ip(&ip, text);
		assert_string_equal(text, good[i].canonical);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_parse_ip(bad[i], &ip), TEXT_E_BAD);
}

static void test_escape(void **state)
{
	char out[64], tiny[8];

	(void) state;
	assert_ptr_equal(text_escape(span_str("plain ~"), out, sizeof(out)), out);
	assert_string_equal(out, "plain ~");
	(void) text_escape(span_of("a\"\\\n\0\x7f\xff", 7), out, sizeof(out));
	assert_string_equal(out, "a\\\"\\\\\\x0a\\x00\\x7f\\xff");
	(void) text_escape(span_of(NULL, 0), out, sizeof(out));
	assert_string_equal(out, "");
	(void) text_escape(span_str("1234567"), tiny, sizeof(tiny));
	assert_string_equal(tiny, "1234567");
	(void) text_escape(span_str("12345678"), tiny, sizeof(tiny));
	assert_string_equal(tiny, "1234...");
	(void) text_escape(span_str("123\n5"), tiny, sizeof(tiny));
	assert_string_equal(tiny, "123...");
	(void) text_escape(span_str("123\n"), tiny, sizeof(tiny));
	assert_string_equal(tiny, "123\\x0a");
	(void) text_escape(span_str("\n\n"), tiny, sizeof(tiny));
	assert_string_equal(tiny, "\\x0a...");
}

/* Any bytes, any room: terminated, printable, within the room, and not cut without need. */
static void test_escape_of_anything(void **state)
{
	uint32_t seed = 4;
	uint8_t in[40];
	char out[64];

	(void) state;
	for (unsigned i = 0; i < 5000; i++) {
		size_t n = unit_random(&seed) % sizeof(in), cap = 8 + unit_random(&seed) % 56;

		unit_fill(&seed, in, n);
		memset(out, 0x01, sizeof(out));
		(void) text_escape(span_of(in, n), out, cap);
		assert_true(strnlen(out, cap) < cap);
		for (size_t k = 0; out[k] != '\0'; k++)
			assert_true(out[k] >= ' ' && out[k] <= '~');
		for (size_t k = cap; k < sizeof(out); k++)
			assert_int_equal(out[k], 0x01);
	}
}

static void test_hex(void **state)
{
	char out[9];

	(void) state;
	text_hex(span_of("\x00\x9f\xa0\xff", 4), out, sizeof(out));
	assert_string_equal(out, "009fa0ff");
	text_hex(span_of(NULL, 0), out, 1);
	assert_string_equal(out, "");
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "",
					    "plain",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xc2",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xff",
					   "a\xe2\x82",
					   "\xe2\x28\xa1",
					   "\xe2\x82\x28",
					   "\xf0\x90\x80\x28" };

	(void) state;
	for (size_t i = 0; i < UNIT_N(good); i++)
		assert_true(text_is_utf8(span_str(good[i])));
	for (size_t i = 0; i < UNIT_N(bad); i++)
		assert_false(text_is_utf8(span_str(bad[i])));
	assert_true(text_is_utf8(span_of("a\0b", 3)));
	assert_int_equal(text_utf8_len(span_of(NULL, 0)), 0);
	assert_int_equal(text_utf8_len(span_str("\xf0\x90\x80\x80")), 4);
	assert_int_equal(text_utf8_len(span_of("\xf0\x90\x80\x80", 3)), 0);
}

static void test_dup(void **state)
{
	char *s = text_dup("abcdef", 3);

	(void) state;
	assert_string_equal(s, "abc");
	free(s);
	s = text_dup(NULL, 0);
	assert_string_equal(s, "");
	free(s);
	failmalloc_at(0);
	assert_null(text_dup("abc", 3));
	assert_true(failmalloc_stop());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_hostport),
		cmocka_unit_test(test_hostport_is_written_with_brackets),
		cmocka_unit_test(test_is_ip),
		cmocka_unit_test(test_ip_as_bytes),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_of_anything),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_dup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
