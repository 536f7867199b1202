/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_nettle.c - mbedTLS's AES-GCM, computed by nettle. No API of its own. Floor 4.
 *
 * mbedTLS multiplies and encrypts block by block and so makes bulk TLS several times slower than
 * Go's; nettle chooses AES-NI and PCLMULQDQ (or ARM's) at run time. This file defines all nine
 * functions of <mbedtls/gcm.h>, for 2.28 and 3.x, and the linker is told to take them before it
 * searches libmbedcrypto.a, whose own gcm.o then stays out (meson.build, scripts/check-gcm). So TLS
 * and prim.c use it without knowing. Only with a static mbedTLS: a shared one calls itself.
 *
 * The first bytes of mbedTLS's context hold a pointer to our state. Arguments and errors are as in
 * mbedTLS, with three differences: streams may be cut anywhere (2.28 wants whole blocks), what is
 * called before its time is refused, and ciphers other than AES are refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/cipher.h>
#include <mbedtls/gcm.h>
#include <mbedtls/version.h>
#include <nettle/gcm.h>
#include <nettle/nettle-meta.h>

#include "proto/base/secret.h"

#define GCM_TAG_MIN 4				/* NIST SP 800-38D 5.2.1.2: 32 bits */
#define GCM_DATA_MAX ((UINT64_C(1) << 36) - 32) /* NIST SP 800-38D 5.2.1.1: 2^39 - 256 bits */
#define GCM_AAD_MAX ((UINT64_C(1) << 61) - 1)	/* the same: 2^64 - 1 bits, also for the IV */

/* How all of nettle's contexts of this mode begin. */
struct gcm_common {
	struct gcm_key key;
	struct gcm_ctx gcm;
};

enum gcm_phase { GCM_PHASE_IDLE, GCM_PHASE_AAD, GCM_PHASE_DATA };

/* Owned by the mbedTLS context. Invariant: n_tail < GCM_BLOCK_SIZE between calls. */
struct gcm_state {
	const struct nettle_aead *aead; /* static */
	union {
		struct gcm_common common;
		struct gcm_aes128_ctx aes128;
		struct gcm_aes192_ctx aes192;
		struct gcm_aes256_ctx aes256;
	} nettle;
	enum gcm_phase phase;
	bool is_encrypting;
	uint64_t n_aad, n_data;
	/* input of the block that is not full yet: nettle has not seen it, its output is out */
	uint8_t tail[GCM_BLOCK_SIZE];
	size_t n_tail;
};

_Static_assert(sizeof(mbedtls_gcm_context) >= sizeof(struct gcm_state *), "no room for a pointer");
_Static_assert(offsetof(struct gcm_aes128_ctx, gcm) == offsetof(struct gcm_common, gcm) &&
		       offsetof(struct gcm_aes192_ctx, gcm) == offsetof(struct gcm_common, gcm) &&
		       offsetof(struct gcm_aes256_ctx, gcm) == offsetof(struct gcm_common, gcm),
	       "nettle lays its contexts out in another way");

static struct gcm_state *gcm_state_of(const mbedtls_gcm_context *ctx)
{
	struct gcm_state *s;

	memcpy(&s, ctx, sizeof(s));
	return s;
}

/* -- nettle ------------------------------------------------------------------------------------ */

static void gcm_crypt(struct gcm_state *s, const uint8_t *in, uint8_t *out, size_t n)
{
	if (n > 0)
		(s->is_encrypting ? s->aead->encrypt : s->aead->decrypt)(&s->nettle, n, out, in);
}

static void gcm_update_aad(struct gcm_state *s, const uint8_t *aad, size_t n)
{
	if (n > 0)
		s->aead->update(&s->nettle, n, aad);
}

/* Begins a message: 0 or MBEDTLS_ERR_GCM_BAD_INPUT. */
static int gcm_begin(struct gcm_state *s, int mode, const uint8_t *iv, size_t iv_len)
{
	if (s == NULL || (mode != MBEDTLS_GCM_ENCRYPT && mode != MBEDTLS_GCM_DECRYPT))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (iv_len == 0 || iv_len > GCM_AAD_MAX)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_set_iv(&s->nettle.common.gcm, &s->nettle.common.key, iv_len, iv);
	s->is_encrypting = mode == MBEDTLS_GCM_ENCRYPT;
	s->phase = GCM_PHASE_AAD;
	s->n_aad = s->n_data = 0;
	s->n_tail = 0;
	return 0;
}

/* Ends the message. */
static void gcm_end(struct gcm_state *s, uint8_t ret_tag[static GCM_DIGEST_SIZE])
{
	s->aead->digest(&s->nettle, GCM_DIGEST_SIZE, ret_tag);
	s->phase = GCM_PHASE_IDLE;
}

