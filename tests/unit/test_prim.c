/* SPDX-License-Identifier: Apache-2.0 */
/* test_prim.c - primitives against published vectors and those of stock frp. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <inttypes.h>

#include "proto/wire/prim.h"
#include "tests/unit/failmalloc.h"

static int load_vectors(void **state)
{
	*state = unit_load("crypto.json");
	return 0;
}

static int free_vectors(void **state)
{
	json_decref(*state);
	return 0;
}

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
	struct span want = unit_unhex(hex);

	unit_assert_span(span_of(p, n), want);
	unit_free_span(want);
}

/* -- hashes -- */

static void check_md5(const json_t *list)
{
	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		char stamp[24], hex[33];

		(void) snprintf(stamp, sizeof(stamp), "%" PRId64,
				(int64_t) json_integer_value(json_object_get(v, "timestamp")));
		assert_int_equal(
			prim_md5_hex(span_str(unit_str(v, "secret")), span_str(stamp), hex), 0);
		assert_string_equal(hex, unit_str(v, "key"));
	}
}

static void test_md5(void **state)
{
	char hex[33];

	check_md5(json_object_get(*state, "privilege_key"));
	check_md5(json_object_get(*state, "sign_key"));
	/* RFC 1321 A.5 */
	assert_int_equal(prim_md5_hex(span_of(NULL, 0), span_of(NULL, 0), hex), 0);
	assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
	assert_int_equal(prim_md5_hex(span_str("message"), span_str(" digest"), hex), 0);
	assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
}

