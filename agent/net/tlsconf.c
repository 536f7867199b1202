/* SPDX-License-Identifier: Apache-2.0 */
/* tlsconf.c - builds the mbedTLS configuration; reads the files, sends nothing. mbedTLS 2.28
 * and 3.6. Floor 4. */
#include "agent/net/tlsconf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/asn1.h>
#include <mbedtls/base64.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "agent/net/tlssuite.h"
#include "proto/base/secret.h"
#include "proto/base/span.h"
#include "proto/base/text.h"

#define TLS_FILE_MAX (4 * 1024 * 1024) /* the bundle of a distribution is about 220 KiB */

struct tls_config {
	mbedtls_ssl_config ssl;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_x509_crt ca, cert;
	mbedtls_pk_context key;
	struct tls_name name;
	uint8_t pin[TLS_PIN_LEN];
	bool has_pin, has_ca;
};

/* Where a text for a person goes. */
struct why {
	char *p;
	size_t cap;
};

bool tls_error_is_memory(int r)
{
	/* An error is a high part (a multiple of 0x80) plus a low one, negated. */
	int low = -(-r & 0x7f), high = -(-r & 0xff80);

	return low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_SSL_ALLOC_FAILED || high == MBEDTLS_ERR_X509_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_PK_ALLOC_FAILED || high == MBEDTLS_ERR_PEM_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_ECP_ALLOC_FAILED || high == MBEDTLS_ERR_MD_ALLOC_FAILED ||
	       high == MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
}

int tls_hash(const uint8_t *p, size_t n, uint8_t ret_hash[static TLS_PIN_LEN])
{
	uint8_t hash[MBEDTLS_MD_MAX_SIZE];

	if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), p, n, hash) != 0)
		return TLS_E_BAD;
	memcpy(ret_hash, hash, TLS_PIN_LEN);
	return 0;
}

/* @what "path": reason. */
static int why_file(const struct why *why, const char *what, const char *path, const char *reason)
{
	char shown[256];

	(void) snprintf(why->p, why->cap, "%s \"%s\": %s", what,
			text_escape(span_str(path), shown, sizeof(shown)), reason);
	return TLS_E_BAD;
}

static int why_mbedtls(const struct why *why, const char *what, const char *path, int r)
{
	char reason[160];

	if (tls_error_is_memory(r))
		return -ENOMEM;
	mbedtls_strerror(r, reason, sizeof(reason));
	return why_file(why, what, path, reason);
}

/* -- files -- */

/* A whole file with a NUL behind it, as mbedTLS wants PEM. @ret_len counts the NUL. mbedTLS's own
 * reader takes a directory for a file of 2^63 bytes and then has "no memory". 0 or
 * negated errno. */
static int file_load(const char *path, uint8_t **ret_p, size_t *ret_len)
{
	uint8_t *p = NULL;
	size_t len = 0, cap = 8192;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	while (n > 0 && r == 0) {
		/* Not realloc: the old copy of a key would stay behind. */
		uint8_t *more = malloc(cap *= 2);

		if (more == NULL) {
			r = -ENOMEM;
			break;
		}
		if (p != NULL) {
			memcpy(more, p, len);
			secret_wipe(p, len);
			free(p);
		}
		p = more;
		while (len < cap - 1 && n > 0) {
			n = read(fd, p + len, cap - 1 - len);
			len += n > 0 ? (size_t) n : 0;
		}
		if (n < 0)
			r = -errno;
		else if (len > TLS_FILE_MAX)
			r = -EFBIG;
	}
	(void) close(fd); /* was only read */
	if (r < 0) {
		if (p != NULL)
			secret_wipe(p, len);
		free(p);
		return r;
	}
	p[len] = '\0';
	*ret_p = p;
	*ret_len = len + 1;
	return 0;
}

/* Certificates of @path into @chain. 0, >= 0 as mbedTLS counts those it cannot read; *ret_r:
 * mbedTLS's own answer. */
static int crt_load(mbedtls_x509_crt *chain, const char *what, const char *path,
		    const struct why *why, int *ret_n_bad)
{
	uint8_t *p;
	size_t len;
	int r = file_load(path, &p, &len);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return why_file(why, what, path, strerror(-r));
	r = mbedtls_x509_crt_parse(chain, p, len);
	free(p);
	if (r < 0)
		return why_mbedtls(why, what, path, r);
	*ret_n_bad = r;
	return 0;
}

