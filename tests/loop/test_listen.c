/* SPDX-License-Identifier: Apache-2.0 */
/* test_listen.c - who gets through a port of ours, who waits, who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/conn.h"
#include "agent/net/listen.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define N_USERS 8

/* What on_waiting() does. */
enum answer { TAKE, LEAVE, PAUSE };

struct bench {
	struct loop *loop;
	struct listener *listener;
	enum answer answer;
	unsigned n_waiting, n_taken, n_gone;
	struct conn conns[N_USERS]; /* taken */
	int users[N_USERS];
	unsigned n_users;
};

static void on_gone(void *arg)
{
	struct bench *b = arg;

	b->n_gone++;
	listen_give_back(b->listener);
}

static void on_waiting(void *arg)
{
	static const struct conn_ops ops = { .on_gone = on_gone };
	struct bench *b = arg;

	b->n_waiting++;
	if (b->answer == PAUSE)
		listen_pause(b->listener);
	if (b->answer != TAKE)
		return;
	assert_int_equal(conn_init(&b->conns[b->n_taken], b->loop, &ops, b, LIMIT_CHUNK), 0);
	assert_int_equal(listen_take(b->listener, &b->conns[b->n_taken]), 0);
	b->n_taken++;
}

static void bench_open(struct bench *b, size_t n_max)
{
	struct listen_params p = {
		.host = "127.0.0.1",
		.backlog = N_USERS,
		.n_max = n_max,
		.on_waiting = on_waiting,
		.arg = b,
	};

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	assert_int_equal(listen_new(&b->listener, b->loop, &p), 0);
}

/* Everything that can happen without waiting. */
static void bench_run(struct bench *b)
{
	for (int i = 0; i < 20; i++)
		(void) uv_run(&b->loop->uv, UV_RUN_NOWAIT); /* how many are left */
}

static void bench_close(struct bench *b)
{
	b->listener = listen_free(b->listener);
	for (unsigned i = 0; i < b->n_taken; i++)
		conn_close(&b->conns[i]);
	for (unsigned i = 0; i < b->n_users; i++)
		assert_int_equal(close(b->users[i]), 0);
	assert_null(loop_free(b->loop));
	assert_int_equal(b->n_gone, b->n_taken);
}

/* One more user is connected, as far as the kernel goes. */
static int bench_come(struct bench *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(listen_port(b->listener)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && b->n_users < N_USERS);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	b->users[b->n_users++] = fd;
	return fd;
}

static bool is_ended(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void test_beyond_the_places_users_wait(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b, /* n_max= */ 2);
	for (int i = 0; i < 4; i++)
		(void) bench_come(&b);
	bench_run(&b);
	assert_int_equal(b.n_taken, 2);
	assert_false(is_ended(b.users[2]));
	conn_close(&b.conns[0]);
	bench_run(&b);
	assert_int_equal(b.n_taken, 3);
	bench_close(&b);
}

static void test_who_is_not_taken_is_refused(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b, N_USERS);
	b.answer = LEAVE;
	(void) bench_come(&b);
	(void) bench_come(&b);
	bench_run(&b);
	assert_true(is_ended(b.users[0]) && is_ended(b.users[1]));
	b.answer = TAKE;
	(void) bench_come(&b);
	bench_run(&b);
	assert_int_equal(b.n_taken, 1);
	assert_false(is_ended(b.users[2]));
	bench_close(&b);
}

static void test_a_pause_makes_them_wait(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b, N_USERS);
	b.answer = PAUSE;
	for (int i = 0; i < 3; i++)
		(void) bench_come(&b);
	bench_run(&b);
	assert_int_equal(b.n_waiting, 1); /* and is not asked again */
	assert_false(is_ended(b.users[0]) || is_ended(b.users[1]));
	b.answer = TAKE;
	listen_resume(b.listener);
	bench_run(&b);
	assert_int_equal(b.n_taken, 3);
	bench_close(&b);
}

static void test_a_free_place_ends_no_pause(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b, /* n_max= */ 1);
	(void) bench_come(&b);
	bench_run(&b);
	listen_pause(b.listener);
	(void) bench_come(&b);
	conn_close(&b.conns[0]);
	bench_run(&b);
	assert_int_equal(b.n_taken, 1);
	listen_resume(b.listener);
	bench_run(&b);
	assert_int_equal(b.n_taken, 2);
	bench_close(&b);
}

static void test_a_taken_port_is_an_error(void **state)
{
	struct listen_params p = { .host = "127.0.0.1", .backlog = 1, .n_max = 1 };
	struct listener *other = NULL;
	struct bench b;

	(void) state;
	bench_open(&b, 1);
	p.port = listen_port(b.listener);
	assert_int_equal(listen_new(&other, b.loop, &p), -EADDRINUSE);
	p.host = "localhost";
	assert_int_equal(listen_new(&other, b.loop, &p), -EINVAL);
	assert_null(other);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beyond_the_places_users_wait),
		cmocka_unit_test(test_who_is_not_taken_is_refused),
		cmocka_unit_test(test_a_pause_makes_them_wait),
		cmocka_unit_test(test_a_free_place_ends_no_pause),
		cmocka_unit_test(test_a_taken_port_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
