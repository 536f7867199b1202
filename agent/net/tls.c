/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - a TLS client between two byte queues: mbedTLS, its texts made readable. No socket, no
 * clock of its own. Floor 4.
 *
 * mbedTLS must be called again with the same arguments after WANT_WRITE. It never gets one here:
 * the BIO appends to the connection's queue, and tls_send() asks for room before it encrypts.
 * KeyUpdate of TLS 1.3 is not known to mbedTLS 3.6 and ends the connection; Go servers
 * send none. */
#include "agent/net/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/base64.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define MBEDTLS_PRIVATE(member) member
#define MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#endif

/* TLS 1.2 with CBC and SHA-384: header 5, IV 16, MAC 48, padding 16. TLS 1.3: header 5, type 1,
 * padding to 16, tag 16. */
#define TLS_OVERHEAD 96

struct tls {
	mbedtls_ssl_context ssl;
	const struct tls_config *config; /* borrowed: outlives us */
	struct tls_sink sink;
	struct span in; /* lent */
	int put_err;	/* what the sink said, or 0 */
	bool is_ready, is_broken;
	/* the server's first bytes, for the case that they are no TLS */
	uint8_t first[32];
	size_t n_first;
	/* of the server's certificate, escaped: names, last day */
	char peer[200], expiry[16];
	char why[640];
	char description[96];
};

/* -- texts -- */

/* RFC 8446 6, RFC 5246 7.2: the alerts a client can cause; the rest keep their number. */
static const char *alert_name(unsigned alert)
{
	switch (alert) {
	case 10: return "unexpected message";
	case 20: return "bad record";
	case 40: return "handshake failure";
	case 42: return "bad certificate";
	case 43: return "unsupported certificate";
	case 44: return "certificate revoked";
	case 45: return "certificate expired";
	case 46: return "certificate unknown";
	case 47: return "illegal parameter";
	case 48: return "unknown CA";
	case 49: return "access denied";
	case 50: return "decode error";
	case 51: return "decrypt error";
	case 70: return "protocol version";
	case 71: return "insufficient security";
	case 80: return "internal error";
	case 112: return "unrecognized name";
	case 116: return "certificate required";
	default: return "unnamed";
	}
}

static const char *alert_remedy(unsigned alert)
{
	switch (alert) {
	case 40:
	case 42:
	case 116: return ": it may ask for a client certificate (certificate and key file)";
	case 43:
	case 44:
	case 45:
	case 46:
	case 48: return ": it does not accept our client certificate";
	case 70: return ": it speaks neither TLS 1.2 nor 1.3";
	case 112: return ": it does not know the TLS server name that we asked for";
	default: return "";
	}
}

static void why_alert(struct tls *t)
{
	/* mbedTLS has no call that tells the number; the message is level, then description. */
	unsigned alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];

	(void) snprintf(t->why, sizeof(t->why), "the server refused with TLS alert %u (%s)%s",
			alert, alert_name(alert), alert_remedy(alert));
}

static void why_verify(struct tls *t)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
	const struct tls_name *name = tls_config_name(t->config);
	char ip[INET6_ADDRSTRLEN] = "", info[200];

	if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
		(void) snprintf(
			t->why, sizeof(t->why),
			"the server's certificate (for %s) is not signed by a CA that is trusted here: name its CA file",
			t->peer);
	} else if (flags & MBEDTLS_X509_BADCERT_EXPIRED) {
		(void) snprintf(
			t->why, sizeof(t->why),
			"a certificate of the server (for %s) has expired on %s, or this machine's clock is wrong",
			t->peer, t->expiry);
	} else if (flags & MBEDTLS_X509_BADCERT_FUTURE) {
		(void) snprintf(
			t->why, sizeof(t->why),
			"a certificate of the server (for %s) is not valid yet, or this machine's clock is wrong",
			t->peer);
	} else if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
		if (name->ip_len > 0)
			(void) inet_ntop(name->ip_len == 4 ? AF_INET : AF_INET6, name->ip, ip,
					 sizeof(ip));
		(void) snprintf(
			t->why, sizeof(t->why),
			"the server's certificate is for %s, not for %s: set the TLS server name",
			t->peer, name->ip_len > 0 ? ip : name->dns);
	} else {
		(void) mbedtls_x509_crt_verify_info(info, sizeof(info), "", flags);
		info[strcspn(info, "\n")] = '\0';
		(void) snprintf(t->why, sizeof(t->why),
				"the server's certificate (for %s) is refused: %s", t->peer, info);
	}
}

