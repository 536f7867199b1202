/* SPDX-License-Identifier: Apache-2.0 */
/* gcmkit.h - both AES-GCMs of a test: ours, of which OpenSSL may be a part, and mbedTLS's own,
 * which is linked under another name (stock_gcm); streams of either version of mbedTLS.
 * Tests only. */
#pragma once
#include <mbedtls/cipher.h>
#include <mbedtls/gcm.h>
#include <mbedtls/version.h>

#include "agent/net/gcm_openssl.h"
#include "tests/unit/unit.h"

#define TAG_LEN 16

struct engine {
	__typeof__(mbedtls_gcm_init) *init;
	__typeof__(mbedtls_gcm_setkey) *setkey;
	__typeof__(mbedtls_gcm_crypt_and_tag) *crypt_and_tag;
	__typeof__(mbedtls_gcm_auth_decrypt) *auth_decrypt;
	__typeof__(mbedtls_gcm_starts) *starts;
	__typeof__(mbedtls_gcm_update) *update;
	__typeof__(mbedtls_gcm_finish) *finish;
	__typeof__(mbedtls_gcm_free) *free;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	__typeof__(mbedtls_gcm_update_ad) *update_ad;
#endif
};

extern const struct engine gcmkit_engines[2];
#define ours (&gcmkit_engines[0])
#define stock (&gcmkit_engines[1])

/* Whether this test program is of OpenSSL, whatever the CPU. What it does is counted, and can be
 * made to fail. */
extern struct gcmkit_openssl {
	bool is_wanted, is_to_fail;
	unsigned n_calls;
} openssl;

void open_ctx(const struct engine *e, mbedtls_gcm_context *ctx, const uint8_t *key, size_t key_len);

/* @aad in pieces as @split says, where this mbedTLS can. */
int stream_start(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
		 struct span aad, struct unit_split *split);
int stream_update(const struct engine *e, mbedtls_gcm_context *ctx, struct span in, uint8_t *out);
int stream_finish(const struct engine *e, mbedtls_gcm_context *ctx, uint8_t *tag, size_t tag_len);
void stream_whole(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
		  struct span aad, struct span in, uint8_t *out, uint8_t *tag,
		  struct unit_split split);
