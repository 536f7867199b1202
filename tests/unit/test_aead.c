/* SPDX-License-Identifier: Apache-2.0 */
/* test_aead.c - the record layer against streams of stock frp, at any split; refusals; limits. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/aead.h"
#include "tests/unit/failmalloc.h"

static const uint8_t key_a[32] = { 1 }, key_b[32] = { 2 }, nonce_a[24] = { 3 }, nonce_b[24] = { 4 };

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

static enum prim_aead_kind kind_of(const json_t *v)
{
	return strcmp(unit_str(v, "algorithm"), "aes-256-gcm") == 0 ? PRIM_AEAD_AES_256_GCM
								    : PRIM_AEAD_XCHACHA20_POLY1305;
}

/* Two ends that fit each other. */
static void new_pair(enum prim_aead_kind kind, struct layer **ret_a, struct layer **ret_b)
{
	struct aead_params a = { kind, key_a, key_b, nonce_a }, b = { kind, key_b, key_a, nonce_b };

	assert_int_equal(aead_new(ret_a, &a), 0);
	assert_int_equal(aead_new(ret_b, &b), 0);
}

static void decode_split(struct layer *l, struct span stream, unsigned how, struct buf *out)
{
	struct unit_split split = unit_split_of(how);
	size_t n = 0, cap = 0;

	while (stream.len > 0 || n == cap) {
		size_t left = stream.len;
		struct span in = span_head(stream, left > 0 ? unit_piece(&split, left) : 0);

		stream = span_skip(stream, in.len);
		do {
			uint8_t *p;

			cap = how == 0 ? 100000 : unit_random(&split.seed) % 3000 + 1;
			assert_int_equal(buf_reserve(out, cap, &p), 0);
			assert_int_equal(layer_decode(l, &in, p, cap, &n), 0);
			assert_true(n <= cap);
			assert_true(in.len == 0 || n == cap);
			buf_commit(out, n);
		} while (in.len > 0);
	}
}

/* The records of one direction of a vector, both ways. */
static void check_direction(const json_t *v, const char *key_name, const char *stream_name,
			    const char *plain_name)
{
	struct span key = unit_hex_of(v, key_name), stream = unit_hex_of(v, stream_name);
	const json_t *list = json_object_get(v, plain_name);
	struct aead_params params = { kind_of(v), key.p, key.p, stream.p };
	struct buf plain, out;
	struct layer *l;

	buf_init(&plain, 1 << 20);
	buf_init(&out, 1 << 20);
	assert_int_equal(aead_new(&l, &params), 0);
	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct span piece = unit_unhex(json_string_value(json_array_get(list, i)));

		assert_int_equal(buf_add(&plain, piece), 0);
		assert_int_equal(layer_encode(l, piece, &out), 0);
		unit_free_span(piece);
	}
	unit_assert_span(buf_span(&out), stream);
	(void) layer_free(l);
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		buf_eat(&out, buf_len(&out));
		assert_int_equal(aead_new(&l, &params), 0);
		decode_split(l, stream, how, &out);
		unit_assert_span(buf_span(&out), buf_span(&plain));
		(void) layer_free(l);
	}
	buf_deinit(&plain);
	buf_deinit(&out);
	unit_free_span(key);
	unit_free_span(stream);
}

static void test_streams_of_stock(void **state)
{
	const json_t *list = json_object_get(*state, "v2");

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		check_direction(v, "key_c2s", "stream_c2s", "plaintexts_c2s");
		check_direction(v, "key_s2c", "stream_s2c", "plaintexts_s2c");
	}
}

static void test_long_writes_are_cut_into_records(void **state)
{
	static uint8_t plain[3 * LIMIT_AEAD_RECORD + 5];
	uint32_t seed = 5;

	(void) state;
	unit_fill(&seed, plain, sizeof(plain));
	for (unsigned k = 0; k < 2; k++) {
		enum prim_aead_kind kind = (enum prim_aead_kind) k;
		size_t nonce_len = prim_aead_nonce_len(kind);
		struct layer *a, *b;
		struct buf wire, out;

		buf_init(&wire, 1 << 20);
		buf_init(&out, 1 << 20);
		new_pair(kind, &a, &b);
		assert_int_equal(layer_encode(a, span_of(plain, sizeof(plain)), &wire), 0);
		assert_int_equal(buf_len(&wire), nonce_len + sizeof(plain) + (size_t) 4 * (4 + 16));
		assert_int_equal(bytes_get_u32(buf_span(&wire).p + nonce_len),
				 LIMIT_AEAD_RECORD + PRIM_TAG_LEN);
		decode_split(b, buf_span(&wire), 2, &out);
		unit_assert_span(buf_span(&out), span_of(plain, sizeof(plain)));
		(void) layer_free(a);
		(void) layer_free(b);
		buf_deinit(&wire);
		buf_deinit(&out);
	}
}

/* A sealed message of two records on the wire. */
static void seal_two(enum prim_aead_kind kind, struct layer **ret_reader, struct buf *ret_wire)
{
	struct layer *a;

	buf_init(ret_wire, 4096);
	new_pair(kind, &a, ret_reader);
	assert_int_equal(layer_encode(a, span_str("first"), ret_wire), 0);
	assert_int_equal(layer_encode(a, span_str("second"), ret_wire), 0);
	(void) layer_free(a);
}

