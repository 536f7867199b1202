/* SPDX-License-Identifier: Apache-2.0 */
/* test_gcm.c - AES-GCM by nettle against the published vectors and against mbedTLS's own, which is
 * linked beside it under another name (stock_gcm); streams at any split; refusals. */
#include "tests/unit/unit.h"

#include <malloc.h>

#include <mbedtls/cipher.h>
#include <mbedtls/gcm.h>
#include <mbedtls/version.h>

#include "tests/unit/failmalloc.h"

#define TAG_LEN 16
#define IV_MAX 64
#define AAD_MAX 63
#define DATA_MAX 17000
#define GUARD 64 /* bytes around an output that must stay as they are */
#define N_RANDOM 100000

struct engine {
	const char *name;
	__typeof__(mbedtls_gcm_init) *init;
	__typeof__(mbedtls_gcm_setkey) *setkey;
	__typeof__(mbedtls_gcm_crypt_and_tag) *crypt_and_tag;
	__typeof__(mbedtls_gcm_auth_decrypt) *auth_decrypt;
	__typeof__(mbedtls_gcm_starts) *starts;
	__typeof__(mbedtls_gcm_update) *update;
	__typeof__(mbedtls_gcm_finish) *finish;
	__typeof__(mbedtls_gcm_free) *free;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	__typeof__(mbedtls_gcm_update_ad) *update_ad;
#endif
};

extern __typeof__(mbedtls_gcm_init) stock_mbedtls_gcm_init;
extern __typeof__(mbedtls_gcm_setkey) stock_mbedtls_gcm_setkey;
extern __typeof__(mbedtls_gcm_crypt_and_tag) stock_mbedtls_gcm_crypt_and_tag;
extern __typeof__(mbedtls_gcm_auth_decrypt) stock_mbedtls_gcm_auth_decrypt;
extern __typeof__(mbedtls_gcm_starts) stock_mbedtls_gcm_starts;
extern __typeof__(mbedtls_gcm_update) stock_mbedtls_gcm_update;
extern __typeof__(mbedtls_gcm_finish) stock_mbedtls_gcm_finish;
extern __typeof__(mbedtls_gcm_free) stock_mbedtls_gcm_free;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
extern __typeof__(mbedtls_gcm_update_ad) stock_mbedtls_gcm_update_ad;
#define ENGINE_AAD(prefix) .update_ad = prefix##mbedtls_gcm_update_ad,
#else
#define ENGINE_AAD(prefix)
#endif
#define ENGINE(shown, prefix)                                                               \
	{                                                                                   \
		.name = (shown), .init = prefix##mbedtls_gcm_init,                          \
		.setkey = prefix##mbedtls_gcm_setkey,                                       \
		.crypt_and_tag = prefix##mbedtls_gcm_crypt_and_tag,                         \
		.auth_decrypt = prefix##mbedtls_gcm_auth_decrypt,                           \
		.starts = prefix##mbedtls_gcm_starts, .update = prefix##mbedtls_gcm_update, \
		.finish = prefix##mbedtls_gcm_finish, .free = prefix##mbedtls_gcm_free,     \
		ENGINE_AAD(prefix)                                                          \
	}
static const struct engine engines[] = { ENGINE("nettle", ), ENGINE("mbedtls", stock_) };
static const struct engine *const ours = &engines[0], *const stock = &engines[1];

/* -- streams, of either version ---------------------------------------------------------------- */

/* @aad in pieces as @split says, where this mbedTLS can. */
static int stream_start(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
			struct span aad, struct unit_split *split)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	int r = e->starts(ctx, mode, iv.p, iv.len);

	while (r == 0 && aad.len > 0) {
		struct span piece = span_head(aad, unit_piece(split, aad.len));

		r = e->update_ad(ctx, piece.p, piece.len);
		aad = span_skip(aad, piece.len);
	}
	return r;
