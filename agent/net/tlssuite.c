/* SPDX-License-Identifier: Apache-2.0 */
/* tlssuite.c - the cipher suites of TLS by speed; asks the CPU, keeps nothing. Floor 4.
 *
 * The suites are those of a client in Go: forward secrecy always, and CBC last, for whatever old
 * thing may stand before the server. The GCM of Camellia and ARIA, which mbedTLS would offer too,
 * has no engine here (gcm_nettle.c). */
#include "agent/net/tlssuite.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define SUITES_GCM_13 MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#define SUITES_CHACHA_13 MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#else
#define SUITES_GCM_13
#define SUITES_CHACHA_13
#endif
#define SUITES_GCM                                               \
	SUITES_GCM_13                                            \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,         \
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,   \
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
#define SUITES_CHACHA                                          \
	SUITES_CHACHA_13                                       \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
		MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
#define SUITES_CBC                                                                                \
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, \
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,                                     \
		MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA

#ifdef GCM_IS_STOCK
/* mbedTLS's own GCM is slower than its ChaCha20 on every CPU: about 290 against 475 MB/s (2.28) and
 * 370 against 590 MB/s (3.6), with AES-NI. */
bool tls_has_fast_gcm(void)
{
	return false;
}
#elif defined(__x86_64__) || defined(__i386__)
bool tls_has_fast_gcm(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(/* leaf= */ 1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_AES) != 0 &&
	       (ecx & bit_PCLMUL) != 0;
}
#elif defined(__aarch64__)
bool tls_has_fast_gcm(void)
{
	unsigned long has = getauxval(AT_HWCAP);

	return (has & HWCAP_AES) != 0 && (has & HWCAP_PMULL) != 0;
}
#else
bool tls_has_fast_gcm(void)
{
	return false;
}
#endif

const int *tls_suites(bool want_gcm_first)
{
	static const int gcm_first[] = { SUITES_GCM, SUITES_CHACHA, SUITES_CBC, 0 };
	static const int chacha_first[] = { SUITES_CHACHA, SUITES_GCM, SUITES_CBC, 0 };

	return want_gcm_first ? gcm_first : chacha_first;
}
