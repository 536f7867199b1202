/* SPDX-License-Identifier: Apache-2.0 */
/* hello.h - the v2 hello pair, its transcript and the control keys (frp pkg/proto/wire/crypto.go,
 * pkg/util/net/conn.go deriveAEADControlKey). Floor 1. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/wire/prim.h"

#define HELLO_RANDOM_LEN 32

struct hello_client {
	bool tls, tcp_mux; /* informational on the wire */
	const enum prim_aead_kind *kinds;
	size_t n_kinds;	       /* in the order of preference: the server takes the first it knows */
	bool offer_udp_binary; /* udpPacketCodecs ["binary-v1"] (0.71) */
	uint8_t random[HELLO_RANDOM_LEN];
};
/* Append the ClientHello JSON (payload of the frame) to @out. 0, -ENOMEM, BUF_E_FULL. */
int hello_encode_client(const struct hello_client *h, struct buf *out);

struct hello_server {
	enum prim_aead_kind kind;
	bool udp_binary;
	uint8_t random[HELLO_RANDOM_LEN];
	char error[256]; /* not empty: refused; the rest is then unset */
};
/* Decode a ServerHello and check it against the offer: algorithm offered, codec json, random 32
 * bytes. 0, -ENOMEM, HELLO_E_BAD with *ret_why. */
enum { HELLO_E_BAD = 1 };
int hello_decode_server(struct span body, const struct hello_client *offer,
			struct hello_server *ret_h, const char **ret_why);

/* Server side, for the scriptable peer: decode a ClientHello (at most two kinds, unknown ones
 * skipped, written to
 * @ret_kinds), and encode a ServerHello. */
int hello_decode_client(struct span body, struct hello_client *ret_h,
			enum prim_aead_kind ret_kinds[static 2], const char **ret_why);
int hello_encode_server(const struct hello_server *h, struct buf *out);

struct hello_keys {
	uint8_t client_to_server[32], server_to_client[32];
};
/* From the exact payload bytes of both hello frames and the token. 0 or -ENOMEM. */
int hello_derive(struct span token, struct span client_hello, struct span server_hello,
		 enum prim_aead_kind kind, struct hello_keys *ret_k);