#else
	(void) split;
	return e->starts(ctx, mode, iv.p, iv.len, aad.p, aad.len);
#endif
}

static int stream_update(const struct engine *e, mbedtls_gcm_context *ctx, struct span in,
			 uint8_t *out)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	size_t n = SIZE_MAX;
	int r = e->update(ctx, in.p, in.len, out, in.len, &n);

	assert_true(r != 0 || n == in.len);
	return r;
#else
	return e->update(ctx, in.len, in.p, out);
#endif
}

static int stream_finish(const struct engine *e, mbedtls_gcm_context *ctx, uint8_t *tag,
			 size_t tag_len)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	size_t n = SIZE_MAX;
	int r = e->finish(ctx, NULL, 0, &n, tag, tag_len);

	assert_true(r != 0 || n == 0);
	return r;
#else
	return e->finish(ctx, tag, tag_len);
#endif
}

static void stream_whole(const struct engine *e, mbedtls_gcm_context *ctx, int mode, struct span iv,
			 struct span aad, struct span in, uint8_t *out, uint8_t *tag,
			 struct unit_split split)
{
	assert_int_equal(stream_start(e, ctx, mode, iv, aad, &split), 0);
	while (in.len > 0) {
		struct span piece = span_head(in, unit_piece(&split, in.len));

		assert_int_equal(stream_update(e, ctx, piece, out), 0);
		out += piece.len;
		in = span_skip(in, piece.len);
	}
	assert_int_equal(stream_finish(e, ctx, tag, TAG_LEN), 0);
}

static void open_ctx(const struct engine *e, mbedtls_gcm_context *ctx, const uint8_t *key,
		     size_t key_len)
{
	e->init(ctx);
	assert_int_equal(e->setkey(ctx, MBEDTLS_CIPHER_ID_AES, key, (unsigned) (8 * key_len)), 0);
}

/* -- the published vectors --------------------------------------------------------------------- */

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

static void test_both_engines_know_the_published_vectors(void **state)
{
	(void) state;
	assert_int_equal(UNIT_N(vectors), 18);
	for (size_t i = 0; i < UNIT_N(engines); i++) {
		for (size_t j = 0; j < UNIT_N(vectors); j++)
			check_vector(&engines[i], &vectors[j]);
	}
}

/* -- against mbedTLS's own --------------------------------------------------------------------- */

/* A message, what mbedTLS makes of it, and a place for what we make of it. */
struct message {
	uint8_t key[32], iv[IV_MAX], aad[AAD_MAX], plain[DATA_MAX], sealed[DATA_MAX], tag[TAG_LEN];
	size_t key_len, iv_len, aad_len, len, tag_len;
	uint8_t out[GUARD + DATA_MAX + GUARD];
};

static size_t random_below(uint32_t *seed, size_t n)
{
	return (unit_random(seed) >> 3) % n;
}

/* Most are small, as most frames are; one in a hundred is like a record of TLS. */
static size_t random_len(uint32_t *seed)
{
	size_t kind = random_below(seed, 100);

	return random_below(seed, (kind < 90 ? 200 : kind < 99 ? 2000 : DATA_MAX) + 1);
}

static void message_make(struct message *m, uint32_t *seed)
{
	mbedtls_gcm_context ctx;

	m->key_len = 16 + 8 * random_below(seed, 3);
	m->iv_len = random_below(seed, 4) > 0 ? 12 : random_below(seed, IV_MAX) + 1;
	m->aad_len = random_below(seed, AAD_MAX + 1);
	m->len = random_len(seed);
	m->tag_len = random_below(seed, 4) > 0 ? TAG_LEN : random_below(seed, 13) + 4;
	unit_fill(seed, m->key, m->key_len);
	unit_fill(seed, m->iv, m->iv_len);
	unit_fill(seed, m->aad, m->aad_len);
	unit_fill(seed, m->plain, m->len);
	open_ctx(stock, &ctx, m->key, m->key_len);
	assert_int_equal(stock->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, m->len, m->iv, m->iv_len,
					      m->aad, m->aad_len, m->plain, m->sealed, m->tag_len,
					      m->tag),
			 0);
	stock->free(&ctx);
}

