/* SPDX-License-Identifier: Apache-2.0 */
/* test_conn.c - a connection to a local service whose other end is this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/conn.h"
#include "proto/base/err.h"

#define LAST_WORDS "what is said before the end is heard"
#define QUEUE (1 << 20)

struct bench {
	struct loop *loop;
	struct conn conn;
	int peer;
	uint8_t got[256];
	size_t n_got, n_written;
	bool is_over, is_gone;
	uv_timer_t limit;
};

static size_t on_alloc(void *arg, uint8_t **ret_dst)
{
	struct bench *b = arg;

	*ret_dst = b->got + b->n_got;
	return sizeof(b->got) - b->n_got;
}

static void on_read(void *arg, size_t n)
{
	((struct bench *) arg)->n_got += n;
}

static void on_written(void *arg, size_t n)
{
	((struct bench *) arg)->n_written += n;
}

static void on_eof(void *arg)
{
	((struct bench *) arg)->is_over = true;
}

static void on_error(void *arg, int err, const char *why)
{
	(void) err;
	(void) why;
	((struct bench *) arg)->is_over = true;
}

static void on_gone(void *arg)
{
	((struct bench *) arg)->is_gone = true;
}

static const struct conn_ops ops = {
	.alloc = on_alloc,
	.on_read = on_read,
	.on_written = on_written,
	.on_eof = on_eof,
	.on_error = on_error,
	.on_gone = on_gone,
};

static void on_limit(uv_timer_t *t)
{
	(void) t;
	fail_msg("nothing happens any more");
}

/* A connected pair; the conn has one end. */
static void bench_setup(struct bench *b)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);

	*b = (struct bench){ .peer = -1 };
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	assert_int_equal(bind(listener, (struct sockaddr *) &addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *) &addr, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &addr, len), 0);
	b->peer = accept(listener, NULL, NULL);
	assert_true(b->peer >= 0);
	(void) close(listener);
	assert_int_equal(conn_init(&b->conn, b->loop, &ops, b, QUEUE), 0);
	assert_int_equal(conn_adopt(&b->conn, fd), 0);
	assert_int_equal(uv_timer_init(&b->loop->uv, &b->limit), 0);
	assert_int_equal(uv_timer_start(&b->limit, on_limit, 10000, 0), 0);
}

static void bench_teardown(struct bench *b)
{
	conn_close(&b->conn);
	uv_close((uv_handle_t *) &b->limit, NULL);
	while (!b->is_gone)
		(void) uv_run(&b->loop->uv, UV_RUN_ONCE);
	if (b->peer >= 0)
		(void) close(b->peer);
	b->loop = loop_free(b->loop);
}

static void write_zeros(struct bench *b, size_t len, size_t *ret_n_now)
{
	uint8_t *zeros = calloc(1, len);

	assert_non_null(zeros);
	assert_int_equal(conn_write(&b->conn, span_of(zeros, len), ret_n_now), 0);
	free(zeros);
}

/* The peer says its last words and closes over bytes that it has not read. */
static void peer_leaves(struct bench *b)
{
	size_t n_now;

	write_zeros(b, 100, &n_now);
	assert_int_equal(n_now, 100);
	assert_int_equal(send(b->peer, LAST_WORDS, sizeof(LAST_WORDS), 0), sizeof(LAST_WORDS));
	assert_int_equal(close(b->peer), 0);
	b->peer = -1;
}

static void test_last_words_are_read_after_a_write_has_failed(void **state)
{
	struct bench b;
	size_t n_now, n_all = 0;

	(void) state;
	bench_setup(&b);
	peer_leaves(&b);
	write_zeros(&b, 100, &n_now); /* fails */
	n_all += 100 - n_now;
	while (b.n_written < n_all)
		(void) uv_run(&b.loop->uv, UV_RUN_ONCE);
	assert_false(b.is_over);
	write_zeros(&b, 100, &n_now); /* into the void */
	assert_int_equal(n_now, 100);
	conn_finish(&b.conn);
	conn_read(&b.conn, true);
	while (!b.is_over)
		(void) uv_run(&b.loop->uv, UV_RUN_ONCE);
	assert_int_equal(b.n_got, sizeof(LAST_WORDS));
	assert_memory_equal(b.got, LAST_WORDS, sizeof(LAST_WORDS));
	bench_teardown(&b);
}

/* -- without memory -- */

static bool is_memory_out;

static void *scarce_malloc(size_t n)
{
	return is_memory_out ? NULL : malloc(n);
}

static void *scarce_realloc(void *p, size_t n)
{
	return is_memory_out ? NULL : realloc(p, n);
}

static void *scarce_calloc(size_t n, size_t size)
{
	return is_memory_out ? NULL : calloc(n, size);
}

static void test_a_long_queue_needs_no_memory_to_leave(void **state)
{
	struct bench b;
	uint8_t *sink = malloc(QUEUE);
	size_t n_now;
	ssize_t n;

	(void) state;
	assert_non_null(sink);
	bench_setup(&b);
	while (conn_n_queued(&b.conn) < QUEUE / 2) /* of many chunks */
		write_zeros(&b, QUEUE / 4, &n_now);
	is_memory_out = true;
	while (conn_n_queued(&b.conn) > 0) {
		do
			n = recv(b.peer, sink, QUEUE, MSG_DONTWAIT);
		while (n > 0);
		assert_true(n < 0 && errno == EAGAIN);
		(void) uv_run(&b.loop->uv, UV_RUN_ONCE);
		assert_false(b.is_over);
	}
	is_memory_out = false;
	free(sink);
	bench_teardown(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_words_are_read_after_a_write_has_failed),
		cmocka_unit_test(test_a_long_queue_needs_no_memory_to_leave),
	};

	(void) signal(SIGPIPE, SIG_IGN); /* as in the agent */
	if (uv_replace_allocator(scarce_malloc, scarce_realloc, scarce_calloc, free) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
