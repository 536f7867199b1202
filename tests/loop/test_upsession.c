/* SPDX-License-Identifier: Apache-2.0 */
/* test_upsession.c - what an uplink moves from its session to a socket that takes some of it. The
 * server's end is this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/net/conn.h"
#include "agent/tunnel/upstate.h"
#include "proto/base/err.h"
#include "proto/session/clientstate.h"
#include "proto/wire/mframe.h"
#include "tests/loop/fail.h"

#define SOME_BYTES (20 * 1024)

struct bench {
	struct uplink u;
	struct loop *loop;
	int peer;
	struct mux_stream *stream;
	uint8_t got[1 << 20];
	size_t n_got;
	bool is_gone;
};

static void on_data(void *arg, struct span data)
{
	(void) arg;
	(void) data;
}

static void on_written(void *arg, size_t n)
{
	(void) arg;
	(void) n;
}

static void on_end(void *arg)
{
	(void) arg;
}

static void on_error(void *arg, int err, const char *why)
{
	(void) arg;
	(void) err;
	(void) why;
}

static void on_gone(void *arg)
{
	((struct bench *) arg)->is_gone = true;
}

static const struct conn_ops ops = {
	.on_data = on_data,
	.on_written = on_written,
	.on_ready = on_end,
	.on_eof = on_end,
	.on_error = on_error,
	.on_gone = on_gone,
};

static void nothing(struct timer *t)
{
	(void) t;
}

static void tcp_pair(int *ret_ours, int *ret_peer)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), small = 16 * 1024;
	socklen_t len = sizeof(at);

	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *) &at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *) &at, &len), 0);
	*ret_ours = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(setsockopt(*ret_ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(connect(*ret_ours, (struct sockaddr *) &at, sizeof(at)), 0);
	*ret_peer = accept(listener, NULL, NULL);
	assert_true(*ret_peer >= 0);
	close(listener);
}

/* A session over a connection that has taken the last MiB. */
static void bench_init(struct bench *b, bool is_mux)
{
	struct client_params p = { .is_mux = is_mux,
				   .heartbeat_ms = UINT64_MAX,
				   .login = { .token = span_str("t"), .wire = WIRE_V1 } };
	int ours;

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_new(&b->loop, NULL), 0);
	b->u.loop = b->loop;
	roster_init(&b->u.roster, 1);
	b->u.proxies.roster = &b->u.roster;
	proxyset_init(&b->u.proxies);
	list_init(&b->u.users.all);
	list_init(&b->u.solos.solos);
	timer_init(&b->u.timer, b->loop, nothing);
	loop_task_init(&b->u.flush, uplink_on_flush);
	tcp_pair(&ours, &b->peer);
	assert_int_equal(conn_init(&b->u.link.conn, b->loop, &ops, b, LIMIT_LINK_BATCH), 0);
	assert_int_equal(conn_adopt(&b->u.link.conn, ours), 0);
	assert_int_equal(client_new(&b->u.client, &p, &b->u.roster, loop_now_ms(b->loop)), 0);
	b->u.state = UPLINK_STATE_SESSION;
	b->u.n_run = LIMIT_LINK_RUN;
	client_set_wide(b->u.client, true);
}

static void bench_read(struct bench *b, size_t max)
{
	ssize_t n;

	while (max > 0) {
		n = recv(b->peer, b->got + b->n_got, max, MSG_DONTWAIT);
		if (n <= 0)
			break;
		b->n_got += (size_t) n;
		max -= (size_t) n;
	}
}

static void bench_deinit(struct bench *b)
{
	timer_stop(&b->u.timer);
	loop_task_cancel(&b->u.flush);
	b->u.client = client_free(b->u.client);
	close(b->peer);
	conn_close(&b->u.link.conn);
	while (!b->is_gone)
		(void) uv_run(&b->loop->uv, UV_RUN_ONCE);
	proxyset_deinit(&b->u.proxies);
	roster_deinit(&b->u.roster);
	b->loop = loop_free(b->loop);
}

