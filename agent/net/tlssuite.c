/* SPDX-License-Identifier: Apache-2.0 */
/* tlssuite.c - the cipher suites of TLS by speed; asks the CPU, keeps nothing. Floor 4.
 *
 * The suites are those of a client in Go: forward secrecy always, and CBC last, for whatever old
 * thing may stand before the server. The GCM of Camellia and ARIA, which mbedTLS would offer too,
 * has no engine here (gcm.c). */
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

/* What the CPU has, in the words of its maker; 0 where nothing is known of it. */
#if defined(__x86_64__) || defined(__i386__)
#define CPU_FAST_GCM (bit_AES | bit_PCLMUL)
#define CPU_WIDE_GCM (CPU_FAST_GCM | bit_AVX | bit_MOVBE)
static unsigned long cpu_has(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(/* leaf= */ 1, &eax, &ebx, &ecx, &edx) != 0 ? ecx : 0;
}
#elif defined(__aarch64__)
#define CPU_FAST_GCM (HWCAP_AES | HWCAP_PMULL)
#define CPU_WIDE_GCM CPU_FAST_GCM
static unsigned long cpu_has(void)
{
	return getauxval(AT_HWCAP);
}
#else
#define CPU_FAST_GCM 1
#define CPU_WIDE_GCM 1
static unsigned long cpu_has(void)
{
	return 0;
}
#endif

bool tls_has_fast_gcm(void)
{
#ifdef GCM_IS_STOCK
	/* mbedTLS's own GCM is slower than its ChaCha20 on every CPU: about 290 against 475 MB/s
	 * (2.28) and 370 against 590 MB/s (3.6), with AES-NI. */
	return false;
#else
	return (cpu_has() & CPU_FAST_GCM) == CPU_FAST_GCM;
#endif
}

bool tls_has_wide_gcm(void)
{
	return (cpu_has() & CPU_WIDE_GCM) == CPU_WIDE_GCM;
}

const int *tls_suites(bool want_gcm_first)
{
	static const int gcm_first[] = { SUITES_GCM, SUITES_CHACHA, SUITES_CBC, 0 };
	static const int chacha_first[] = { SUITES_CHACHA, SUITES_GCM, SUITES_CBC, 0 };

	return want_gcm_first ? gcm_first : chacha_first;
}
