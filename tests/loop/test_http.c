/* SPDX-License-Identifier: Apache-2.0 */
/* test_http.c - the HTTP server on real sockets: requests in any pieces, limits, places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/http.h"
#include "agent/net/listen.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

#define WAIT_MS 5000

struct world {
	struct loop *loop;
	struct http_server *server;
	unsigned n_requests;
};

/* The answer tells what was understood. */
static void echo(void *arg, const struct http_request *r, struct http_answer *a)
{
	struct world *w = arg;
	char text[LIMIT_HTTP_HEAD + 64];
	int n;

	w->n_requests++;
	n = snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%zu", r->method, r->path, r->query,
		     r->host != NULL ? r->host : "-",
		     r->authorization != NULL ? r->authorization : "-", r->body.len);
	a->status = 200;
	a->type = "text/plain";
	assert_int_equal(buf_add(&a->body, span_of(text, (size_t) n)), 0);
}

static void setup(struct world *w)
{
	*w = (struct world){ .n_requests = 0 };
	assert_int_equal(loop_new(&w->loop, /* log= */ NULL), 0);
	assert_int_equal(http_server_new(&w->server, w->loop, "127.0.0.1", 0, echo, w), 0);
}

static void teardown(struct world *w)
{
	w->server = http_server_free(w->server);
	w->loop = loop_free(w->loop); /* fails when a handle is left */
}

static int dial(const struct world *w)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(http_server_port(w->server)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof(to)), 0);
	return fd;
}

/* Let the server work until @fd has said @want (or its end, when @want is NULL). What it said is in
 * @text. */
static void hear(struct world *w, int fd, const char *want, char *text, size_t cap)
{
	size_t len = strlen(text);
	uint64_t due_ms = loop_now_ms(w->loop) + WAIT_MS;
	ssize_t n;

	while (want == NULL || strstr(text, want) == NULL) {
		(void) uv_run(&w->loop->uv, UV_RUN_NOWAIT);
		n = recv(fd, text + len, cap - len - 1, MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t) n;
		text[len] = '\0';
		if (loop_now_ms(w->loop) > due_ms)
			fail_msg("waited for \"%s\", heard \"%s\"", want != NULL ? want : "the end",
				 text);
	}
	if (want != NULL && strstr(text, want) == NULL)
		fail_msg("the end instead of \"%s\", heard \"%s\"", want, text);
}

static void say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* One connection that says @request and hears until the end. */
static void talk(struct world *w, const char *request, size_t len, char *text, size_t cap)
{
	int fd = dial(w);

	text[0] = '\0';
	say(fd, request, len);
	hear(w, fd, NULL, text, cap);
	(void) close(fd);
}

#define LAST "Connection: close\r\n\r\n"

static void test_a_request_whole_and_byte_by_byte(void **state)
{
	static const char request[] =
		"PUT /api/config?x=1&y=2 HTTP/1.1\r\nHost: localhost:7400\r\nX-Long-Header-Name-That-"
		"Nobody-Knows: 1\r\nAuthorization: Basic YTpi\r\nContent-Length: 5\r\n\r\nhello";
	static const char want[] = "PUT|/api/config|x=1&y=2|localhost:7400|Basic YTpi|5";
	struct world w;
	char text[4096] = "";
	int fd;

	(void) state;
	setup(&w);
	fd = dial(&w);
	say(fd, request, sizeof(request) - 1);
	hear(&w, fd, want, text, sizeof(text));
	assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
	assert_null(strstr(text, "Connection: close"));
	text[0] = '\0';
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		say(fd, request + i, 1);
		(void) uv_run(&w.loop->uv, UV_RUN_NOWAIT);
	}
	hear(&w, fd, want, text, sizeof(text));
	assert_int_equal(w.n_requests, 2);
	(void) close(fd);
	teardown(&w);
}

static void test_requests_in_one_piece_are_answered_in_order(void **state)
{
	static const char request[] =
		"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n"
		"abc\r\n2\r\nde\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n" LAST "GET /4 HTTP/1.1\r\n\r\n";
	struct world w;
	char text[8192], *one, *two, *three;

	(void) state;
	setup(&w);
	talk(&w, request, sizeof(request) - 1, text, sizeof(text));
	one = strstr(text, "GET|/1||-|-|0");
	two = strstr(text, "POST|/2||-|-|5");
	three = strstr(text, "GET|/3||-|-|0");
	assert_true(one != NULL && two > one && three > two);
	assert_int_equal(w.n_requests, 3);
	teardown(&w);
}

