/* SPDX-License-Identifier: Apache-2.0 */
/* test_snappy.c - the compressing layer against streams of stock frp, at any split. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/wire/snappy.h"
#include "tests/unit/failmalloc.h"

#define ID "\xff\x06\0\0sNaPpY"
#define OUT_MAX (1 << 20)

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

/* Decode @stream in the pieces of @how, into rooms of random size; stops at what is refused. */
static int decode_split(struct layer *l, struct span stream, unsigned how, struct buf *out)
{
	struct unit_split split = unit_split_of(how);
	int r = 0;

	while (stream.len > 0 && r == 0) {
		struct span in = span_head(stream, unit_piece(&split, stream.len));
		size_t cap = 1, n = 1;

		stream = span_skip(stream, in.len);
		while (r == 0 && (in.len > 0 || n > 0)) {
			uint8_t *p;

			cap = how == 0 ? 100000 : unit_random(&split.seed) % 3000 + 1;
			n = 0;
			assert_int_equal(buf_reserve(out, cap, &p), 0);
			r = layer_decode(l, &in, p, cap, &n);
			assert_true(n <= cap);
			assert_true(r != 0 || in.len == 0 || n == cap);
			buf_commit(out, n);
		}
	}
	return r;
}

static void test_decode_of_stock(void **state)
{
	const json_t *list = json_object_get(*state, "snappy");

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list) * UNIT_N_SPLITS; i++) {
		const json_t *v = json_array_get(list, i / UNIT_N_SPLITS);
		struct span stream = unit_hex_of(v, "stream"), plain = unit_hex_of(v, "plaintext");
		struct layer *l;
		struct buf out;

		buf_init(&out, OUT_MAX);
		assert_int_equal(snappy_new(&l), 0);
		assert_int_equal(decode_split(l, stream, (unsigned) (i % UNIT_N_SPLITS), &out), 0);
		unit_assert_span(buf_span(&out), plain);
		assert_true(snappy_is_whole(l));
		assert_null(layer_free(l));
		buf_deinit(&out);
		unit_free_span(stream);
		unit_free_span(plain);
	}
}

/* Chunks with their types and the plain lengths that they claim to have. */
static size_t count_chunks(struct span stream, size_t *ret_n_plain)
{
	size_t n = 0, n_plain = 0;

	assert_true(stream.len >= SNAPPY_ID_LEN);
	assert_memory_equal(stream.p, ID, SNAPPY_ID_LEN);
	stream = span_skip(stream, SNAPPY_ID_LEN);
	for (; stream.len > 0; n++) {
		size_t len = stream.p[1] | (size_t) stream.p[2] << 8 | (size_t) stream.p[3] << 16;
		size_t plain = len - 4;

		assert_true(len + 4 <= stream.len);
		assert_true(stream.p[0] <= 1);
		if (stream.p[0] == 0) {
			assert_int_equal(snapblock_plain_len(stream.p + 8, len - 4, &plain), 0);
			assert_true(len - 4 < plain - plain / 8);
		}
		assert_true(plain <= SNAPPY_PLAIN_MAX);
		n_plain += plain;
		stream = span_skip(stream, len + 4);
	}
	*ret_n_plain = n_plain;
	return n;
}

static void test_encode_is_read_back(void **state)
{
	const json_t *list = json_object_get(*state, "snappy");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i), *writes = json_object_get(v, "writes");
		struct span stock = unit_hex_of(v, "stream"), plain = unit_hex_of(v, "plaintext");
		size_t at = 0, n_plain, n_chunks = 0;
		struct layer *l, *peer;
		struct buf out, back;

		buf_init(&out, OUT_MAX);
		buf_init(&back, OUT_MAX);
		assert_int_equal(snappy_new(&l), 0);
		assert_int_equal(snappy_new(&peer), 0);
		assert_int_equal(layer_encode(l, span_of(NULL, 0), &out), 0);
		assert_int_equal(buf_len(&out), 0);
		for (size_t w = 0; w < json_array_size(writes); w++) {
			size_t n = (size_t) json_integer_value(json_array_get(writes, w));

			assert_int_equal(layer_encode(l, span_of(plain.p + at, n), &out), 0);
			at += n;
			n_chunks += (n + SNAPPY_PLAIN_MAX - 1) / SNAPPY_PLAIN_MAX;
		}
		assert_int_equal(at, plain.len);
		assert_int_equal(count_chunks(buf_span(&out), &n_plain), n_chunks);
		assert_int_equal(n_plain, plain.len);
		/* What does not compress has one form only. */
		if (stock.p[SNAPPY_ID_LEN] == 1)
			unit_assert_span(buf_span(&out), stock);
		assert_int_equal(decode_split(peer, buf_span(&out), 2 + (unsigned) i, &back), 0);
		unit_assert_span(buf_span(&back), plain);
		(void) layer_free(l);
		(void) layer_free(peer);
		buf_deinit(&out);
		buf_deinit(&back);
		unit_free_span(stock);
		unit_free_span(plain);
	}
}

