/* SPDX-License-Identifier: Apache-2.0 */
/* test_crc32c.c - CRC-32C against RFC 3720 and against a bit by bit one, at any alignment. */
#include "tests/unit/unit.h"

#include "proto/wire/crc32c.h"

/* RFC 3720 B.4, the known check value, and nothing. */
static void test_published_values(void **state)
{
	uint8_t b[32];

	(void) state;
	assert_int_equal(crc32c(span_of(NULL, 0)), 0);
	assert_int_equal(crc32c(span_str("123456789")), 0xe3069283);
	memset(b, 0, sizeof(b));
	assert_int_equal(crc32c(span_of(b, sizeof(b))), 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(crc32c(span_of(b, sizeof(b))), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t) i;
	assert_int_equal(crc32c(span_of(b, sizeof(b))), 0x46dd794e);
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t) (31 - i);
	assert_int_equal(crc32c(span_of(b, sizeof(b))), 0x113fdb5c);
}

static uint32_t crc_bit_by_bit(struct span s)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < s.len; i++) {
		crc ^= s.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1) * 0x82f63b78u;
	}
	return ~crc;
}

static void test_every_length_and_alignment(void **state)
{
	static uint8_t bytes[400];
	uint32_t seed = 7;

	(void) state;
	unit_fill(&seed, bytes, sizeof(bytes));
	for (size_t at = 0; at < 9; at++)
		for (size_t n = 0; n + at <= sizeof(bytes); n++)
			assert_int_equal(crc32c(span_of(bytes + at, n)),
					 crc_bit_by_bit(span_of(bytes + at, n)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_values),
		cmocka_unit_test(test_every_length_and_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