static void why_no_tls(struct tls *t)
{
	char shown[4 * sizeof(t->first) + 8];

	(void) snprintf(
		t->why, sizeof(t->why),
		"the server does not speak TLS on this port: its answer starts with \"%s\" (wrong port, or TLS is off there)",
		text_escape(span_of(t->first, t->n_first), shown, sizeof(shown)));
}

/* The connection is over: remember why. TLS_E_BAD or -ENOMEM. */
static int tls_break(struct tls *t, int r)
{
	char reason[160];

	t->is_broken = true;
	if (t->put_err < 0)
		return t->put_err;
	if (tls_error_is_memory(r))
		return -ENOMEM;
	switch (r) {
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: why_alert(t); break;
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED: why_verify(t); break;
	case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
		(void) snprintf(
			t->why, sizeof(t->why),
			"the server speaks no TLS version that is allowed here (1.2 or 1.3)");
		break;
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		(void) snprintf(t->why, sizeof(t->why),
				"the server ended TLS during the handshake");
		break;
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		(void) snprintf(t->why, sizeof(t->why),
				"a TLS record was damaged on its way (or somebody changed it)");
		break;
	default:
		mbedtls_strerror(r, reason, sizeof(reason));
		(void) snprintf(t->why, sizeof(t->why), "TLS %s failed: %s (-0x%04x)",
				t->is_ready ? "connection" : "handshake", reason, (unsigned) -r);
	}
	return TLS_E_BAD;
}

/* -- the server's certificate -- */

/* RFC 5280 4.2.1.6: GeneralName is a context-specific choice; 2 is a DNS name, 7 an address. */
static bool san_is(const mbedtls_x509_sequence *san, int choice)
{
	return (san->buf.tag & MBEDTLS_ASN1_TAG_CLASS_MASK) == MBEDTLS_ASN1_CONTEXT_SPECIFIC &&
	       (san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == choice;
}

static void peer_add_name(struct tls *t, const mbedtls_x509_sequence *san)
{
	size_t len = strlen(t->peer);
	char name[80] = "";

	if (san_is(san, MBEDTLS_X509_SAN_DNS_NAME))
		(void) text_escape(span_of(san->buf.p, san->buf.len), name, sizeof(name));
	else if (san_is(san, MBEDTLS_X509_SAN_IP_ADDRESS) &&
		 (san->buf.len == 4 || san->buf.len == 16))
		(void) inet_ntop(san->buf.len == 4 ? AF_INET : AF_INET6, san->buf.p, name,
				 sizeof(name));
	if (name[0] != '\0') /* what does not fit is cut: it is for a person */
		(void) snprintf(t->peer + len, sizeof(t->peer) - len, "%s%s", len > 0 ? ", " : "",
				name);
}

/* Keep for the texts what the certificate says of itself. */
static void peer_note(struct tls *t, const mbedtls_x509_crt *crt)
{
	char subject[120];

	t->peer[0] = '\0';
	if (crt->subject_alt_names.buf.p != NULL) {
		for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL;
		     s = s->next)
			peer_add_name(t, s);
	}
	if (t->peer[0] != '\0')
		return;
	if (mbedtls_x509_dn_gets(subject, sizeof(subject), &crt->subject) > 0)
		(void) text_escape(span_str(subject), t->peer, sizeof(t->peer));
	else
		(void) snprintf(t->peer, sizeof(t->peer), "nobody");
}

