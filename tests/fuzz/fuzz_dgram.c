/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_dgram.c - a datagram from anybody's bytes: what is read can be written and is read the same.
 * The first byte picks the form, the second the room. */
#include "proto/base/limits.h"
#include "proto/wire/dgram.h"
#include "tests/fuzz/fuzz.h"

static void check_again(enum dgram_form form, const struct dgram *d)
{
	enum wire wire = form == DGRAM_V1 ? WIRE_V1 : WIRE_V2;
	static uint8_t dst[LIMIT_UDP_PACKET];
	const char *why = NULL;
	struct dgram again;
	struct frame f;
	struct buf out;
	int r;

	buf_init(&out, frame_max(wire));
	r = dgram_encode(form, d, &out);
	MUST(r == 0 || r == DGRAM_E_LONG);
	if (r == 0) {
		MUST(frame_next(wire, buf_span(&out), &f, &why) == 0);
		MUST(f.total_len == buf_len(&out));
		MUST(dgram_decode(form, &f, dst, sizeof(dst), &again, &why) == 0);
		fuzz_must_be_equal(again.payload, d->payload);
		MUST(again.remote.port == d->remote.port);
		MUST(memcmp(&again.remote.ip, &d->remote.ip, sizeof(again.remote.ip)) == 0);
		MUST(memcmp(again.remote.zone, d->remote.zone, sizeof(again.remote.zone)) == 0);
	}
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t dst[255 * 300];
	struct span in = span_of(data, size);
	enum dgram_form form = (enum dgram_form)(fuzz_take_byte(&in) % 3);
	size_t cap = (size_t) fuzz_take_byte(&in) * 300;
	struct frame f = {
		.kind = form == DGRAM_BINARY ? FRAME_UDP : FRAME_MESSAGE,
		.type = form == DGRAM_BINARY ? MSG_NONE : MSG_UDP_PACKET,
		.body = in,
	};
	const char *why = NULL;
	struct dgram d;
	int r;

	r = dgram_decode(form, &f, dst, cap, &d, &why);
	MUST((r == DGRAM_E_BAD) == (why != NULL));
	if (r == 0) {
		MUST(d.payload.len <= cap);
		check_again(form, &d);
	}
	return 0;
}