/* Where the input is to stand: apart, in the place of the output, or 1 to 40 bytes behind its
 * beginning. */
static const uint8_t *message_place(struct message *m, const uint8_t *from, uint32_t *seed)
{
	static const size_t behind_max = 40;
	size_t kind = random_below(seed, 4);
	uint8_t *to = m->out + GUARD + (kind == 3 ? random_below(seed, behind_max) + 1 : 0);

	memset(m->out, 0xa5, sizeof(m->out));
	if (kind < 2)
		return from;
	memcpy(to, from, m->len);
	return to;
}

/* Nothing outside of the output was touched: @in is where the input was. */
static void message_check_guards(const struct message *m, const uint8_t *in)
{
	const uint8_t *end = m->out + GUARD + m->len, *limit = end + GUARD;

	for (size_t i = 0; i < GUARD; i++)
		assert_int_equal(m->out[i], 0xa5);
	if (in >= m->out && in < m->out + sizeof(m->out))
		end = in + m->len;
	for (const uint8_t *p = end; p < limit; p++)
		assert_int_equal(*p, 0xa5);
}

static void check_seal(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	const uint8_t *in = message_place(m, m->plain, seed);
	uint8_t tag[TAG_LEN + 1];

	memset(tag, 0xa5, sizeof(tag));
	assert_int_equal(ours->crypt_and_tag(ctx, MBEDTLS_GCM_ENCRYPT, m->len, m->iv, m->iv_len,
					     m->aad, m->aad_len, in, m->out + GUARD, m->tag_len,
					     tag),
			 0);
	assert_memory_equal(m->out + GUARD, m->sealed, m->len);
	assert_memory_equal(tag, m->tag, m->tag_len);
	assert_int_equal(tag[m->tag_len], 0xa5);
	message_check_guards(m, in);
}

static void check_open(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	const uint8_t *in = message_place(m, m->sealed, seed);

	assert_int_equal(ours->auth_decrypt(ctx, m->len, m->iv, m->iv_len, m->aad, m->aad_len,
					    m->tag, m->tag_len, in, m->out + GUARD),
			 0);
	assert_memory_equal(m->out + GUARD, m->plain, m->len);
	message_check_guards(m, in);
}

static void check_forged(mbedtls_gcm_context *ctx, struct message *m, const uint8_t *in)
{
	assert_int_equal(ours->auth_decrypt(ctx, m->len, m->iv, m->iv_len, m->aad, m->aad_len,
					    m->tag, m->tag_len, in, m->out + GUARD),
			 MBEDTLS_ERR_GCM_AUTH_FAILED);
	for (size_t i = 0; i < m->len; i++)
		assert_int_equal(m->out[GUARD + i], 0);
}

/* One bit of the tag, of the data, of the additional data or of the IV is another. */
static void check_bit(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	uint8_t *const parts[] = { m->tag, m->tag, m->sealed, m->aad, m->iv };
	const size_t lens[] = { m->tag_len, m->tag_len, m->len, m->aad_len, m->iv_len };
	size_t part = random_below(seed, UNIT_N(parts)), at;
	uint8_t bit = (uint8_t) (1u << random_below(seed, 8));

	part = lens[part] == 0 ? 0 : part;
	at = random_below(seed, lens[part]);
	parts[part][at] ^= bit;
	check_forged(ctx, m, message_place(m, m->sealed, seed));
	parts[part][at] ^= bit;
}

