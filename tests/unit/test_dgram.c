/* SPDX-License-Identifier: Apache-2.0 */
/* test_dgram.c - datagrams as frames: those of stock frp, every refusal, every size. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/base/limits.h"
#include "proto/wire/dgram.h"
#include "tests/unit/failmalloc.h"

static struct dgram dgram_of(const char *ip, uint16_t port, const char *zone, struct span payload)
{
	struct dgram d = { .payload = payload };

	assert_int_equal(text_parse_ip(ip, &d.remote.ip), 0);
	d.remote.port = port;
	memcpy(d.remote.zone, zone, strlen(zone));
	return d;
}

static enum wire wire_of(enum dgram_form form)
{
	return form == DGRAM_V1 ? WIRE_V1 : WIRE_V2;
}

/* The frame is whole, and every beginning of it wants more. */
static struct frame frame_of(enum dgram_form form, struct span bytes)
{
	const char *why = NULL;
	struct frame f;

	for (size_t n = 0; n < bytes.len; n += n < 64 ? 1 : 997)
		assert_int_equal(frame_next(wire_of(form), span_head(bytes, n), &f, &why),
				 FRAME_E_MORE);
	assert_int_equal(frame_next(wire_of(form), bytes, &f, &why), 0);
	assert_int_equal(f.total_len, bytes.len);
	return f;
}

static int decode(enum dgram_form form, const struct frame *f, size_t cap, struct dgram *ret_d,
		  uint8_t *dst)
{
	const char *why = NULL;
	int r = dgram_decode(form, f, dst, cap, ret_d, &why);

	assert_int_equal(why != NULL, r == DGRAM_E_BAD);
	return r;
}

static void assert_same(const struct dgram *a, const struct dgram *b)
{
	unit_assert_span(a->payload, b->payload);
	assert_memory_equal(&a->remote.ip, &b->remote.ip, sizeof(a->remote.ip));
	assert_int_equal(a->remote.port, b->remote.port);
	assert_memory_equal(a->remote.zone, b->remote.zone, sizeof(a->remote.zone));
}

/* Frames of frp 0.71.0 (session udp, mux, v2: both directions) and of its message package. */
static void test_frames_of_stock(void **state)
{
	static const struct {
		const char *hex, *ip, *zone, *payload;
		enum dgram_form form;
		uint16_t port;
	} cases[] = {
		{ "001000000000001b001302047f000001a1d900000e666972737420646174616772616d",
		  "127.0.0.1", "", "first datagram", DGRAM_BINARY, 41433 },
		{ "001000000000000d001302047f000001a1d9000000", "127.0.0.1", "", "", DGRAM_BINARY,
		  41433 },
		{ "001000000000001b001302047f000001a1d900000e464952535420444154414752414d",
		  "127.0.0.1", "", "FIRST DATAGRAM", DGRAM_BINARY, 41433 },
		{ "75000000000000002e7b2272223a7b224950223a223139322e302e322e37222c22506f7274223a35"
		  "3030302c225a6f6e65223a22227d7d",
		  "192.0.2.7", "", "", DGRAM_V1, 5000 },
		{ "0010000000000030000d7b2272223a7b224950223a223139322e302e322e37222c22506f7274223a"
		  "353030302c225a6f6e65223a22227d7d",
		  "192.0.2.7", "", "", DGRAM_V2, 5000 },
		{ "75000000000000003d7b2263223a2261476b412f773d3d222c2272223a7b224950223a223139322e"
		  "302e322e37222c22506f7274223a353030302c225a6f6e65223a22227d7d",
		  "192.0.2.7", "", NULL, DGRAM_V1, 5000 },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct span bytes = unit_unhex(cases[i].hex);
		struct span payload = cases[i].payload != NULL ? span_str(cases[i].payload)
							       : span_of("hi\0\xff", 4);
		struct dgram want = dgram_of(cases[i].ip, cases[i].port, cases[i].zone, payload);
		struct frame f = frame_of(cases[i].form, bytes);
		uint8_t dst[64];
		struct dgram d;
		struct buf out;

		assert_int_equal(decode(cases[i].form, &f, payload.len, &d, dst), 0);
		assert_same(&d, &want);
		if (payload.len > 0)
			assert_int_equal(decode(cases[i].form, &f, payload.len - 1, &d, dst),
					 DGRAM_E_LONG);
		buf_init(&out, 4096);
		assert_int_equal(dgram_encode(cases[i].form, &want, &out), 0);
		unit_assert_span(buf_span(&out), bytes);
		buf_deinit(&out);
		unit_free_span(bytes);
	}
}

