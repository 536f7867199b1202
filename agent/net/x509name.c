/* SPDX-License-Identifier: Apache-2.0 */
/* x509name.c - lets mbedTLS read certificates whose issuer has an empty name. Floor 4.
 *
 * frps makes itself such a certificate at each start (Go: x509.Certificate without a Subject,
 * signed by itself; frp pkg/transport/tls.go newRandomTLSKeyPair), and stock clients take it.
 * mbedTLS 2.28 and 3.6 allow an empty subject but not an empty issuer, and have no hook for it, so
 * the linker puts this in front (-Wl,--wrap=mbedtls_x509_get_name). An empty name equals only an
 * empty name: verification against a CA is as strict as before. */
#include <mbedtls/x509.h>

int __real_mbedtls_x509_get_name(unsigned char **p, const unsigned char *end,
				 mbedtls_x509_name *cur);
int __wrap_mbedtls_x509_get_name(unsigned char **p, const unsigned char *end,
				 mbedtls_x509_name *cur);

int __wrap_mbedtls_x509_get_name(unsigned char **p, const unsigned char *end,
				 mbedtls_x509_name *cur)
{
	if (*p == end)
		return 0; /* @cur is zeroed by its owner: no attribute at all */
	return __real_mbedtls_x509_get_name(p, end, cur);
}
