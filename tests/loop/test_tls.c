/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - the TLS client against OpenSSL over TCP: handshakes, verification, texts, records.
 * Runs in the source folder. */
#include "tests/loop/tlskit.h"

static void test_default_accepts_a_throwaway_certificate_and_carries_bytes(void **state)
{
	(void) state;
	check_echo("echo", 700000, 65536);
}

static void test_tls_1_2_carries_bytes(void **state)
{
	(void) state;
	check_echo("echo@1.2", 300000, 65536);
}

/* The peer leaves the choice to us, as servers in Go do. */
static void test_the_faster_cipher_is_agreed_on(void **state)
{
	static const char *const modes[] = { "echo", "echo@1.2" };
	const struct tls_params p = { .server_name = "127.0.0.1" };
	const char *word = tls_has_fast_gcm() ? "AES-128-GCM" : "CHACHA20-POLY1305";

	(void) state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct client c;

		client_open(&c, &p, modes[i], "throwaway", /* client_ca= */ NULL);
		client_must_handshake(&c);
		if (strstr(tls_describe(c.tls), word) == NULL)
			fail_msg("%s is not %s", tls_describe(c.tls), word);
		client_close(&c);
	}
}

static void test_bytes_may_arrive_one_by_one(void **state)
{
	(void) state;
	check_echo("echo", 3000, 1);
	check_echo("echo@1.2", 3000, 1);
}

static void test_without_room_nothing_is_taken(void **state)
{
	const struct tls_params p = { .server_name = "x" };
	static const uint8_t plain[50001];
	static const size_t lens[] = { 0, 1, 16382, 16383, 16384, 16385, 32768, 50001 };
	struct client c;

	(void) state;
	client_open(&c, &p, "echo", "good", /* client_ca= */ NULL);
	client_must_handshake(&c);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		c.n_put = 0;
		c.is_full = true;
		assert_int_equal(tls_send(c.tls, span_of(plain, lens[i])), TLS_E_ROOM);
		assert_int_equal(c.n_put, 0);
		c.is_full = false;
		assert_int_equal(tls_send(c.tls, span_of(plain, lens[i])), 0);
		assert_true(c.n_put >= lens[i]);
		assert_true(c.n_put <= tls_sealed_max(lens[i]));
	}
	client_close(&c);
}

static void test_a_sink_without_memory_ends_the_connection(void **state)
{
	const struct tls_params p = { .server_name = "x" };
	static const uint8_t plain[1000];
	struct client c;

	(void) state;
	client_open(&c, &p, "echo", "good", /* client_ca= */ NULL);
	client_must_handshake(&c);
	buf_deinit(&c.out);
	buf_init(&c.out, 100);
	assert_int_equal(tls_send(c.tls, span_of(plain, sizeof(plain))), -ENOMEM);
	assert_int_equal(tls_send(c.tls, span_of(plain, sizeof(plain))), TLS_E_BAD);
	client_close(&c);
}

static void test_a_changed_record_is_refused(void **state)
{
	const struct tls_params p = { .server_name = "x" };
	uint8_t plain[100];
	struct client c;
	struct span rest;
	size_t n;

	(void) state;
	client_open(&c, &p, "echo@1.2", "good", /* client_ca= */ NULL);
	client_must_handshake(&c);
	assert_int_equal(tls_send(c.tls, span_str("hello")), 0);
	/* Without session tickets (TLS 1.2, none asked for) the echo is all that comes. */
	assert_int_equal(tls_recv(c.tls, plain, sizeof(plain), &n), TLS_E_MORE);
	do {
		assert_true(client_turn(&c));
		rest = tls_rest(c.tls);
	} while (rest.len == 0);
	c.in[rest.len - 1] ^= 1;
	assert_int_equal(tls_recv(c.tls, plain, sizeof(plain), &n), TLS_E_BAD);
	assert_non_null(strstr(tls_why(c.tls), "damaged"));
	client_close(&c);
}

/* -- who answers -- */

static void check_sni(const char *name, const char *expected)
{
	const struct tls_params p = { .server_name = name };
	char line[128] = "";
	size_t len = 0, n = 0;
	struct client c;
	int r;

	client_open(&c, &p, "sni", "good", /* client_ca= */ NULL);
	client_must_handshake(&c);
	for (;;) {
		r = client_recv(&c, (uint8_t *) line + len, sizeof(line) - 1 - len, &n);
		if (r != 0)
			break;
		len += n;
	}
	assert_int_equal(r, TLS_E_EOF);
	assert_string_equal(line, expected);
	client_close(&c);
}