static void test_a_head_has_no_body(void **state)
{
	struct world w;
	char text[4096];

	(void) state;
	setup(&w);
	talk(&w, "HEAD /x HTTP/1.1\r\n" LAST, strlen("HEAD /x HTTP/1.1\r\n" LAST), text,
	     sizeof(text));
	assert_non_null(strstr(text, "Content-Length: 13\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	teardown(&w);
}

static void test_offers_and_expectations(void **state)
{
	static const char upgrade[] =
		"GET /u HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\r\n";
	static const char expect[] =
		"PUT /e HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
	struct world w;
	char text[4096] = "";
	int fd;

	(void) state;
	setup(&w);
	fd = dial(&w);
	say(fd, expect, sizeof(expect) - 1);
	hear(&w, fd, "HTTP/1.1 100 Continue\r\n\r\n", text, sizeof(text));
	assert_int_equal(w.n_requests, 0);
	say(fd, "ab", 2);
	hear(&w, fd, "PUT|/e||-|-|2", text, sizeof(text));
	(void) close(fd);
	talk(&w, upgrade, sizeof(upgrade) - 1, text, sizeof(text));
	assert_non_null(strstr(text, "GET|/u||-|-|0"));
	teardown(&w);
}

static const struct {
	const char *request, *want;
} refused[] = {
	{ "\r\n\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400 " },
	{ "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 " },
	{ "GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", "HTTP/1.1 400 " },
	{ "PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	  "HTTP/1.1 400 " },
	{ "PUT / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", "HTTP/1.1 413 " },
	{ "PUT / HTTP/1.1\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 417 " },
};

static void test_what_is_wrong_is_refused(void **state)
{
	struct world w;
	char text[4096];

	(void) state;
	setup(&w);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		talk(&w, refused[i].request, strlen(refused[i].request), text, sizeof(text));
		if (strncmp(text, refused[i].want, strlen(refused[i].want)) != 0)
			fail_msg("%zu: \"%s\"", i, text);
		assert_non_null(strstr(text, "Connection: close\r\n"));
	}
	assert_int_equal(w.n_requests, 0);
	teardown(&w);
}

static void test_heads_and_bodies_are_bounded(void **state)
{
	static char big[LIMIT_HTTP_BODY + 4096];
	struct world w;
	char text[2 * LIMIT_HTTP_HEAD] = "";
	size_t len, sent = 0;
	ssize_t n;
	int fd;

	(void) state;
	setup(&w);
	len = (size_t) snprintf(big, sizeof(big), "GET /%08000d HTTP/1.1\r\n" LAST, 1);
	talk(&w, big, len, text, sizeof(text));
	assert_non_null(strstr(text, " 200 "));
	len = (size_t) snprintf(big, sizeof(big), "GET / HTTP/1.1\r\nX: %08190d\r\n\r\n", 1);
	talk(&w, big, len, text, sizeof(text));
	assert_non_null(strstr(text, " 431 "));

	/* a body without a length: refused when it is too long */
	memset(big, 'x', sizeof(big));
	len = (size_t) snprintf(big, sizeof(big),
				"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
				LIMIT_HTTP_BODY + 1);
	big[len] = 'x';
	fd = dial(&w);
	text[0] = '\0';
	while (sent < sizeof(big) && strstr(text, " 413 ") == NULL) {
		n = send(fd, big + sent, sizeof(big) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t) n : 0;
		(void) uv_run(&w.loop->uv, UV_RUN_NOWAIT);
	}
	hear(&w, fd, " 413 ", text, sizeof(text));
	(void) close(fd);
	teardown(&w);
}

static void test_the_house_is_full_until_somebody_goes(void **state)
{
	static const char request[] = "GET /late HTTP/1.1\r\n\r\n";
	struct world w;
	char text[4096] = "";
	int fds[LIMIT_HTTP_CONNS], late;

	(void) state;
	setup(&w);
	for (size_t i = 0; i < LIMIT_HTTP_CONNS; i++) {
		fds[i] = dial(&w);
		say(fds[i], "GET / HTTP/1.1\r\n\r\n", strlen("GET / HTTP/1.1\r\n\r\n"));
		text[0] = '\0';
		hear(&w, fds[i], "GET|/|", text, sizeof(text));
	}
	late = dial(&w);
	say(late, request, sizeof(request) - 1);
	for (unsigned i = 0; i < 20; i++)
		(void) uv_run(&w.loop->uv, UV_RUN_NOWAIT);
	assert_int_equal(w.n_requests, LIMIT_HTTP_CONNS);
	(void) close(fds[0]);
	text[0] = '\0';
	hear(&w, late, "GET|/late|", text, sizeof(text));
	for (size_t i = 1; i < LIMIT_HTTP_CONNS; i++)
		(void) close(fds[i]);
	(void) close(late);
	teardown(&w);
}

static void test_places_that_cannot_be_had(void **state)
{
	struct http_server *second = NULL;
	struct world w;

	(void) state;
	setup(&w);
	assert_int_equal(
		http_server_new(&second, w.loop, "127.0.0.1", http_server_port(w.server), echo, &w),
		-EADDRINUSE);
	assert_int_equal(http_server_new(&second, w.loop, "localhost", 0, echo, &w), -EINVAL);
	assert_null(second);
	teardown(&w);
}

static void nobody_home(void *arg)
{
	++*(unsigned *) arg;
}

static void test_who_is_not_taken_is_refused(void **state)
{
	unsigned n_offers = 0;
	struct listen_params p = { .host = "127.0.0.1",
				   .backlog = 8,
				   .n_max = 8,
				   .on_waiting = nobody_home,
				   .arg = &n_offers };
	struct world w;
	struct listener *l = NULL;
	struct sockaddr_in to = { .sin_family = AF_INET };
	char text[64] = "";
	int fds[2];

	(void) state;
	setup(&w);
	assert_int_equal(listen_new(&l, w.loop, &p), 0);
	to.sin_port = htons(listen_port(l));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *) &to, sizeof(to)), 0);
	}
	for (size_t i = 0; i < 2; i++) {
		hear(&w, fds[i], NULL, text, sizeof(text));
		(void) close(fds[i]);
	}
	assert_int_equal(n_offers, 2);
	l = listen_free(l);
	teardown(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_whole_and_byte_by_byte),
		cmocka_unit_test(test_requests_in_one_piece_are_answered_in_order),
		cmocka_unit_test(test_a_head_has_no_body),
		cmocka_unit_test(test_offers_and_expectations),
		cmocka_unit_test(test_what_is_wrong_is_refused),
		cmocka_unit_test(test_heads_and_bodies_are_bounded),
		cmocka_unit_test(test_the_house_is_full_until_somebody_goes),
		cmocka_unit_test(test_places_that_cannot_be_had),
		cmocka_unit_test(test_who_is_not_taken_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
