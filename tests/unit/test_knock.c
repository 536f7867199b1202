/* SPDX-License-Identifier: Apache-2.0 */
/* test_knock.c - CONNECT and SOCKS5 with proxies that agree, refuse, and talk nonsense; cut
 * anywhere, with the server's bytes behind. */
#include <errno.h>

#include "proto/base/base64.h"
#include "proto/base/limits.h"
#include "proto/session/knock.h"
#include "proto/wire/hopurl.h"
#include "tests/unit/unit.h"

#define BEHIND "\x16the server speaks"

static struct hopurl url_of(const char *url)
{
	const char *why;
	struct hopurl u;

	assert_int_equal(hopurl_parse(url, &u, &why), 0);
	return u;
}

static void check_says(struct knock *k, struct span want)
{
	unit_assert_span(knock_out(k), want);
	knock_sent(k, want.len);
	assert_int_equal(knock_out(k).len, 0);
}

/* Feed in pieces until it ends or all is said; how much was eaten. */
static size_t feed(struct knock *k, struct span in, unsigned how)
{
	struct unit_split split = unit_split_of(how);
	size_t n, n_all = 0;

	while (in.len > 0) {
		struct span piece = span_head(in, unit_piece(&split, in.len));
		int r = knock_feed(k, piece, &n);

		n_all += n;
		in = span_skip(in, n);
		if (r == 0)
			break;
		assert_int_equal(n, piece.len);
	}
	return n_all;
}

#define SPAN(text) span_of(text, sizeof(text) - 1)

static void test_connect_as_it_is_asked(void **state)
{
	struct hopurl via = url_of("http://proxy:1");
	struct knock k;

	(void) state;
	assert_int_equal(knock_start(&k, &via, "frps.test", 7000), 0);
	check_says(&k, SPAN("CONNECT frps.test:7000 HTTP/1.1\r\nHost: frps.test:7000\r\n"
			    "User-Agent: Mozilla/5.0\r\n\r\n"));
	knock_deinit(&k);
	via = url_of("http://Aladdin:open%20sesame@proxy:1"); /* RFC 7617 2 */
	assert_int_equal(knock_start(&k, &via, "2001:db8::1", 65535), 0);
	check_says(&k, SPAN("CONNECT [2001:db8::1]:65535 HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n"
			    "User-Agent: Mozilla/5.0\r\n"
			    "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
	knock_deinit(&k);
}

static void test_connect_agreed(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 200 Connection established\r\n\r\n",
		"HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200\nVia: y\n\n",
		"HTTP/1.1 200 \r\n\r\n",
	};
	struct hopurl via = url_of("http://proxy:1");
	char all[200];
	struct knock k;

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (size_t i = 0; i < UNIT_N(heads); i++) {
			(void) snprintf(all, sizeof(all), "%s%s", heads[i], BEHIND);
			assert_int_equal(knock_start(&k, &via, "frps.test", 7000), 0);
			knock_sent(&k, knock_out(&k).len);
			assert_int_equal(feed(&k, span_str(all), how), strlen(heads[i]));
			assert_int_equal(k.state, KNOCK_STATE_OPEN);
			knock_deinit(&k);
		}
	}
}

static void test_connect_refused_or_nonsense(void **state)
{
	static const struct {
		const char *answer;
		enum knock_state state;
		enum knock_cause cause;
		const char *why;
	} cases[] = {
		{ "HTTP/1.1 407 Proxy Authentication Required\r\n", KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_LOGIN, "the proxy refused: HTTP 407 Proxy Authentication Required" },
		{ "HTTP/1.1 403 Forbidden\r\n", KNOCK_STATE_REFUSED, KNOCK_CAUSE_RULE,
		  "the proxy refused: HTTP 403 Forbidden" },
		{ "HTTP/1.1 502 Bad Gateway\r\n", KNOCK_STATE_REFUSED, KNOCK_CAUSE_TARGET,
		  "the proxy refused: HTTP 502 Bad Gateway" },
		{ "HTTP/1.1 400 \x1b[31mred\"\r\n", KNOCK_STATE_REFUSED, KNOCK_CAUSE_OTHER,
		  "the proxy refused: HTTP 400 ?[31mred\"" },
		{ "HTTP/1.1 407 not hunter2\r\n", KNOCK_STATE_REFUSED, KNOCK_CAUSE_LOGIN,
		  "the proxy refused: HTTP 407" },
		{ "HTTP/1.1 302\n", KNOCK_STATE_REFUSED, KNOCK_CAUSE_OTHER,
		  "the proxy refused: HTTP 302" },
		{ "HTTP/2 200 OK\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "HTTP/1.1 2x0 OK\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "HTTP/1.1 2000 OK\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "HTTP/1.1 20\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "SSH-2.0-x\r\n", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
		{ "\x15\x03\x01", KNOCK_STATE_BAD, KNOCK_CAUSE_OTHER, "not HTTP" },
	};
	struct hopurl via = url_of("http://me:hunter2@proxy:1");
	struct knock k;

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (size_t i = 0; i < UNIT_N(cases); i++) {
			assert_int_equal(knock_start(&k, &via, "frps.test", 7000), 0);
			(void) feed(&k, span_str(cases[i].answer), how);
			assert_int_equal(k.state, cases[i].state);
			assert_int_equal(k.cause, cases[i].cause);
			assert_non_null(strstr(k.why, cases[i].why));
			assert_null(strstr(k.why, "hunter2"));
			knock_deinit(&k);
		}
	}
}

