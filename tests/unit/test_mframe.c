/* SPDX-License-Identifier: Apache-2.0 */
/* test_mframe.c - the yamux header: layout, refusals, round trips. */
#include "tests/unit/unit.h"

#include "proto/wire/mframe.h"

/* The first frame of every recorded session: WindowUpdate, SYN, stream 1, 6 MiB - 256 KiB. */
static void test_layout_is_that_of_stock(void **state)
{
	static const uint8_t want[MFRAME_LEN] = { 0, 1, 0, 1, 0, 0, 0, 1, 0, 0x5c, 0, 0 };
	struct mframe f = {
		.type = MFRAME_WINDOW, .flags = MFRAME_SYN, .stream_id = 1, .len = 6029312
	};
	uint8_t bytes[MFRAME_LEN];

	(void) state;
	mframe_encode(&f, bytes);
	assert_memory_equal(bytes, want, MFRAME_LEN);
}

static void test_recorded_session_starts_with_it(void **state)
{
	uint8_t bytes[MFRAME_LEN];
	struct mframe f;
	char path[4096];
	FILE *file;

	(void) state;
	(void) snprintf(path, sizeof(path), "%s/sessions/0.70.1-mux-v1/basic/c2s.bin",
			unit_vectors_dir());
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	(void) fclose(file);
	assert_int_equal(mframe_decode(bytes, &f), 0);
	assert_int_equal(f.type, MFRAME_WINDOW);
	assert_int_equal(f.flags, MFRAME_SYN);
	assert_int_equal(f.stream_id, 1);
	assert_int_equal(f.len, 6029312);
}

static void test_version_and_type_are_checked(void **state)
{
	uint8_t bytes[MFRAME_LEN] = { 0 };
	struct mframe f = { .stream_id = 77 };

	(void) state;
	for (unsigned v = 0; v < 256; v++) {
		for (unsigned t = 0; t < 256; t++) {
			bytes[0] = (uint8_t) v;
			bytes[1] = (uint8_t) t;
			assert_int_equal(mframe_decode(bytes, &f),
					 v == 0 && t <= 3 ? 0 : MFRAME_E_BAD);
		}
	}
	f.stream_id = 77;
	assert_int_equal(mframe_decode(bytes, &f), MFRAME_E_BAD);
	assert_int_equal(f.stream_id, 77);
}

static void test_round_trip_keeps_unknown_flags(void **state)
{
	uint8_t in[MFRAME_LEN], out[MFRAME_LEN];
	uint32_t seed = 11;
	struct mframe f;

	(void) state;
	for (unsigned i = 0; i < 10000; i++) {
		unit_fill(&seed, in, sizeof(in));
		in[0] = 0;
		in[1] &= 3;
		assert_int_equal(mframe_decode(in, &f), 0);
		mframe_encode(&f, out);
		assert_memory_equal(in, out, MFRAME_LEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_is_that_of_stock),
		cmocka_unit_test(test_recorded_session_starts_with_it),
		cmocka_unit_test(test_version_and_type_are_checked),
		cmocka_unit_test(test_round_trip_keeps_unknown_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
