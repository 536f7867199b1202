/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one TCP connection, to the server (with TLS or without) or to a local service. Floor 4.
 *
 * Reading has two ways. With ops->alloc the bytes go straight where the user wants them (the open
 * record of a mux) and on_read() tells how many; without it they are read into the loop's buffer,
 * pass TLS when there is one, and on_data() gets them, valid inside the call. Writing takes all
 * that is given, up to the maximum of the queue: what the socket does not take at once is copied
 * and leaves later; on_written() tells.
 *
 * Callbacks come from the loop, never from inside a call on the conn; except that on_eof and
 * on_error may come from inside conn_pull(). After conn_close() only on_gone() comes, once. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/net/outq.h"
#include "proto/base/span.h"

struct tls;
struct tls_config;

struct conn_ops {
	/* Where the next bytes go: memory at *ret_dst, its size returned. 0: not now, reading stops
	 * until conn_read(). */
	size_t (*alloc)(void *arg, uint8_t **ret_dst);
	void (*on_read)(void *arg, size_t n);
	void (*on_data)(void *arg, struct span data);
	/* Connected by conn_connect(), or the TLS handshake is done. */
	void (*on_ready)(void *arg);
	/* @n bytes that were queued have left; the queue has room. With ops->alloc also when they
	 * were dropped, because the peer takes no more: its end is told when all is read. */
	void (*on_written)(void *arg, size_t n);
	/* The peer sends no more. */
	void (*on_eof)(void *arg);
	/* The connection is broken: close it. @err is a negated errno; @why a text for a person
	 * (valid in the call). */
	void (*on_error)(void *arg, int err, const char *why);
	/* Closed; the memory is the owner's again. */
	void (*on_gone)(void *arg);
};

/* Embedded in its owner. */
struct conn {
	/* read-only */
	bool is_connected, is_closing;
	bool is_deaf; /* the peer takes no more: what is written is dropped */
	/* private */
	struct loop *loop;
	const struct conn_ops *ops;
	void *arg;
	struct tls *tls;
	bool is_tls_ready;
	bool want_read, is_reading, is_eof;
	bool is_writing;  /* @write is under way */
	bool want_finish; /* FIN when the queue is empty */
	bool is_finished;
	size_t n_writing;
	struct outq out;
	uv_tcp_t tcp;
	union {
		uv_connect_t connect;
		uv_write_t write;
		uv_shutdown_t shutdown;
	};
};

/* @queue_max bounds the bytes waiting for the socket. 0 or negated errno (then the memory is free
 * at once). */
int conn_init(struct conn *c, struct loop *l, const struct conn_ops *ops, void *arg,
	      size_t queue_max);
/* Connect to a numeric address; on_ready() or on_error() follows. 0 or negated errno. What is
 * written before goes out after. */
int conn_connect(struct conn *c, const struct sockaddr *addr);
/* Take over the connected socket @fd. 0, or negated errno (@fd is closed then). */
int conn_adopt(struct conn *c, int fd);
/* Take over the connection that waits at @listener. 0 or negated errno. */
int conn_accept(struct conn *c, uv_tcp_t *listener);
/* Speak TLS from here on (nothing was read or written yet); on_ready() or on_error() follows. 0 or
 * -ENOMEM. */
int conn_start_tls(struct conn *c, const struct tls_config *config);
/* "TLSv1.3 ...", or NULL without TLS. */
const char *conn_describe_tls(const struct conn *c);

/* The kernel keeps about @n bytes unread for us, instead of as many as it likes. For a peer so near
 * that this is no matter of speed. */
void conn_limit_unread(struct conn *c, int n);
/* Read, or stop reading. */
void conn_read(struct conn *c, bool want_read);
/* Read now, without waiting for the loop (needs ops->alloc): once, up to @max bytes or what alloc
 * gives. 0: as many came, or there was no place; CONN_E_AGAIN: the socket has no more now;
 * CONN_E_END: on_eof or on_error was called. */
enum { CONN_E_AGAIN = 1, CONN_E_END = 2, CONN_E_FULL = 3 };
int conn_pull(struct conn *c, size_t max);

/* Send @s without TLS: at once as far as the socket takes it, the rest is queued. *ret_n_now bytes
 * have left already, the others are told by on_written(). 0, -ENOMEM, CONN_E_FULL: nothing taken
 * then. A broken socket is told by on_error() later. */
int conn_write(struct conn *c, struct span s, size_t *ret_n_now);
/* Queue @s (encrypted when there is TLS) for conn_flush(). 0, -ENOMEM, CONN_E_FULL (nothing taken),
 * or -EPROTO: TLS is broken. */
int conn_send(struct conn *c, struct span s);
/* Hand the queue to the socket in one call. */
void conn_flush(struct conn *c);
/* Bytes waiting for the socket. */
size_t conn_n_queued(const struct conn *c);
/* Send FIN when all that was written has left. */
void conn_finish(struct conn *c);

/* Close after a FIN (or with a reset: what is queued or in flight may be lost, and the peer sees an
 * error). Idempotent. */
void conn_close(struct conn *c);
void conn_reset(struct conn *c);
