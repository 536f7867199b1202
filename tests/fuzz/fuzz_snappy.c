/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_snappy.c - the compressing layer: any split gives the same bytes and the same end, and what
 * was read can be written and read again. The first byte picks the split. */
#include "proto/wire/snappy.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 200000
#define PLAIN_MAX (8 << 20) /* 64 plain bytes come from 3 at least: more than any input gives */

/* 0 or LAYER_E_BAD; what came out stands in @out. */
static int decode(struct span stream, uint32_t seed, size_t piece_max, struct buf *out)
{
	struct layer *l;
	int r = 0;

	MUST(snappy_new(&l) == 0);
	while (stream.len > 0 && r == 0) {
		struct span in = span_head(stream, piece_max != 0 ? piece_max
								  : fuzz_piece(&seed, stream.len));
		size_t n = 1;

		stream = span_skip(stream, in.len);
		while (r == 0 && (in.len > 0 || n > 0)) {
			uint8_t dst[70000];
			size_t cap = piece_max != 0 ? sizeof(dst) : fuzz_piece(&seed, 999) * 100;

			n = 0;
			r = layer_decode(l, &in, dst, cap, &n);
			MUST(n <= cap && (r != 0 || in.len == 0 || n > 0));
			MUST(buf_add(out, span_of(dst, n)) == 0);
		}
	}
	MUST((r == LAYER_E_BAD) == (l->why != NULL));
	(void) layer_free(l); /* always NULL */
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span stream = span_of(data, size), rest;
	uint8_t seed = fuzz_take_byte(&stream);
	struct buf whole, pieces, wire;
	struct layer *l;
	int r;

	if (size > INPUT_MAX)
		return 0;
	buf_init(&whole, PLAIN_MAX);
	buf_init(&pieces, PLAIN_MAX);
	buf_init(&wire, 2 * PLAIN_MAX);
	r = decode(stream, seed, SIZE_MAX, &whole);
	MUST(decode(stream, seed, 0, &pieces) == r);
	fuzz_must_be_equal(buf_span(&whole), buf_span(&pieces));
	MUST(snappy_new(&l) == 0);
	for (rest = buf_span(&whole); rest.len > 0;) {
		struct span piece = span_head(rest, (size_t) (seed + 1) * 999);

		MUST(layer_encode(l, piece, &wire) == 0);
		rest = span_skip(rest, piece.len);
	}
	buf_cut(&pieces, 0);
	MUST(decode(buf_span(&wire), seed, 0, &pieces) == 0);
	fuzz_must_be_equal(buf_span(&whole), buf_span(&pieces));
	(void) layer_free(l); /* always NULL */
	buf_deinit(&whole);
	buf_deinit(&pieces);
	buf_deinit(&wire);
	return 0;
}
