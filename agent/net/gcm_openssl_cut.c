/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_openssl_cut.c - where AES-GCM is cut out of libcrypto.a for gcm_openssl.c. Floor 4.
 *
 * What its members would call to queue the text of an error, to make an IV by chance, and for
 * parameters that are big numbers: all that leads to the rest of libcrypto, and none of it is
 * needed. Defined here, it is not looked for there (-u in meson.build; scripts/check-gcm tells when
 * another OpenSSL needs another cut). To each of the functions 0 is failure, or nothing. */
static int gcm_openssl_cut(void)
{
	return 0;
}

/* Their types are others; OpenSSL's headers stay out of this file. */
#define CUT(name) int name(void) __attribute__((alias("gcm_openssl_cut")))
CUT(ERR_new);
CUT(ERR_set_debug);
CUT(ERR_set_error);
CUT(ERR_set_mark);
CUT(ERR_pop_to_mark);
CUT(RAND_bytes_ex);
CUT(BN_bn2nativepad);
CUT(BN_is_negative);
CUT(BN_native2bn);
CUT(BN_num_bits);
CUT(BN_signed_bn2native);
CUT(BN_signed_native2bn);
CUT(BUF_MEM_grow);
