/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c - buf: order, the maximum, reuse of memory, failures. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "tests/unit/failmalloc.h"

static void test_nothing_is_allocated_before_the_first_byte(void **state)
{
	struct buf b;

	(void) state;
	failmalloc_at(0);
	buf_init(&b, 100);
	assert_int_equal(buf_add(&b, span_of(NULL, 0)), 0);
	assert_int_equal(buf_len(&b), 0);
	assert_null(buf_span(&b).p);
	assert_false(failmalloc_stop());
	assert_int_equal(failmalloc_count(), 0);
	buf_deinit(&b);
}

static void test_bytes_come_out_in_order(void **state)
{
	uint8_t in[5000], out[5000];
	size_t n_in = 0, n_out = 0;
	uint32_t seed = 7;
	struct buf b;

	(void) state;
	unit_fill(&seed, in, sizeof(in));
	buf_init(&b, 700);
	while (n_out < sizeof(in)) {
		size_t n = unit_random(&seed) % 300;

		if (n > sizeof(in) - n_in)
			n = sizeof(in) - n_in;
		if (buf_len(&b) + n <= 700) {
			assert_int_equal(buf_add(&b, span_of(in + n_in, n)), 0);
			n_in += n;
		} else {
			assert_int_equal(buf_add(&b, span_of(in + n_in, n)), BUF_E_FULL);
		}
		assert_true(b.cap <= 700);
		n = unit_random(&seed) % (buf_len(&b) + 1);
		if (n > 0)
			memcpy(out + n_out, buf_span(&b).p, n);
		buf_eat(&b, n);
		n_out += n;
		assert_int_equal(buf_len(&b), n_in - n_out);
	}
	assert_memory_equal(in, out, sizeof(in));
	buf_deinit(&b);
}

static void test_maximum_is_exact_and_refusal_takes_nothing(void **state)
{
	uint8_t *p = NULL;
	struct buf b;

	(void) state;
	buf_init(&b, 10);
	assert_int_equal(buf_add(&b, span_str("0123456")), 0);
	assert_int_equal(buf_add(&b, span_str("abcd")), BUF_E_FULL);
	unit_assert_text(buf_span(&b), "0123456");
	assert_int_equal(buf_reserve(&b, 4, &p), BUF_E_FULL);
	assert_null(p);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &p), BUF_E_FULL);
	assert_int_equal(buf_add(&b, span_str("abc")), 0);
	buf_eat(&b, 4);
	assert_int_equal(buf_add(&b, span_str("wxyz")), 0);
	unit_assert_text(buf_span(&b), "456abcwxyz");
	assert_int_equal(b.cap, 10);
	buf_deinit(&b);
	assert_int_equal(b.max, 10);
	assert_null(b.data);
}

static void test_reserve_then_commit_less(void **state)
{
	struct buf b;
	uint8_t *p;

	(void) state;
	buf_init(&b, 1000);
	assert_int_equal(buf_reserve(&b, 600, &p), 0);
	memcpy(p, "abc", 3);
	assert_int_equal(buf_len(&b), 0);
	buf_commit(&b, 3);
	unit_assert_text(buf_span(&b), "abc");
	buf_cut(&b, 1);
	unit_assert_text(buf_span(&b), "a");
	buf_eat(&b, 1);
	buf_cut(&b, 0);
	assert_int_equal(buf_len(&b), 0);
	buf_deinit(&b);
}

static void test_cut_bytes_are_wiped(void **state)
{
	struct buf b;

	(void) state;
	buf_init(&b, 100);
	assert_int_equal(buf_add(&b, span_str("xsecret")), 0);
	buf_cut(&b, 1);
	assert_memory_equal(buf_span(&b).p, "x\0\0\0\0\0\0", 7);
	buf_deinit(&b);
}

static void test_full_queue_does_not_move_at_every_byte(void **state)
{
	struct buf b;
	uint8_t byte = 1;
	unsigned n_moves = 0;

	(void) state;
	buf_init(&b, 4096);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(buf_add(&b, span_of(&byte, 1)), 0);
	for (unsigned i = 0; i < 2000; i++) {
		size_t start = b.start;

		buf_eat(&b, 1);
		assert_int_equal(buf_add(&b, span_of(&byte, 1)), 0);
		n_moves += b.start <= start;
	}
	assert_in_range(n_moves, 0, 10);
	buf_deinit(&b);
}

static void test_without_memory_the_queue_is_as_before(void **state)
{
	static const uint8_t more[1000];
	struct buf b;
	uint8_t *p;

	(void) state;
	buf_init(&b, 5000);
	failmalloc_at(0);
	assert_int_equal(buf_add(&b, span_str("abc")), -ENOMEM);
	assert_int_equal(buf_reserve(&b, 3, &p), 0);
	(void) failmalloc_stop();
	assert_int_equal(buf_add(&b, span_str("abc")), 0);
	failmalloc_at(0);
	assert_int_equal(buf_add(&b, span_of(more, sizeof(more))), -ENOMEM);
	(void) failmalloc_stop();
	unit_assert_text(buf_span(&b), "abc");
	buf_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_allocated_before_the_first_byte),
		cmocka_unit_test(test_bytes_come_out_in_order),
		cmocka_unit_test(test_maximum_is_exact_and_refusal_takes_nothing),
		cmocka_unit_test(test_reserve_then_commit_less),
		cmocka_unit_test(test_cut_bytes_are_wiped),
		cmocka_unit_test(test_full_queue_does_not_move_at_every_byte),
		cmocka_unit_test(test_without_memory_the_queue_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
