/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - one TCP connection on the loop. Floor 4. */
#include "agent/net/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/net/dial.h"
#include "agent/net/tls.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define FLUSH_BUFS 10 /* chunks per write: what a queue to the server holds at most */
#define PUMP_BUFS 4   /* libuv has room for so many in a request; for more it needs memory */

static void conn_fail(struct conn *c, int err, const char *why)
{
	if (!c->is_closing)
		c->ops->on_error(c->arg, err, why);
}

/* -- life -- */

int conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops, void *arg,
	      size_t queue_max)
{
	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	outq_init(&c->out, l, queue_max);
	return uv_tcp_init(&l->uv, &c->tcp);
}

static void conn_on_closed(uv_handle_t *handle)
{
	struct conn *c = container_of(handle, struct conn, tcp);

	outq_deinit(&c->out);
	c->tls = tls_free(c->tls);
	c->ops->on_gone(c->arg);
}

void conn_close(struct conn *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	uv_close((uv_handle_t *) &c->tcp, conn_on_closed);
}

void conn_reset(struct conn *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	/* libuv refuses it while a shutdown is under way: then the close has to do */
	if (!c->is_connected || uv_tcp_close_reset(&c->tcp, conn_on_closed) != 0)
		uv_close((uv_handle_t *) &c->tcp, conn_on_closed);
}

/* -- reading -- */

static void conn_apply_read(struct conn *c);

static void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = container_of(handle, struct conn, tcp);
	uint8_t *dst = c->loop->cipher_buf;
	size_t cap = LIMIT_CIPHER_BUF;

	(void) suggested; /* libuv's idea of a size is not ours */
	if (c->ops->alloc != NULL)
		cap = c->ops->alloc(c->arg, &dst);
	*buf = uv_buf_init((char *) dst, (unsigned) cap);
}

static void conn_on_plain(struct conn *c)
{
	uint8_t *buf = c->loop->plain_buf;
	size_t len, n;
	int err = 0;

	while (!c->is_closing && err == 0) {
		for (len = 0; len < LIMIT_PLAIN_BUF; len += n) {
			err = tls_recv(c->tls, buf + len, LIMIT_PLAIN_BUF - len, &n);
			if (err != 0)
				break;
		}
		if (len > 0)
			c->ops->on_data(c->arg, span_of(buf, len));
	}
	if (c->is_closing || err == TLS_E_MORE)
		return;
	if (err == TLS_E_EOF)
		c->ops->on_eof(c->arg);
	else
		conn_fail(c, err < 0 ? err : -EPROTO, err < 0 ? "out of memory" : tls_why(c->tls));
}

static void conn_on_cipher(struct conn *c, struct span in)
{
	int err;

	tls_feed(c->tls, in);
	if (!c->is_tls_ready) {
		err = tls_handshake(c->tls);
		conn_flush(c);
		if (err == TLS_E_MORE)
			return;
		if (err != 0) {
			conn_fail(c, err < 0 ? err : -EPROTO,
				  err < 0 ? "out of memory" : tls_why(c->tls));
			return;
		}
		c->is_tls_ready = true;
		c->ops->on_ready(c->arg);
	}
	if (!c->is_closing)
		conn_on_plain(c);
}

static void conn_on_bytes(struct conn *c, const uv_buf_t *buf, size_t n)
{
	struct span in = span_of(buf->base, n);

	if (c->ops->alloc != NULL)
		c->ops->on_read(c->arg, n);
	else if (c->tls != NULL)
		conn_on_cipher(c, in);
	else
		c->ops->on_data(c->arg, in);
}

static void conn_on_eof(struct conn *c)
{
	c->is_eof = true;
	conn_apply_read(c);
	if (c->tls != NULL && !c->is_tls_ready)
		conn_fail(c, -ECONNRESET,
			  "the server closed the connection during the TLS handshake");
	else
		c->ops->on_eof(c->arg);
}

static void conn_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = container_of(stream, struct conn, tcp);

	if (c->is_closing)
		return;
	if (n > 0)
		conn_on_bytes(c, buf, (size_t) n);
	else if (n == UV_ENOBUFS)
		conn_read(c, false);
	else if (n == UV_EOF)
		conn_on_eof(c);
	else if (n < 0)
		conn_fail(c, (int) n, uv_strerror((int) n));
}

