/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cfb.c - the CFB layer: any split gives the same bytes, and encoding gives the input back.
 * The first byte picks the split. */
#include "proto/wire/cfb.h"
#include "tests/fuzz/fuzz.h"

static void decode_pieces(struct layer *l, struct span stream, uint32_t seed, struct buf *out)
{
	while (stream.len > 0) {
		struct span in = span_head(stream, fuzz_piece(&seed, stream.len));

		stream = span_skip(stream, in.len);
		while (in.len > 0) {
			uint8_t dst[64];
			size_t cap = fuzz_piece(&seed, sizeof(dst)), n;

			MUST(layer_decode(l, &in, dst, cap, &n) == 0);
			MUST(n <= cap && (in.len == 0 || n == cap));
			MUST(buf_add(out, span_of(dst, n)) == 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span stream = span_of(data, size), rest;
	uint8_t seed = fuzz_take_byte(&stream);
	uint8_t iv[16] = { 0 };
	struct buf plain, wire;
	struct layer *reader, *writer;

	if (stream.len < sizeof(iv))
		return 0;
	memcpy(iv, stream.p, sizeof(iv));
	buf_init(&plain, size);
	buf_init(&wire, size);
	MUST(cfb_new(&reader, span_str("token"), iv) == 0);
	MUST(cfb_new(&writer, span_str("token"), iv) == 0);
	decode_pieces(reader, stream, seed, &plain);
	MUST(buf_len(&plain) == stream.len - sizeof(iv));
	for (rest = buf_span(&plain); rest.len > 0;) {
		struct span piece = span_head(rest, (size_t) seed + 1);

		MUST(layer_encode(writer, piece, &wire) == 0);
		rest = span_skip(rest, piece.len);
	}
	if (buf_len(&plain) > 0)
		fuzz_must_be_equal(buf_span(&wire), stream);
	(void) layer_free(reader); /* always NULL */
	(void) layer_free(writer); /* always NULL */
	buf_deinit(&plain);
	buf_deinit(&wire);
	return 0;
}