static void test_an_endless_head_is_cut(void **state)
{
	struct hopurl via = url_of("http://proxy:1");
	char line[] = "X-Padding: ................................\r\n";
	size_t n_all = 0, n;
	struct knock k;

	(void) state;
	assert_int_equal(knock_start(&k, &via, "frps.test", 7000), 0);
	assert_int_equal(knock_feed(&k, SPAN("HTTP/1.1 200 OK\r\n"), &n), KNOCK_E_MORE);
	while (knock_feed(&k, span_str(line), &n) == KNOCK_E_MORE) {
		n_all += n;
		assert_true(n_all <= LIMIT_HOP_HEAD);
	}
	assert_int_equal(k.state, KNOCK_STATE_BAD);
	assert_string_equal(k.why, "the proxy's answer is too long");
	knock_deinit(&k);
}

/* Each address form of the request with each of the answer. */
static void test_socks_agreed(void **state)
{
	static const struct {
		const char *host;
		struct span request;
	} asked[] = {
		{ "10.1.2.3", { (const uint8_t *) "\5\1\0\1\x0a\1\2\3\x1b\x58", 10 } },
		{ "frps.test",
		  { (const uint8_t *) "\5\1\0\3\x09"
				      "frps.test\x1b\x58",
		    16 } },
		{ "2001:db8::7",
		  { (const uint8_t *) "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x1b\x58",
		    22 } },
	};
	static const struct span answers[] = {
		{ (const uint8_t *) "\5\0\0\1\0\0\0\0\0\0" BEHIND, 10 },
		{ (const uint8_t *) "\5\0\0\3\4host\0\1" BEHIND, 11 },
		{ (const uint8_t *) "\5\0\0\3\0\0\1" BEHIND, 7 },
		{ (const uint8_t *) "\5\0\0\4................\0\1" BEHIND, 22 },
	};
	struct hopurl open = url_of("socks5://proxy:1"), locked = url_of("socks5://me:pw@proxy:1");
	struct knock k;

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (size_t i = 0; i < UNIT_N(asked) * UNIT_N(answers) * 3; i++) {
			bool has_user = i % 3 > 0, want_login = i % 3 > 1;
			struct span answer = answers[i / 3 % UNIT_N(answers)];
			struct span request = asked[i / 3 / UNIT_N(answers)].request;

			assert_int_equal(knock_start(&k, has_user ? &locked : &open,
						     asked[i / 3 / UNIT_N(answers)].host, 7000),
					 0);
			check_says(&k, has_user ? SPAN("\5\2\0\2") : SPAN("\5\1\0"));
			if (want_login) {
				assert_int_equal(feed(&k, SPAN("\5\2"), how), 2);
				check_says(&k, SPAN("\1\2me\2pw"));
				assert_int_equal(feed(&k, SPAN("\1\0"), how), 2);
			} else {
				assert_int_equal(feed(&k, SPAN("\5\0"), how), 2);
			}
			check_says(&k, request);
			assert_int_equal(k.state, KNOCK_STATE_ASKING);
			answer.len += sizeof(BEHIND) - 1;
			assert_int_equal(feed(&k, answer, how), answer.len - sizeof(BEHIND) + 1);
			assert_int_equal(k.state, KNOCK_STATE_OPEN);
			knock_deinit(&k);
		}
	}
}

