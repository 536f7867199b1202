/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_login.c - a server that says anything to a login. */
#include "proto/base/limits.h"
#include "proto/session/login.h"
#include "tests/fuzz/fuzz.h"

static struct login_params params(enum wire wire)
{
	static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM,
						     PRIM_AEAD_XCHACHA20_POLY1305 };

	return (struct login_params){
		.wire = wire,
		.token = span_str("token"),
		.login = { .version = "0.70.1", .timestamp = 1 },
		.hello = { .kinds = kinds, .n_kinds = 2, .offer_udp_binary = true },
	};
}

/* Where it ended, and how much was eaten. */
static enum login_state run(enum wire wire, struct span stream, size_t piece, size_t *ret_eaten)
{
	struct login_params p = params(wire);
	enum login_state state;
	size_t n_all = stream.len;
	struct login l;
	struct chan c;
	int r = LOGIN_E_MORE;

	chan_init(&c, wire, LIMIT_CONTROL_OUT);
	login_init(&l, &p);
	MUST(login_start(&l, &c) == 0);
	while (stream.len > 0 && r == LOGIN_E_MORE) {
		struct span in = span_head(stream, piece), left = in;

		r = login_next(&l, &c, &left);
		MUST(r == 0 || (r == LOGIN_E_MORE && left.len == 0));
		stream = span_skip(stream, in.len - left.len);
	}
	MUST((l.state == LOGIN_STATE_DONE) == (l.run_id[0] != '\0'));
	MUST((l.state == LOGIN_STATE_REFUSED || l.state == LOGIN_STATE_BAD) ==
	     (l.error[0] != '\0'));
	state = l.state;
	*ret_eaten = n_all - stream.len;
	login_deinit(&l);
	chan_deinit(&c);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t eaten_whole, eaten_pieces;
	enum login_state state;
	struct span stream;
	enum wire wire;

	if (size < 2)
		return 0;
	wire = (data[0] & 1) != 0 ? WIRE_V1 : WIRE_V2;
	stream = span_of(data + 2, size - 2);
	state = run(wire, stream, SIZE_MAX, &eaten_whole);
	MUST(run(wire, stream, data[1] % 32 + (size_t) 1, &eaten_pieces) == state);
	MUST(eaten_whole == eaten_pieces ||
	     state == LOGIN_STATE_BAD); /* refused sooner in pieces */
	return 0;
}