static int config_load_roots(struct tls_config *c, const struct why *why)
{
	static const char *const paths[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",	      /* SUSE */
		"/etc/ssl/cert.pem",		      /* Alpine, OpenBSD's habit */
	};
	int n_bad, r;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		/* A few roots that mbedTLS does not know how to read are no reason to have none. */
		r = crt_load(&c->ca, "system roots", paths[i], why, &n_bad);
		if (r <= 0)
			return r;
	}
	(void) snprintf(
		why->p, why->cap,
		"no system roots found (looked for %s and three more): install the package ca-certificates, or name a CA file",
		paths[0]);
	return TLS_E_BAD;
}

/* 0, or what mbedTLS says. */
static int key_parse(struct tls_config *c, const uint8_t *p, size_t len)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	return mbedtls_pk_parse_key(&c->key, p, len, NULL, 0, mbedtls_ctr_drbg_random, &c->random);
#else
	return mbedtls_pk_parse_key(&c->key, p, len, NULL, 0);
#endif
}

static bool key_fits(struct tls_config *c)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	return mbedtls_pk_check_pair(&c->cert.pk, &c->key, mbedtls_ctr_drbg_random, &c->random) ==
	       0;
#else
	return mbedtls_pk_check_pair(&c->cert.pk, &c->key) == 0;
#endif
}

static int config_load_client(struct tls_config *c, const struct tls_params *p,
			      const struct why *why)
{
	uint8_t *pem;
	size_t len;
	int n_bad, r;

	if (p->cert_file == NULL || p->key_file == NULL) {
		(void) snprintf(
			why->p, why->cap,
			"a client certificate needs both its certificate file and its key file");
		return TLS_E_BAD;
	}
	r = crt_load(&c->cert, "client certificate", p->cert_file, why, &n_bad);
	if (r != 0)
		return r;
	if (n_bad > 0)
		return why_file(why, "client certificate", p->cert_file,
				"a part of it cannot be read");
	r = file_load(p->key_file, &pem, &len);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return why_file(why, "client key", p->key_file, strerror(-r));
	r = key_parse(c, pem, len);
	secret_wipe(pem, len);
	free(pem);
	if (r != 0)
		return why_mbedtls(why, "client key", p->key_file, r);
	if (!key_fits(c))
		return why_file(why, "client key", p->key_file,
				"is not the key of the certificate");
	r = mbedtls_ssl_conf_own_cert(&c->ssl, &c->cert, &c->key);
	return r != 0 ? why_mbedtls(why, "client certificate", p->cert_file, r) : 0;
}

/* -- values -- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool pin_parse_hex(const char *s, uint8_t *ret_pin)
{
	if (strlen(s) != (size_t) 2 * TLS_PIN_LEN)
		return false;
	for (size_t i = 0; i < TLS_PIN_LEN; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_pin[i] = (uint8_t) (high << 4 | low);
	}
	return true;
}

static int config_set_pin(struct tls_config *c, const char *pin, const struct why *why)
{
	static const char prefix[] = "sha256/";
	char shown[128];
	size_t n = 0;

	c->has_pin = true;
	if (pin_parse_hex(pin, c->pin))
		return 0;
	if (strncmp(pin, prefix, sizeof(prefix) - 1) == 0) {
		const char *text = pin + sizeof(prefix) - 1;
		uint8_t bytes[TLS_PIN_LEN + 1];

		if (mbedtls_base64_decode(bytes, sizeof(bytes), &n, (const uint8_t *) text,
					  strlen(text)) == 0 &&
		    n == TLS_PIN_LEN) {
			memcpy(c->pin, bytes, TLS_PIN_LEN);
			return 0;
		}
	}
	(void) snprintf(
		why->p, why->cap,
		"\"%s\" is not a pin: it is \"sha256/\" and 44 characters of base64, or 64 hex digits",
		text_escape(span_str(pin), shown, sizeof(shown)));
	return TLS_E_BAD;
}

static int config_set_name(struct tls_config *c, const char *name, const struct why *why)
{
	char host[sizeof(c->name.dns)], shown[300];
	size_t n = strcspn(name, "%"); /* the zone of a link-local address is not in certificates */

	if (!text_is_ip(name))
		n = strlen(name);
	if (n > 0 && name[n - 1] == '.')
		n--; /* RFC 6066 3: without the trailing dot */
	if (n == 0 || n >= sizeof(host)) {
		(void) snprintf(why->p, why->cap, "\"%s\" is not a TLS server name",
				text_escape(span_str(name), shown, sizeof(shown)));
		return TLS_E_BAD;
	}
	memcpy(host, name, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, c->name.ip) == 1)
		c->name.ip_len = 4;
	else if (inet_pton(AF_INET6, host, c->name.ip) == 1)
		c->name.ip_len = 16;
	else
		memcpy(c->name.dns, host, n + 1);
	return 0;
}

