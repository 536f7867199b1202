/* SPDX-License-Identifier: Apache-2.0 */
/* aead.h - the AEAD record layer of the v2 control channel (golib crypto/aead_stream.go).
 * Floor 1. */
#pragma once
#include "proto/wire/layer.h"
#include "proto/wire/prim.h"

struct aead_params {
	enum prim_aead_kind kind;
	const uint8_t *key_out, *key_in; /* 32 bytes each; copied */
	const uint8_t *nonce; /* our stream's, prim_aead_nonce_len(kind) bytes, random; copied */
};
int aead_new(struct layer **ret_l, const struct aead_params *p);