#define REFUSED(bytes)                    \
	{                                 \
		bytes, sizeof(bytes) - 1, \
	}

static void test_refused_at_any_split(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		REFUSED("\x01\x05\0\0\x78\x6e\xe4\x28"
			"a"), /* no identifier */
		REFUSED("\x80\0\0\0"),
		REFUSED("\xff\x06\0\0sNaPpy"),
		REFUSED("\xff\x07\0\0sNaPpYY"),
		REFUSED(ID "\x02\0\0\0"), /* 02-7f must be understood */
		REFUSED(ID "\x7f\x01\0\0a"),
		REFUSED(ID "\x00\x03\0\0abc"), /* shorter than the checksum */
		REFUSED(ID "\x01\x03\0\0abc"),
		REFUSED(ID "\x00\xcf\x2a\x01"), /* longer than 65536 plain bytes can be */
		REFUSED(ID "\x01\x05\0\x01"),
		REFUSED(ID "\x01\x05\0\0\x78\x6e\xe4\x29"
			   "a"),				/* wrong checksum */
		REFUSED(ID "\x00\x04\0\0\0\0\0\0"),		/* no block */
		REFUSED(ID "\x00\x06\0\0\0\0\0\0\x05\x00"),	/* a block cut short */
		REFUSED(ID "\x00\x07\0\0\0\0\0\0\x81\x80\x04"), /* 65537 plain bytes */
		REFUSED(ID "\x00\x0a\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff"),
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases) * UNIT_N_SPLITS; i++) {
		struct span stream = span_of(cases[i / UNIT_N_SPLITS].bytes,
					     cases[i / UNIT_N_SPLITS].len);
		struct span more = span_str("more");
		struct layer *l;
		uint8_t dst[8];
		struct buf out;
		size_t n;

		buf_init(&out, OUT_MAX);
		assert_int_equal(snappy_new(&l), 0);
		assert_int_equal(decode_split(l, stream, (unsigned) (i % UNIT_N_SPLITS), &out),
				 LAYER_E_BAD);
		assert_non_null(l->why);
		assert_int_equal(buf_len(&out), 0);
		assert_int_equal(layer_decode(l, &more, dst, sizeof(dst), &n), LAYER_E_BAD);
		assert_int_equal(more.len, 4);
		(void) layer_free(l);
		buf_deinit(&out);
	}
}

static void test_what_is_legal_and_rare(void **state)
{
	static const char stream[] = ID "\x80\0\0\0"
					"\xfe\x03\0\0pad" ID "\x01\x05\0\0\x78\x6e\xe4\x28"
					"a"
					"\x01\x04\0\0\xd8\xea\x82\xa2" ID
					"\x9a\x02\0\0..\x01\x05\0\0\x78\x6e\xe4\x28"
					"a";

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		struct layer *l;
		struct buf out;

		buf_init(&out, OUT_MAX);
		assert_int_equal(snappy_new(&l), 0);
		assert_int_equal(decode_split(l, span_of(stream, sizeof(stream) - 1), how, &out),
				 0);
		unit_assert_text(buf_span(&out), "aa");
		assert_true(snappy_is_whole(l));
		(void) layer_free(l);
		buf_deinit(&out);
	}
}