static void test_addresses_there_and_back(void **state)
{
	static const char *const ips[] = { "0.0.0.0",	  "255.255.255.255",  "::1",
					   "2001:db8::7", "::ffff:192.0.2.7", "fe80::1" };

	(void) state;
	for (size_t i = 0; i < UNIT_N(ips); i++) {
		for (enum dgram_form form = DGRAM_V1; form <= DGRAM_BINARY; form++) {
			static const char *const zones[] = {
				"", "eth0", "12345678901234567890123456789012345678901234567"
			};
			struct dgram want = dgram_of(ips[i], i % 2 == 0 ? 0 : 65535, zones[i % 3],
						     span_str("payload")),
				     d;
			struct frame f;
			struct buf out;
			uint8_t dst[16];

			buf_init(&out, 4096);
			assert_int_equal(dgram_encode(form, &want, &out), 0);
			f = frame_of(form, buf_span(&out));
			assert_int_equal(decode(form, &f, sizeof(dst), &d, dst), 0);
			assert_same(&d, &want);
			/* Each form is refused where another was agreed on. */
			for (enum dgram_form other = DGRAM_V1; other <= DGRAM_BINARY; other++)
				if ((other == DGRAM_BINARY) != (form == DGRAM_BINARY))
					assert_int_equal(decode(other, &f, sizeof(dst), &d, dst),
							 DGRAM_E_BAD);
			buf_deinit(&out);
		}
	}
}

/* The longest payload of each form, found by asking. */
static void test_sizes(void **state)
{
	static const size_t want_max[] = { 7626, 49090, LIMIT_UDP_PACKET };
	uint8_t *payload = malloc(70000), *dst = malloc(70000);
	uint32_t seed = 5;

	(void) state;
	assert_non_null(payload);
	assert_non_null(dst);
	unit_fill(&seed, payload, 70000);
	for (enum dgram_form form = DGRAM_V1; form <= DGRAM_BINARY; form++) {
		struct dgram d = dgram_of("2001:db8:1111:2222:3333:4444:5555:6666", 65535, "",
					  span_of(payload, 0)),
			     back;
		size_t lo = 0, hi = 70000;
		struct frame f;
		struct buf out;

		buf_init(&out, 1 << 18);
		while (hi - lo > 1) { /* lo fits, hi does not */
			int r;

			d.payload.len = (lo + hi) / 2;
			buf_cut(&out, 0);
			r = dgram_encode(form, &d, &out);
			assert_true(r == 0 || r == DGRAM_E_LONG);
			assert_true(r == 0 || buf_len(&out) == 0);
			*(r == 0 ? &lo : &hi) = d.payload.len;
		}
		assert_in_range(lo, want_max[form] - 30, want_max[form]);
		d.payload.len = lo;
		buf_cut(&out, 0);
		assert_int_equal(dgram_encode(form, &d, &out), 0);
		f = frame_of(form, buf_span(&out));
		assert_int_equal(decode(form, &f, lo, &back, dst), 0);
		assert_same(&back, &d);
		buf_deinit(&out);
		buf_init(&out, 50);
		d.payload.len = 49;
		assert_int_equal(dgram_encode(form, &d, &out), BUF_E_FULL);
		assert_int_equal(buf_len(&out), 0);
		buf_deinit(&out);
	}
	free(payload);
	free(dst);
}

static void test_refused_binary(void **state)
{
	static const char *const bodies[] = {
		"",
		"00",			  /* no remote */
		"01047f000001000100",	  /* local only */
		"06047f000001a1d9000000", /* unknown flag */
		"02",			  /* cut in each field */
		"0204",
		"02047f0000",
		"02047f000001a1",
		"02047f000001a1d9",
		"02047f000001a1d900",
		"02047f000001a1d90000",
		"02047f000001a1d90005616263640000",
		"02057f000001a1d9000000", /* family 5 */
		"02067f000001a1d9000000", /* IPv6 of four bytes */
		"02047f000001a1d900000161"
		"62",			      /* more than it says */
		"02047f000001a1d900000361",   /* less */
		"02047f000001a1d90261000000", /* NUL in the zone */
		"02047f000001a1d901ff0000",   /* zone is not UTF-8 */
		"02047f000001a1d930616161616161616161616161616161616161616161616161616161616161616161"
		"616161616161616161616161616161610000", /* zone of 48 */
		"03047f0000010001",			/* local cut */
		"0309",
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(bodies); i++) {
		struct span body = unit_unhex(bodies[i]);
		struct frame f = { .kind = FRAME_UDP, .body = body };
		uint8_t dst[100];
		struct dgram d;

		assert_int_equal(decode(DGRAM_BINARY, &f, sizeof(dst), &d, dst), DGRAM_E_BAD);
		unit_free_span(body);
	}
}