/* nettle takes input and output at one place or apart. mbedTLS also allows output that begins
 * before the input and overlaps it: then the input is moved first. */
static int gcm_settle(const uint8_t **in, uint8_t *out, size_t n)
{
	uintptr_t from = (uintptr_t) *in, to = (uintptr_t) out;

	if (to > from && to - from < n)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (to < from && from - to < n) {
		memmove(out, *in, n);
		*in = out;
	}
	return 0;
}

/* -- streams ----------------------------------------------------------------------------------- */

static size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* nettle takes a part of a block only at the end: what is left over waits in the tail. */
static int gcm_feed_aad(struct gcm_state *s, const uint8_t *aad, size_t n)
{
	size_t n_whole;

	if (s == NULL || s->phase != GCM_PHASE_AAD || n > GCM_AAD_MAX - s->n_aad)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (n == 0)
		return 0;
	s->n_aad += n;
	if (s->n_tail > 0) {
		size_t n_more = size_min(n, GCM_BLOCK_SIZE - s->n_tail);

		memcpy(s->tail + s->n_tail, aad, n_more);
		s->n_tail += n_more;
		if (s->n_tail < GCM_BLOCK_SIZE)
			return 0;
		gcm_update_aad(s, s->tail, GCM_BLOCK_SIZE);
		s->n_tail = 0;
		aad += n_more;
		n -= n_more;
	}
	n_whole = n - n % GCM_BLOCK_SIZE;
	gcm_update_aad(s, aad, n_whole);
	memcpy(s->tail, aad + n_whole, n - n_whole);
	s->n_tail = n - n_whole;
	return 0;
}

static void gcm_end_aad(struct gcm_state *s)
{
	gcm_update_aad(s, s->tail, s->n_tail);
	s->n_tail = 0;
	s->phase = GCM_PHASE_DATA;
}

/* @n more bytes of the block that is not full; at most up to its end. nettle gets the block from
 * its start each time, and forgets it again until it is full. */
static void gcm_crypt_tail(struct gcm_state *s, const uint8_t *in, uint8_t *out, size_t n)
{
	struct gcm_ctx before = s->nettle.common.gcm;
	uint8_t block[GCM_BLOCK_SIZE];

	memcpy(s->tail + s->n_tail, in, n);
	gcm_crypt(s, s->tail, block, s->n_tail + n);
	memcpy(out, block + s->n_tail, n);
	s->n_tail += n;
	if (s->n_tail < GCM_BLOCK_SIZE)
		s->nettle.common.gcm = before;
	else
		s->n_tail = 0;
	secret_wipe(block, sizeof(block));
}

static int gcm_feed(struct gcm_state *s, const uint8_t *in, uint8_t *out, size_t n)
{
	size_t n_part;
	int r;

	if (s == NULL || s->phase == GCM_PHASE_IDLE || n > GCM_DATA_MAX - s->n_data)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (n == 0)
		return 0;
	r = gcm_settle(&in, out, n);
	if (r != 0)
		return r;
	if (s->phase == GCM_PHASE_AAD)
		gcm_end_aad(s);
	s->n_data += n;
	if (s->n_tail > 0) {
		n_part = size_min(n, GCM_BLOCK_SIZE - s->n_tail);
		gcm_crypt_tail(s, in, out, n_part);
		in += n_part;
		out += n_part;
		n -= n_part;
	}
	n_part = n - n % GCM_BLOCK_SIZE;
	gcm_crypt(s, in, out, n_part);
	if (n > n_part)
		gcm_crypt_tail(s, in + n_part, out + n_part, n - n_part);
	return 0;
}

static int gcm_finish(struct gcm_state *s, uint8_t *tag, size_t tag_len)
{
	uint8_t block[GCM_BLOCK_SIZE], whole_tag[GCM_DIGEST_SIZE];

	if (s == NULL || s->phase == GCM_PHASE_IDLE)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (tag_len < GCM_TAG_MIN || tag_len > GCM_DIGEST_SIZE)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (s->phase == GCM_PHASE_AAD)
		gcm_end_aad(s);
	gcm_crypt(s, s->tail, block, s->n_tail); /* now it counts; its output was given before */
	gcm_end(s, whole_tag);
	memcpy(tag, whole_tag, tag_len);
	secret_wipe(block, sizeof(block));
	secret_wipe(s->tail, sizeof(s->tail));
	s->n_tail = 0;
	return 0;
}

