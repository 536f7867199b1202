/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_work.c - a server that says anything to a parked work connection. */
#include "proto/session/work.h"
#include "tests/fuzz/fuzz.h"

/* Where it ended, and how much was eaten. */
static enum work_state run(enum wire wire, struct span stream, size_t piece, size_t *ret_eaten)
{
	enum work_state state;
	size_t n_all = stream.len;
	struct work w;
	int r = WORK_E_MORE;

	work_init(&w, wire);
	MUST(work_start(&w, "run-id", span_str("token"), 1) == 0);
	work_sent(&w, work_out(&w).len);
	while (stream.len > 0 && r == WORK_E_MORE) {
		struct span in = span_head(stream, piece), left = in;

		r = work_next(&w, &left);
		MUST(r == 0 || (r == WORK_E_MORE && left.len == 0));
		stream = span_skip(stream, in.len - left.len);
	}
	MUST((w.state == WORK_STATE_BAD) == (w.why != NULL));
	if (w.state == WORK_STATE_STARTED) {
		MUST(w.start.start_work_conn.proxy_name[0] != '\0');
		(void) work_has_numeric_addrs(&w.start.start_work_conn); /* only not to crash */
	}
	if (w.state == WORK_STATE_REFUSED)
		MUST(w.start.start_work_conn.error[0] != '\0');
	state = w.state;
	*ret_eaten = n_all - stream.len;
	work_deinit(&w);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t eaten_whole, eaten_pieces;
	enum work_state state;
	struct span stream;
	enum wire wire;

	if (size < 2)
		return 0;
	wire = (data[0] & 1) != 0 ? WIRE_V1 : WIRE_V2;
	stream = span_of(data + 2, size - 2);
	state = run(wire, stream, SIZE_MAX, &eaten_whole);
	MUST(run(wire, stream, data[1] % 32 + (size_t) 1, &eaten_pieces) == state);
	MUST(eaten_whole == eaten_pieces || state == WORK_STATE_BAD); /* refused sooner in pieces */
	return 0;
}