static void test_sni_is_the_name_but_never_an_address(void **state)
{
	(void) state;
	check_sni("frps.test", "sni=frps.test\n");
	check_sni("frps.test.", "sni=frps.test\n");
	check_sni("127.0.0.1", "sni=None\n");
	check_sni("fe80::1%eth0", "sni=None\n");
	check_sni(NULL, "sni=None\n");
}

static void test_a_ca_verifies_chain_and_name(void **state)
{
	struct tls_params p = { .server_name = "frps.test", .ca_file = cert_path("ca.crt") };

	(void) state;
	check_accepted(&p, "good");
	check_refused(&p, "throwaway", "nobody) is not signed by a CA");
	check_refused(&p, "expired", "frps.test) has expired on 20");
	p.server_name = "else.test";
	check_refused(&p, "good", "is for frps.test, 127.0.0.1, 2001:db8::1, not for else.test");
	p.ca_file = cert_path("other.crt");
	p.server_name = "frps.test";
	check_refused(&p, "good", "frps.test, 127.0.0.1, 2001:db8::1) is not signed by a CA");
	p.ca_file = NULL;
	p.want_system_roots = access("/etc/ssl/certs/ca-certificates.crt", R_OK) == 0;
	if (p.want_system_roots)
		check_refused(&p, "good", "is not signed by a CA");
}

static void test_an_address_is_looked_for_in_the_certificate(void **state)
{
	struct tls_params p = { .server_name = "127.0.0.1", .ca_file = cert_path("ca.crt") };

	(void) state;
	check_accepted(&p, "good");
	check_refused(&p, "dnsonly", "is for frps.test, not for 127.0.0.1");
	p.server_name = "2001:db8:0::1";
	check_accepted(&p, "good");
	p.server_name = "2001:db8::2";
	check_refused(&p, "good", "not for 2001:db8::2");
	p.server_name = NULL; /* no name to compare: the chain alone */
	check_accepted(&p, "dnsonly");
}

/* frp's own test certificates: a leaf with the subject of its CA and no key identifiers is not
 * self-signed. */
static void test_a_leaf_named_like_its_ca_is_verified(void **state)
{
	struct tls_params p = { .server_name = "frps.test", .ca_file = cert_path("twinca.crt") };

	(void) state;
	check_accepted(&p, "twin");
	p.ca_file = cert_path("ca.crt");
	check_refused(&p, "twin", "is not signed by a CA");
}

static void hex_of_pin(const char *base64, char ret_hex[static 65])
{
	char command[256];
	FILE *f;

	(void) snprintf(command, sizeof(command),
			"echo %s | base64 -d | od -An -v -tx1 | tr -d ' \\n'", base64);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(ret_hex, 65, f));
	(void) pclose(f);
}

/* The pin as OpenSSL computes it. */
static void pin_of(const char *cert, char ret_pin[static 64])
{
	char command[256], base64[48];
	FILE *f;

	(void) snprintf(command, sizeof(command),
			"openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der | "
			"openssl dgst -sha256 -binary | base64",
			cert_path(cert));
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(base64, sizeof(base64), f));
	(void) pclose(f);
	base64[strcspn(base64, "\n")] = '\0';
	(void) snprintf(ret_pin, 64, "sha256/%s", base64);
}

static void test_a_pin_alone_decides_and_with_a_ca_both_must_match(void **state)
{
	char pin[64], hex[65];
	struct tls_params p = { .server_name = "not.in.the.certificate", .pin = pin };

	(void) state;
	pin_of("throwaway.crt", pin);
	check_accepted(&p, "throwaway");
	/* The text names the key that was shown, ready to be pinned. */
	p.pin = "0000000000000000000000000000000000000000000000000000000000000000";
	check_refused(&p, "throwaway", pin);
	hex_of_pin(pin + 7, hex);
	p.pin = hex;
	check_accepted(&p, "throwaway");
	check_refused(&p, "good", "not the pinned one");
	p.ca_file = cert_path("ca.crt");
	p.server_name = "frps.test";
	check_refused(&p, "good", "not the pinned one");
	check_refused(&p, "throwaway", "not signed by a CA");
	pin_of("good.crt", pin);
	p.pin = pin;
	check_accepted(&p, "good");
}

