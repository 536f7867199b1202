/* SPDX-License-Identifier: Apache-2.0 */
/* gcm_openssl.c - AES-GCM by the default provider of OpenSSL 3. Floor 4.
 *
 * A provider's cipher is a table of functions whose types are public (provider-cipher(7),
 * <openssl/core_dispatch.h>); OpenSSL's core finds the table and calls them. Here they are called
 * without the core, which in a static program would bring 4 MiB (3.0) to 6 MiB (3.5) of
 * certificates, HTTP and compression, reads a configuration file, keeps locks and state of the
 * process and takes longer over a message. What is linked instead are some 25 small members of
 * libcrypto.a (gcm_openssl_cut.c): no state, no file, no thread, no entropy. They choose their
 * instructions by the CPU, VAES included.
 *
 * A message that is decrypted gives no tag, it only compares one: so streams are nettle's, and so
 * is decryption for a tag (gcm.c). */
#include "agent/net/gcm_openssl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>

#include "agent/net/tlssuite.h"

extern const OSSL_DISPATCH ossl_aes128gcm_functions[];
extern const OSSL_DISPATCH ossl_aes192gcm_functions[];
extern const OSSL_DISPATCH ossl_aes256gcm_functions[];

struct gcm_openssl {
	void *cipher; /* owned, of the type that the functions know */
	OSSL_FUNC_cipher_newctx_fn *newctx;
	OSSL_FUNC_cipher_freectx_fn *freectx;
	OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
	OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
	OSSL_FUNC_cipher_update_fn *update;
	OSSL_FUNC_cipher_final_fn *final;
	OSSL_FUNC_cipher_get_ctx_params_fn *get_ctx_params;
};

/* False: this OpenSSL is too much another one. */
static bool gcm_openssl_find(struct gcm_openssl *g, size_t key_len)
{
	const OSSL_DISPATCH *f = key_len == 16	 ? ossl_aes128gcm_functions
				 : key_len == 24 ? ossl_aes192gcm_functions
						 : ossl_aes256gcm_functions;

	for (; f->function_id != 0; f++) {
		if (f->function_id == OSSL_FUNC_CIPHER_NEWCTX)
			g->newctx = OSSL_FUNC_cipher_newctx(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_FREECTX)
			g->freectx = OSSL_FUNC_cipher_freectx(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_ENCRYPT_INIT)
			g->encrypt_init = OSSL_FUNC_cipher_encrypt_init(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_DECRYPT_INIT)
			g->decrypt_init = OSSL_FUNC_cipher_decrypt_init(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_UPDATE)
			g->update = OSSL_FUNC_cipher_update(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_FINAL)
			g->final = OSSL_FUNC_cipher_final(f);
		else if (f->function_id == OSSL_FUNC_CIPHER_GET_CTX_PARAMS)
			g->get_ctx_params = OSSL_FUNC_cipher_get_ctx_params(f);
	}
	return g->newctx != NULL && g->freectx != NULL && g->encrypt_init != NULL &&
	       g->decrypt_init != NULL && g->update != NULL && g->final != NULL &&
	       g->get_ctx_params != NULL;
}

struct gcm_openssl *gcm_openssl_new(const uint8_t *key, size_t key_len)
{
	struct gcm_openssl *g = tls_has_wide_gcm() ? calloc(1, sizeof(*g)) : NULL;

	if (g == NULL)
		return NULL;
	if (gcm_openssl_find(g, key_len))
		g->cipher = g->newctx(/* provctx= */ NULL);
	if (g->cipher != NULL && g->encrypt_init(g->cipher, key, key_len, NULL, 0, NULL) == 1)
		return g;
	return gcm_openssl_free(g);
}

struct gcm_openssl *gcm_openssl_free(struct gcm_openssl *g)
{
	if (g == NULL)
		return NULL;
	if (g->cipher != NULL)
		g->freectx(g->cipher);
	free(g);
	return NULL;
}

bool gcm_openssl_whole(struct gcm_openssl *g, bool is_encrypting, const struct gcm_message *m,
		       uint8_t *tag, size_t tag_len)
{
	OSSL_PARAM of_tag[] = {
		{ OSSL_CIPHER_PARAM_AEAD_TAG, OSSL_PARAM_OCTET_STRING, tag, tag_len, 0 },
		{ NULL, 0, NULL, 0, 0 },
	};
	size_t n;
	int r;

	if (is_encrypting)
		r = g->encrypt_init(g->cipher, NULL, 0, m->iv, m->iv_len, NULL);
	else
		r = g->decrypt_init(g->cipher, NULL, 0, m->iv, m->iv_len, of_tag);
	if (r == 1 && m->aad_len > 0)
		r = g->update(g->cipher, NULL, &n, m->aad_len, m->aad, m->aad_len);
	if (r == 1)
		r = g->update(g->cipher, m->out, &n, m->len, m->in, m->len);
	if (r == 1)
		r = g->final(g->cipher, m->out, &n, 0);
	if (r == 1 && is_encrypting)
		r = g->get_ctx_params(g->cipher, of_tag);
	return r == 1;
}
