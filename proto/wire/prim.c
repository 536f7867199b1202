/* SPDX-License-Identifier: Apache-2.0 */
/* prim.c - the cryptographic primitives of the frp wire, on mbedTLS 2.28 or 3.x. Floor 1.
 *
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) is not in mbedTLS: HChaCha20 turns key and the first
 * 16 bytes of the nonce into a key of its own, and the rest is the ordinary ChaCha20-Poly1305. */
#include "proto/wire/prim.h"

#include <stdlib.h>

#include <mbedtls/aes.h>
#include <mbedtls/chacha20.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/cipher.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/version.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define PRIM_MD5_LEN 16
#define PRIM_KEY_LEN 32

static int prim_errno(int r)
{
	if (r == 0)
		return 0;
	if (r == MBEDTLS_ERR_MD_ALLOC_FAILED || r == MBEDTLS_ERR_CIPHER_ALLOC_FAILED)
		return -ENOMEM;
	return -EIO;
}

/* The library wants a pointer even for nothing. */
static const uint8_t *prim_bytes(struct span s)
{
	return s.p != NULL ? s.p : (const uint8_t *) "";
}

/* -- hashes -- */

static int prim_hash(mbedtls_md_type_t type, const struct span *parts, size_t n, uint8_t *ret_hash)
{
	mbedtls_md_context_t md;
	int r;

	mbedtls_md_init(&md);
	r = mbedtls_md_setup(&md, mbedtls_md_info_from_type(type), /* hmac= */ 0);
	if (r == 0)
		r = mbedtls_md_starts(&md);
	for (size_t i = 0; i < n && r == 0; i++)
		r = mbedtls_md_update(&md, prim_bytes(parts[i]), parts[i].len);
	if (r == 0)
		r = mbedtls_md_finish(&md, ret_hash);
	mbedtls_md_free(&md);
	return prim_errno(r);
}

int prim_md5_hex(struct span a, struct span b, char ret_hex[static 33])
{
	const struct span parts[] = { a, b };
	uint8_t hash[PRIM_MD5_LEN];
	int r;

	r = prim_hash(MBEDTLS_MD_MD5, parts, 2, hash);
	if (r < 0)
		return r;
	text_hex(span_of(hash, sizeof(hash)), ret_hex, 33);
	return 0;
}

int prim_sha256(const struct span *parts, size_t n, uint8_t ret_hash[static PRIM_SHA256_LEN])
{
	return prim_hash(MBEDTLS_MD_SHA256, parts, n, ret_hash);
}

int prim_pbkdf2_sha1(struct span password, struct span salt, unsigned rounds, uint8_t *ret_key,
		     size_t key_len)
{
	int r;

	MUST(key_len <= UINT32_MAX);
#if MBEDTLS_VERSION_NUMBER >= 0x03030000
	r = mbedtls_pkcs5_pbkdf2_hmac_ext(MBEDTLS_MD_SHA1, prim_bytes(password), password.len,
					  prim_bytes(salt), salt.len, rounds, (uint32_t) key_len,
					  ret_key);
#else
	mbedtls_md_context_t md;

	mbedtls_md_init(&md);
	r = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), /* hmac= */ 1);
	if (r == 0)
		r = mbedtls_pkcs5_pbkdf2_hmac(&md, prim_bytes(password), password.len,
					      prim_bytes(salt), salt.len, rounds,
					      (uint32_t) key_len, ret_key);
	mbedtls_md_free(&md);
#endif
	return prim_errno(r);
}

int prim_hkdf_sha256(struct span secret, struct span salt, struct span info, uint8_t *ret_key,
		     size_t key_len)
{
	return prim_errno(mbedtls_hkdf(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
				       prim_bytes(salt), salt.len, prim_bytes(secret), secret.len,
				       prim_bytes(info), info.len, ret_key, key_len));
}

/* -- AES-128-CFB -- */

struct prim_cfb {
	mbedtls_aes_context aes;
	uint8_t iv[PRIM_AES_BLOCK];
	size_t offset; /* bytes of the current keystream block used; below PRIM_AES_BLOCK */
};

struct prim_cfb *prim_cfb_free(struct prim_cfb *c)
{
	if (c == NULL)
		return NULL;
	mbedtls_aes_free(&c->aes);
	secret_wipe(c, sizeof(*c));
	free(c);
	return NULL;
}