/* Bytes that look like such a certificate but are cut or changed at any place: an answer, and no
 * access beyond them. */
static void test_damaged_throwaway_certificates_are_refused(void **state)
{
	uint8_t der[2048], *copy;
	char command[160];
	mbedtls_x509_crt crt;
	size_t len;
	FILE *f;

	(void) state;
	(void) snprintf(command, sizeof(command), "openssl x509 -in %s -outform der",
			cert_path("throwaway.crt"));
	f = popen(command, "r");
	assert_non_null(f);
	len = fread(der, 1, sizeof(der), f);
	(void) pclose(f);
	assert_in_range(len, 500, sizeof(der) - 1);
	for (size_t i = 0; i <= len; i++) {
		copy = malloc(i); /* of its exact size, for the sanitizer */
		memcpy(copy, der, i);
		mbedtls_x509_crt_init(&crt);
		assert_int_equal(mbedtls_x509_crt_parse_der(&crt, copy, i) == 0, i == len);
		mbedtls_x509_crt_free(&crt);
		free(copy);
	}
	for (size_t i = 0; i < 80; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			der[i] ^= (uint8_t) (1u << bit);
			mbedtls_x509_crt_init(&crt);
			(void) mbedtls_x509_crt_parse_der(&crt, der, len);
			mbedtls_x509_crt_free(&crt);
			der[i] ^= (uint8_t) (1u << bit);
		}
	}
}

/* -- what the server wants -- */

static void check_client_cert(const char *mode, bool has_cert)
{
	struct tls_params p = { .server_name = "frps.test", .ca_file = cert_path("ca.crt") };
	uint8_t byte;
	size_t n;
	struct client c;
	int r;

	if (has_cert) {
		p.cert_file = cert_path("client.crt");
		p.key_file = cert_path("client.key");
	}
	client_open(&c, &p, mode, "good", "ca");
	r = client_handshake(&c);
	if (r == 0) {
		/* TLS 1.3: the client is done before the server has looked at its certificate. */
		assert_int_equal(tls_send(c.tls, span_str("x")), 0);
		r = client_recv(&c, &byte, 1, &n);
	}
	assert_int_equal(r, has_cert ? 0 : TLS_E_BAD);
	if (!has_cert && strstr(tls_why(c.tls), "client certificate") == NULL)
		fail_msg("%s", tls_why(c.tls));
	client_close(&c);
}

static void test_a_client_certificate_is_shown_or_its_lack_explained(void **state)
{
	(void) state;
	check_client_cert("echo@1.2", true);
	check_client_cert("echo@1.2", false);
	check_client_cert("echo", true);
	check_client_cert("echo", false);
}

