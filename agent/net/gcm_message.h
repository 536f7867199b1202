/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_message.h - what gcm.c, which stands in the place of mbedTLS's AES-GCM, hands to an engine.
 * Floor 4. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define GCM_BLOCK 16
#define GCM_TAG_MAX 16

/* A whole message, of lengths that NIST SP 800-38D allows. Everything is the caller's; @in and @out
 * are one place or do not touch. */
struct gcm_message {
	const uint8_t *iv, *aad, *in;
	uint8_t *out;
	size_t iv_len, aad_len, len; /* iv_len > 0; @len also of @out */
};