static void test_a_changed_byte_ends_it(void **state)
{
	struct layer *l;
	struct buf wire;

	(void) state;
	seal_two(PRIM_AEAD_AES_256_GCM, &l, &wire);
	(void) layer_free(l);
	for (size_t i = 0; i < buf_len(&wire); i++) {
		uint8_t bytes[200], out[64];
		struct span in = span_of(bytes, buf_len(&wire));
		struct layer *peer;
		size_t n = 0;
		int r = 0;

		new_pair(PRIM_AEAD_AES_256_GCM, &peer, &l);
		(void) layer_free(peer);
		memcpy(bytes, buf_span(&wire).p, in.len);
		bytes[i] ^= 1;
		r = layer_decode(l, &in, out, sizeof(out), &n);
		/* A length that became larger waits for bytes that never come; all else is seen. */
		if (r == 0) {
			assert_true(n < 11);
			assert_null(l->why);
		} else {
			assert_int_equal(r, LAYER_E_BAD);
			assert_non_null(l->why);
			in = buf_span(&wire);
			assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), LAYER_E_BAD);
		}
		(void) layer_free(l);
	}
	buf_deinit(&wire);
}

static void test_a_repeated_or_missing_record_ends_it(void **state)
{
	(void) state;
	for (unsigned k = 0; k < 2; k++) {
		enum prim_aead_kind kind = (enum prim_aead_kind) k;
		size_t n_first = prim_aead_nonce_len(kind) + 4 + 5 + PRIM_TAG_LEN, n;
		struct layer *l;
		struct buf wire;
		struct span in;
		uint8_t out[64];

		seal_two(kind, &l, &wire);
		in = span_head(buf_span(&wire), n_first);
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), 0);
		unit_assert_text(span_of(out, n), "first");
		in = span_of(buf_span(&wire).p + prim_aead_nonce_len(kind), 4 + 5 + PRIM_TAG_LEN);
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), LAYER_E_BAD);
		assert_string_equal(l->why, "record fails authentication");
		(void) layer_free(l);
		buf_deinit(&wire);

		seal_two(kind, &l, &wire);
		in = span_head(buf_span(&wire), prim_aead_nonce_len(kind));
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), 0);
		in = span_skip(buf_span(&wire), n_first);
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), LAYER_E_BAD);
		(void) layer_free(l);
		buf_deinit(&wire);
	}
}

static void test_lengths_are_refused_before_any_body(void **state)
{
	static const struct {
		uint32_t len;
		const char *why;
	} cases[] = {
		{ 0, "record shorter than its tag" },
		{ 15, "record shorter than its tag" },
		{ 65536 + 17, "record longer than 65536 bytes" },
		{ UINT32_MAX, "record longer than 65536 bytes" },
		{ 16, NULL },
		{ 65536 + 16, NULL },
	};

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct layer *peer, *l;
		uint8_t wire[16] = { 0 }, out[8];
		struct span in = span_of(wire, sizeof(wire));
		size_t n;
		int r;

		new_pair(PRIM_AEAD_AES_256_GCM, &peer, &l);
		bytes_put_u32(wire + 12, cases[i].len);
		failmalloc_at(SIZE_MAX);
		r = layer_decode(l, &in, out, sizeof(out), &n);
		(void) failmalloc_stop();
		assert_int_equal(failmalloc_count(), 0);
		assert_int_equal(r, cases[i].why != NULL ? LAYER_E_BAD : 0);
		if (cases[i].why != NULL)
			assert_string_equal(l->why, cases[i].why);
		(void) layer_free(peer);
		(void) layer_free(l);
	}
}

/* N is all ones but for the last bit: two records, then no nonce is left. */
static void test_nonces_do_not_wrap(void **state)
{
	uint8_t nonce[24], out[64];

	(void) state;
	memset(nonce, 0xff, sizeof(nonce));
	for (unsigned k = 0; k < 2; k++) {
		enum prim_aead_kind kind = (enum prim_aead_kind) k;
		size_t nonce_len = prim_aead_nonce_len(kind), n;
		struct aead_params params = { kind, key_a, key_a, nonce };
		struct layer *l;
		struct buf wire;
		struct span in;

		buf_init(&wire, 4096);
		nonce[nonce_len - 1] = 0xfe;
		assert_int_equal(aead_new(&l, &params), 0);
		nonce[nonce_len - 1] = 0xff;
		assert_int_equal(layer_encode(l, span_str("a"), &wire), 0);
		assert_int_equal(layer_encode(l, span_str("b"), &wire), 0);
		assert_int_equal(layer_encode(l, span_str("c"), &wire), -EOVERFLOW);
		in = buf_span(&wire);
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), 0);
		unit_assert_text(span_of(out, n), "ab");
		in = span_of("\0\0\0\x10", 4);
		assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), LAYER_E_BAD);
		assert_string_equal(l->why, "more records than nonces");
		(void) layer_free(l);
		buf_deinit(&wire);
	}
}