int prim_cfb_new(struct prim_cfb **ret_c, const uint8_t key[static 16],
		 const uint8_t iv[static PRIM_AES_BLOCK])
{
	struct prim_cfb *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return -ENOMEM;
	mbedtls_aes_init(&c->aes);
	/* CFB runs the block cipher forward in both directions. */
	r = mbedtls_aes_setkey_enc(&c->aes, key, 128);
	if (r != 0) {
		(void) prim_cfb_free(c); /* always NULL */
		return prim_errno(r);
	}
	memcpy(c->iv, iv, PRIM_AES_BLOCK);
	*ret_c = c;
	return 0;
}

static int prim_cfb_run(struct prim_cfb *c, int mode, const uint8_t *src, uint8_t *dst, size_t len)
{
	if (len == 0)
		return 0;
	return prim_errno(
		mbedtls_aes_crypt_cfb128(&c->aes, mode, len, &c->offset, c->iv, src, dst));
}

int prim_cfb_encrypt(struct prim_cfb *c, const uint8_t *src, uint8_t *dst, size_t len)
{
	return prim_cfb_run(c, MBEDTLS_AES_ENCRYPT, src, dst, len);
}

int prim_cfb_decrypt(struct prim_cfb *c, const uint8_t *src, uint8_t *dst, size_t len)
{
	return prim_cfb_run(c, MBEDTLS_AES_DECRYPT, src, dst, len);
}

/* -- AEAD -- */

struct prim_aead {
	enum prim_aead_kind kind;
	mbedtls_gcm_context gcm;   /* of AES-256-GCM */
	uint8_t key[PRIM_KEY_LEN]; /* of XChaCha20-Poly1305: each record has a derived key */
};

size_t prim_aead_nonce_len(enum prim_aead_kind kind)
{
	return kind == PRIM_AEAD_AES_256_GCM ? 12 : 24;
}

struct prim_aead *prim_aead_free(struct prim_aead *a)
{
	if (a == NULL)
		return NULL;
	mbedtls_gcm_free(&a->gcm);
	secret_wipe(a, sizeof(*a));
	free(a);
	return NULL;
}

int prim_aead_new(struct prim_aead **ret_a, enum prim_aead_kind kind, const uint8_t key[static 32])
{
	struct prim_aead *a = calloc(1, sizeof(*a));
	int r = 0;

	if (a == NULL)
		return -ENOMEM;
	a->kind = kind;
	mbedtls_gcm_init(&a->gcm);
	if (kind == PRIM_AEAD_AES_256_GCM)
		r = mbedtls_gcm_setkey(&a->gcm, MBEDTLS_CIPHER_ID_AES, key, 256);
	else
		memcpy(a->key, key, PRIM_KEY_LEN);
	if (r != 0) {
		(void) prim_aead_free(a); /* always NULL */
		return prim_errno(r);
	}
	*ret_a = a;
	return 0;
}

/* a - b per 32-bit little-endian word. */
static void prim_sub_words(uint8_t *dst, const uint8_t *a, const uint8_t *b, size_t n_words)
{
	for (size_t i = 0; i < 4 * n_words; i += 4) {
		unsigned borrow = 0;

		for (size_t k = i; k < i + 4; k++) {
			unsigned diff = 0x100u + a[k] - b[k] - borrow;

			dst[k] = (uint8_t) diff;
			borrow = diff < 0x100u;
		}
	}
}

/* HChaCha20: words 0-3 and 12-15 of the state after the rounds. A ChaCha20 keystream block is that
 * state plus the initial one, so take the initial words (constant; counter and nonce = the 16
 * bytes) off again. */