/* -- life -- */

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
/* PKCS #1 before PSS: a server limited to TLS 1.2 takes the first that fits its RSA key, and
 * mbedTLS 3.6 by default offers PSS first but refuses it in TLS 1.2. TLS 1.3 passes over
 * PKCS #1. */
static const uint16_t tls_sig_algs[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,	   MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,	   MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,	   MBEDTLS_TLS1_3_SIG_NONE,
};
#endif

static int config_init_ssl(struct tls_config *c, const struct why *why)
{
	int r = mbedtls_ctr_drbg_seed(&c->random, mbedtls_entropy_func, &c->entropy, NULL, 0);

	if (r != 0)
		return why_mbedtls(why, "random bytes for TLS from", "getrandom", r);
	/* Fresh entropy for each request: a machine that was paused or copied must not repeat
	 * itself. */
	mbedtls_ctr_drbg_set_prediction_resistance(&c->random, MBEDTLS_CTR_DRBG_PR_ON);
	r = mbedtls_ssl_config_defaults(&c->ssl, MBEDTLS_SSL_IS_CLIENT,
					MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (r != 0)
		return why_mbedtls(why, "defaults of", "TLS", r);
	mbedtls_ssl_conf_rng(&c->ssl, mbedtls_ctr_drbg_random, &c->random);
	mbedtls_ssl_conf_authmode(&c->ssl, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_session_tickets(&c->ssl, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	mbedtls_ssl_conf_ciphersuites(&c->ssl, tls_suites(tls_has_fast_gcm()));
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	/* TLS 1.3 takes its keys and random bytes from here. Once for the process; again does
	 * nothing. */
	if (psa_crypto_init() != PSA_SUCCESS)
		return why_file(why, "random bytes for TLS from", "PSA", "cannot be initialised");
	mbedtls_ssl_conf_min_tls_version(&c->ssl, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_sig_algs(&c->ssl, tls_sig_algs);
#else
	mbedtls_ssl_conf_min_version(&c->ssl, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
#endif
	return 0;
}

static int config_fill(struct tls_config *c, const struct tls_params *p, const struct why *why)
{
	int n_bad, r = config_init_ssl(c, why);

	if (r == 0 && p->server_name != NULL)
		r = config_set_name(c, p->server_name, why);
	if (r == 0 && p->pin != NULL)
		r = config_set_pin(c, p->pin, why);
	if (r == 0 && p->ca_file != NULL)
		r = crt_load(&c->ca, "CA file", p->ca_file, why, &n_bad);
	if (r == 0 && p->want_system_roots)
		r = config_load_roots(c, why);
	if (r == 0 && (p->cert_file != NULL || p->key_file != NULL))
		r = config_load_client(c, p, why);
	if (r != 0)
		return r;
	c->has_ca = p->ca_file != NULL || p->want_system_roots;
	if (c->has_ca) {
		mbedtls_ssl_conf_ca_chain(&c->ssl, &c->ca, /* ca_crl= */ NULL);
		mbedtls_ssl_conf_authmode(&c->ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
	}
	return 0;
}

int tls_config_new(struct tls_config **ret_c, const struct tls_params *p, char *why, size_t why_cap)
{
	CLEANUP(tls_config_free) struct tls_config *c = calloc(1, sizeof(*c));
	struct why text = { .p = why, .cap = why_cap };
	int r;

	if (c == NULL)
		return -ENOMEM;
	mbedtls_ssl_config_init(&c->ssl);
	mbedtls_entropy_init(&c->entropy);
	mbedtls_ctr_drbg_init(&c->random);
	mbedtls_x509_crt_init(&c->ca);
	mbedtls_x509_crt_init(&c->cert);
	mbedtls_pk_init(&c->key);
	r = config_fill(c, p, &text);
	if (r != 0)
		return r;
	*ret_c = TAKE(c);
	return 0;
}

struct tls_config *tls_config_free(struct tls_config *c)
{
	if (c == NULL)
		return NULL;
	mbedtls_ssl_config_free(&c->ssl);
	mbedtls_pk_free(&c->key);
	mbedtls_x509_crt_free(&c->cert);
	mbedtls_x509_crt_free(&c->ca);
	mbedtls_ctr_drbg_free(&c->random);
	mbedtls_entropy_free(&c->entropy);
	free(c);
	return NULL;
}

bool tls_config_verifies(const struct tls_config *c)
{
	return c->has_ca || c->has_pin;
}

const struct tls_name *tls_config_name(const struct tls_config *c)
{
	return &c->name;
}

const struct mbedtls_ssl_config *tls_config_ssl(const struct tls_config *c)
{
	return &c->ssl;
}

const uint8_t *tls_config_pin(const struct tls_config *c)
{
	return c->has_pin ? c->pin : NULL;
}