/* mbedTLS 2.28 knows only DNS names; we do the same for both versions. */
static bool peer_has_ip(const mbedtls_x509_crt *crt, const struct tls_name *name)
{
	if (crt->subject_alt_names.buf.p == NULL)
		return false;
	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
		if (san_is(s, MBEDTLS_X509_SAN_IP_ADDRESS) && s->buf.len == name->ip_len &&
		    memcmp(s->buf.p, name->ip, name->ip_len) == 0)
			return true;
	}
	return false;
}

/* mbedTLS asks for each certificate of the chain, the server's own (depth 0) last. */
static int on_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = arg;
	const struct tls_name *name = tls_config_name(t->config);

	if (*flags & MBEDTLS_X509_BADCERT_EXPIRED)
		(void) snprintf(t->expiry, sizeof(t->expiry), "%04u-%02u-%02u",
				(unsigned) crt->valid_to.year % 10000,
				(unsigned) crt->valid_to.mon % 100,
				(unsigned) crt->valid_to.day % 100);
	if (depth > 0)
		return 0;
	peer_note(t, crt);
	if (name->ip_len > 0 && !peer_has_ip(crt, name))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	return 0;
}

/* 0 or TLS_E_BAD. */
static int tls_check_pin(struct tls *t)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);
	const uint8_t *pin = tls_config_pin(t->config);
	uint8_t hash[TLS_PIN_LEN];
	char text[4 * TLS_PIN_LEN];
	size_t n = 0;

	if (pin == NULL)
		return 0;
	t->is_broken = true;
	(void) snprintf(t->why, sizeof(t->why),
			"the server has shown no certificate to compare with the pin");
	if (crt == NULL || tls_hash(crt->pk_raw.p, crt->pk_raw.len, hash) != 0)
		return TLS_E_BAD;
	if (!secret_equal(hash, sizeof(hash), pin, TLS_PIN_LEN)) {
		(void) mbedtls_base64_encode((uint8_t *) text, sizeof(text), &n, hash,
					     sizeof(hash));
		text[n] = '\0';
		(void) snprintf(
			t->why, sizeof(t->why),
			"the server's key is sha256/%s, not the pinned one: another server answers, or its key was changed",
			text);
		return TLS_E_BAD;
	}
	t->is_broken = false;
	t->why[0] = '\0';
	return 0;
}

/* -- records -- */