static void test_socks_refused_or_nonsense(void **state)
{
	static const struct {
		struct span answer;
		enum knock_state state;
		enum knock_cause cause;
		const char *why;
	} cases[] = {
		{ { (const uint8_t *) "\5\xff", 2 },
		  KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_LOGIN,
		  "another kind of login" },
		{ { (const uint8_t *) "\5\2\1\1", 4 },
		  KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_LOGIN,
		  "refused the user or the password" },
		{ { (const uint8_t *) "\5\0\5\2", 4 },
		  KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_RULE,
		  "SOCKS5 reply 2, not allowed" },
		{ { (const uint8_t *) "\5\0\5\5\0\1\0\0\0\0\0\0", 12 },
		  KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_TARGET,
		  "SOCKS5 reply 5, the server refused" },
		{ { (const uint8_t *) "\5\0\5\x63", 4 },
		  KNOCK_STATE_REFUSED,
		  KNOCK_CAUSE_OTHER,
		  "SOCKS5 reply 99" },
		{ { (const uint8_t *) "\5\1", 2 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "not offered" },
		{ { (const uint8_t *) "\4\0", 2 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "not SOCKS5" },
		{ { (const uint8_t *) "HTTP/1.1 400 ", 13 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "not SOCKS5" },
		{ { (const uint8_t *) "\5\2\5\0", 4 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "not SOCKS5" },
		{ { (const uint8_t *) "\5\0\4\0\0\1", 6 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "not SOCKS5" },
		{ { (const uint8_t *) "\5\0\5\0\0\2\0", 7 },
		  KNOCK_STATE_BAD,
		  KNOCK_CAUSE_OTHER,
		  "no known kind" },
	};
	struct hopurl via = url_of("socks5://me:hunter2@proxy:1"),
		      open = url_of("socks5://proxy:1");
	struct knock k;
	size_t n;

	(void) state;
	for (unsigned how = 0; how < UNIT_N_SPLITS; how++) {
		for (size_t i = 0; i < UNIT_N(cases); i++) {
			assert_int_equal(knock_start(&k, &via, "frps.test", 7000), 0);
			(void) feed(&k, cases[i].answer, how);
			assert_int_equal(k.state, cases[i].state);
			assert_int_equal(k.cause, cases[i].cause);
			assert_non_null(strstr(k.why, cases[i].why));
			assert_null(strstr(k.why, "hunter2"));
			knock_deinit(&k);
		}
	}
	assert_int_equal(knock_start(&k, &open, "frps.test", 7000), 0);
	assert_int_equal(knock_feed(&k, SPAN("\5\2"), &n), 0); /* never offered */
	assert_int_equal(k.state, KNOCK_STATE_BAD);
	assert_int_equal(knock_start(&k, &open, "frps.test", 7000), 0);
	assert_int_equal(knock_feed(&k, SPAN("\5\xff"), &n), 0);
	assert_string_equal(k.why, "the proxy refused: it wants a user and a password");
}

static void test_hosts_that_cannot_be_asked_for(void **state)
{
	static const char *const hosts[] = { "", "a b", "a\r\nX-Evil: 1", "b\x80" };
	struct hopurl via = url_of("http://proxy:1");
	char host[260];
	struct knock k;

	(void) state;
	for (size_t i = 0; i < UNIT_N(hosts); i++)
		assert_int_equal(knock_start(&k, &via, hosts[i], 7000), -EINVAL);
	memset(host, 'h', sizeof(host));
	host[254] = '\0';
	assert_int_equal(knock_start(&k, &via, host, 7000), -EINVAL);
}

/* The longest request of either kind fits. */
static void test_everything_as_long_as_it_may_be(void **state)
{
	char url[2048], user[256], password[1024], host[254];
	struct hopurl via;
	struct knock k;
	size_t n;

	(void) state;
	memset(user, 'u', sizeof(user) - 1);
	memset(password, 'p', sizeof(password) - 1);
	memset(host, 'h', sizeof(host) - 1);
	user[255] = password[1023] = host[253] = '\0';
	(void) snprintf(url, sizeof(url), "http://%s:%s@h:1", user, password);
	via = url_of(url);
	assert_int_equal(knock_start(&k, &via, host, 65535), 0);
	assert_true(knock_out(&k).len > 2 * 253 + BASE64_LEN(1279));
	knock_deinit(&k);
	password[255] = '\0';
	(void) snprintf(url, sizeof(url), "socks5://%s:%s@h:1", user, password);
	via = url_of(url);
	assert_int_equal(knock_start(&k, &via, host, 65535), 0);
	/* A proxy may answer before it was asked: what is to be sent piles up, bounded. */
	assert_int_equal(knock_feed(&k, SPAN("\5\2\1\0"), &n), KNOCK_E_MORE);
	assert_int_equal(knock_out(&k).len, 4 + 3 + 2 * 255 + 7 + 253);
	knock_deinit(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_as_it_is_asked),
		cmocka_unit_test(test_connect_agreed),
		cmocka_unit_test(test_connect_refused_or_nonsense),
		cmocka_unit_test(test_an_endless_head_is_cut),
		cmocka_unit_test(test_socks_agreed),
		cmocka_unit_test(test_socks_refused_or_nonsense),
		cmocka_unit_test(test_hosts_that_cannot_be_asked_for),
		cmocka_unit_test(test_everything_as_long_as_it_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
