/* SPDX-License-Identifier: Apache-2.0 */
/* gcm.c - mbedTLS's AES-GCM, computed by nettle and OpenSSL. No API of its own. Floor 4.
 *
 * mbedTLS multiplies and encrypts block by block and so makes bulk TLS several times slower than
 * Go's. This file defines all nine functions of <mbedtls/gcm.h>, for 2.28 and 3.x, and the linker
 * is told to take them before it searches libmbedcrypto.a, whose own gcm.o then stays out
 * (meson.build, scripts/check-gcm). So TLS and prim.c use it without knowing. Only with a static
 * mbedTLS: a shared one calls itself.
 *
 * nettle can do everything and knows each key; OpenSSL gets the long whole messages, if the build
 * has it and the CPU suits it.
 *
 * The first bytes of mbedTLS's context hold a pointer to our state. Arguments and errors are as in
 * mbedTLS, with three differences: streams may be cut anywhere (2.28 wants whole blocks), what is
 * called before its time is refused, and ciphers other than AES are refused. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/cipher.h>
#include <mbedtls/error.h>
#include <mbedtls/gcm.h>
#include <mbedtls/version.h>

#include "agent/net/gcm_message.h"
#include "agent/net/gcm_nettle.h"
#include "agent/net/gcm_openssl.h"
#include "proto/base/secret.h"

#define GCM_TAG_MIN 4				/* NIST SP 800-38D 5.2.1.2: 32 bits */
#define GCM_DATA_MAX ((UINT64_C(1) << 36) - 32) /* NIST SP 800-38D 5.2.1.1: 2^39 - 256 bits */
#define GCM_AAD_MAX ((UINT64_C(1) << 61) - 1)	/* the same: 2^64 - 1 bits, also for the IV */

enum gcm_phase { GCM_PHASE_IDLE, GCM_PHASE_AAD, GCM_PHASE_DATA };

/* Owned by the mbedTLS context. */
struct gcm_state {
	struct gcm_nettle nettle;
	struct gcm_openssl *openssl; /* or NULL */
	enum gcm_phase phase;	     /* of a stream */
	uint64_t n_aad, n_data;	     /* of a stream, so far */
};

_Static_assert(sizeof(mbedtls_gcm_context) >= sizeof(struct gcm_state *), "no room for a pointer");

static struct gcm_state *gcm_state_of(const mbedtls_gcm_context *ctx)
{
	struct gcm_state *s;

	memcpy(&s, ctx, sizeof(s));
	return s;
}

static bool gcm_is_good_iv(size_t iv_len)
{
	return iv_len > 0 && iv_len <= GCM_AAD_MAX;
}

static bool gcm_is_good_tag(size_t tag_len)
{
	return tag_len >= GCM_TAG_MIN && tag_len <= GCM_TAG_MAX;
}

/* An engine takes input and output at one place or apart. mbedTLS also allows output that begins
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

/* -- keys -- */

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
	struct gcm_state *s = ctx != NULL ? gcm_state_of(ctx) : NULL;

	if (s == NULL)
		return;
	s->openssl = gcm_openssl_free(s->openssl);
	secret_wipe(s, sizeof(*s));
	free(s);
	secret_wipe(ctx, sizeof(*ctx));
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
		       const unsigned char *key, unsigned int keybits)
{
	struct gcm_state *s = gcm_state_of(ctx);

	if (cipher != MBEDTLS_CIPHER_ID_AES)
		return MBEDTLS_ERR_CIPHER_FEATURE_UNAVAILABLE;
	if (keybits != 128 && keybits != 192 && keybits != 256)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
		memcpy(ctx, &s, sizeof(s));
	}
	/* a key before goes first */
	s->openssl = gcm_openssl_free(s->openssl);
	secret_wipe(s, sizeof(*s));
	gcm_nettle_set_key(&s->nettle, key, keybits / 8);
	s->openssl = gcm_openssl_new(key, keybits / 8);
	return 0;
}

/* -- whole messages -- */

/* 0 or MBEDTLS_ERR_GCM_BAD_INPUT; @m's input may have been moved to where the output is to be. */
static int gcm_check(struct gcm_state *s, struct gcm_message *m, size_t tag_len)
{
	if (s == NULL || !gcm_is_good_iv(m->iv_len) || !gcm_is_good_tag(tag_len))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (m->len > GCM_DATA_MAX || m->aad_len > GCM_AAD_MAX)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	s->phase = GCM_PHASE_IDLE;
	return gcm_settle(&m->in, m->out, m->len);
}

