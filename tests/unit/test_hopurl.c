/* SPDX-License-Identifier: Apache-2.0 */
/* test_hopurl.c - URLs of proxies: what is read, what is refused and with which words. */
#include "proto/wire/hopurl.h"
#include "tests/unit/unit.h"

static void test_what_is_read(void **state)
{
	static const struct {
		const char *url;
		enum hop_kind kind;
		const char *host;
		uint16_t port;
		const char *user, *password; /* user NULL: none */
	} cases[] = {
		{ "http://proxy:3128", HOP_KIND_HTTP, "proxy", 3128, NULL, "" },
		{ "HTTP://proxy:3128/", HOP_KIND_HTTP, "proxy", 3128, NULL, "" },
		{ "http://me:secret@10.0.0.1:80", HOP_KIND_HTTP, "10.0.0.1", 80, "me", "secret" },
		{ "http://me@[2001:db8::1]:80", HOP_KIND_HTTP, "2001:db8::1", 80, "me", "" },
		{ "socks5://me:@h.test:1080", HOP_KIND_SOCKS5, "h.test", 1080, "me", "" },
		{ "socks5://a%40b%3a:p%2Fw%25@h:1", HOP_KIND_SOCKS5, "h", 1, "a@b:", "p/w%" },
		{ "http://me:a:b@c@h:1", HOP_KIND_HTTP, "h", 1, "me", "a:b@c" },
		{ "http://@h:1", HOP_KIND_HTTP, "h", 1, NULL, "" },
		{ "socks5h://h:1", HOP_KIND_SOCKS5, "h", 1, NULL, "" },
	};
	const char *why;
	struct hopurl u;

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		assert_int_equal(hopurl_parse(cases[i].url, &u, &why), 0);
		assert_int_equal(u.kind, cases[i].kind);
		assert_string_equal(u.at.host, cases[i].host);
		assert_int_equal(u.at.port, cases[i].port);
		assert_int_equal(u.has_user, cases[i].user != NULL);
		assert_string_equal(u.user, cases[i].user != NULL ? cases[i].user : "");
		assert_string_equal(u.password, cases[i].password);
		hopurl_wipe(&u);
		assert_int_equal(u.password[0], '\0');
	}
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *url, *why;
	} cases[] = {
		{ "", "begin with" },
		{ "proxy:3128", "begin with" },
		{ "ftp://proxy:21", "begin with" },
		{ "https://proxy:443", "TLS to the proxy is not supported" },
		{ "ntlm://me:pw@proxy:80", "NTLM is not supported" },
		{ "http://proxy", "host:port" },
		{ "http://proxy:0", "host:port" },
		{ "http://proxy:65536", "host:port" },
		{ "http://:80", "host:port" },
		{ "http://pro xy:80", "host:port" },
		{ "http://2001:db8::1:80", "host:port" },
		{ "http://proxy:80/path", "nothing may follow" },
		{ "http://proxy:80?x", "nothing may follow" },
		{ "http://me:hunter/2@proxy:80", "%2F" },
		{ "http://:hunter2@proxy:80", "no user" },
		{ "http://me:hunter%2@proxy:80", "%-escape" },
		{ "http://me:hunter%2@", "%-escape" },
		{ "http://me:hunter%zz@proxy:80", "%-escape" },
		{ "http://me:hunter%00@proxy:80", "%-escape" },
		{ "http://m%3ae:hunter2@proxy:80", "colon" },
	};
	struct hopurl u = { .has_user = false };
	const char *why;

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		why = NULL;
		assert_int_equal(hopurl_parse(cases[i].url, &u, &why), HOPURL_E_BAD);
		assert_non_null(strstr(why, cases[i].why));
		assert_null(strstr(why, "hunter"));
		assert_int_equal(u.at.port, 0); /* untouched */
	}
}

static void test_lengths(void **state)
{
	static const struct {
		const char *scheme;
		size_t n_user, n_password;
		bool is_good;
	} cases[] = {
		{ "http", 255, 1023, true }, { "http", 256, 1, false },
		{ "http", 1, 1024, false },  { "socks5", 255, 255, true },
		{ "socks5", 1, 256, false },
	};
	char url[2048], user[300], password[1100];
	struct hopurl u;
	const char *why;

	(void) state;
	for (size_t i = 0; i < UNIT_N(cases); i++) {
		memset(user, 'u', sizeof(user));
		memset(password, 'p', sizeof(password));
		user[cases[i].n_user] = password[cases[i].n_password] = '\0';
		(void) snprintf(url, sizeof(url), "%s://%s:%s@h:1", cases[i].scheme, user,
				password);
		assert_int_equal(hopurl_parse(url, &u, &why), cases[i].is_good ? 0 : HOPURL_E_BAD);
	}
	memset(url, 'h', sizeof(url));
	memcpy(url, "http://", 7);
	memcpy(url + sizeof(url) - 3, ":1", 3);
	assert_int_equal(hopurl_parse(url, &u, &why), HOPURL_E_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