/* Make libuv do what is wanted. */
static void conn_apply_read(struct conn *c)
{
	bool want = c->want_read && c->is_connected && !c->is_eof && !c->is_closing;

	if (want == c->is_reading)
		return;
	c->is_reading = want;
	if (want)
		MUST(uv_read_start((uv_stream_t *) &c->tcp, conn_on_alloc, conn_on_read) == 0);
	else
		(void) uv_read_stop((uv_stream_t *) &c->tcp); /* always 0 */
}

void conn_read(struct conn *c, bool want_read)
{
	c->want_read = want_read;
	conn_apply_read(c);
}

void conn_limit_unread(struct conn *c, int n)
{
	int fd;

	if (uv_fileno((const uv_handle_t *) &c->tcp, &fd) == 0) /* refused: it keeps more */
		(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
}

int conn_pull(struct conn *c, size_t max)
{
	uint8_t *dst;
	size_t cap;
	ssize_t n;
	int fd = -1;

	if (c->is_closing || c->is_eof || !c->is_connected)
		return CONN_E_AGAIN;
	cap = c->ops->alloc(c->arg, &dst);
	if (cap == 0)
		return 0;
	cap = cap < max ? cap : max;
	(void) uv_fileno((uv_handle_t *) &c->tcp, &fd); /* an open handle has one */
	do
		n = recv(fd, dst, cap, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	c->ops->on_read(c->arg, n > 0 ? (size_t) n : 0);
	if (n > 0)
		return (size_t) n < cap ? CONN_E_AGAIN : 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return CONN_E_AGAIN;
	if (n == 0)
		conn_on_eof(c);
	else
		conn_fail(c, -errno, strerror(errno));
	return CONN_E_END;
}

/* -- writing -- */

static void conn_pump(struct conn *c);

static void conn_on_shutdown(uv_shutdown_t *req, int status)
{
	(void) req;
	(void) status; /* a broken connection is seen by the reader */
}

static void conn_try_finish(struct conn *c)
{
	if (!c->want_finish || c->is_finished || c->is_writing || c->out.n_bytes > 0 ||
	    !c->is_connected)
		return;
	c->is_finished = true;
	/* Not connected any more: the reader will tell. */
	(void) uv_shutdown(&c->shutdown, (uv_stream_t *) &c->tcp, conn_on_shutdown);
}

/* The peer has closed over what we sent, and its last words may be unread: they end in an EOF or an
 * error, which the reader tells. */
static void conn_deafen(struct conn *c)
{
	size_t n = c->out.n_bytes;

	c->is_deaf = true;
	outq_deinit(&c->out);
	c->ops->on_written(c->arg, n);
}

static void conn_on_write(uv_write_t *req, int status)
{
	struct conn *c = container_of(req, struct conn, write);
	size_t n = c->n_writing;

	c->is_writing = false;
	if (c->is_closing)
		return;
	if (c->ops->alloc != NULL && (status == UV_EPIPE || status == UV_ECONNRESET)) {
		conn_deafen(c);
		return;
	}
	if (status < 0) {
		conn_fail(c, status, uv_strerror(status));
		return;
	}
	outq_eat(&c->out, n);
	conn_pump(c);
	conn_try_finish(c);
	c->ops->on_written(c->arg, n);
}

/* Let libuv write the front of the queue when the socket is ready again. */
static void conn_pump(struct conn *c)
{
	uv_buf_t bufs[PUMP_BUFS];
	size_t n, i;

	if (c->is_writing || c->is_closing || !c->is_connected || c->out.n_bytes == 0)
		return;
	n = outq_peek(&c->out, bufs, PUMP_BUFS);
	c->n_writing = 0;
	for (i = 0; i < n; i++)
		c->n_writing += bufs[i].len;
	c->is_writing = true;
	/* fails only for a stream that is not connected; libuv tells errors of the socket by the
	 * callback */
	MUST(uv_write(&c->write, (uv_stream_t *) &c->tcp, bufs, (unsigned) n, conn_on_write) == 0);
}

int conn_write(struct conn *c, struct span s, size_t *ret_n_now)
{
	uv_buf_t buf = uv_buf_init((char *) (uintptr_t) s.p, (unsigned) s.len);
	int n = 0;
	int err;

	if (c->is_closing)
		return CONN_E_FULL;
	if (c->is_deaf) {
		*ret_n_now = s.len;
		return 0;
	}
	if (c->is_connected && c->out.n_bytes == 0 && !c->is_writing)
		n = uv_try_write((uv_stream_t *) &c->tcp, &buf, 1);
	if (n < 0)
		n = 0; /* EAGAIN; an error comes again with the queued rest and is told then */
	if ((size_t) n == s.len) {
		*ret_n_now = s.len;
		return 0;
	}
	err = outq_add(&c->out, span_skip(s, (size_t) n));
	if (err != 0 && n == 0)
		return err < 0 ? err : CONN_E_FULL;
	*ret_n_now = (size_t) n;
	if (err != 0)
		return -ENOMEM; /* a part has left: the stream is broken */
	conn_pump(c);
	return 0;
}

int conn_send(struct conn *c, struct span s)
{
	int err;

	if (c->is_closing)
		return CONN_E_FULL;
	err = c->tls != NULL ? tls_send(c->tls, s) : outq_add(&c->out, s);
	if (err <= 0)
		return err;
	return c->tls == NULL || err == TLS_E_ROOM ? CONN_E_FULL : -EPROTO;
}

void conn_flush(struct conn *c)
{
	uv_buf_t bufs[FLUSH_BUFS];
	size_t n;
	int sent;

	if (c->is_writing || c->is_closing || !c->is_connected || c->out.n_bytes == 0)
		return;
	n = outq_peek(&c->out, bufs, FLUSH_BUFS);
	sent = uv_try_write((uv_stream_t *) &c->tcp, bufs, (unsigned) n);
	if (sent > 0)
		outq_eat(&c->out, (size_t) sent);
	conn_pump(c);
	conn_try_finish(c);
}

size_t conn_n_queued(const struct conn *c)
{
	return c->out.n_bytes;
}

void conn_finish(struct conn *c)
{
	if (c->is_closing || c->want_finish)
		return;
	c->want_finish = true;
	if (c->is_tls_ready)
		tls_send_close(c->tls);
	conn_flush(c);
	conn_try_finish(c);
}

/* -- opening -- */

static void conn_opened(struct conn *c)
{
	(void) uv_tcp_nodelay(&c->tcp, 1); /* latency only */
	c->is_connected = true;
	conn_apply_read(c);
	conn_pump(c);
	conn_try_finish(c);
}

static void conn_on_connect(uv_connect_t *req, int status)
{
	struct conn *c = container_of(req, struct conn, connect);
	int fd;

	if (c->is_closing)
		return;
	if (status == 0 && uv_fileno((const uv_handle_t *) &c->tcp, &fd) == 0 &&
	    dial_is_self_connected(fd))
		status = UV_ECONNREFUSED;
	if (status < 0) {
		conn_fail(c, status, uv_strerror(status));
		return;
	}
	conn_opened(c);
	c->ops->on_ready(c->arg);
}

int conn_connect(struct conn *c, const struct sockaddr *addr)
{
	return uv_tcp_connect(&c->connect, &c->tcp, addr, conn_on_connect);
}

int conn_adopt(struct conn *c, int fd)
{
	int err = uv_tcp_open(&c->tcp, fd);

	if (err != 0) {
		(void) close(fd); /* nobody's else */
		return err;
	}
	conn_opened(c);
	return 0;
}

int conn_accept(struct conn *c, uv_tcp_t *listener)
{
	int err = uv_accept((uv_stream_t *) listener, (uv_stream_t *) &c->tcp);

	if (err == 0)
		conn_opened(c);
	return err;
}

static bool sink_has_room(void *arg, size_t n)
{
	const struct conn *c = arg;

	return c->out.n_bytes + n <= c->out.max;
}

static int sink_put(void *arg, struct span s)
{
	struct conn *c = arg;
	int err = outq_add(&c->out, s);

	return err > 0 ? -ENOMEM : err; /* room was asked for before */
}

int conn_start_tls(struct conn *c, const struct tls_config *config)
{
	struct tls_sink sink = { .has_room = sink_has_room, .put = sink_put, .arg = c };
	int err;

	err = tls_new(&c->tls, config, &sink);
	if (err != 0)
		return err;
	tls_feed(c->tls, span_of(NULL, 0));
	err = tls_handshake(c->tls);
	if (err < 0)
		return err;
	conn_flush(c);
	conn_read(c, true);
	return 0;
}

const char *conn_describe_tls(const struct conn *c)
{
	return c->tls != NULL ? tls_describe(c->tls) : NULL;
}
