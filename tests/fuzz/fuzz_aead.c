/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_aead.c - the record layer. The first byte: bit 0 the algorithm, bit 1 whether the rest is
 * taken as it is (a hostile peer) or sealed first (a good one, perhaps with one bit turned); the
 * second picks the split. */
#include "proto/wire/aead.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t key[32] = "a key that fuzzing may well know";

/* Everything @stream gives; false when it was refused. */
static bool decode_pieces(struct layer *l, struct span stream, uint32_t seed, struct buf *out)
{
	uint8_t dst[64];
	size_t n = 0, cap = 0;

	while (stream.len > 0 || n == cap) {
		struct span in = span_head(stream,
					   stream.len > 0 ? fuzz_piece(&seed, stream.len) : 0);

		stream = span_skip(stream, in.len);
		do {
			int r;

			cap = fuzz_piece(&seed, sizeof(dst));
			r = layer_decode(l, &in, dst, cap, &n);
			MUST(r == 0 || (r == LAYER_E_BAD && l->why != NULL));
			if (r != 0)
				return false;
			MUST(n <= cap && (in.len == 0 || n == cap));
			MUST(buf_add(out, span_of(dst, n)) == 0);
		} while (in.len > 0);
	}
	return true;
}

/* Two splits of one stream agree: about the bytes, and about refusal. */
static void check_hostile(const struct aead_params *p, struct span stream, uint8_t seed)
{
	struct buf a, b;
	bool is_good[2];
	struct layer *l;

	buf_init(&a, stream.len);
	buf_init(&b, stream.len);
	MUST(aead_new(&l, p) == 0);
	is_good[0] = decode_pieces(l, stream, seed, &a);
	(void) layer_free(l); /* always NULL */
	MUST(aead_new(&l, p) == 0);
	is_good[1] = decode_pieces(l, stream, seed + 77u, &b);
	(void) layer_free(l); /* always NULL */
	MUST(is_good[0] == is_good[1]);
	if (is_good[0])
		fuzz_must_be_equal(buf_span(&a), buf_span(&b));
	buf_deinit(&a);
	buf_deinit(&b);
}

/* Sealed and opened it is the same; with a bit turned, whatever comes out is a beginning of it. */
static void check_friendly(const struct aead_params *p, struct span plain, uint8_t seed)
{
	struct layer *writer, *reader;
	struct buf wire, out;
	struct span rest = plain;
	uint32_t pieces = seed;
	uint8_t *bytes;
	size_t at;

	buf_init(&wire, 30 * plain.len + 100);
	buf_init(&out, plain.len);
	MUST(aead_new(&writer, p) == 0);
	while (rest.len > 0) {
		struct span piece = span_head(rest, fuzz_piece(&pieces, rest.len));

		MUST(layer_encode(writer, piece, &wire) == 0);
		rest = span_skip(rest, piece.len);
	}
	MUST(aead_new(&reader, p) == 0);
	MUST(decode_pieces(reader, buf_span(&wire), seed, &out));
	fuzz_must_be_equal(buf_span(&out), plain);
	(void) layer_free(reader); /* always NULL */

	buf_eat(&out, buf_len(&out));
	bytes = malloc(buf_len(&wire) + 1);
	MUST(bytes != NULL);
	if (buf_len(&wire) > 0) {
		memcpy(bytes, buf_span(&wire).p, buf_len(&wire));
		at = seed * 257u % buf_len(&wire);
		bytes[at] ^= (uint8_t) (1u << seed % 8);
	}
	MUST(aead_new(&reader, p) == 0);
	(void) decode_pieces(reader, span_of(bytes, buf_len(&wire)), seed,
			     &out); /* either is right */
	MUST(buf_len(&out) <= plain.len && (plain.len == 0 || buf_len(&out) < plain.len));
	fuzz_must_be_equal(buf_span(&out), span_head(plain, buf_len(&out)));
	free(bytes);
	(void) layer_free(reader); /* always NULL */
	(void) layer_free(writer); /* always NULL */
	buf_deinit(&wire);
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nonce[24] = { 1, 2, 3 };
	struct span rest = span_of(data, size);
	uint8_t how = fuzz_take_byte(&rest), seed = fuzz_take_byte(&rest);
	struct aead_params p = {
		.kind = (how & 1) != 0 ? PRIM_AEAD_XCHACHA20_POLY1305 : PRIM_AEAD_AES_256_GCM,
		.key_out = key,
		.key_in = key,
		.nonce = nonce,
	};

	if (size > 4096)
		return 0;
	if ((how & 2) != 0)
		check_hostile(&p, rest, seed);
	else
		check_friendly(&p, rest, seed);
	return 0;
}