static void check_stream(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	bool is_encrypting = random_below(seed, 2) == 0, is_apart = random_below(seed, 2) == 0;
	const uint8_t *from = is_encrypting ? m->plain : m->sealed;
	const uint8_t *want = is_encrypting ? m->sealed : m->plain;
	struct unit_split split = { .how = 2 + (unsigned) random_below(seed, UNIT_N_SPLITS),
				    .seed = unit_random(seed) };
	uint8_t tag[TAG_LEN];

	memset(m->out, 0xa5, sizeof(m->out));
	if (!is_apart)
		memcpy(m->out + GUARD, from, m->len);
	stream_whole(ours, ctx, is_encrypting ? MBEDTLS_GCM_ENCRYPT : MBEDTLS_GCM_DECRYPT,
		     span_of(m->iv, m->iv_len), span_of(m->aad, m->aad_len),
		     span_of(is_apart ? from : m->out + GUARD, m->len), m->out + GUARD, tag, split);
	assert_memory_equal(m->out + GUARD, want, m->len);
	assert_memory_equal(tag, m->tag, m->tag_len);
	message_check_guards(m, m->out + GUARD);
}

static void test_a_hundred_thousand_messages_are_as_mbedtls_makes_them(void **state)
{
	struct message *m = malloc(sizeof(*m));
	uint32_t seed = 2463534242u;

	(void) state;
	assert_non_null(m);
	for (unsigned i = 0; i < N_RANDOM; i++) {
		mbedtls_gcm_context ctx;

		message_make(m, &seed);
		open_ctx(ours, &ctx, m->key, m->key_len);
		check_seal(&ctx, m, &seed);
		check_open(&ctx, m, &seed);
		check_bit(&ctx, m, &seed);
		check_stream(&ctx, m, &seed);
		ours->free(&ctx);
	}
	free(m);
}

static void test_every_size_around_blocks_and_records_is_the_same(void **state)
{
	struct message *m = malloc(sizeof(*m));
	uint32_t seed = 88675123u;

	(void) state;
	assert_non_null(m);
	for (size_t len = 0; len <= DATA_MAX; len += len == 1100 ? 15200 : 1) {
		mbedtls_gcm_context a, b;

		message_make(m, &seed);
		m->len = len;
		m->tag_len = TAG_LEN;
		unit_fill(&seed, m->plain, len);
		open_ctx(stock, &a, m->key, m->key_len);
		open_ctx(ours, &b, m->key, m->key_len);
		assert_int_equal(stock->crypt_and_tag(&a, MBEDTLS_GCM_ENCRYPT, len, m->iv,
						      m->iv_len, m->aad, m->aad_len, m->plain,
						      m->sealed, TAG_LEN, m->tag),
				 0);
		check_seal(&b, m, &seed);
		check_open(&b, m, &seed);
		stock->free(&a);
		ours->free(&b);
	}
	free(m);
}

/* -- what must be refused ---------------------------------------------------------------------- */

static void test_every_flipped_bit_of_a_tag_is_refused(void **state)
{
	struct message *m = malloc(sizeof(*m));
	uint32_t seed = 521288629u;

	(void) state;
	assert_non_null(m);
	for (unsigned i = 0; i < 300; i++) {
		mbedtls_gcm_context ctx;

		message_make(m, &seed);
		open_ctx(ours, &ctx, m->key, m->key_len);
		for (size_t bit = 0; bit < 8 * m->tag_len; bit++) {
			m->tag[bit / 8] ^= (uint8_t) (1u << bit % 8);
			check_forged(&ctx, m, m->sealed);
			m->tag[bit / 8] ^= (uint8_t) (1u << bit % 8);
		}
		check_open(&ctx, m, &seed); /* a forgery leaves nothing behind */
		ours->free(&ctx);
	}
	free(m);
}

