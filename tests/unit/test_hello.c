/* SPDX-License-Identifier: Apache-2.0 */
/* test_hello.c - the v2 hello pair and the keys, against those of stock frp; what is refused. */
#include "tests/unit/unit.h"

#include <errno.h>

#include "proto/wire/hello.h"
#include "tests/unit/failmalloc.h"

static const enum prim_aead_kind both[] = { PRIM_AEAD_AES_256_GCM, PRIM_AEAD_XCHACHA20_POLY1305 };

#define RANDOM_TEXT "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

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

static struct hello_client offer_of(const enum prim_aead_kind *kinds, size_t n_kinds)
{
	struct hello_client h = {
		.tls = true, .tcp_mux = true, .kinds = kinds, .n_kinds = n_kinds
	};

	for (unsigned i = 0; i < HELLO_RANDOM_LEN; i++)
		h.random[i] = (uint8_t) (i + 1);
	return h;
}

static void test_pair_and_keys_of_stock(void **state)
{
	const json_t *list = json_object_get(*state, "v2");

	assert_true(json_array_size(list) > 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		struct span ch = unit_hex_of(v, "client_hello"),
			    sh = unit_hex_of(v, "server_hello");
		struct span c2s = unit_hex_of(v, "key_c2s"), s2c = unit_hex_of(v, "key_s2c");
		enum prim_aead_kind kinds[2] = { PRIM_AEAD_AES_256_GCM, PRIM_AEAD_AES_256_GCM };
		struct hello_client c;
		struct hello_server s;
		struct hello_keys k;
		const char *why;
		struct buf out;

		buf_init(&out, 1000);
		assert_int_equal(hello_decode_client(ch, &c, kinds, &why), 0);
		assert_true(c.tls && c.tcp_mux && !c.offer_udp_binary);
		assert_int_equal(c.n_kinds, 1);
		assert_int_equal(hello_encode_client(&c, &out), 0);
		unit_assert_span(buf_span(&out), ch);
		buf_eat(&out, buf_len(&out));

		assert_int_equal(hello_decode_server(sh, &c, &s, &why), 0);
		assert_int_equal(s.kind, kinds[0]);
		assert_false(s.udp_binary);
		assert_string_equal(s.error, "");
		assert_int_equal(hello_encode_server(&s, &out), 0);
		unit_assert_span(buf_span(&out), sh);

		assert_int_equal(hello_derive(span_str(unit_str(v, "token")), ch, sh, s.kind, &k),
				 0);
		unit_assert_span(span_of(k.client_to_server, 32), c2s);
		unit_assert_span(span_of(k.server_to_client, 32), s2c);
		buf_deinit(&out);
		unit_free_span(ch);
		unit_free_span(sh);
		unit_free_span(c2s);
		unit_free_span(s2c);
	}
}

static void test_client_hello_text(void **state)
{
	struct hello_client h = offer_of(both, 2);
	struct buf out;

	(void) state;
	buf_init(&out, 1000);
	h.tls = false;
	h.tcp_mux = false;
	h.offer_udp_binary = true;
	assert_int_equal(hello_encode_client(&h, &out), 0);
	unit_assert_text(buf_span(&out),
			 "{\"bootstrap\":{\"transport\":\"tcp\"},\"capabilities\":{\"message\":{"
			 "\"codecs\":[\"json\"],\"udpPacketCodecs\":[\"binary-v1\"]},\"crypto\":{"
			 "\"algorithms\":[\"aes-256-gcm\",\"xchacha20-poly1305\"],"
			 "\"clientRandom\":\"" RANDOM_TEXT "\"}}}");
	buf_deinit(&out);
	buf_init(&out, 20);
	assert_int_equal(hello_encode_client(&h, &out), BUF_E_FULL);
	assert_int_equal(buf_len(&out), 0);
	buf_deinit(&out);
}

#define SELECTED(codec, udp, algorithm, random)            \
	"{\"selected\":{\"message\":{\"codec\":" codec udp \
	"},\"crypto\":{\"algorithm\":" algorithm ",\"serverRandom\":" random "}}}"
#define UDP ",\"udpPacketCodec\":\"binary-v1\""
#define GCM "\"aes-256-gcm\""
#define XCHACHA "\"xchacha20-poly1305\""
#define RANDOM "\"" RANDOM_TEXT "\""

