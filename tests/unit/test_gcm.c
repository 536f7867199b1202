/* SPDX-License-Identifier: Apache-2.0 */
/* test_gcm.c - AES-GCM against mbedTLS's own; streams at any split; refusals; memory. Its argument:
 * nettle, or openssl, which has nettle below it. */
#include "tests/unit/gcmkit.h"

#include <malloc.h>

#include <mbedtls/error.h>

#include "tests/unit/failmalloc.h"

#define IV_MAX 64
#define AAD_MAX 63
#define DATA_MAX 17000
#define GUARD 64 /* bytes around an output that must stay as they are */
#define N_RANDOM 100000

/* -- against mbedTLS's own -- */

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

/* Most are small, as most frames are; one in a hundred is like a record of TLS. With OpenSSL most
 * are just long enough for it. */
static size_t random_len(uint32_t *seed)
{
	size_t kind = random_below(seed, 100);

	if (openssl.is_wanted && kind < 95)
		return GCM_OPENSSL_MIN - 10 + random_below(seed, 600);
	return random_below(seed, (kind < 90 ? 200 : kind < 99 ? 2000 : DATA_MAX) + 1);
}

static bool message_is_for_openssl(const struct message *m)
{
	return openssl.is_wanted && m->len >= GCM_OPENSSL_MIN && m->iv_len == GCM_OPENSSL_IV_LEN;
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
	unsigned n_before = openssl.n_calls;
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
	assert_int_equal(openssl.n_calls - n_before, message_is_for_openssl(m));
}

static void check_open(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	const uint8_t *in = message_place(m, m->sealed, seed);
	unsigned n_before = openssl.n_calls;

	assert_int_equal(ours->auth_decrypt(ctx, m->len, m->iv, m->iv_len, m->aad, m->aad_len,
					    m->tag, m->tag_len, in, m->out + GUARD),
			 0);
	assert_memory_equal(m->out + GUARD, m->plain, m->len);
	message_check_guards(m, in);
	assert_int_equal(openssl.n_calls - n_before, message_is_for_openssl(m));
}

/* Asked to decrypt for a tag, not to compare one. */
static void check_decrypt(mbedtls_gcm_context *ctx, struct message *m, uint32_t *seed)
{
	const uint8_t *in = message_place(m, m->sealed, seed);
	uint8_t tag[TAG_LEN];

	assert_int_equal(ours->crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, m->len, m->iv, m->iv_len,
					     m->aad, m->aad_len, in, m->out + GUARD, m->tag_len,
					     tag),
			 0);
	assert_memory_equal(m->out + GUARD, m->plain, m->len);
	assert_memory_equal(tag, m->tag, m->tag_len);
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
	for (unsigned n = 0; n < N_RANDOM;) {
		mbedtls_gcm_context ctx;

		message_make(m, &seed);
		n += message_is_for_openssl(m) || !openssl.is_wanted; /* what the engine does */
		open_ctx(ours, &ctx, m->key, m->key_len);
		check_seal(&ctx, m, &seed);
		check_decrypt(&ctx, m, &seed);
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

/* -- what must be refused -- */

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
	for (size_t i = 0; i < 2; i++) {
		const struct engine *e = &gcmkit_engines[i];
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

/* -- keys and memory -- */

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

/* Without memory for OpenSSL's part nettle does it alone. */
static void test_no_memory_is_said_and_survived(void **state)
{
	struct message *m = malloc(sizeof(*m));
	uint32_t seed = 362436069u;
	bool was_wanted = openssl.is_wanted;
	mbedtls_gcm_context ctx;

	(void) state;
	assert_non_null(m);
	ours->init(&ctx);
	message_make(m, &seed);
	for (size_t i = 0;; i++) {
		int r;

		failmalloc_at(i);
		r = ours->setkey(&ctx, MBEDTLS_CIPHER_ID_AES, m->key, (unsigned) (8 * m->key_len));
		if (!failmalloc_stop()) {
			assert_int_equal(r, 0);
			assert_int_equal(i, was_wanted ? 3 : 1);
			break;
		}
		assert_int_equal(r, i == 0 ? MBEDTLS_ERR_CIPHER_ALLOC_FAILED : 0);
		openssl.is_wanted = false;
		if (i > 0)
			check_seal(&ctx, m, &seed);
		openssl.is_wanted = was_wanted;
		ours->free(&ctx);
	}
	check_seal(&ctx, m, &seed);
	ours->free(&ctx);
	free(m);
}

static void test_what_openssl_fails_at_gives_nothing_out(void **state)
{
	static const uint8_t key[16] = { 1 }, iv[12] = { 2 }, nothing[2000];
	uint8_t data[sizeof(nothing)] = { 3 }, tag[TAG_LEN];
	mbedtls_gcm_context ctx;

	(void) state;
	if (!openssl.is_wanted)
		return;
	open_ctx(ours, &ctx, key, sizeof(key));
	openssl.is_to_fail = true;
	assert_int_equal(ours->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, sizeof(data), iv, 12, NULL,
					     0, data, data, TAG_LEN, tag),
			 MBEDTLS_ERR_ERROR_GENERIC_ERROR);
	assert_memory_equal(data, nothing, sizeof(data));
	openssl.is_to_fail = false;
	assert_int_equal(ours->crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, sizeof(data), iv, 12, NULL,
					     0, data, data, TAG_LEN, tag),
			 0);
	assert_int_equal(
		ours->auth_decrypt(&ctx, sizeof(data), iv, 12, NULL, 0, tag, TAG_LEN, data, data),
		0);
	ours->free(&ctx);
}