static void test_a_local_address_is_skipped(void **state)
{
	struct span body = unit_unhex("0306000102030405060708090a0b0c0d0e0f00350361626304c0000207"
				      "1388000002686a");
	struct frame f = { .kind = FRAME_UDP, .body = body };
	struct dgram want = dgram_of("192.0.2.7", 5000, "", span_str("hj")), d;

	(void) state;
	assert_int_equal(decode(DGRAM_BINARY, &f, 2, &d, NULL), 0);
	assert_same(&d, &want);
	unit_free_span(body);
}

static void test_refused_json(void **state)
{
#define R "\"r\":{\"IP\":\"192.0.2.7\",\"Port\":1,\"Zone\":\"\"}"
	static const char *const bodies[] = {
		"",
		"[]",
		"{}",
		"{\"c\":\"aGk=\"}",
		"{\"c\":\"aGk\"," R "}",
		"{\"c\":\"aG k=\"," R "}",
		"{\"c\":\"====\"," R "}",
		"{\"c\":\"=\"," R "}",
		"{\"c\":1," R "}",
		"{\"r\":{\"IP\":\"\",\"Port\":1}}",
		"{\"r\":{\"Port\":1}}",
		"{\"r\":{\"IP\":\"localhost\",\"Port\":1}}",
		"{\"r\":{\"IP\":\"fe80::1%eth0\",\"Port\":1}}",
		"{\"r\":{\"IP\":\"192.0.2.7\",\"Port\":-1}}",
		"{\"r\":{\"IP\":\"192.0.2.7\",\"Port\":65536}}",
		("{\"r\":{\"IP\":\"fe80::1\",\"Port\":1,"
		 "\"Zone\":\"123456789012345678901234567890123456789012345678\"}}"),
	};
	struct frame ping = { .kind = FRAME_MESSAGE, .type = MSG_PING, .body = span_str("{}") };
	struct frame hello = { .kind = FRAME_SERVER_HELLO, .body = span_str("{" R "}") };
	uint8_t dst[100];
	struct dgram d;

	(void) state;
	for (size_t i = 0; i < UNIT_N(bodies); i++) {
		struct frame f = {
			.kind = FRAME_MESSAGE,
			.type = MSG_UDP_PACKET,
			.body = span_str(bodies[i]),
		};

		assert_int_equal(decode(DGRAM_V1, &f, sizeof(dst), &d, dst), DGRAM_E_BAD);
		assert_int_equal(decode(DGRAM_V2, &f, sizeof(dst), &d, dst), DGRAM_E_BAD);
	}
	assert_int_equal(decode(DGRAM_V1, &ping, sizeof(dst), &d, dst), DGRAM_E_BAD);
	assert_int_equal(decode(DGRAM_V2, &hello, sizeof(dst), &d, dst), DGRAM_E_BAD);
}

static bool run_failing(enum dgram_form form, size_t n)
{
	struct dgram want = dgram_of("192.0.2.7", 5000, "", span_str("some payload")), d;
	const char *why = NULL;
	struct buf out;
	uint8_t dst[20];
	struct frame f;
	bool has_failed;
	int r;

	buf_init(&out, 4096);
	failmalloc_at(n);
	r = dgram_encode(form, &want, &out);
	if (r == 0) {
		assert_int_equal(frame_next(wire_of(form), buf_span(&out), &f, &why), 0);
		r = dgram_decode(form, &f, dst, sizeof(dst), &d, &why);
	} else {
		assert_int_equal(buf_len(&out), 0);
	}
	has_failed = failmalloc_stop() != 0;
	assert_int_equal(r, has_failed ? -ENOMEM : 0);
	if (!has_failed)
		assert_same(&d, &want);
	buf_deinit(&out);
	return has_failed;
}

static void test_each_allocation_may_fail(void **state)
{
	(void) state;
	for (enum dgram_form form = DGRAM_V1; form <= DGRAM_BINARY; form++) {
		size_t n = 0;

		while (run_failing(form, n))
			n++;
		assert_in_range(n, form == DGRAM_BINARY ? 1 : 5, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_of_stock),
		cmocka_unit_test(test_addresses_there_and_back),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_refused_binary),
		cmocka_unit_test(test_a_local_address_is_skipped),
		cmocka_unit_test(test_refused_json),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