static int on_bio_send(void *arg, const unsigned char *p, size_t n)
{
	struct tls *t = arg;

	t->put_err = t->sink.put(t->sink.arg, span_of(p, n));
	return t->put_err == 0 ? (int) n : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int on_bio_recv(void *arg, unsigned char *p, size_t n)
{
	struct tls *t = arg;

	if (t->in.len == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	n = n < t->in.len ? n : t->in.len;
	memcpy(p, t->in.p, n);
	t->in = span_skip(t->in, n);
	return (int) n; /* at most a record */
}

/* Did mbedTLS stop for want of bytes, or for something that it has dealt with and that we may pass
 * over? */
static bool tls_may_go_on(const struct tls *t, int r, size_t len_before)
{
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
	if (r == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
		return true;
#endif
	/* WANT_READ with bytes left: a message after the handshake was handled. */
	return r == MBEDTLS_ERR_SSL_WANT_READ && t->in.len > 0 && t->in.len < len_before;
}

int tls_new(struct tls **ret_t, const struct tls_config *c, const struct tls_sink *sink)
{
	CLEANUP(tls_free) struct tls *t = calloc(1, sizeof(*t));
	const struct tls_name *name = tls_config_name(c);
	int r;

	if (t == NULL)
		return -ENOMEM;
	mbedtls_ssl_init(&t->ssl);
	t->config = c;
	t->sink = *sink;
	r = mbedtls_ssl_setup(&t->ssl, tls_config_ssl(c));
	if (r == 0) /* called without a name too: 3.6 takes a missing call for an oversight */
		r = mbedtls_ssl_set_hostname(&t->ssl, name->dns[0] != '\0' ? name->dns : NULL);
	if (r != 0) /* the configuration was checked when it was made: memory is what is left */
		return -ENOMEM;
	mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
	mbedtls_ssl_set_bio(&t->ssl, t, on_bio_send, on_bio_recv, /* f_recv_timeout= */ NULL);
	*ret_t = TAKE(t);
	return 0;
}

struct tls *tls_free(struct tls *t)
{
	if (t == NULL)
		return NULL;
	mbedtls_ssl_free(&t->ssl);
	free(t);
	return NULL;
}

void tls_feed(struct tls *t, struct span in)
{
	struct span head = span_head(in, sizeof(t->first) - t->n_first);

	t->in = in;
	if (!t->is_ready && head.len > 0) {
		memcpy(t->first + t->n_first, head.p, head.len);
		t->n_first += head.len;
	}
}

struct span tls_rest(const struct tls *t)
{
	return t->in;
}

int tls_handshake(struct tls *t)
{
	int r;

	if (t->is_ready)
		return 0;
	if (t->is_broken)
		return TLS_E_BAD;
	/* A handshake or alert record of TLS. Asked here, because mbedTLS would wait for the rest
	 * of what is no record. */
	if (t->n_first > 0 && t->first[0] != 22 && t->first[0] != 21) {
		t->is_broken = true;
		why_no_tls(t);
		return TLS_E_BAD;
	}
	for (;;) {
		size_t len_before = t->in.len;

		r = mbedtls_ssl_handshake(&t->ssl);
		if (r == 0)
			break;
		if (tls_may_go_on(t, r, len_before))
			continue;
		return r == MBEDTLS_ERR_SSL_WANT_READ ? TLS_E_MORE : tls_break(t, r);
	}
	r = tls_check_pin(t);
	if (r != 0)
		return r;
	t->is_ready = true;
	(void) snprintf(t->description, sizeof(t->description), "%s %s",
			mbedtls_ssl_get_version(&t->ssl), mbedtls_ssl_get_ciphersuite(&t->ssl));
	return 0;
}

int tls_recv(struct tls *t, uint8_t *dst, size_t cap, size_t *ret_n)
{
	MUST(t->is_ready);
	if (t->is_broken)
		return TLS_E_BAD;
	for (;;) {
		size_t len_before = t->in.len;
		int r = mbedtls_ssl_read(&t->ssl, dst, cap);

		if (r > 0) {
			*ret_n = (size_t) r;
			return 0;
		}
		if (r == 0 || r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
			return TLS_E_EOF;
		if (tls_may_go_on(t, r, len_before))
			continue;
		return r == MBEDTLS_ERR_SSL_WANT_READ ? TLS_E_MORE : tls_break(t, r);
	}
}

int tls_send(struct tls *t, struct span plain)
{
	MUST(t->is_ready);
	if (t->is_broken)
		return TLS_E_BAD;
	if (!t->sink.has_room(t->sink.arg, tls_sealed_max(plain.len)))
		return TLS_E_ROOM;
	while (plain.len > 0) {
		struct span record = span_head(plain, LIMIT_RECORD);
		int r = mbedtls_ssl_write(&t->ssl, record.p, record.len);

		if (r <= 0)
			return tls_break(t, r);
		plain = span_skip(plain, (size_t) r);
	}
	return 0;
}

void tls_send_close(struct tls *t)
{
	if (t->is_ready && !t->is_broken)
		(void) mbedtls_ssl_close_notify(&t->ssl); /* the connection ends either way */
}

const char *tls_why(const struct tls *t)
{
	return t->why[0] != '\0' ? t->why : "TLS failed";
}

size_t tls_sealed_max(size_t n)
{
	return n + (n / LIMIT_RECORD + 1) * TLS_OVERHEAD;
}

const char *tls_describe(const struct tls *t)
{
	return t->description;
}
