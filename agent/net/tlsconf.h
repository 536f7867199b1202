/* SPDX-License-Identifier: Apache-2.0 */
/* tlsconf.h - what all TLS connections to one server share: trusted CAs, pin, client certificate,
 * random bytes. Floor 4. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mbedtls_ssl_config;
struct tls_config; /* shared by connections; owned by uplink */

#define TLS_PIN_LEN 32

struct tls_params {
	/* SNI when not an IP address, and the name to verify; NULL: neither */
	const char *server_name;
	/* Without any of these three every certificate is accepted, as frpc does, and
	 * tls_config_verifies() says no. */
	const char *ca_file;	/* PEM; NULL: none */
	bool want_system_roots; /* the distributions' usual bundle files, besides @ca_file */
	/* "sha256/BASE64" or 64 hex digits: SHA-256 of the server's SubjectPublicKeyInfo. Without
	 * CAs the key alone decides, with CAs both must match. NULL: none. */
	const char *pin;
	/* client certificate with its chain, and its key, PEM; both or none */
	const char *cert_file, *key_file;
};

/* Reads the files; nothing of @p is used afterwards. 0, -ENOMEM, or TLS_E_BAD with a text for a
 * person (which file or value, and why) in @why. */
enum { TLS_E_BAD = 1 };
int tls_config_new(struct tls_config **ret_c, const struct tls_params *p, char *why,
		   size_t why_cap);
struct tls_config *tls_config_free(struct tls_config *c);
DEFINE_CLEANUP(struct tls_config, tls_config_free)
bool tls_config_verifies(const struct tls_config *c);

/* For tls.c: who the server should be. One of the two, or neither. */
struct tls_name {
	char dns[254];
	uint8_t ip[16];
	size_t ip_len; /* 0, 4 or 16 */
};
const struct tls_name *tls_config_name(const struct tls_config *c);
const struct mbedtls_ssl_config *tls_config_ssl(const struct tls_config *c);
const uint8_t *tls_config_pin(const struct tls_config *c); /* NULL: none */
/* SHA-256 of @n bytes. 0 or TLS_E_BAD. */
int tls_hash(const uint8_t *p, size_t n, uint8_t ret_hash[static TLS_PIN_LEN]);
/* Does this mbedTLS error mean that there was no memory? */
bool tls_error_is_memory(int r);
