/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hello_server.c - a ServerHello against an offer that the first byte chooses: what is
 * accepted was offered, and survives being written and read again. */
#include "proto/wire/hello.h"
#include "tests/fuzz/fuzz.h"

static bool is_offered(const struct hello_client *offer, enum prim_aead_kind kind)
{
	for (size_t i = 0; i < offer->n_kinds; i++)
		if (offer->kinds[i] == kind)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM,
						     PRIM_AEAD_XCHACHA20_POLY1305 };
	struct span body = span_of(data, size);
	uint8_t how = fuzz_take_byte(&body);
	struct hello_client offer = {
		.kinds = kinds + (how & 1),
		.n_kinds = (how & 1) != 0 || (how & 2) != 0 ? 1 : 2,
		.offer_udp_binary = (how & 4) != 0,
	};
	struct hello_server h, again;
	const char *why = NULL;
	struct buf out;
	int r;

	r = hello_decode_server(body, &offer, &h, &why);
	if (r != 0) {
		MUST(r == HELLO_E_BAD && why != NULL);
		return 0;
	}
	MUST(memchr(h.error, '\0', sizeof(h.error)) != NULL);
	buf_init(&out, 4096);
	if (h.error[0] == '\0') {
		MUST(is_offered(&offer, h.kind));
		MUST(!h.udp_binary || offer.offer_udp_binary);
	}
	/* A text that was cut inside a character cannot be written. */
	r = hello_encode_server(&h, &out);
	MUST(r == 0 || (r == -EINVAL && strlen(h.error) == sizeof(h.error) - 1));
	if (r == 0) {
		MUST(hello_decode_server(buf_span(&out), &offer, &again, &why) == 0);
		MUST(strcmp(h.error, again.error) == 0);
		MUST(h.kind == again.kind && h.udp_binary == again.udp_binary);
		MUST(memcmp(h.random, again.random, sizeof(h.random)) == 0);
	}
	buf_deinit(&out);
	return 0;
}
