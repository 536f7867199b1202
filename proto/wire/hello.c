/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - the v2 hello pair, its transcript and the control keys. Floor 1. */
#include "proto/wire/hello.h"

#include <stdio.h>

#include "proto/base/base64.h"
#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/wire/jtext.h"

#define HELLO_N_KINDS 2
#define HELLO_CODEC "json"
#define HELLO_UDP_CODEC "binary-v1"

static const char *hello_kind_name(enum prim_aead_kind kind)
{
	return kind == PRIM_AEAD_AES_256_GCM ? "aes-256-gcm" : "xchacha20-poly1305";
}

static int hello_refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return HELLO_E_BAD;
}

/* -- encoding -- */

static void hello_put_random(struct jtext *j, const char *name,
			     const uint8_t random[static HELLO_RANDOM_LEN])
{
	char text[BASE64_LEN(HELLO_RANDOM_LEN) + 1];

	base64_encode(span_of(random, HELLO_RANDOM_LEN), text, sizeof(text));
	jtext_put_str(j, name, text);
}

static void hello_put_list(struct jtext *j, const char *name, const char *item)
{
	jtext_open(j, name, '[');
	jtext_put_str(j, NULL, item);
	jtext_close(j, ']');
}

int hello_encode_client(const struct hello_client *h, struct buf *out)
{
	struct jtext j;

	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	jtext_open(&j, "bootstrap", '{');
	jtext_put_str(&j, "transport", "tcp");
	if (h->tls)
		jtext_put_bool(&j, "tls", true);
	if (h->tcp_mux)
		jtext_put_bool(&j, "tcpMux", true);
	jtext_close(&j, '}');
	jtext_open(&j, "capabilities", '{');
	jtext_open(&j, "message", '{');
	hello_put_list(&j, "codecs", HELLO_CODEC);
	if (h->offer_udp_binary)
		hello_put_list(&j, "udpPacketCodecs", HELLO_UDP_CODEC);
	jtext_close(&j, '}');
	jtext_open(&j, "crypto", '{');
	jtext_open(&j, "algorithms", '[');
	for (size_t i = 0; i < h->n_kinds; i++)
		jtext_put_str(&j, NULL, hello_kind_name(h->kinds[i]));
	jtext_close(&j, ']');
	hello_put_random(&j, "clientRandom", h->random);
	jtext_close(&j, '}');
	jtext_close(&j, '}');
	jtext_close(&j, '}');
	return jtext_end(&j);
}

int hello_encode_server(const struct hello_server *h, struct buf *out)
{
	struct jtext j;

	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	if (h->error[0] != '\0') {
		jtext_put_str(&j, "error", h->error);
	} else {
		jtext_open(&j, "selected", '{');
		jtext_open(&j, "message", '{');
		jtext_put_str(&j, "codec", HELLO_CODEC);
		if (h->udp_binary)
			jtext_put_str(&j, "udpPacketCodec", HELLO_UDP_CODEC);
		jtext_close(&j, '}');
		jtext_open(&j, "crypto", '{');
		jtext_put_str(&j, "algorithm", hello_kind_name(h->kind));
		hello_put_random(&j, "serverRandom", h->random);
		jtext_close(&j, '}');
		jtext_close(&j, '}');
	}
	jtext_close(&j, '}');
	return jtext_end(&j);
}

/* -- decoding -- */

/* The text of a member, "" when absent, NULL when it is no string. */
static const char *hello_get_str(const json_t *object, const char *name)
{
	const json_t *v = jtext_get(object, name);

	return v != NULL ? json_string_value(v) : "";
}

/* True: @object's member @name is the string @want. */
static bool hello_is_str(const json_t *object, const char *name, const char *want)
{
	const char *s = hello_get_str(object, name);

	return s != NULL && strcmp(s, want) == 0;
}

