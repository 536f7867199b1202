/* SPDX-License-Identifier: Apache-2.0 */
/* test_gcm_vectors.c - AES-GCM against the published vectors. Its argument: nettle or openssl. */
#include "tests/unit/gcmkit.h"

/* McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 1 to 18.
 * The names are theirs: keys, plaintexts, additional data and IVs are shared by many cases. */
/* clang-format off */
#define K_ZERO_8 "0000000000000000"
#define K_1 "feffe9928665731c"
#define K_2 "6d6a8f9467308308"
#define P_60 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define P_64 P_60 "1aafd255"
#define A_20 "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define IV_0 "000000000000000000000000"
#define IV_8 "cafebabefacedbad"
#define IV_12 IV_8 "decaf888"
#define IV_60 "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728" \
	      "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b"
#define P_16 "00000000000000000000000000000000"

static const struct vector {
	const char *key, *iv, *aad, *plain, *sealed, *tag;
} vectors[] = {
	{ K_ZERO_8 K_ZERO_8, IV_0, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a" },
	{ K_ZERO_8 K_ZERO_8, IV_0, "", P_16,
	  "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf" },
	{ K_1 K_2, IV_12, "", P_64,
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
	  "4d5c2af327cd64a62cf35abd2ba6fab4" },
	{ K_1 K_2, IV_12, A_20, P_60,
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	{ K_1 K_2, IV_8, A_20, P_60,
	  "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
	  "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
	  "3612d2e79e3b0785561be14aaca2fccb" },
	{ K_1 K_2, IV_60, A_20, P_60,
	  "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
	  "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
	  "619cc5aefffe0bfa462af43c1699d050" },
	{ K_ZERO_8 K_ZERO_8 K_ZERO_8, IV_0, "", "", "", "cd33b28ac773f74ba00ed1f312572435" },
	{ K_ZERO_8 K_ZERO_8 K_ZERO_8, IV_0, "", P_16,
	  "98e7247c07f0fe411c267e4384b0f600", "2ff58d80033927ab8ef4d4587514f0fb" },
	{ K_1 K_2 K_1, IV_12, "", P_64,
	  "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
	  "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710acade256",
	  "9924a7c8587336bfb118024db8674a14" },
	{ K_1 K_2 K_1, IV_12, A_20, P_60,
	  "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
	  "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
	  "2519498e80f1478f37ba55bd6d27618c" },
	{ K_1 K_2 K_1, IV_8, A_20, P_60,
	  "0f10f599ae14a154ed24b36e25324db8c566632ef2bbb34f8347280fc4507057"
	  "fddc29df9a471f75c66541d4d4dad1c9e93a19a58e8b473fa0f062f7",
	  "65dcc57fcf623a24094fcca40d3533f8" },
	{ K_1 K_2 K_1, IV_60, A_20, P_60,
	  "d27e88681ce3243c4830165a8fdcf9ff1de9a1d8e6b447ef6ef7b79828666e45"
	  "81e79012af34ddd9e2f037589b292db3e67c036745fa22e7e9b7373b",
	  "dcf566ff291c25bbb8568fc3d376a6d9" },
	{ K_ZERO_8 K_ZERO_8 K_ZERO_8 K_ZERO_8, IV_0, "", "", "",
	  "530f8afbc74536b9a963b4f1c4cb738b" },
	{ K_ZERO_8 K_ZERO_8 K_ZERO_8 K_ZERO_8, IV_0, "", P_16,
	  "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
	{ K_1 K_2 K_1 K_2, IV_12, "", P_64,
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	  "b094dac5d93471bdec1a502270e3cc6c" },
	{ K_1 K_2 K_1 K_2, IV_12, A_20, P_60,
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ K_1 K_2 K_1 K_2, IV_8, A_20, P_60,
	  "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0"
	  "feb582d33934a4f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
	  "3a337dbf46a792c45e454913fe2ea8f2" },
	{ K_1 K_2 K_1 K_2, IV_60, A_20, P_60,
	  "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4"
	  "0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
	  "a44a8266ee1c8eb0c8b5d4cf5ae9f19a" },
};
/* clang-format on */

static void check_vector(const struct engine *e, const struct vector *v)
{
	struct span key = unit_unhex(v->key), iv = unit_unhex(v->iv), aad = unit_unhex(v->aad),
		    plain = unit_unhex(v->plain), sealed = unit_unhex(v->sealed),
		    tag = unit_unhex(v->tag);
	uint8_t out[64], got_tag[TAG_LEN];
	mbedtls_gcm_context ctx;

	open_ctx(e, &ctx, key.p, key.len);
	assert_int_equal(e->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, plain.len, iv.p, iv.len, aad.p,
					  aad.len, plain.p, out, TAG_LEN, got_tag),
			 0);
	unit_assert_span(span_of(out, plain.len), sealed);
	unit_assert_span(span_of(got_tag, TAG_LEN), tag);
	assert_int_equal(e->auth_decrypt(&ctx, sealed.len, iv.p, iv.len, aad.p, aad.len, tag.p,
					 TAG_LEN, sealed.p, out),
			 0);
	unit_assert_span(span_of(out, sealed.len), plain);
	/* mbedTLS 2.28 allows cuts only between blocks */
	for (unsigned how = 0; how < (e == ours ? UNIT_N_SPLITS : 1); how++) {
		stream_whole(e, &ctx, MBEDTLS_GCM_ENCRYPT, iv, aad, plain, out, got_tag,
			     unit_split_of(how));
		unit_assert_span(span_of(out, plain.len), sealed);
		unit_assert_span(span_of(got_tag, TAG_LEN), tag);
		stream_whole(e, &ctx, MBEDTLS_GCM_DECRYPT, iv, aad, sealed, out, got_tag,
			     unit_split_of(how));
		unit_assert_span(span_of(out, sealed.len), plain);
		unit_assert_span(span_of(got_tag, TAG_LEN), tag);
	}
	e->free(&ctx);
	unit_free_span(key);
	unit_free_span(iv);
	unit_free_span(aad);
	unit_free_span(plain);
	unit_free_span(sealed);
	unit_free_span(tag);
}

static void test_we_and_mbedtls_know_the_published_vectors(void **state)
{
	(void) state;
	assert_int_equal(UNIT_N(vectors), 18);
	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < UNIT_N(vectors); j++)
			check_vector(&gcmkit_engines[i], &vectors[j]);
	}
}

