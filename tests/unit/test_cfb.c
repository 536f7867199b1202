/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfb.c - the CFB layer against streams of stock frp, at any split. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/wire/cfb.h"
#include "tests/unit/failmalloc.h"

static int load_vectors(void **state)
{
	*state = unit_load("crypto.json");
	return 0;
}

static int free_vectors(void **state)
{
	json_decref(*state);
	return 0;
}

/* Decode all of @stream in the pieces of @how, into rooms of random size. */
static void decode_split(struct layer *l, struct span stream, unsigned how, struct buf *out)
{
	struct unit_split split = unit_split_of(how);

	while (stream.len > 0) {
		struct span in = span_head(stream, unit_piece(&split, stream.len));

		stream = span_skip(stream, in.len);
		while (in.len > 0) {
			size_t cap = how == 0 ? 4096 : unit_random(&split.seed) % 64, n;
			uint8_t *p;

			assert_int_equal(buf_reserve(out, cap, &p), 0);
			assert_int_equal(layer_decode(l, &in, p, cap, &n), 0);
			assert_true(n <= cap);
			assert_true(in.len == 0 || n == cap);
			buf_commit(out, n);
		}
	}
}

static void test_decode_of_stock(void **state)
{
	const json_t *list = json_object_get(*state, "cfb");

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list) * UNIT_N_SPLITS; i++) {
		const json_t *v = json_array_get(list, i / UNIT_N_SPLITS);
		struct span stream = unit_hex_of(v, "stream"), plain = unit_hex_of(v, "plaintext");
		static const uint8_t iv[16];
		struct layer *l;
		struct buf out;

		buf_init(&out, 1 << 20);
		assert_int_equal(cfb_new(&l, span_str(unit_str(v, "secret")), iv), 0);
		decode_split(l, stream, (unsigned) (i % UNIT_N_SPLITS), &out);
		unit_assert_span(buf_span(&out), plain);
		assert_null(layer_free(l));
		buf_deinit(&out);
		unit_free_span(stream);
		unit_free_span(plain);
	}
}

static void test_encode_is_that_of_stock(void **state)
{
	const json_t *list = json_object_get(*state, "cfb");

	for (size_t i = 0; i < json_array_size(list) * UNIT_N_SPLITS; i++) {
		const json_t *v = json_array_get(list, i / UNIT_N_SPLITS);
		struct span stream = unit_hex_of(v, "stream"), plain = unit_hex_of(v, "plaintext");
		struct unit_split split = unit_split_of((unsigned) (i % UNIT_N_SPLITS));
		struct layer *l;
		struct buf out;

		buf_init(&out, 1 << 20);
		assert_int_equal(cfb_new(&l, span_str(unit_str(v, "secret")), stream.p), 0);
		assert_int_equal(layer_encode(l, span_of(NULL, 0), &out), 0);
		assert_int_equal(buf_len(&out), 0);
		for (size_t at = 0; at < plain.len;) {
			size_t n = unit_piece(&split, plain.len - at);

			assert_int_equal(layer_encode(l, span_of(plain.p + at, n), &out), 0);
			at += n;
		}
		unit_assert_span(buf_span(&out), stream);
		(void) layer_free(l);
		buf_deinit(&out);
		unit_free_span(stream);
		unit_free_span(plain);
	}
}

static void test_full_room_leaves_the_state_alone(void **state)
{
	static const uint8_t iv[16] = { 1 };
	struct buf small, out;
	struct layer *l, *peer;
	uint8_t back[32];
	struct span in;
	size_t n;

	(void) state;
	buf_init(&small, 18);
	buf_init(&out, 100);
	assert_int_equal(cfb_new(&l, span_str("t"), iv), 0);
	assert_int_equal(cfb_new(&peer, span_str("t"), iv), 0);
	assert_int_equal(layer_encode(l, span_str("abc"), &small), BUF_E_FULL);
	assert_int_equal(buf_len(&small), 0);
	failmalloc_at(0);
	assert_int_equal(layer_encode(l, span_str("abc"), &out), -ENOMEM);
	assert_true(failmalloc_stop());
	assert_int_equal(layer_encode(l, span_str("abc"), &out), 0);
	assert_int_equal(layer_encode(l, span_str("def"), &small), 0);
	assert_int_equal(buf_add(&out, buf_span(&small)), 0);
	in = buf_span(&out);
	assert_int_equal(layer_decode(peer, &in, back, sizeof(back), &n), 0);
	unit_assert_text(span_of(back, n), "abcdef");
	(void) layer_free(l);
	(void) layer_free(peer);
	buf_deinit(&small);
	buf_deinit(&out);
}

static void test_each_allocation_fails(void **state)
{
	static const uint8_t iv[16], wire[20];
	bool has_failed = true;

	(void) state;
	for (size_t i = 0; has_failed; i++) {
		struct span in = span_of(wire, sizeof(wire));
		struct layer *l = NULL;
		uint8_t out[8];
		size_t n = 0;
		int r;

		failmalloc_at(i);
		r = cfb_new(&l, span_str("t"), iv);
		if (r == 0)
			r = layer_decode(l, &in, out, sizeof(out), &n);
		has_failed = failmalloc_stop();
		assert_int_equal(r, has_failed ? -ENOMEM : 0);
		/* Memory is back: the layer goes on where it was. */
		if (l != NULL && r < 0)
			r = layer_decode(l, &in, out, sizeof(out), &n);
		if (l != NULL) {
			assert_int_equal(r, 0);
			assert_int_equal(n, 4);
		}
		(void) layer_free(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_of_stock),
		cmocka_unit_test(test_encode_is_that_of_stock),
		cmocka_unit_test(test_full_room_leaves_the_state_alone),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
