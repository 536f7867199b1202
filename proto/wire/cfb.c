/* SPDX-License-Identifier: Apache-2.0 */
/* cfb.c - the AES-128-CFB layer of the v1 control channel and of useEncryption. Floor 1. */
#include "proto/wire/cfb.h"

#include "proto/base/secret.h"
#include "proto/wire/prim.h"

#define CFB_ROUNDS 64 /* golib crypto: PBKDF2 iterations */

struct cfb {
	struct layer layer;
	struct prim_cfb *enc; /* owned */
	struct prim_cfb *dec; /* owned; NULL until the peer's IV is complete */
	uint8_t key[16];
	uint8_t iv_out[PRIM_AES_BLOCK], iv_in[PRIM_AES_BLOCK];
	size_t n_iv_in;
	bool is_iv_sent;
};

static struct layer *cfb_free(struct layer *l)
{
	struct cfb *c = container_of(l, struct cfb, layer);

	(void) prim_cfb_free(c->enc); /* always NULL */
	(void) prim_cfb_free(c->dec); /* always NULL */
	secret_wipe(c, sizeof(*c));
	free(c);
	return NULL;
}

/* Gather the peer's IV. Without memory for the cipher the next call tries again. */
static int cfb_take_iv(struct cfb *c, struct span *in)
{
	struct span head = span_head(*in, sizeof(c->iv_in) - c->n_iv_in);

	if (head.len > 0)
		memcpy(c->iv_in + c->n_iv_in, head.p, head.len);
	c->n_iv_in += head.len;
	*in = span_skip(*in, head.len);
	if (c->n_iv_in < sizeof(c->iv_in))
		return 0;
	return prim_cfb_new(&c->dec, c->key, c->iv_in);
}

static int cfb_decode(struct layer *l, struct span *in, uint8_t *dst, size_t cap, size_t *ret_n)
{
	struct cfb *c = container_of(l, struct cfb, layer);
	struct span head;
	int r;

	if (c->dec == NULL) {
		r = cfb_take_iv(c, in);
		if (r < 0)
			return r;
	}
	head = span_head(*in, c->dec != NULL ? cap : 0);
	if (head.len > 0) {
		r = prim_cfb_decrypt(c->dec, head.p, dst, head.len);
		if (r < 0)
			return r;
	}
	*in = span_skip(*in, head.len);
	*ret_n = head.len;
	return 0;
}

static int cfb_encode(struct layer *l, struct span plain, struct buf *out)
{
	struct cfb *c = container_of(l, struct cfb, layer);
	size_t n_iv = c->is_iv_sent ? 0 : sizeof(c->iv_out);
	uint8_t *p;
	int r;

	if (plain.len == 0)
		return 0;
	r = buf_reserve(out, n_iv + plain.len, &p);
	if (r != 0)
		return r;
	memcpy(p, c->iv_out, n_iv);
	r = prim_cfb_encrypt(c->enc, plain.p, p + n_iv, plain.len);
	if (r < 0)
		return r;
	buf_commit(out, n_iv + plain.len);
	c->is_iv_sent = true;
	return 0;
}

static const struct layer_ops cfb_ops = {
	.decode = cfb_decode,
	.encode = cfb_encode,
	.free = cfb_free,
};

int cfb_new(struct layer **ret_l, struct span token, const uint8_t iv[static 16])
{
	CLEANUP(layer_free) struct layer *l = NULL;
	struct cfb *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->layer.ops = &cfb_ops;
	l = &c->layer;
	memcpy(c->iv_out, iv, sizeof(c->iv_out));
	r = prim_pbkdf2_sha1(token, span_str("frp"), CFB_ROUNDS, c->key, sizeof(c->key));
	if (r < 0)
		return r;
	r = prim_cfb_new(&c->enc, c->key, iv);
	if (r < 0)
		return r;
	*ret_l = TAKE(l);
	return 0;
}