static void test_server_hello_is_checked_against_the_offer(void **state)
{
	static const struct {
		const char *body, *why; /* @why NULL: good */
	} cases[] = {
		{ SELECTED("\"json\"", "", GCM, RANDOM), NULL },
		{ SELECTED("\"json\"", ",\"udpPacketCodec\":\"\"", GCM, RANDOM), NULL },
		{ SELECTED("\"json\"", "", XCHACHA, RANDOM),
		  "ServerHello: algorithm was not offered" },
		{ SELECTED("\"json\"", "", "\"none\"", RANDOM),
		  "ServerHello: algorithm was not offered" },
		{ SELECTED("\"json\"", "", "1", RANDOM), "ServerHello: algorithm was not offered" },
		{ SELECTED("\"json\"", "", "null", RANDOM),
		  "ServerHello: algorithm was not offered" },
		{ SELECTED("\"gob\"", "", GCM, RANDOM), "ServerHello: message codec is not json" },
		{ SELECTED("[]", "", GCM, RANDOM), "ServerHello: message codec is not json" },
		{ SELECTED("\"json\"", UDP, GCM, RANDOM),
		  "ServerHello: udp packet codec was not offered" },
		{ SELECTED("\"json\"", ",\"udpPacketCodec\":\"v9\"", GCM, RANDOM),
		  "ServerHello: udp packet codec was not offered" },
		{ SELECTED("\"json\"", "", GCM, "\"\""), "ServerHello: random is not 32 bytes" },
		{ SELECTED("\"json\"", "", GCM, "\"AQID\""),
		  "ServerHello: random is not 32 bytes" },
		{ SELECTED("\"json\"", "", GCM, "\"" RANDOM_TEXT "AAAA\""),
		  "ServerHello: random is not 32 bytes" },
		{ SELECTED("\"json\"", "", GCM, "\"****\""),
		  "ServerHello: random is not 32 bytes" },
		{ SELECTED("\"json\"", "", GCM, "7"), "ServerHello: random is not 32 bytes" },
		{ "{}", "ServerHello: message codec is not json" },
		{ "{\"selected\":[]}", "ServerHello: message codec is not json" },
		{ "{\"error\":1}", "ServerHello: error is not a string" },
		{ "", "not a JSON object" },
	};
	struct hello_client offer = offer_of(both, 1);

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		struct hello_server h = { .error = "untouched" };
		const char *why = NULL;
		int r;

		r = hello_decode_server(span_str(cases[i].body), &offer, &h, &why);
		assert_int_equal(r, cases[i].why != NULL ? HELLO_E_BAD : 0);
		if (cases[i].why != NULL) {
			assert_string_equal(why, cases[i].why);
			assert_string_equal(h.error, "untouched");
		} else {
			assert_int_equal(h.kind, PRIM_AEAD_AES_256_GCM);
			assert_memory_equal(h.random, offer.random, HELLO_RANDOM_LEN);
		}
	}
}

static void test_udp_codec_when_offered(void **state)
{
	struct hello_client offer = offer_of(both, 2);
	struct hello_server h;
	const char *why;
	struct buf out;

	(void) state;
	offer.offer_udp_binary = true;
	assert_int_equal(hello_decode_server(span_str(SELECTED("\"json\"", UDP, XCHACHA, RANDOM)),
					     &offer, &h, &why),
			 0);
	assert_true(h.udp_binary);
	assert_int_equal(h.kind, PRIM_AEAD_XCHACHA20_POLY1305);
	buf_init(&out, 1000);
	assert_int_equal(hello_encode_server(&h, &out), 0);
	unit_assert_text(buf_span(&out), SELECTED("\"json\"", UDP, XCHACHA, RANDOM));
	buf_deinit(&out);
	assert_int_equal(hello_decode_server(span_str(SELECTED("\"json\"", "", GCM, RANDOM)),
					     &offer, &h, &why),
			 0);
	assert_false(h.udp_binary);
}

static void test_refused_by_the_server(void **state)
{
	struct hello_client offer = offer_of(both, 2);
	struct hello_server h;
	char body[400];
	const char *why;
	struct buf out;

	(void) state;
	assert_int_equal(hello_decode_server(span_str("{\"error\":\"no\"}"), &offer, &h, &why), 0);
	assert_string_equal(h.error, "no");
	buf_init(&out, 1000);
	assert_int_equal(hello_encode_server(&h, &out), 0);
	unit_assert_text(buf_span(&out), "{\"error\":\"no\"}");
	buf_deinit(&out);
	/* A long text is cut. */
	(void) snprintf(body, sizeof(body), "{\"error\":\"%0300d\"}", 0);
	assert_int_equal(hello_decode_server(span_str(body), &offer, &h, &why), 0);
	assert_int_equal(strlen(h.error), sizeof(h.error) - 1);
}