static int prim_hchacha20(const uint8_t key[static PRIM_KEY_LEN], const uint8_t nonce[static 16],
			  uint8_t ret_key[static PRIM_KEY_LEN])
{
	static const uint8_t zero[64];
	uint8_t block[64];
	uint32_t counter = (uint32_t) nonce[0] | (uint32_t) nonce[1] << 8 |
			   (uint32_t) nonce[2] << 16 | (uint32_t) nonce[3] << 24;
	mbedtls_chacha20_context chacha;
	int r;

	mbedtls_chacha20_init(&chacha);
	r = mbedtls_chacha20_setkey(&chacha, key);
	if (r == 0)
		r = mbedtls_chacha20_starts(&chacha, nonce + 4, counter);
	if (r == 0)
		r = mbedtls_chacha20_update(&chacha, sizeof(zero), zero, block);
	mbedtls_chacha20_free(&chacha);
	if (r == 0) {
		prim_sub_words(ret_key, block, (const uint8_t *) "expand 32-byte k", 4);
		prim_sub_words(ret_key + 16, block + 48, nonce, 4);
	}
	secret_wipe(block, sizeof(block));
	return prim_errno(r);
}

/* Key @ret_c and shorten the nonce for one record. */
static int prim_xchacha_start(const struct prim_aead *a, const uint8_t *nonce,
			      mbedtls_chachapoly_context *c, uint8_t ret_nonce[static 12])
{
	uint8_t key[PRIM_KEY_LEN];
	int r;

	r = prim_hchacha20(a->key, nonce, key);
	if (r < 0)
		return r;
	r = mbedtls_chachapoly_setkey(c, key);
	secret_wipe(key, sizeof(key));
	memset(ret_nonce, 0, 4);
	memcpy(ret_nonce + 4, nonce + 16, 8);
	return prim_errno(r);
}

static int prim_xchacha_seal(const struct prim_aead *a, const uint8_t *nonce, struct span aad,
			     struct span src, uint8_t *dst)
{
	mbedtls_chachapoly_context c;
	uint8_t short_nonce[12];
	int r;

	mbedtls_chachapoly_init(&c);
	r = prim_xchacha_start(a, nonce, &c, short_nonce);
	if (r == 0)
		r = prim_errno(mbedtls_chachapoly_encrypt_and_tag(
			&c, src.len, short_nonce, prim_bytes(aad), aad.len, prim_bytes(src), dst,
			dst + src.len));
	mbedtls_chachapoly_free(&c);
	return r;
}

int prim_aead_seal(struct prim_aead *a, const uint8_t *nonce, struct span aad, struct span src,
		   uint8_t *dst)
{
	if (a->kind == PRIM_AEAD_XCHACHA20_POLY1305)
		return prim_xchacha_seal(a, nonce, aad, src, dst);
	return prim_errno(mbedtls_gcm_crypt_and_tag(
		&a->gcm, MBEDTLS_GCM_ENCRYPT, src.len, nonce, prim_aead_nonce_len(a->kind),
		prim_bytes(aad), aad.len, prim_bytes(src), dst, PRIM_TAG_LEN, dst + src.len));
}

static int prim_xchacha_open(const struct prim_aead *a, const uint8_t *nonce, struct span aad,
			     struct span src, uint8_t *dst, size_t len)
{
	mbedtls_chachapoly_context c;
	uint8_t short_nonce[12];
	int r;

	mbedtls_chachapoly_init(&c);
	r = prim_xchacha_start(a, nonce, &c, short_nonce);
	if (r == 0) {
		r = mbedtls_chachapoly_auth_decrypt(&c, len, short_nonce, prim_bytes(aad), aad.len,
						    src.p + len, src.p, dst);
		r = r == MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED ? PRIM_E_TAG : prim_errno(r);
	}
	mbedtls_chachapoly_free(&c);
	return r;
}

int prim_aead_open(struct prim_aead *a, const uint8_t *nonce, struct span aad, struct span src,
		   uint8_t *dst)
{
	size_t len = src.len - PRIM_TAG_LEN;
	int r;

	MUST(src.len >= PRIM_TAG_LEN);
	if (a->kind == PRIM_AEAD_XCHACHA20_POLY1305) {
		r = prim_xchacha_open(a, nonce, aad, src, dst, len);
	} else {
		r = mbedtls_gcm_auth_decrypt(&a->gcm, len, nonce, prim_aead_nonce_len(a->kind),
					     prim_bytes(aad), aad.len, src.p + len, PRIM_TAG_LEN,
					     src.p, dst);
		r = r == MBEDTLS_ERR_GCM_AUTH_FAILED ? PRIM_E_TAG : prim_errno(r);
	}
	if (r != 0)
		secret_wipe(dst, len);
	return r;
}
