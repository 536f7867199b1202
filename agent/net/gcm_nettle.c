/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_nettle.c - AES-GCM by nettle, which chooses AES-NI and PCLMULQDQ (or ARM's) at run time.
 * Floor 4.
 *
 * nettle takes a part of a block only at the end of the additional data or of the message; in a
 * stream what is left over waits in the tail. */
#include "agent/net/gcm_nettle.h"

#include <string.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"

_Static_assert(offsetof(struct gcm_aes128_ctx, gcm) == offsetof(struct gcm_nettle_common, gcm) &&
		       offsetof(struct gcm_aes192_ctx, gcm) ==
			       offsetof(struct gcm_nettle_common, gcm) &&
		       offsetof(struct gcm_aes256_ctx, gcm) ==
			       offsetof(struct gcm_nettle_common, gcm),
	       "nettle lays its contexts out in another way");

static size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void gcm_nettle_update(struct gcm_nettle *g, const uint8_t *aad, size_t n)
{
	if (n > 0)
		g->aead->update(&g->ctx, n, aad);
}

static void gcm_nettle_run(struct gcm_nettle *g, const uint8_t *in, uint8_t *out, size_t n)
{
	if (n > 0)
		(g->is_encrypting ? g->aead->encrypt : g->aead->decrypt)(&g->ctx, n, out, in);
}

void gcm_nettle_set_key(struct gcm_nettle *g, const uint8_t *key, size_t key_len)
{
	MUST(key_len == 16 || key_len == 24 || key_len == 32);
	g->aead = key_len == 16	  ? &nettle_gcm_aes128
		  : key_len == 24 ? &nettle_gcm_aes192
				  : &nettle_gcm_aes256;
	g->aead->set_encrypt_key(&g->ctx, key);
}

void gcm_nettle_whole(struct gcm_nettle *g, bool is_encrypting, const struct gcm_message *m,
		      uint8_t ret_tag[static GCM_TAG_MAX])
{
	gcm_nettle_begin(g, is_encrypting, m->iv, m->iv_len);
	gcm_nettle_update(g, m->aad, m->aad_len);
	gcm_nettle_run(g, m->in, m->out, m->len);
	g->aead->digest(&g->ctx, GCM_TAG_MAX, ret_tag);
}

/* -- streams -- */

void gcm_nettle_begin(struct gcm_nettle *g, bool is_encrypting, const uint8_t *iv, size_t iv_len)
{
	gcm_set_iv(&g->ctx.common.gcm, &g->ctx.common.key, iv_len, iv);
	g->is_encrypting = is_encrypting;
	g->n_tail = 0;
}

void gcm_nettle_aad(struct gcm_nettle *g, const uint8_t *aad, size_t n)
{
	size_t n_whole;

	if (n == 0)
		return;
	if (g->n_tail > 0) {
		size_t n_more = size_min(n, GCM_BLOCK - g->n_tail);

		memcpy(g->tail + g->n_tail, aad, n_more);
		g->n_tail += n_more;
		if (g->n_tail < GCM_BLOCK)
			return;
		gcm_nettle_update(g, g->tail, GCM_BLOCK);
		aad += n_more;
		n -= n_more;
	}
	n_whole = n - n % GCM_BLOCK;
	gcm_nettle_update(g, aad, n_whole);
	memcpy(g->tail, aad + n_whole, n - n_whole);
	g->n_tail = n - n_whole;
}

void gcm_nettle_end_aad(struct gcm_nettle *g)
{
	gcm_nettle_update(g, g->tail, g->n_tail);
	g->n_tail = 0;
}

/* @n more bytes of the block that is not full; at most up to its end. nettle gets the block from
 * its start each time, and forgets it again until it is full. */
static void gcm_nettle_crypt_tail(struct gcm_nettle *g, const uint8_t *in, uint8_t *out, size_t n)
{
	struct gcm_ctx before = g->ctx.common.gcm;
	uint8_t block[GCM_BLOCK];

	memcpy(g->tail + g->n_tail, in, n);
	gcm_nettle_run(g, g->tail, block, g->n_tail + n);
	memcpy(out, block + g->n_tail, n);
	g->n_tail += n;
	if (g->n_tail < GCM_BLOCK)
		g->ctx.common.gcm = before;
	else
		g->n_tail = 0;
	secret_wipe(block, sizeof(block));
}

void gcm_nettle_crypt(struct gcm_nettle *g, const uint8_t *in, uint8_t *out, size_t n)
{
	size_t n_part;

	if (n > 0 && g->n_tail > 0) {
		n_part = size_min(n, GCM_BLOCK - g->n_tail);
		gcm_nettle_crypt_tail(g, in, out, n_part);
		in += n_part;
		out += n_part;
		n -= n_part;
	}
	n_part = n - n % GCM_BLOCK;
	gcm_nettle_run(g, in, out, n_part);
	if (n > n_part)
		gcm_nettle_crypt_tail(g, in + n_part, out + n_part, n - n_part);
}

void gcm_nettle_end(struct gcm_nettle *g, uint8_t ret_tag[static GCM_TAG_MAX])
{
	uint8_t block[GCM_BLOCK];

	gcm_nettle_run(g, g->tail, block, g->n_tail); /* now it counts; its output was given */
	g->aead->digest(&g->ctx, GCM_TAG_MAX, ret_tag);
	g->n_tail = 0;
	secret_wipe(block, sizeof(block));
	secret_wipe(g->tail, sizeof(g->tail));
}