/* The linker turns every call of free into __wrap_free, OpenSSL's too: what goes is looked at. */
void __real_free(void *p);
void __wrap_free(void *p);
static struct {
	const uint8_t *key; /* or NULL */
	unsigned n_freed, n_with_key;
} watched;

static bool block_has_key(const void *block, const uint8_t *key)
{
	return memmem(block, malloc_usable_size((void *) (uintptr_t) block), key, 16) != NULL;
}

void __wrap_free(void *p)
{
	if (p != NULL && watched.key != NULL) {
		watched.n_freed++;
		watched.n_with_key += block_has_key(p, watched.key);
	}
	__real_free(p);
}

static void test_the_key_is_wiped_before_its_memory_goes(void **state)
{
	static const uint8_t key[16] = "sixteen of them";
	static const mbedtls_gcm_context empty;
	mbedtls_gcm_context ctx;
	const void *block;

	(void) state;
	open_ctx(ours, &ctx, key, sizeof(key));
	memcpy(&block, &ctx, sizeof(block));
	assert_true(block_has_key(block, key)); /* AES's first round key is the key */
	watched.key = key;
	ours->free(&ctx);
	watched.key = NULL;
	assert_int_equal(watched.n_freed, openssl.is_wanted ? 3 : 1);
	assert_int_equal(watched.n_with_key, 0);
	assert_memory_equal(&ctx, &empty, sizeof(ctx));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_hundred_thousand_messages_are_as_mbedtls_makes_them),
		cmocka_unit_test(test_every_size_around_blocks_and_records_is_the_same),
		cmocka_unit_test(test_every_flipped_bit_of_a_tag_is_refused),
		cmocka_unit_test(test_keys_of_other_ciphers_and_sizes_are_refused),
		cmocka_unit_test(test_arguments_that_mbedtls_refuses_are_refused),
		cmocka_unit_test(test_calls_out_of_order_are_refused),
		cmocka_unit_test(test_a_second_key_takes_the_place_of_the_first),
		cmocka_unit_test(test_no_memory_is_said_and_survived),
		cmocka_unit_test(test_what_openssl_fails_at_gives_nothing_out),
		cmocka_unit_test(test_the_key_is_wiped_before_its_memory_goes),
	};

	if (argc != 2)
		return 2;
	openssl.is_wanted = strcmp(argv[1], "openssl") == 0;
	return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
