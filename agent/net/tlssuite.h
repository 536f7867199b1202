/* SPDX-License-Identifier: Apache-2.0 */
/* tlssuite.h - which cipher suites TLS offers, and which first. Floor 4. */
#pragma once
#include <stdbool.h>

/* Is AES-GCM the faster cipher here? It is when this CPU has instructions for AES and for GCM's
 * hash, and this build has an engine that uses both. */
bool tls_has_fast_gcm(void);
/* Has this CPU what OpenSSL's AES-GCM is fast with? (VAES, which makes it faster still, never comes
 * without these.) */
bool tls_has_wide_gcm(void);

/* For mbedtls_ssl_conf_ciphersuites(): ends with 0, static. Servers in Go take AES-GCM if it comes
 * before ChaCha20, else ChaCha20 (crypto/tls aesgcmPreferred). */
const int *tls_suites(bool want_gcm_first);