static bool hello_get_random(const json_t *object, const char *name,
			     uint8_t ret_random[static HELLO_RANDOM_LEN])
{
	const char *text = hello_get_str(object, name);
	size_t len;

	return text != NULL &&
	       base64_decode(span_str(text), ret_random, HELLO_RANDOM_LEN, &len) == 0 &&
	       len == HELLO_RANDOM_LEN;
}

static bool hello_find_kind(const char *name, enum prim_aead_kind *ret_kind)
{
	static const enum prim_aead_kind kinds[HELLO_N_KINDS] = {
		PRIM_AEAD_AES_256_GCM,
		PRIM_AEAD_XCHACHA20_POLY1305,
	};

	for (size_t i = 0; name != NULL && i < HELLO_N_KINDS; i++) {
		if (strcmp(name, hello_kind_name(kinds[i])) == 0) {
			*ret_kind = kinds[i];
			return true;
		}
	}
	return false;
}

static bool hello_has_kind(const enum prim_aead_kind *kinds, size_t n, enum prim_aead_kind kind)
{
	for (size_t i = 0; i < n; i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

/* The member "selected" of a ServerHello against what was offered. */
static int hello_check_selected(const json_t *selected, const struct hello_client *offer,
				struct hello_server *h, const char **ret_why)
{
	const json_t *message = jtext_get(selected, "message");
	const json_t *crypto = jtext_get(selected, "crypto");

	if (!hello_is_str(message, "codec", HELLO_CODEC))
		return hello_refuse(ret_why, "ServerHello: message codec is not json");
	h->udp_binary = hello_is_str(message, "udpPacketCodec", HELLO_UDP_CODEC);
	if (h->udp_binary ? !offer->offer_udp_binary : !hello_is_str(message, "udpPacketCodec", ""))
		return hello_refuse(ret_why, "ServerHello: udp packet codec was not offered");
	if (!hello_find_kind(hello_get_str(crypto, "algorithm"), &h->kind) ||
	    !hello_has_kind(offer->kinds, offer->n_kinds, h->kind))
		return hello_refuse(ret_why, "ServerHello: algorithm was not offered");
	if (!hello_get_random(crypto, "serverRandom", h->random))
		return hello_refuse(ret_why, "ServerHello: random is not 32 bytes");
	return 0;
}

static int hello_read_server(const json_t *root, const struct hello_client *offer,
			     struct hello_server *ret_h, const char **ret_why)
{
	struct hello_server h = { .error = "" };
	const char *error = hello_get_str(root, "error");
	int r;

	if (error == NULL)
		return hello_refuse(ret_why, "ServerHello: error is not a string");
	if (error[0] != '\0') {
		/* Cut when too long: it is for people. */
		(void) snprintf(h.error, sizeof(h.error), "%s", error);
	} else {
		r = hello_check_selected(jtext_get(root, "selected"), offer, &h, ret_why);
		if (r != 0)
			return r;
	}
	*ret_h = h;
	return 0;
}

int hello_decode_server(struct span body, const struct hello_client *offer,
			struct hello_server *ret_h, const char **ret_why)
{
	json_t *root;
	int r;

	r = jtext_parse(body, &root, ret_why);
	if (r != 0)
		return r < 0 ? r : HELLO_E_BAD;
	r = hello_read_server(root, offer, ret_h, ret_why);
	json_decref(root);
	return r;
}

/* Is the string @want an element of the array @list? */
static bool hello_list_has(const json_t *list, const char *want)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s != NULL && strcmp(s, want) == 0)
			return true;
	}
	return false;
}

