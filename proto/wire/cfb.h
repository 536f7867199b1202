/* SPDX-License-Identifier: Apache-2.0 */
/* cfb.h - the AES-128-CFB layer of the v1 control channel and of useEncryption (frp
 * pkg/util/net/conn.go NewCryptoReadWriter, golib crypto). Floor 1. */
#pragma once
#include "proto/wire/layer.h"

/* key = PBKDF2-HMAC-SHA1(@token, "frp", 64 rounds, 16 bytes). @iv is sent in clear before our first
 * byte; the peer's IV is the first 16 bytes that arrive. 0 or -ENOMEM. */
int cfb_new(struct layer **ret_l, struct span token, const uint8_t iv[static 16]);