/* A whole message at once. On an error nothing is written. */
static int gcm_crypt_whole(struct gcm_state *s, int mode, const uint8_t *iv, size_t iv_len,
			   const uint8_t *aad, size_t aad_len, const uint8_t *in, uint8_t *out,
			   size_t n, size_t tag_len, uint8_t ret_tag[static GCM_DIGEST_SIZE])
{
	int r;

	if (tag_len < GCM_TAG_MIN || tag_len > GCM_DIGEST_SIZE)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (n > GCM_DATA_MAX || aad_len > GCM_AAD_MAX)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	r = gcm_begin(s, mode, iv, iv_len);
	if (r == 0)
		r = gcm_settle(&in, out, n);
	if (r != 0)
		return r;
	gcm_update_aad(s, aad, aad_len);
	gcm_crypt(s, in, out, n);
	gcm_end(s, ret_tag);
	return 0;
}

/* -- <mbedtls/gcm.h> --------------------------------------------------------------------------- */

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
	struct gcm_state *s = ctx != NULL ? gcm_state_of(ctx) : NULL;

	if (s == NULL)
		return;
	secret_wipe(s, sizeof(*s));
	free(s);
	secret_wipe(ctx, sizeof(*ctx));
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
		       const unsigned char *key, unsigned int keybits)
{
	const struct nettle_aead *aead = keybits == 128	  ? &nettle_gcm_aes128
					 : keybits == 192 ? &nettle_gcm_aes192
					 : keybits == 256 ? &nettle_gcm_aes256
							  : NULL;
	struct gcm_state *s = gcm_state_of(ctx);

	if (cipher != MBEDTLS_CIPHER_ID_AES)
		return MBEDTLS_ERR_CIPHER_FEATURE_UNAVAILABLE;
	if (aead == NULL)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (s == NULL) {
		s = malloc(sizeof(*s));
		if (s == NULL)
			return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
		memcpy(ctx, &s, sizeof(s));
	}
	secret_wipe(s, sizeof(*s)); /* of a key before */
	s->aead = aead;
	aead->set_encrypt_key(&s->nettle, key);
	return 0;
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
			      const unsigned char *iv, size_t iv_len, const unsigned char *add,
			      size_t add_len, const unsigned char *input, unsigned char *output,
			      size_t tag_len, unsigned char *tag)
{
	uint8_t whole_tag[GCM_DIGEST_SIZE];
	int r = gcm_crypt_whole(gcm_state_of(ctx), mode, iv, iv_len, add, add_len, input, output,
				length, tag_len, whole_tag);

	if (r == 0)
		memcpy(tag, whole_tag, tag_len);
	return r;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
			     size_t iv_len, const unsigned char *add, size_t add_len,
			     const unsigned char *tag, size_t tag_len, const unsigned char *input,
			     unsigned char *output)
{
	uint8_t whole_tag[GCM_DIGEST_SIZE];
	int r = gcm_crypt_whole(gcm_state_of(ctx), MBEDTLS_GCM_DECRYPT, iv, iv_len, add, add_len,
				input, output, length, tag_len, whole_tag);
	bool is_good;

	if (r != 0)
		return r;
	is_good = secret_equal(whole_tag, tag_len, tag, tag_len);
	secret_wipe(whole_tag, sizeof(whole_tag)); /* the tag that a forger looks for */
	if (is_good)
		return 0;
	if (length > 0)
		secret_wipe(output, length);
	return MBEDTLS_ERR_GCM_AUTH_FAILED;
}

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t iv_len)
{
	return gcm_begin(gcm_state_of(ctx), mode, iv, iv_len);
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *add, size_t add_len)
{
	return gcm_feed_aad(gcm_state_of(ctx), add, add_len);
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *input, size_t input_length,
		       unsigned char *output, size_t output_size, size_t *output_length)
{
	int r;

	if (output_size < input_length)
		return MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL;
	r = gcm_feed(gcm_state_of(ctx), input, output, input_length);
	if (r == 0)
		*output_length = input_length;
	return r;
}

/* Nothing is ever held back, so @output gets nothing. */
int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *output, size_t output_size,
		       size_t *output_length, unsigned char *tag, size_t tag_len)
{
	(void) output;
	(void) output_size;
	*output_length = 0;
	return gcm_finish(gcm_state_of(ctx), tag, tag_len);
}

#else

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t iv_len,
		       const unsigned char *add, size_t add_len)
{
	struct gcm_state *s = gcm_state_of(ctx);
	int r = gcm_begin(s, mode, iv, iv_len);

	return r == 0 ? gcm_feed_aad(s, add, add_len) : r;
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, size_t length, const unsigned char *input,
		       unsigned char *output)
{
	return gcm_feed(gcm_state_of(ctx), input, output, length);
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *tag, size_t tag_len)
{
	return gcm_finish(gcm_state_of(ctx), tag, tag_len);
}

#endif
