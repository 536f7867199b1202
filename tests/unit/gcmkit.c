/* SPDX-License-Identifier: Apache-2.0 */
/* gcmkit.c - both AES-GCMs of a test, and which of ours. Tests only. */
#include "tests/unit/gcmkit.h"

#include "agent/net/tlssuite.h"

extern __typeof__(mbedtls_gcm_init) stock_mbedtls_gcm_init;
extern __typeof__(mbedtls_gcm_setkey) stock_mbedtls_gcm_setkey;
extern __typeof__(mbedtls_gcm_crypt_and_tag) stock_mbedtls_gcm_crypt_and_tag;
extern __typeof__(mbedtls_gcm_auth_decrypt) stock_mbedtls_gcm_auth_decrypt;
extern __typeof__(mbedtls_gcm_starts) stock_mbedtls_gcm_starts;
extern __typeof__(mbedtls_gcm_update) stock_mbedtls_gcm_update;
extern __typeof__(mbedtls_gcm_finish) stock_mbedtls_gcm_finish;
extern __typeof__(mbedtls_gcm_free) stock_mbedtls_gcm_free;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
extern __typeof__(mbedtls_gcm_update_ad) stock_mbedtls_gcm_update_ad;
#define ENGINE_AAD(prefix) .update_ad = prefix##mbedtls_gcm_update_ad,
#else
#define ENGINE_AAD(prefix)
#endif
#define ENGINE(prefix)                                                                      \
	{                                                                                   \
		.init = prefix##mbedtls_gcm_init, .setkey = prefix##mbedtls_gcm_setkey,     \
		.crypt_and_tag = prefix##mbedtls_gcm_crypt_and_tag,                         \
		.auth_decrypt = prefix##mbedtls_gcm_auth_decrypt,                           \
		.starts = prefix##mbedtls_gcm_starts, .update = prefix##mbedtls_gcm_update, \
		.finish = prefix##mbedtls_gcm_finish, .free = prefix##mbedtls_gcm_free,     \
		ENGINE_AAD(prefix)                                                          \
	}
const struct engine gcmkit_engines[] = { ENGINE(), ENGINE(stock_) };
/* -- which of ours -- */

/* The linker turns these calls of gcm.c and gcm_openssl.c into those of __wrap_: the CPU is said to
 * suit OpenSSL or not, whatever it is, and what OpenSSL does is counted, or made to fail. */
struct gcmkit_openssl openssl;

bool __wrap_tls_has_wide_gcm(void);
bool __wrap_tls_has_wide_gcm(void)
{
	return openssl.is_wanted;
}

#ifdef GCM_HAS_OPENSSL
__typeof__(gcm_openssl_whole) __real_gcm_openssl_whole, __wrap_gcm_openssl_whole;
bool __wrap_gcm_openssl_whole(struct gcm_openssl *g, bool is_encrypting,
			      const struct gcm_message *m, uint8_t *tag, size_t tag_len)
{
	bool is_good = __real_gcm_openssl_whole(g, is_encrypting, m, tag, tag_len);

	openssl.n_calls++;
	return is_good && !openssl.is_to_fail;
}
#endif

/* -- streams, of either version -- */

int stream_start(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
		 struct span aad, struct unit_split *split)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	int r = e->starts(ctx, mode, iv.p, iv.len);

	while (r == 0 && aad.len > 0) {
		struct span piece = span_head(aad, unit_piece(split, aad.len));

		r = e->update_ad(ctx, piece.p, piece.len);
		aad = span_skip(aad, piece.len);
	}
	return r;
#else
	(void) split;
	return e->starts(ctx, mode, iv.p, iv.len, aad.p, aad.len);
#endif
}

int stream_update(const struct engine *e, mbedtls_gcm_context *ctx, struct span in, uint8_t *out)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	size_t n = SIZE_MAX;
	int r = e->update(ctx, in.p, in.len, out, in.len, &n);

	assert_true(r != 0 || n == in.len);
	return r;
#else
	return e->update(ctx, in.len, in.p, out);
#endif
}

int stream_finish(const struct engine *e, mbedtls_gcm_context *ctx, uint8_t *tag, size_t tag_len)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	size_t n = SIZE_MAX;
	int r = e->finish(ctx, NULL, 0, &n, tag, tag_len);

	assert_true(r != 0 || n == 0);
	return r;
#else
	return e->finish(ctx, tag, tag_len);
#endif
}

void stream_whole(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
		  struct span aad, struct span in, uint8_t *out, uint8_t *tag,
		  struct unit_split split)
{
	assert_int_equal(stream_start(e, ctx, mode, iv, aad, &split), 0);
	while (in.len > 0) {
		struct span piece = span_head(in, unit_piece(&split, in.len));

		assert_int_equal(stream_update(e, ctx, piece, out), 0);
		out += piece.len;
		in = span_skip(in, piece.len);
	}
	assert_int_equal(stream_finish(e, ctx, tag, TAG_LEN), 0);
}

void open_ctx(const struct engine *e, mbedtls_gcm_context *ctx, const uint8_t *key, size_t key_len)
{
	e->init(ctx);
	assert_int_equal(e->setkey(ctx, MBEDTLS_CIPHER_ID_AES, key, (unsigned) (8 * key_len)), 0);
}