#define OFFER(codecs, algorithms, random)                    \
	"{\"capabilities\":{\"message\":{\"codecs\":" codecs \
	"},\"crypto\":{\"algorithms\":" algorithms ",\"clientRandom\":" random "}}}"

static void test_client_hello_as_a_server_reads_it(void **state)
{
	static const struct {
		const char *body, *why;
	} bad[] = {
		{ OFFER("[]", "[" GCM "]", RANDOM), "ClientHello: codec json is not offered" },
		{ OFFER("\"json\"", "[" GCM "]", RANDOM),
		  "ClientHello: codec json is not offered" },
		{ OFFER("[\"json\"]", "[\"x\",1]", RANDOM), "ClientHello: no known algorithm" },
		{ OFFER("[\"json\"]", "{}", RANDOM), "ClientHello: no known algorithm" },
		{ OFFER("[\"json\"]", "[" GCM "]", "\"AQID\""),
		  "ClientHello: random is not 32 bytes" },
		{ "[]", "not a JSON object" },
	};
	enum prim_aead_kind kinds[2];
	struct hello_client h;
	const char *why;

	(void) state;
	assert_int_equal(hello_decode_client(
				 span_str(OFFER("[\"gob\",\"json\"]",
						"[\"x\"," XCHACHA "," XCHACHA ",2," GCM "," GCM "]",
						RANDOM)),
				 &h, kinds, &why),
			 0);
	assert_ptr_equal(h.kinds, kinds);
	assert_int_equal(h.n_kinds, 2);
	assert_int_equal(kinds[0], PRIM_AEAD_XCHACHA20_POLY1305);
	assert_int_equal(kinds[1], PRIM_AEAD_AES_256_GCM);
	assert_false(h.tls || h.tcp_mux || h.offer_udp_binary);
	for (size_t i = 0; i < UNIT_N(bad); i++) {
		assert_int_equal(hello_decode_client(span_str(bad[i].body), &h, kinds, &why),
				 HELLO_E_BAD);
		assert_string_equal(why, bad[i].why);
	}
}

/* The keys depend on every byte of both hellos, on the token, the algorithm and the direction. */
static void test_keys_depend_on_everything(void **state)
{
	struct hello_keys k, other;

	(void) state;
	assert_int_equal(hello_derive(span_str("t"), span_str("ab"), span_str("cd"), both[0], &k),
			 0);
	assert_memory_not_equal(k.client_to_server, k.server_to_client, 32);
	assert_int_equal(
		hello_derive(span_str("u"), span_str("ab"), span_str("cd"), both[0], &other), 0);
	assert_memory_not_equal(k.client_to_server, other.client_to_server, 32);
	assert_int_equal(
		hello_derive(span_str("t"), span_str("abc"), span_str("d"), both[0], &other), 0);
	assert_memory_not_equal(k.client_to_server, other.client_to_server, 32);
	assert_int_equal(
		hello_derive(span_str("t"), span_str("ab"), span_str("cd"), both[1], &other), 0);
	assert_memory_not_equal(k.client_to_server, other.client_to_server, 32);
}

static void test_each_allocation_fails(void **state)
{
	static const char text[] = SELECTED("\"json\"", "", GCM, RANDOM);
	struct hello_client offer = offer_of(both, 2);
	bool has_failed = true;
	size_t i;

	(void) state;
	for (i = 0; has_failed; i++) {
		enum prim_aead_kind kinds[2];
		struct hello_client c;
		struct hello_server s;
		struct hello_keys k;
		const char *why;
		struct buf out;
		int r;

		buf_init(&out, 1000);
		failmalloc_at(i);
		r = hello_encode_client(&offer, &out);
		if (r == 0)
			r = hello_decode_client(buf_span(&out), &c, kinds, &why);
		if (r == 0)
			r = hello_decode_server(span_str(text), &offer, &s, &why);
		if (r == 0)
			r = hello_encode_server(&s, &out);
		if (r == 0)
			r = hello_derive(span_str("t"), span_str("a"), span_str("b"), s.kind, &k);
		has_failed = failmalloc_stop();
		assert_int_equal(r, has_failed ? -ENOMEM : 0);
		buf_deinit(&out);
	}
	assert_true(i > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair_and_keys_of_stock),
		cmocka_unit_test(test_client_hello_text),
		cmocka_unit_test(test_server_hello_is_checked_against_the_offer),
		cmocka_unit_test(test_udp_codec_when_offered),
		cmocka_unit_test(test_refused_by_the_server),
		cmocka_unit_test(test_client_hello_as_a_server_reads_it),
		cmocka_unit_test(test_keys_depend_on_everything),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
