/* SPDX-License-Identifier: Apache-2.0 */
/* test_tlssuite.c - the cipher suites that TLS offers: which, in which order, on this CPU. */
#include "tests/unit/unit.h"

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>

#include "agent/net/tlssuite.h"

static bool suite_has(int id, const char *word)
{
	const char *name = mbedtls_ssl_get_ciphersuite_name(id);

	return strstr(name, word) != NULL;
}

/* Which kind a suite is of; the order of kinds is what matters. */
static char kind_of(int id)
{
	return suite_has(id, "-AES-") && suite_has(id, "-GCM-")	  ? 'g'
	       : suite_has(id, "CHACHA20-POLY1305")		  ? 'c'
	       : suite_has(id, "-AES-") && suite_has(id, "-CBC-") ? 'b'
								  : '?';
}

static void check_order(bool want_gcm_first, const char *want)
{
	char kinds[8] = "";
	size_t n = 0;

	for (const int *id = tls_suites(want_gcm_first); *id != 0; id++) {
		char kind = kind_of(*id);

		if (n == 0 || kinds[n - 1] != kind) {
			assert_true(n < sizeof(kinds) - 1);
			kinds[n++] = kind;
		}
	}
	kinds[n] = '\0';
	assert_string_equal(kinds, want);
}

static void test_the_faster_cipher_comes_first_and_cbc_last(void **state)
{
	(void) state;
	check_order(true, "gcb");
	check_order(false, "cgb");
}

static void test_all_are_known_to_mbedtls_and_have_forward_secrecy(void **state)
{
	(void) state;
	for (int i = 0; i < 2; i++) {
		for (const int *id = tls_suites(i == 1); *id != 0; id++) {
			const char *name = mbedtls_ssl_get_ciphersuite_name(*id);

			assert_non_null(mbedtls_ssl_ciphersuite_from_id(*id));
			assert_true(strstr(name, "-ECDHE-") != NULL ||
				    strncmp(name, "TLS1-3-", 7) == 0);
		}
	}
}

static void test_both_orders_have_the_same_suites(void **state)
{
	const int *a = tls_suites(true), *b = tls_suites(false);
	size_t n_a = 0, n_b = 0;

	(void) state;
	while (a[n_a] != 0)
		n_a++;
	while (b[n_b] != 0)
		n_b++;
	assert_int_equal(n_a, n_b);
	for (size_t i = 0; i < n_a; i++) {
		size_t n_found = 0;

		for (size_t j = 0; j < n_b; j++)
			n_found += a[i] == b[j] ? 1 : 0;
		assert_int_equal(n_found, 1);
	}
}

/* What the kernel says of the CPU: words in its line "flags" (x86) or "Features" (ARM). */
static bool cpuinfo_has(const char *word)
{
	char line[8192];
	bool is_found = false;
	FILE *f = fopen("/proc/cpuinfo", "r");

	assert_non_null(f);
	while (!is_found && fgets(line, sizeof(line), f) != NULL) {
		char *rest = line;

		if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
			continue;
		for (char *w = strsep(&rest, " \t\n"); w != NULL; w = strsep(&rest, " \t\n"))
			is_found |= strcmp(w, word) == 0;
	}
	(void) fclose(f); /* was only read */
	return is_found;
}

static void test_gcm_is_fast_where_the_kernel_says_that_the_cpu_has_it(void **state)
{
	bool want = cpuinfo_has("aes") && (cpuinfo_has("pclmulqdq") || cpuinfo_has("pmull"));

	(void) state;
#ifdef GCM_IS_STOCK
	want = false;
#endif
	assert_int_equal(tls_has_fast_gcm(), want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_faster_cipher_comes_first_and_cbc_last),
		cmocka_unit_test(test_all_are_known_to_mbedtls_and_have_forward_secrecy),
		cmocka_unit_test(test_both_orders_have_the_same_suites),
		cmocka_unit_test(test_gcm_is_fast_where_the_kernel_says_that_the_cpu_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
