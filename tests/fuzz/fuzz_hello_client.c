/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hello_client.c - a ClientHello: what is accepted survives being written and read again. */
#include "proto/wire/hello.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum prim_aead_kind kinds[2], kinds_again[2];
	struct hello_client h, again;
	const char *why = NULL;
	struct buf out;
	int r;

	r = hello_decode_client(span_of(data, size), &h, kinds, &why);
	if (r != 0) {
		MUST(r == HELLO_E_BAD && why != NULL);
		return 0;
	}
	MUST(h.n_kinds >= 1 && h.n_kinds <= 2);
	buf_init(&out, 4096);
	MUST(hello_encode_client(&h, &out) == 0);
	MUST(hello_decode_client(buf_span(&out), &again, kinds_again, &why) == 0);
	MUST(h.tls == again.tls && h.tcp_mux == again.tcp_mux);
	MUST(h.offer_udp_binary == again.offer_udp_binary && h.n_kinds == again.n_kinds);
	MUST(memcmp(kinds, kinds_again, h.n_kinds * sizeof(kinds[0])) == 0);
	MUST(memcmp(h.random, again.random, sizeof(h.random)) == 0);
	buf_deinit(&out);
	return 0;
}