/* The vectors are shorter than what gcm.c gives to OpenSSL. */
static void test_openssl_by_itself_knows_those_with_an_iv_of_96_bits(void **state)
{
	size_t n_done = 0;

	(void) state;
	for (size_t i = 0; i < UNIT_N(vectors) && openssl.is_wanted; i++) {
		const struct vector *v = &vectors[i];
		struct span key = unit_unhex(v->key), iv = unit_unhex(v->iv),
			    aad = unit_unhex(v->aad), plain = unit_unhex(v->plain),
			    sealed = unit_unhex(v->sealed), tag = unit_unhex(v->tag);
		uint8_t out[64], got_tag[TAG_LEN];
		struct gcm_message m = { .iv = iv.p,
					 .aad = aad.p,
					 .in = plain.p,
					 .out = out,
					 .iv_len = iv.len,
					 .aad_len = aad.len,
					 .len = plain.len };
		struct gcm_openssl *g = gcm_openssl_new(key.p, key.len);

		assert_non_null(g);
		if (iv.len == GCM_OPENSSL_IV_LEN) {
			assert_true(gcm_openssl_whole(g, true, &m, got_tag, TAG_LEN));
			unit_assert_span(span_of(out, plain.len), sealed);
			unit_assert_span(span_of(got_tag, TAG_LEN), tag);
			m.in = sealed.p;
			assert_true(gcm_openssl_whole(g, false, &m, got_tag, TAG_LEN));
			unit_assert_span(span_of(out, plain.len), plain);
			got_tag[i % TAG_LEN] ^= 1;
			assert_false(gcm_openssl_whole(g, false, &m, got_tag, TAG_LEN));
			n_done++;
		}
		assert_null(gcm_openssl_free(g));
		unit_free_span(key);
		unit_free_span(iv);
		unit_free_span(aad);
		unit_free_span(plain);
		unit_free_span(sealed);
		unit_free_span(tag);
	}
	assert_int_equal(n_done, openssl.is_wanted ? 12 : 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_we_and_mbedtls_know_the_published_vectors),
		cmocka_unit_test(test_openssl_by_itself_knows_those_with_an_iv_of_96_bits),
	};

	if (argc != 2)
		return 2;
	openssl.is_wanted = strcmp(argv[1], "openssl") == 0;
	return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