static void test_keys_of_other_ciphers_and_sizes_are_refused(void **state)
{
	static const mbedtls_cipher_id_t others[] = { MBEDTLS_CIPHER_ID_NONE,
						      MBEDTLS_CIPHER_ID_CAMELLIA,
						      MBEDTLS_CIPHER_ID_ARIA };
	static const unsigned sizes[] = { 0, 64, 127, 129, 320, 512 };
	static const uint8_t key[64] = { 1 };
	mbedtls_gcm_context ctx;
	uint8_t tag[TAG_LEN];

	(void) state;
	ours->init(&ctx);
	for (size_t i = 0; i < UNIT_N(others); i++)
		assert_int_equal(ours->setkey(&ctx, others[i], key, 128),
				 MBEDTLS_ERR_CIPHER_FEATURE_UNAVAILABLE);
	for (size_t i = 0; i < UNIT_N(sizes); i++)
		assert_int_equal(ours->setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, sizes[i]),
				 MBEDTLS_ERR_GCM_BAD_INPUT);
	/* without a key nothing works, and nothing breaks */
	assert_int_equal(ours->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 0, key, 12, NULL, 0, NULL,
					     NULL, TAG_LEN, tag),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(ours->auth_decrypt(&ctx, 0, key, 12, NULL, 0, key, TAG_LEN, NULL, NULL),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(stream_update(ours, &ctx, span_of(key, 1), tag),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(stream_finish(ours, &ctx, tag, TAG_LEN), MBEDTLS_ERR_GCM_BAD_INPUT);
	ours->free(&ctx);
	ours->free(&ctx);
	ours->free(NULL);
	/* the test's other engine is another one: it has this cipher */
	stock->init(&ctx);
	assert_int_equal(stock->setkey(&ctx, MBEDTLS_CIPHER_ID_CAMELLIA, key, 128), 0);
	stock->free(&ctx);
}

static void test_arguments_that_mbedtls_refuses_are_refused(void **state)
{
	static const size_t tag_lens[] = { 0, 3, 17 };
	static const uint8_t key[16] = { 1 }, iv[12] = { 2 };
	uint8_t data[64] = { 3 }, tag[32];

	(void) state;
	for (size_t i = 0; i < UNIT_N(engines); i++) {
		const struct engine *e = &engines[i];
		mbedtls_gcm_context ctx;

		open_ctx(e, &ctx, key, sizeof(key));
		for (size_t j = 0; j < UNIT_N(tag_lens); j++) {
			assert_int_equal(e->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 0, iv, 12,
							  NULL, 0, NULL, NULL, tag_lens[j], tag),
					 MBEDTLS_ERR_GCM_BAD_INPUT);
			assert_int_equal(e->auth_decrypt(&ctx, 0, iv, 12, NULL, 0, tag, tag_lens[j],
							 NULL, NULL),
					 MBEDTLS_ERR_GCM_BAD_INPUT);
		}
		/* no IV; output that runs over input not yet read */
		assert_int_equal(e->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 16, iv, 0, NULL, 0,
						  data, data, TAG_LEN, tag),
				 MBEDTLS_ERR_GCM_BAD_INPUT);
		assert_int_equal(e->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 48, iv, 12, NULL, 0,
						  data, data + 1, TAG_LEN, tag),
				 MBEDTLS_ERR_GCM_BAD_INPUT);
		e->free(&ctx);
	}
}

