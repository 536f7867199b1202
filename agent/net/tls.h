/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - a TLS client between two byte queues; knows no socket. mbedTLS 2.28 and 3.6. Floor 4. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/net/tlsconf.h"
#include "proto/base/err.h"
#include "proto/base/span.h"

struct tls;

/* Where ciphertext to send goes. */
struct tls_sink {
	/* Room for @n more bytes? tls asks before it encrypts, so that a record never waits half
	 * done. */
	bool (*has_room)(void *arg, size_t n);
	/* Take all @s. 0 or -ENOMEM. */
	int (*put)(void *arg, struct span s);
	void *arg;
};
/* Conditions of the calls below, beside TLS_E_BAD. */
enum { TLS_E_MORE = 2, TLS_E_ROOM = 3, TLS_E_EOF = 4 };

/* @c is borrowed: outlives the connection. 0 or -ENOMEM. */
int tls_new(struct tls **ret_t, const struct tls_config *c, const struct tls_sink *sink);
struct tls *tls_free(struct tls *t);
DEFINE_CLEANUP(struct tls, tls_free)

/* Lend ciphertext; it must stay valid until tls_recv() or tls_handshake() returned TLS_E_MORE.
 * Takes the place of what was lent before, so whoever copies tls_rest() away lends the copy again
 * before the next call. */
void tls_feed(struct tls *t, struct span in);
/* What of the lent bytes is not eaten yet (a stopped reader keeps them). */
struct span tls_rest(const struct tls *t);
/* Go on with the handshake. 0: done; TLS_E_MORE; TLS_E_BAD: tls_why(); -ENOMEM. */
int tls_handshake(struct tls *t);
/* Plain bytes: 0 and *ret_n > 0; TLS_E_MORE; TLS_E_EOF (close_notify); TLS_E_BAD; -ENOMEM. Bytes
 * mbedTLS holds inside come before TLS_E_MORE. */
int tls_recv(struct tls *t, uint8_t *dst, size_t cap, size_t *ret_n);
/* Encrypt all of @plain (any length) into the sink, records of at most LIMIT_RECORD. 0, TLS_E_ROOM
 * (nothing taken), TLS_E_BAD, -ENOMEM. */
int tls_send(struct tls *t, struct span plain);
void tls_send_close(struct tls *t);
/* Why the handshake or the stream failed: cause and remedy, for a person; never empty after
 * TLS_E_BAD. */
const char *tls_why(const struct tls *t);
/* The largest ciphertext of @n plain bytes. */
size_t tls_sealed_max(size_t n);
/* "TLSv1.3 TLS1-3-AES-128-GCM-SHA256", for the debug log. */
const char *tls_describe(const struct tls *t);
