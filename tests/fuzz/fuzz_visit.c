/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_visit.c - a server that says anything to a visitor. */
#include "proto/session/visit.h"
#include "tests/fuzz/fuzz.h"

/* Where it ended, and how much was eaten. */
static enum visit_state run(enum wire wire, struct span stream, size_t piece, size_t *ret_eaten)
{
	struct visit_params p = { .proxy_name = "secret", .secret_key = span_str("key") };
	enum visit_state state;
	size_t n_all = stream.len;
	struct visit v;
	int r = VISIT_E_MORE;

	visit_init(&v, wire);
	MUST(visit_start(&v, "run-id", &p, 1) == 0);
	visit_sent(&v, visit_out(&v).len);
	while (stream.len > 0 && r == VISIT_E_MORE) {
		struct span in = span_head(stream, piece), left = in;

		r = visit_next(&v, &left);
		MUST(r == 0 || (r == VISIT_E_MORE && left.len == 0));
		stream = span_skip(stream, in.len - left.len);
	}
	MUST((v.state >= VISIT_STATE_REFUSED) == (v.why != NULL));
	if (v.state == VISIT_STATE_REFUSED)
		MUST(v.why[0] != '\0');
	state = v.state;
	*ret_eaten = n_all - stream.len;
	visit_deinit(&v);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t eaten_whole, eaten_pieces;
	enum visit_state state;
	struct span stream;
	enum wire wire;

	if (size < 2)
		return 0;
	wire = (data[0] & 1) != 0 ? WIRE_V1 : WIRE_V2;
	stream = span_of(data + 2, size - 2);
	state = run(wire, stream, SIZE_MAX, &eaten_whole);
	MUST(run(wire, stream, data[1] % 32 + (size_t) 1, &eaten_pieces) == state);
	MUST(eaten_whole == eaten_pieces ||
	     state == VISIT_STATE_BAD); /* refused sooner in pieces */
	return 0;
}
