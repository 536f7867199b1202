/* SPDX-License-Identifier: Apache-2.0 */
/* prim.h - the cryptographic primitives of the frp wire; prim.c is the only file of proto/ that
 * includes a crypto library. Floor 1.
 *
 * Every function is deterministic: randomness comes from the caller. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

#define PRIM_AES_BLOCK 16
#define PRIM_SHA256_LEN 32
#define PRIM_TAG_LEN 16

/* All return 0, -ENOMEM or -EIO (the library refused; cannot happen with these inputs). */

/* MD5 of a ‖ b as 32 lower-case hex digits and NUL (privilege key, sign key). */
int prim_md5_hex(struct span a, struct span b, char ret_hex[static 33]);
/* PBKDF2-HMAC-SHA1. */
int prim_pbkdf2_sha1(struct span password, struct span salt, unsigned rounds, uint8_t *ret_key,
		     size_t key_len);
/* SHA-256 over the concatenation of @n spans. */
int prim_sha256(const struct span *parts, size_t n, uint8_t ret_hash[static PRIM_SHA256_LEN]);
int prim_hkdf_sha256(struct span secret, struct span salt, struct span info, uint8_t *ret_key,
		     size_t key_len);

/* AES-128-CFB with 128-bit segments as a byte stream; one direction. */
struct prim_cfb;
int prim_cfb_new(struct prim_cfb **ret_c, const uint8_t key[static 16],
		 const uint8_t iv[static PRIM_AES_BLOCK]);
struct prim_cfb *prim_cfb_free(struct prim_cfb *c); /* wipes; NULL is fine; returns NULL */
/* @dst may equal @src. */
int prim_cfb_encrypt(struct prim_cfb *c, const uint8_t *src, uint8_t *dst, size_t len);
int prim_cfb_decrypt(struct prim_cfb *c, const uint8_t *src, uint8_t *dst, size_t len);

enum prim_aead_kind { PRIM_AEAD_AES_256_GCM, PRIM_AEAD_XCHACHA20_POLY1305 };
struct prim_aead;
size_t prim_aead_nonce_len(enum prim_aead_kind kind); /* 12 or 24 */
int prim_aead_new(struct prim_aead **ret_a, enum prim_aead_kind kind, const uint8_t key[static 32]);
struct prim_aead *prim_aead_free(struct prim_aead *a);
/* @dst holds src.len + PRIM_TAG_LEN bytes (ciphertext ‖ tag). */
int prim_aead_seal(struct prim_aead *a, const uint8_t *nonce, struct span aad, struct span src,
		   uint8_t *dst);
/* @src is ciphertext ‖ tag, at least PRIM_TAG_LEN bytes; @dst holds src.len - PRIM_TAG_LEN. Nothing
 * of a refused record is left in @dst. */
enum { PRIM_E_TAG = 1 };
int prim_aead_open(struct prim_aead *a, const uint8_t *nonce, struct span aad, struct span src,
		   uint8_t *dst);