static void test_calls_out_of_order_are_refused(void **state)
{
	static const uint8_t key[16] = { 1 }, iv[12] = { 2 };
	struct unit_split split = unit_split_of(0);
	uint8_t data[16] = { 3 }, tag[TAG_LEN];
	mbedtls_gcm_context ctx;

	(void) state;
	open_ctx(ours, &ctx, key, sizeof(key));
	assert_int_equal(stream_update(ours, &ctx, span_of(data, 1), data),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(stream_finish(ours, &ctx, tag, TAG_LEN), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(
		stream_start(ours, &ctx, /* mode= */ 2, span_of(iv, 12), span_of(NULL, 0), &split),
		MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(stream_start(ours, &ctx, MBEDTLS_GCM_ENCRYPT, span_of(iv, 12),
				      span_of(iv, 5), &split),
			 0);
	assert_int_equal(stream_update(ours, &ctx, span_of(data, 1), data), 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	assert_int_equal(ours->update_ad(&ctx, iv, 1), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(ours->update(&ctx, data, 2, data, 1, &(size_t){ 0 }),
			 MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL);
#endif
	assert_int_equal(stream_finish(ours, &ctx, tag, 3), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(stream_finish(ours, &ctx, tag, TAG_LEN), 0);
	assert_int_equal(stream_finish(ours, &ctx, tag, TAG_LEN), MBEDTLS_ERR_GCM_BAD_INPUT);
	ours->free(&ctx);
}

/* -- keys and memory --------------------------------------------------------------------------- */

static void test_a_second_key_takes_the_place_of_the_first(void **state)
{
	struct message *m = malloc(sizeof(*m));
	uint32_t seed = 362436069u;
	mbedtls_gcm_context ctx;

	(void) state;
	assert_non_null(m);
	ours->init(&ctx);
	for (unsigned i = 0; i < 100; i++) {
		message_make(m, &seed);
		assert_int_equal(ours->setkey(&ctx, MBEDTLS_CIPHER_ID_AES, m->key,
					      (unsigned) (8 * m->key_len)),
				 0);
		check_seal(&ctx, m, &seed);
		check_open(&ctx, m, &seed);
	}
	ours->free(&ctx);
	free(m);
}

static void test_no_memory_is_said_and_survived(void **state)
{
	static const uint8_t key[16] = { 1 };
	mbedtls_gcm_context ctx;

	(void) state;
	ours->init(&ctx);
	failmalloc_at(0);
	assert_int_equal(ours->setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 128),
			 MBEDTLS_ERR_CIPHER_ALLOC_FAILED);
	assert_true(failmalloc_stop());
	assert_int_equal(ours->setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 128), 0);
	ours->free(&ctx);
}

/* The linker turns every call of free into __wrap_free: the block that a test watches is looked at
 * before it goes. */
void __real_free(void *p);
void __wrap_free(void *p);
static struct {
	const void *block;
	const uint8_t *key;
	bool was_seen, had_key;
} watched;

static bool block_has_key(const void *block, const uint8_t *key)
{
	return memmem(block, malloc_usable_size((void *) (uintptr_t) block), key, 16) != NULL;
}

void __wrap_free(void *p)
{
	if (p != NULL && p == watched.block) {
		watched.was_seen = true;
		watched.had_key = block_has_key(p, watched.key);
		watched.block = NULL;
	}
	__real_free(p);
}

static void test_the_key_is_wiped_before_its_memory_goes(void **state)
{
	static const uint8_t key[16] = "sixteen of them";
	static const mbedtls_gcm_context empty;
	mbedtls_gcm_context ctx;

	(void) state;
	open_ctx(ours, &ctx, key, sizeof(key));
	memcpy(&watched.block, &ctx, sizeof(watched.block));
	watched.key = key;
	assert_true(block_has_key(watched.block, key)); /* AES's first round key is the key */
	ours->free(&ctx);
	assert_true(watched.was_seen);
	assert_false(watched.had_key);
	assert_memory_equal(&ctx, &empty, sizeof(ctx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_engines_know_the_published_vectors),
		cmocka_unit_test(test_a_hundred_thousand_messages_are_as_mbedtls_makes_them),
		cmocka_unit_test(test_every_size_around_blocks_and_records_is_the_same),
		cmocka_unit_test(test_every_flipped_bit_of_a_tag_is_refused),
		cmocka_unit_test(test_keys_of_other_ciphers_and_sizes_are_refused),
		cmocka_unit_test(test_arguments_that_mbedtls_refuses_are_refused),
		cmocka_unit_test(test_calls_out_of_order_are_refused),
		cmocka_unit_test(test_a_second_key_takes_the_place_of_the_first),
		cmocka_unit_test(test_no_memory_is_said_and_survived),
		cmocka_unit_test(test_the_key_is_wiped_before_its_memory_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
