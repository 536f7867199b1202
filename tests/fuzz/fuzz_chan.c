/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_chan.c - a channel fed with any bytes, whole and in pieces: both must say the same. */
#include "proto/session/chan.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"
#include "tests/fuzz/fuzz.h"

/* 0: none, 1: cfb, 2: aes-256-gcm, 3: xchacha20-poly1305; one of two ends that fit each other. */
static struct layer *new_layer(unsigned kind)
{
	static const uint8_t key[32], nonce[24];
	struct aead_params p = { PRIM_AEAD_AES_256_GCM, key, key, nonce };
	struct layer *l = NULL;

	if (kind == 1)
		MUST(cfb_new(&l, span_str("token"), nonce) == 0);
	p.kind = kind == 3 ? PRIM_AEAD_XCHACHA20_POLY1305 : PRIM_AEAD_AES_256_GCM;
	if (kind >= 2)
		MUST(aead_new(&l, &p) == 0);
	return l;
}

struct result {
	size_t n_messages;
	bool is_bad;
	unsigned types; /* a hash of them */
};

static struct result run(enum wire wire, unsigned kind, struct span stream, size_t piece)
{
	struct result res = { 0 };
	struct chan c;
	int r = CHAN_E_MORE;

	chan_init(&c, wire, 1 << 20);
	if (kind != 0)
		chan_set_layer(&c, new_layer(kind));
	while (stream.len > 0 && r == CHAN_E_MORE) {
		struct span in = span_head(stream, piece), left = in;
		struct msg m;

		for (r = chan_next(&c, &left, &m); r == 0; r = chan_next(&c, &left, &m)) {
			res.n_messages++;
			res.types = res.types * 31 + (unsigned) m.type;
			msg_deinit(&m);
		}
		MUST(r == CHAN_E_MORE ? left.len == 0 : r == CHAN_E_BAD && c.why != NULL);
		stream = span_skip(stream, in.len - left.len);
	}
	res.is_bad = r == CHAN_E_BAD;
	chan_deinit(&c);
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, pieces;
	struct span stream;
	enum wire wire;
	struct buf b;
	unsigned kind;

	if (size < 2)
		return 0;
	wire = (data[0] & 1) != 0 ? WIRE_V1 : WIRE_V2;
	kind = data[0] >> 1 & 3;
	stream = span_of(data + 2, size - 2);
	buf_init(&b, 4 << 20);
	if (kind != 0) { /* the fuzzer writes the plain bytes; random ciphertext never opens */
		struct layer *l = new_layer(kind);

		MUST(layer_encode(l, stream, &b) == 0);
		(void) layer_free(l); /* always NULL */
		stream = buf_span(&b);
	}
	whole = run(wire, kind, stream, SIZE_MAX);
	pieces = run(wire, kind, stream, data[1] % 32 + (size_t) 1);
	MUST(whole.n_messages == pieces.n_messages && whole.types == pieces.types);
	MUST(whole.is_bad == pieces.is_bad);
	buf_deinit(&b);
	return 0;
}
