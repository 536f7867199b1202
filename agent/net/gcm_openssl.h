/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_openssl.h - AES-GCM by OpenSSL: whole messages, on CPUs where it is the fastest. Floor 4. */
#pragma once
#include <stdbool.h>

#include "agent/net/gcm_message.h"

/* The shortest message for which it is faster than nettle: beginning one costs it more. */
#define GCM_OPENSSL_MIN 384
#define GCM_OPENSSL_IV_LEN 12 /* the only one; TLS has no other */

struct gcm_openssl; /* one key */

#ifdef GCM_HAS_OPENSSL

/* @key_len: 16, 24 or 32. NULL when this CPU lacks what makes it fast, and when there is no memory:
 * nettle does without it. */
struct gcm_openssl *gcm_openssl_new(const uint8_t *key, size_t key_len);
/* Wipes the key. NULL is fine. Returns NULL. */
struct gcm_openssl *gcm_openssl_free(struct gcm_openssl *g);
/* Encrypts and gives the tag, or decrypts and compares the tag, in constant time; its length is 4
 * to GCM_TAG_MAX. The IV has GCM_OPENSSL_IV_LEN bytes. False: the tag is another, or it could not
 * be done; what is in @m->out then is not to be used. */
bool gcm_openssl_whole(struct gcm_openssl *g, bool is_encrypting, const struct gcm_message *m,
		       uint8_t *tag, size_t tag_len);

#else

static inline struct gcm_openssl *gcm_openssl_new(const uint8_t *key, size_t key_len)
{
	(void) key;
	(void) key_len;
	return NULL;
}

static inline struct gcm_openssl *gcm_openssl_free(struct gcm_openssl *g)
{
	return g;
}

static inline bool gcm_openssl_whole(struct gcm_openssl *g, bool is_encrypting,
				     const struct gcm_message *m, uint8_t *tag, size_t tag_len)
{
	(void) g;
	(void) is_encrypting;
	(void) m;
	(void) tag;
	(void) tag_len;
	return false;
}

#endif