/* What came before a bad chunk is handed out; a cut stream is seen. */
static void test_good_bytes_before_bad_ones(void **state)
{
	static const char stream[] = ID "\x01\x05\0\0\x78\x6e\xe4\x28"
					"a\x02\0\0\0";

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		struct layer *l;
		struct buf out;

		buf_init(&out, OUT_MAX);
		assert_int_equal(snappy_new(&l), 0);
		assert_int_equal(decode_split(l, span_of(stream, sizeof(stream) - 1), how, &out),
				 LAYER_E_BAD);
		unit_assert_text(buf_span(&out), "a");
		(void) layer_free(l);
		assert_int_equal(snappy_new(&l), 0);
		assert_true(snappy_is_whole(l));
		for (size_t n = 1; n < sizeof(ID) + 8; n++) {
			struct span in = span_of(stream + n - 1, 1);
			uint8_t dst[4];
			size_t n_out;

			assert_int_equal(layer_decode(l, &in, dst, sizeof(dst), &n_out), 0);
			assert_int_equal(snappy_is_whole(l), n == 10 || n == 19);
		}
		(void) layer_free(l);
		buf_deinit(&out);
	}
}

static void test_full_room_leaves_the_state_alone(void **state)
{
	uint8_t *plain = calloc(1, 70000);
	struct buf small, out;
	struct layer *l;

	(void) state;
	assert_non_null(plain);
	buf_init(&small, SNAPPY_ROOM(3) - 1);
	buf_init(&out, OUT_MAX);
	assert_int_equal(snappy_new(&l), 0);
	assert_int_equal(layer_encode(l, span_str("abc"), &small), BUF_E_FULL);
	assert_int_equal(buf_len(&small), 0);
	buf_deinit(&small);
	buf_init(&small, SNAPPY_ROOM(SNAPPY_PLAIN_MAX));
	assert_int_equal(layer_encode(l, span_of(plain, 70000), &small), 0); /* 4464 fit behind */
	assert_int_equal(layer_encode(l, span_of(plain, 70000), &small), BUF_E_FULL);
	buf_cut(&small, 0);
	assert_int_equal(layer_encode(l, span_str("abc"), &small), 0);
	assert_int_equal(buf_len(&small), SNAPPY_HEAD_LEN + 3); /* the identifier was sent */
	(void) layer_free(l);
	buf_deinit(&small);
	buf_deinit(&out);
	free(plain);
}

/* True: an allocation failed. Whatever fails, the layer goes on where it was. */
static bool run_failing(size_t i, struct span plain, unsigned how)
{
	struct unit_split split = unit_split_of(how);
	struct layer *l = NULL;
	bool has_failed;
	struct buf out, back;
	int r;

	buf_init(&out, OUT_MAX);
	buf_init(&back, OUT_MAX);
	failmalloc_at(i);
	r = snappy_new(&l);
	if (r == 0)
		r = layer_encode(l, plain, &out);
	if (r == -ENOMEM && l != NULL) {
		assert_int_equal(buf_len(&out), 0);
		r = layer_encode(l, plain, &out);
	}
	for (struct span all = buf_span(&out), in = all; r == 0 && buf_len(&back) < plain.len;) {
		uint8_t dst[4000];
		size_t n = 0;

		in = span_head(all, unit_piece(&split, all.len));
		all = span_skip(all, in.len);
		do {
			n = 0;
			r = layer_decode(l, &in, dst, sizeof(dst), &n);
			if (r == -ENOMEM)
				r = layer_decode(l, &in, dst, sizeof(dst), &n);
			assert_int_equal(r, 0);
			while (buf_add(&back, span_of(dst, n)) != 0)
				;
		} while (in.len > 0 || n == sizeof(dst));
	}
	has_failed = failmalloc_stop() != 0;
	assert_true(r == 0 || (l == NULL && r == -ENOMEM));
	if (l != NULL)
		unit_assert_span(buf_span(&back), plain);
	(void) layer_free(l);
	buf_deinit(&out);
	buf_deinit(&back);
	return has_failed;
}

static void test_each_allocation_fails(void **state)
{
	static uint8_t plain[70000];
	uint32_t seed = 3;

	(void) state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t) "abcdefgh"[unit_random(&seed) % 8];
	for (unsigned how = 0; how < 4; how++) {
		size_t n = 0;

		while (run_failing(n, span_of(plain, sizeof(plain)), how))
			n++;
		assert_in_range(n, 5, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_of_stock),
		cmocka_unit_test(test_encode_is_read_back),
		cmocka_unit_test(test_refused_at_any_split),
		cmocka_unit_test(test_what_is_legal_and_rare),
		cmocka_unit_test(test_good_bytes_before_bad_ones),
		cmocka_unit_test(test_full_room_leaves_the_state_alone),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
