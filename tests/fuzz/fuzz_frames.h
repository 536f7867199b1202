/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frames.h - the body of fuzz_frame_v1 and fuzz_frame_v2. Tests only. */
#pragma once
#include "proto/wire/frame.h"
#include "tests/fuzz/fuzz.h"

/* A frame that was read reads the same with nothing behind it, wants more with a byte less, and its
 * message survives being written and read again. */
static inline void fuzz_check_frame(enum wire wire, struct span bytes, const struct frame *f)
{
	struct frame again;
	struct buf out, out2;
	struct msg m, m2;
	const char *why = NULL;

	MUST(f->total_len <= bytes.len && f->total_len <= frame_max(wire));
	MUST(frame_next(wire, span_head(bytes, f->total_len), &again, &why) == 0);
	MUST(again.kind == f->kind && again.type == f->type && again.body.p == f->body.p);
	MUST(frame_next(wire, span_head(bytes, f->total_len - 1), &again, &why) == FRAME_E_MORE);
	if (f->kind != FRAME_MESSAGE || msg_decode(f->type, f->body, &m, &why) != 0)
		return;
	buf_init(&out, frame_max(wire));
	buf_init(&out2, frame_max(wire));
	/* Replacement characters may make it longer than the wire allows. */
	if (frame_encode(wire, &m, &out) == 0) {
		MUST(frame_next(wire, buf_span(&out), &again, &why) == 0);
		MUST(again.type == f->type && again.total_len == buf_len(&out));
		MUST(msg_decode(again.type, again.body, &m2, &why) == 0);
		MUST(frame_encode(wire, &m2, &out2) == 0);
		fuzz_must_be_equal(buf_span(&out), buf_span(&out2));
		msg_deinit(&m2);
	}
	msg_deinit(&m);
	buf_deinit(&out);
	buf_deinit(&out2);
}

/* All frames of the input; then the same input growing byte by byte meets the same end. */
static inline int fuzz_frames(enum wire wire, const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	const char *why = NULL, *why_early;
	struct frame f;
	int r;

	while ((r = frame_next(wire, rest, &f, &why)) == 0) {
		fuzz_check_frame(wire, rest, &f);
		rest = span_skip(rest, f.total_len);
	}
	MUST((r == FRAME_E_BAD) == (why != NULL));
	for (size_t n = 0; n < rest.len && n < 16; n++) {
		int early = frame_next(wire, span_head(rest, n), &f, &why_early);

		MUST(early == FRAME_E_MORE || (early == FRAME_E_BAD && r == FRAME_E_BAD));
	}
	return 0;
}