static int hello_read_client(const json_t *root, struct hello_client *ret_h,
			     enum prim_aead_kind ret_kinds[static HELLO_N_KINDS],
			     const char **ret_why)
{
	const json_t *bootstrap = jtext_get(root, "bootstrap");
	const json_t *capabilities = jtext_get(root, "capabilities");
	const json_t *message = jtext_get(capabilities, "message");
	const json_t *crypto = jtext_get(capabilities, "crypto");
	const json_t *names = jtext_get(crypto, "algorithms");
	struct hello_client h = {
		.tls = json_is_true(jtext_get(bootstrap, "tls")),
		.tcp_mux = json_is_true(jtext_get(bootstrap, "tcpMux")),
		.kinds = ret_kinds,
		.offer_udp_binary = hello_list_has(jtext_get(message, "udpPacketCodecs"),
						   HELLO_UDP_CODEC),
	};
	enum prim_aead_kind kind;

	for (size_t i = 0; i < json_array_size(names); i++)
		if (hello_find_kind(json_string_value(json_array_get(names, i)), &kind) &&
		    !hello_has_kind(ret_kinds, h.n_kinds, kind))
			ret_kinds[h.n_kinds++] = kind;
	if (!hello_list_has(jtext_get(message, "codecs"), HELLO_CODEC))
		return hello_refuse(ret_why, "ClientHello: codec json is not offered");
	if (h.n_kinds == 0)
		return hello_refuse(ret_why, "ClientHello: no known algorithm");
	if (!hello_get_random(crypto, "clientRandom", h.random))
		return hello_refuse(ret_why, "ClientHello: random is not 32 bytes");
	*ret_h = h;
	return 0;
}

int hello_decode_client(struct span body, struct hello_client *ret_h,
			enum prim_aead_kind ret_kinds[static 2], const char **ret_why)
{
	json_t *root;
	int r;

	r = jtext_parse(body, &root, ret_why);
	if (r != 0)
		return r < 0 ? r : HELLO_E_BAD;
	r = hello_read_client(root, ret_h, ret_kinds, ret_why);
	json_decref(root);
	return r;
}

/* -- keys -- */

/* SHA-256("frp wire v2 crypto transcript" | part("client hello", CH) | part("server hello", SH)),
 * where part(label, bytes) = 00 | label | 00 | u64 length | bytes. */
static int hello_hash_transcript(struct span client_hello, struct span server_hello,
				 uint8_t ret_hash[static PRIM_SHA256_LEN])
{
	static const char client_label[] = "\0client hello", server_label[] = "\0server hello";
	uint8_t client_len[8], server_len[8];
	const struct span parts[] = {
		span_str("frp wire v2 crypto transcript"),
		/* sizeof counts the NUL that ends a label */
		span_of(client_label, sizeof(client_label)),
		span_of(client_len, sizeof(client_len)),
		client_hello,
		span_of(server_label, sizeof(server_label)),
		span_of(server_len, sizeof(server_len)),
		server_hello,
	};

	bytes_put_u64(client_len, client_hello.len);
	bytes_put_u64(server_len, server_hello.len);
	return prim_sha256(parts, sizeof(parts) / sizeof(parts[0]), ret_hash);
}

static int hello_derive_one(struct span token, struct span salt, enum prim_aead_kind kind,
			    const char *direction, uint8_t ret_key[static 32])
{
	char info[80]; /* the longest is 64 */
	int n;

	n = snprintf(info, sizeof(info), "frp wire v2 control aead %s %s", hello_kind_name(kind),
		     direction);
	MUST(n > 0 && (size_t) n < sizeof(info));
	return prim_hkdf_sha256(token, salt, span_of(info, (size_t) n), ret_key, 32);
}

int hello_derive(struct span token, struct span client_hello, struct span server_hello,
		 enum prim_aead_kind kind, struct hello_keys *ret_k)
{
	uint8_t hash[PRIM_SHA256_LEN] = { 0 };
	struct span salt = span_of(hash, sizeof(hash));
	struct hello_keys k;
	int r;

	r = hello_hash_transcript(client_hello, server_hello, hash);
	if (r == 0)
		r = hello_derive_one(token, salt, kind, "client-to-server", k.client_to_server);
	if (r == 0)
		r = hello_derive_one(token, salt, kind, "server-to-client", k.server_to_client);
	if (r == 0)
		*ret_k = k;
	secret_wipe(&k, sizeof(k));
	return r;
}