static bool gcm_is_for_openssl(const struct gcm_state *s, const struct gcm_message *m)
{
	return s->openssl != NULL && m->len >= GCM_OPENSSL_MIN && m->iv_len == GCM_OPENSSL_IV_LEN;
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
			      const unsigned char *iv, size_t iv_len, const unsigned char *add,
			      size_t add_len, const unsigned char *input, unsigned char *output,
			      size_t tag_len, unsigned char *tag)
{
	struct gcm_message m = { .iv = iv,
				 .aad = add,
				 .in = input,
				 .out = output,
				 .iv_len = iv_len,
				 .aad_len = add_len,
				 .len = length };
	struct gcm_state *s = gcm_state_of(ctx);
	uint8_t whole_tag[GCM_TAG_MAX];
	int r;

	if (mode != MBEDTLS_GCM_ENCRYPT && mode != MBEDTLS_GCM_DECRYPT)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	r = gcm_check(s, &m, tag_len);
	if (r != 0)
		return r;
	if (mode == MBEDTLS_GCM_DECRYPT || !gcm_is_for_openssl(s, &m)) {
		gcm_nettle_whole(&s->nettle, mode == MBEDTLS_GCM_ENCRYPT, &m, whole_tag);
	} else if (!gcm_openssl_whole(s->openssl, true, &m, whole_tag, tag_len)) {
		secret_wipe(output, length);
		return MBEDTLS_ERR_ERROR_GENERIC_ERROR;
	}
	memcpy(tag, whole_tag, tag_len);
	return 0;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
			     size_t iv_len, const unsigned char *add, size_t add_len,
			     const unsigned char *tag, size_t tag_len, const unsigned char *input,
			     unsigned char *output)
{
	struct gcm_message m = { .iv = iv,
				 .aad = add,
				 .in = input,
				 .out = output,
				 .iv_len = iv_len,
				 .aad_len = add_len,
				 .len = length };
	struct gcm_state *s = gcm_state_of(ctx);
	uint8_t whole_tag[GCM_TAG_MAX];
	bool is_good;
	int r = gcm_check(s, &m, tag_len);

	if (r != 0)
		return r;
	if (gcm_is_for_openssl(s, &m)) {
		memcpy(whole_tag, tag, tag_len);
		is_good = gcm_openssl_whole(s->openssl, false, &m, whole_tag, tag_len);
	} else {
		gcm_nettle_whole(&s->nettle, false, &m, whole_tag);
		is_good = secret_equal(whole_tag, tag_len, tag, tag_len);
		secret_wipe(whole_tag, sizeof(whole_tag)); /* the tag that a forger looks for */
	}
	if (is_good)
		return 0;
	if (length > 0)
		secret_wipe(output, length);
	return MBEDTLS_ERR_GCM_AUTH_FAILED;
}

/* -- streams -- */

/* Begins a message: 0 or MBEDTLS_ERR_GCM_BAD_INPUT. */
static int gcm_begin(struct gcm_state *s, int mode, const uint8_t *iv, size_t iv_len)
{
	if (s == NULL || (mode != MBEDTLS_GCM_ENCRYPT && mode != MBEDTLS_GCM_DECRYPT))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (!gcm_is_good_iv(iv_len))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_nettle_begin(&s->nettle, mode == MBEDTLS_GCM_ENCRYPT, iv, iv_len);
	s->phase = GCM_PHASE_AAD;
	s->n_aad = s->n_data = 0;
	return 0;
}

static int gcm_feed_aad(struct gcm_state *s, const uint8_t *aad, size_t n)
{
	if (s == NULL || s->phase != GCM_PHASE_AAD || n > GCM_AAD_MAX - s->n_aad)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	s->n_aad += n;
	gcm_nettle_aad(&s->nettle, aad, n);
	return 0;
}

static void gcm_end_aad(struct gcm_state *s)
{
	if (s->phase == GCM_PHASE_AAD)
		gcm_nettle_end_aad(&s->nettle);
	s->phase = GCM_PHASE_DATA;
}

static int gcm_feed(struct gcm_state *s, const uint8_t *in, uint8_t *out, size_t n)
{
	int r;

	if (s == NULL || s->phase == GCM_PHASE_IDLE || n > GCM_DATA_MAX - s->n_data)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	if (n == 0)
		return 0;
	r = gcm_settle(&in, out, n);
	if (r != 0)
		return r;
	gcm_end_aad(s);
	s->n_data += n;
	gcm_nettle_crypt(&s->nettle, in, out, n);
	return 0;
}

static int gcm_finish(struct gcm_state *s, uint8_t *tag, size_t tag_len)
{
	uint8_t whole_tag[GCM_TAG_MAX];

	if (s == NULL || s->phase == GCM_PHASE_IDLE || !gcm_is_good_tag(tag_len))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_end_aad(s);
	gcm_nettle_end(&s->nettle, whole_tag);
	s->phase = GCM_PHASE_IDLE;
	memcpy(tag, whole_tag, tag_len);
	return 0;
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