static void check_plain_port(const char *mode, const char *words)
{
	const struct tls_params p = { .server_name = "frps.test" };
	struct client c;

	client_open(&c, &p, mode, "-", /* client_ca= */ NULL);
	assert_int_equal(client_handshake(&c), TLS_E_BAD);
	assert_non_null(strstr(tls_why(c.tls), "does not speak TLS on this port"));
	if (strstr(tls_why(c.tls), words) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", tls_why(c.tls), words);
	client_close(&c);
}

static void test_tls_against_a_plain_port_says_so(void **state)
{
	(void) state;
	check_plain_port("plain", "HTTP/1.1 400 Bad Request\\x0d\\x0a\\x1b");
	check_plain_port("short", "\"no\\x0a\"");
}

/* -- configuration -- */

static void check_bad(struct tls_params p, const char *words)
{
	struct tls_config *config = NULL;
	char why[512] = "";

	assert_int_equal(tls_config_new(&config, &p, why, sizeof(why)), TLS_E_BAD);
	assert_null(config);
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", why, words);
}

static void test_bad_settings_are_named_with_their_value(void **state)
{
	char name[300];

	(void) state;
	check_bad((struct tls_params){ .ca_file = "/nowhere/ca" },
		  "CA file \"/nowhere/ca\": No such file");
	check_bad((struct tls_params){ .ca_file = certs }, "Is a directory");
	check_bad((struct tls_params){ .ca_file = "/dev/zero" }, "File too large");
	check_bad((struct tls_params){ .ca_file = cert_path("junk.pem") }, "junk.pem\": X509");
	check_bad((struct tls_params){ .pin = "sha256/AAAA" }, "\"sha256/AAAA\" is not a pin");
	check_bad((struct tls_params){ .pin = "" }, "\"\" is not a pin");
	check_bad((struct tls_params){ .server_name = "" }, "\"\" is not a TLS server name");
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	check_bad((struct tls_params){ .server_name = name }, "is not a TLS server name");
	check_bad((struct tls_params){ .key_file = "k" }, "needs both");
	check_bad((struct tls_params){ .cert_file = cert_path("client.crt"),
				       .key_file = "/nowhere/key" },
		  "client key \"/nowhere/key\": No such file");
	check_bad((struct tls_params){ .cert_file = cert_path("client.crt"),
				       .key_file = cert_path("good.key") },
		  "is not the key of the certificate");
	check_bad((struct tls_params){ .cert_file = cert_path("client.crt"),
				       .key_file = cert_path("junk.pem") },
		  "client key");
}

static int put_nowhere(void *arg, struct span s)
{
	(void) arg;
	(void) s;
	return 0;
}

/* With mbedTLS linked statically its allocations fail in turn as well. */
static void test_each_failing_allocation_ends_the_constructor_cleanly(void **state)
{
	const struct tls_params p = {
		.server_name = "frps.test",
		.ca_file = cert_path("ca.crt"),
		.cert_file = cert_path("client.crt"),
		.key_file = cert_path("client.key"),
	};
	struct tls_sink sink = { .has_room = NULL, .put = put_nowhere };
	struct tls_config *config = NULL;
	struct tls *tls = NULL;
	unsigned n = 0, n_tls = 0;
	char why[512];
	int r;

	(void) state;
	do {
		fail_at = ++n;
		why[0] = '\0';
		r = tls_config_new(&config, &p, why, sizeof(why));
		assert_true(r == 0 || r == -ENOMEM || (r == TLS_E_BAD && why[0] != '\0'));
		if (r == 0 && fail_at == 0) /* mbedTLS did without */
			config = tls_config_free(config);
	} while (fail_at == 0);
	do {
		fail_at = ++n_tls;
		r = tls_new(&tls, config, &sink);
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0 && fail_at == 0)
			tls = tls_free(tls);
	} while (fail_at == 0);
	fail_at = 0;
	assert_true(n > 4 && n_tls > 1);
	print_message("# %u and %u allocations failed\n", n - 1, n_tls - 1);
	tls_free(tls);
	tls_config_free(config);
	assert_null(tls_free(NULL));
	assert_null(tls_config_free(NULL));
}

static int make_certs(void **state)
{
	char command[128];

	(void) state;
	(void) snprintf(certs, sizeof(certs), "/tmp/test_tls.XXXXXX");
	if (mkdtemp(certs) == NULL)
		return -1;
	(void) snprintf(command, sizeof(command), PEER " certs %s", certs);
	return system(command);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void) st;
	(void) kind;
	(void) at;
	return remove(path);
}

static int remove_certs(void **state)
{
	(void) state;
	return nftw(certs, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_accepts_a_throwaway_certificate_and_carries_bytes),
		cmocka_unit_test(test_tls_1_2_carries_bytes),
		cmocka_unit_test(test_the_faster_cipher_is_agreed_on),
		cmocka_unit_test(test_bytes_may_arrive_one_by_one),
		cmocka_unit_test(test_without_room_nothing_is_taken),
		cmocka_unit_test(test_a_sink_without_memory_ends_the_connection),
		cmocka_unit_test(test_a_changed_record_is_refused),
		cmocka_unit_test(test_sni_is_the_name_but_never_an_address),
		cmocka_unit_test(test_a_ca_verifies_chain_and_name),
		cmocka_unit_test(test_an_address_is_looked_for_in_the_certificate),
		cmocka_unit_test(test_a_leaf_named_like_its_ca_is_verified),
		cmocka_unit_test(test_a_pin_alone_decides_and_with_a_ca_both_must_match),
		cmocka_unit_test(test_damaged_throwaway_certificates_are_refused),
		cmocka_unit_test(test_a_client_certificate_is_shown_or_its_lack_explained),
		cmocka_unit_test(test_tls_against_a_plain_port_says_so),
		cmocka_unit_test(test_bad_settings_are_named_with_their_value),
		cmocka_unit_test(test_each_failing_allocation_ends_the_constructor_cleanly),
	};

	return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