/* The carry runs over bytes: 0x00ff + 1 = 0x0100. */
static void test_nonces_count_over_bytes(void **state)
{
	struct layer *a, *b;
	struct buf wire;
	uint8_t out[8];
	size_t n;

	(void) state;
	buf_init(&wire, 1 << 16);
	new_pair(PRIM_AEAD_AES_256_GCM, &a, &b);
	for (unsigned i = 0; i < 700; i++) {
		struct span in;

		assert_int_equal(layer_encode(a, span_str("x"), &wire), 0);
		in = buf_span(&wire);
		assert_int_equal(layer_decode(b, &in, out, sizeof(out), &n), 0);
		assert_int_equal(n, 1);
		buf_eat(&wire, buf_len(&wire));
	}
	(void) layer_free(a);
	(void) layer_free(b);
	buf_deinit(&wire);
}

static void test_empty_records_are_legal(void **state)
{
	struct prim_aead *p;
	uint8_t wire[12 + 4 + 16] = { 0 }, aad[16] = { 0 }, out[8];
	struct layer *peer, *l;
	struct span in = span_of(wire, sizeof(wire));
	size_t n = 99;

	(void) state;
	bytes_put_u32(wire + 12, 16);
	bytes_put_u32(aad + 12, 16);
	assert_int_equal(prim_aead_new(&p, PRIM_AEAD_AES_256_GCM, key_a), 0);
	assert_int_equal(prim_aead_seal(p, wire, span_of(aad, 16), span_of(NULL, 0), wire + 16), 0);
	(void) prim_aead_free(p);
	new_pair(PRIM_AEAD_AES_256_GCM, &peer, &l);
	assert_int_equal(layer_decode(l, &in, out, sizeof(out), &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(in.len, 0);
	(void) layer_free(peer);
	(void) layer_free(l);
}

static void test_full_room_leaves_the_state_alone(void **state)
{
	struct layer *a, *b;
	struct buf small, wire;
	struct span in;
	uint8_t out[8];
	size_t n;

	(void) state;
	buf_init(&small, 12 + 4 + 16 + 2);
	buf_init(&wire, 100);
	new_pair(PRIM_AEAD_AES_256_GCM, &a, &b);
	assert_int_equal(layer_encode(a, span_str("abc"), &small), BUF_E_FULL);
	assert_int_equal(buf_len(&small), 0);
	assert_int_equal(layer_encode(a, span_of(NULL, 0), &small), 0);
	assert_int_equal(buf_len(&small), 0);
	assert_int_equal(layer_encode(a, span_str("abc"), &wire), 0);
	in = buf_span(&wire);
	assert_int_equal(layer_decode(b, &in, out, sizeof(out), &n), 0);
	unit_assert_text(span_of(out, n), "abc");
	(void) layer_free(a);
	(void) layer_free(b);
	buf_deinit(&small);
	buf_deinit(&wire);
}

/* Each failing allocation of both constructors, writing and reading; the reader goes
 * on afterwards. */
static void test_each_allocation_fails(void **state)
{
	bool has_failed = true;
	size_t i;

	(void) state;
	for (i = 0; has_failed; i++) {
		struct aead_params pa = { PRIM_AEAD_AES_256_GCM, key_a, key_b, nonce_a };
		struct aead_params pb = { PRIM_AEAD_AES_256_GCM, key_b, key_a, nonce_b };
		struct layer *a = NULL, *b = NULL;
		uint8_t out[2], all[8];
		struct buf wire;
		struct span in;
		size_t n = 0, n_all = 0;
		int r;

		buf_init(&wire, 100);
		failmalloc_at(i);
		r = aead_new(&a, &pa);
		if (r == 0)
			r = aead_new(&b, &pb);
		if (r == 0)
			r = layer_encode(a, span_str("abcde"), &wire);
		in = buf_span(&wire);
		while (r == 0 && n_all < 5) {
			r = layer_decode(b, &in, out, sizeof(out), &n);
			if (r == -ENOMEM) /* memory is back at once: only one fails */
				r = layer_decode(b, &in, out, sizeof(out), &n);
			assert_int_equal(r, 0);
			memcpy(all + n_all, out, n);
			n_all += n;
		}
		has_failed = failmalloc_stop();
		if (r == 0)
			unit_assert_text(span_of(all, n_all), "abcde");
		else
			assert_true(has_failed && r == -ENOMEM);
		(void) layer_free(a);
		(void) layer_free(b);
		buf_deinit(&wire);
	}
	assert_true(i > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_of_stock),
		cmocka_unit_test(test_long_writes_are_cut_into_records),
		cmocka_unit_test(test_a_changed_byte_ends_it),
		cmocka_unit_test(test_a_repeated_or_missing_record_ends_it),
		cmocka_unit_test(test_lengths_are_refused_before_any_body),
		cmocka_unit_test(test_nonces_do_not_wrap),
		cmocka_unit_test(test_nonces_count_over_bytes),
		cmocka_unit_test(test_empty_records_are_legal),
		cmocka_unit_test(test_full_room_leaves_the_state_alone),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