static void test_pbkdf2(void **state)
{
	const json_t *list = json_object_get(*state, "pbkdf2");
	uint8_t key[25];

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		assert_int_equal(prim_pbkdf2_sha1(span_str(unit_str(v, "secret")), span_str("frp"),
						  64, key, 16),
				 0);
		assert_hex(key, 16, unit_str(v, "key"));
	}
	/* RFC 6070 */
	assert_int_equal(prim_pbkdf2_sha1(span_str("password"), span_str("salt"), 2, key, 20), 0);
	assert_hex(key, 20, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
	assert_int_equal(prim_pbkdf2_sha1(span_str("passwordPASSWORDpassword"),
					  span_str("saltSALTsaltSALTsaltSALTsaltSALTsalt"), 4096,
					  key, 25),
			 0);
	assert_hex(key, 25, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038");
}

static void test_sha256(void **state)
{
	const struct span parts[] = { span_str("a"), span_of(NULL, 0), span_str("bc") };
	uint8_t hash[PRIM_SHA256_LEN];

	(void) state;
	/* FIPS 180-2 B.1 */
	assert_int_equal(prim_sha256(parts, 3, hash), 0);
	assert_hex(hash, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(prim_sha256(parts, 0, hash), 0);
	assert_hex(hash, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_hkdf(void **state)
{
	struct span ikm = unit_unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	struct span salt = unit_unhex("000102030405060708090a0b0c");
	struct span info = unit_unhex("f0f1f2f3f4f5f6f7f8f9");
	uint8_t key[42];

	(void) state;
	/* RFC 5869 A.1, A.3 */
	assert_int_equal(prim_hkdf_sha256(ikm, salt, info, key, 42), 0);
	assert_hex(key, 42,
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887"
		   "185865");
	assert_int_equal(prim_hkdf_sha256(ikm, span_of(NULL, 0), span_of(NULL, 0), key, 42), 0);
	assert_hex(key, 42,
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b6"
		   "1a96c8");
	/* An empty token is legal. */
	assert_int_equal(prim_hkdf_sha256(span_of(NULL, 0), salt, info, key, 32), 0);
	unit_free_span(ikm);
	unit_free_span(salt);
	unit_free_span(info);
}

/* -- AES-128-CFB -- */

/* NIST SP 800-38A F.3.13 */
static const char cfb_key[] = "2b7e151628aed2a6abf7158809cf4f3c";
static const char cfb_iv[] = "000102030405060708090a0b0c0d0e0f";
static const char cfb_plain[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
				"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char cfb_cipher[] = "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
				 "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6";

static void test_cfb_at_any_split(void **state)
{
	struct span key = unit_unhex(cfb_key), iv = unit_unhex(cfb_iv);
	struct span plain = unit_unhex(cfb_plain), cipher = unit_unhex(cfb_cipher);

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		struct unit_split split = unit_split_of(how);
		struct prim_cfb *e, *d;
		uint8_t out[64], back[64];

		assert_int_equal(prim_cfb_new(&e, key.p, iv.p), 0);
		assert_int_equal(prim_cfb_new(&d, key.p, iv.p), 0);
		for (size_t at = 0; at < plain.len;) {
			size_t n = unit_piece(&split, plain.len - at);

			assert_int_equal(prim_cfb_encrypt(e, plain.p + at, out + at, n), 0);
			memcpy(back + at, out + at, n);
			assert_int_equal(prim_cfb_decrypt(d, back + at, back + at, n), 0);
			at += n;
		}
		unit_assert_span(span_of(out, sizeof(out)), cipher);
		unit_assert_span(span_of(back, sizeof(back)), plain);
		assert_int_equal(prim_cfb_encrypt(e, out, out, 0), 0);
		assert_null(prim_cfb_free(e));
		assert_null(prim_cfb_free(d));
	}
	assert_null(prim_cfb_free(NULL));
	unit_free_span(key);
	unit_free_span(iv);
	unit_free_span(plain);
	unit_free_span(cipher);
}

/* -- AEAD -- */

struct aead_vector {
	enum prim_aead_kind kind;
	const char *key, *nonce, *aad, *plain, *cipher, *tag;
};

static const struct aead_vector aead_vectors[] = {
	{ /* McGrew, Viega: The Galois/Counter Mode of Operation, test case 16 */
	  PRIM_AEAD_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ /* draft-irtf-cfrg-xchacha-03 A.3.1 */
	  PRIM_AEAD_XCHACHA20_POLY1305,
	  "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "404142434445464748494a4b4c4d4e4f5051525354555657", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
	  "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
	  "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
	  "21f9664c97637da9768812f615c68b13b52e",
	  "c0875924c1c7987947deafd8780acf49" },
};

static void check_aead(const struct aead_vector *v)
{
	struct span key = unit_unhex(v->key), nonce = unit_unhex(v->nonce);
	struct span aad = unit_unhex(v->aad), plain = unit_unhex(v->plain);
	size_t len = plain.len + PRIM_TAG_LEN;
	uint8_t sealed[200], back[200];
	struct prim_aead *a;

	assert_int_equal(prim_aead_nonce_len(v->kind), nonce.len);
	assert_int_equal(prim_aead_new(&a, v->kind, key.p), 0);
	assert_int_equal(prim_aead_seal(a, nonce.p, aad, plain, sealed), 0);
	assert_hex(sealed, plain.len, v->cipher);
	assert_hex(sealed + plain.len, PRIM_TAG_LEN, v->tag);
	assert_int_equal(prim_aead_open(a, nonce.p, aad, span_of(sealed, len), back), 0);
	unit_assert_span(span_of(back, plain.len), plain);
	/* Every byte counts, and nothing of a refused record is left. */
	for (size_t i = 0; i < len; i++) {
		sealed[i] ^= 0x40;
		memset(back, 0xaa, sizeof(back));
		assert_int_equal(prim_aead_open(a, nonce.p, aad, span_of(sealed, len), back),
				 PRIM_E_TAG);
		for (size_t k = 0; k < plain.len; k++)
			assert_int_equal(back[k], 0);
		sealed[i] ^= 0x40;
	}
	assert_int_equal(prim_aead_open(a, nonce.p, span_skip(aad, 1), span_of(sealed, len), back),
			 PRIM_E_TAG);
	assert_int_equal(prim_aead_open(a, key.p, aad, span_of(sealed, len), back), PRIM_E_TAG);
	/* Nothing to encrypt. */
	assert_int_equal(prim_aead_seal(a, nonce.p, aad, span_of(NULL, 0), sealed), 0);
	assert_int_equal(prim_aead_open(a, nonce.p, aad, span_of(sealed, PRIM_TAG_LEN), back), 0);
	assert_null(prim_aead_free(a));
	unit_free_span(key);
	unit_free_span(nonce);
	unit_free_span(aad);
	unit_free_span(plain);
}

static void test_aead(void **state)
{
	(void) state;
	for (size_t i = 0; i < UNIT_N(aead_vectors); i++)
		check_aead(&aead_vectors[i]);
	assert_null(prim_aead_free(NULL));
}

/* -- failing allocations -- */

static int do_hashes(void)
{
	uint8_t key[32];
	char hex[33];
	struct span s = span_str("x");
	int r;

	r = prim_md5_hex(s, s, hex);
	if (r == 0)
		r = prim_sha256(&s, 1, key);
	if (r == 0)
		r = prim_pbkdf2_sha1(s, s, 2, key, 16);
	if (r == 0)
		r = prim_hkdf_sha256(s, s, s, key, 32);
	return r;
}

static int do_ciphers(void)
{
	static const uint8_t key[32], iv[16];
	struct prim_aead *a = NULL, *b = NULL;
	struct prim_cfb *c = NULL;
	int r;

	r = prim_cfb_new(&c, key, iv);
	if (r == 0)
		r = prim_aead_new(&a, PRIM_AEAD_AES_256_GCM, key);
	if (r == 0)
		r = prim_aead_new(&b, PRIM_AEAD_XCHACHA20_POLY1305, key);
	(void) prim_cfb_free(c);
	(void) prim_aead_free(a);
	(void) prim_aead_free(b);
	return r;
}

static void test_each_allocation_fails(void **state)
{
	int (*const what[])(void) = { do_hashes, do_ciphers };

	(void) state;
	for (size_t w = 0; w < UNIT_N(what); w++) {
		size_t i = 0;

		for (;; i++) {
			int r;

			failmalloc_at(i);
			r = what[w]();
			if (!failmalloc_stop()) {
				assert_int_equal(r, 0);
				break;
			}
			assert_int_equal(r, -ENOMEM);
		}
		assert_true(i >= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_pbkdf2),
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_cfb_at_any_split),
		cmocka_unit_test(test_aead),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