/* A whole record of bytes that tell where they stand. */
static void fill_record(struct bench *b)
{
	struct mux *m = b->u.client->mux;
	uint8_t *dst;
	size_t cap;

	assert_int_equal(mux_open(m, NULL, &b->stream), 0);
	(void) client_drain(b->u.client); /* the SYN to ctl */
	client_drained(b->u.client, client_drain(b->u.client).len);
	assert_int_equal(mux_reserve(m, b->stream, &dst, &cap), 0);
	assert_true(cap > SOME_BYTES);
	for (size_t i = 0; i < cap; i++)
		dst[i] = (uint8_t) (i / 251 + i % 251);
	mux_commit(m, b->stream, cap);
}

/* Without memory for what the socket did not take, the session is lost; until that is heard,
 * nothing more may follow the part that has left. */
static void test_record_that_left_in_part_is_not_sent_again(void **state)
{
	static struct bench b;
	struct span record;
	uint8_t *copy;

	(void) state;
	bench_init(&b, true);
	fill_record(&b);
	record = client_drain(b.u.client);
	assert_true(record.len > LIMIT_RECORD);
	copy = malloc(record.len);
	assert_non_null(copy);
	memcpy(copy, record.p, record.len);
	fail_at = 1;		       /* a chunk of the queue */
	(void) uplink_make_room(&b.u); /* a relay reads */
	assert_int_equal(b.u.client->state, CLIENT_STATE_DEAD);
	assert_int_equal(fail_at, 0);
	/* others do, in the same turn of the loop, while the server takes some */
	for (int i = 0; i < 10; i++) {
		bench_read(&b, SOME_BYTES);
		(void) uplink_make_room(&b.u);
	}
	bench_read(&b, sizeof(b.got));
	assert_in_range(b.n_got, 1, record.len);
	assert_memory_equal(b.got, copy, b.n_got);
	free(copy);
	bench_deinit(&b);
}

/* A ping could not overtake it. */
static void test_long_record_is_not_begun_behind_others(void **state)
{
	static struct bench b;
	static uint8_t bytes[100000];
	struct span record;

	(void) state;
	bench_init(&b, true);
	fill_record(&b);
	record = client_drain(b.u.client);
	assert_int_equal(conn_send(&b.u.link.conn, span_of(bytes, sizeof(bytes))), 0);
	assert_false(uplink_make_room(&b.u));
	assert_in_range(conn_n_queued(&b.u.link.conn), 20000, sizeof(bytes));
	assert_int_equal(client_drain(b.u.client).len, record.len);
	assert_int_equal(mux_ping(b.u.client->mux, 7), 0);
	assert_int_equal(client_drain(b.u.client).len, MFRAME_LEN);
	bench_deinit(&b);
}

/* Without a mux there are no records: what is due may be twice what the queue holds. */
static void test_long_control_does_not_end_the_session(void **state)
{
	static struct bench b;
	static uint8_t bytes[LIMIT_CONTROL_OUT - 4096];
	size_t n_all;

	(void) state;
	bench_init(&b, false);
	assert_int_equal(chan_send_raw(&b.u.client->chan, span_of(bytes, sizeof(bytes))), 0);
	n_all = client_drain(b.u.client).len;
	for (int i = 0; i < 10000 && b.n_got < n_all; i++) {
		(void) uplink_make_room(&b.u);
		assert_int_not_equal(b.u.client->state, CLIENT_STATE_DEAD);
		conn_flush(&b.u.link.conn);
		(void) uv_run(&b.loop->uv, UV_RUN_NOWAIT);
		bench_read(&b, SOME_BYTES);
	}
	assert_int_equal(b.n_got, n_all);
	bench_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_that_left_in_part_is_not_sent_again),
		cmocka_unit_test(test_long_record_is_not_begun_behind_others),
		cmocka_unit_test(test_long_control_does_not_end_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
