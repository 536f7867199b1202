/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_nettle.h - AES-GCM by nettle: on any CPU, whole messages and streams. Floor 4. */
#pragma once
#include <stdbool.h>

#include <nettle/gcm.h>
#include <nettle/nettle-meta.h>

#include "agent/net/gcm_message.h"

/* How all of nettle's contexts of this mode begin. */
struct gcm_nettle_common {
	struct gcm_key key;
	struct gcm_ctx gcm;
};

/* One key and at most one open stream; the owner wipes it. Invariant: n_tail < GCM_BLOCK between
 * calls. */
struct gcm_nettle {
	const struct nettle_aead *aead; /* static */
	union {
		struct gcm_nettle_common common;
		struct gcm_aes128_ctx aes128;
		struct gcm_aes192_ctx aes192;
		struct gcm_aes256_ctx aes256;
	} ctx;
	bool is_encrypting;
	/* input of the block that is not full yet: nettle has not seen it, its output is out */
	uint8_t tail[GCM_BLOCK];
	size_t n_tail;
};

/* @key_len: 16, 24 or 32. Ends an open stream. */
void gcm_nettle_set_key(struct gcm_nettle *g, const uint8_t *key, size_t key_len);
/* Encrypts or decrypts; the tag is that of the encrypted form. Ends an open stream. */
void gcm_nettle_whole(struct gcm_nettle *g, bool is_encrypting, const struct gcm_message *m,
		      uint8_t ret_tag[static GCM_TAG_MAX]);

/* A stream: begin, aad as often as wanted, end_aad, crypt as often as wanted, end. Pieces may have
 * any length; crypt gives as much as it takes. */
void gcm_nettle_begin(struct gcm_nettle *g, bool is_encrypting, const uint8_t *iv, size_t iv_len);
void gcm_nettle_aad(struct gcm_nettle *g, const uint8_t *aad, size_t n);
void gcm_nettle_end_aad(struct gcm_nettle *g);
void gcm_nettle_crypt(struct gcm_nettle *g, const uint8_t *in, uint8_t *out, size_t n);
void gcm_nettle_end(struct gcm_nettle *g, uint8_t ret_tag[static GCM_TAG_MAX]);
