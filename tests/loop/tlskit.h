/* SPDX-License-Identifier: Apache-2.0 */
/* tlskit.h - an OpenSSL server beside the TLS client under test, and the certificates for it. Tests
 * only; one includer per program. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <mbedtls/x509_crt.h>

#include "agent/net/tls.h"
#include "agent/net/tlssuite.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/text.h"
#include "tests/loop/fail.h"

#define PEER "tests/loop/tlspeer"
#define WAIT_MS 20000
#define OUT_MAX (1024 * 1024)

static char certs[64]; /* folder made by the peer program */

struct client {
	int fd;
	FILE *peer;
	struct tls_config *config;
	struct tls *tls;
	struct buf out;
	size_t n_put; /* bytes that went into the sink */
	size_t feed_max;
	bool is_full; /* the sink says that it has no room */
	uint8_t in[65536];
};

static bool client_has_room(void *arg, size_t n)
{
	const struct client *c = arg;

	return !c->is_full && buf_len(&c->out) + n <= OUT_MAX;
}

static int client_put(void *arg, struct span s)
{
	struct client *c = arg;

	c->n_put += s.len;
	return buf_add(&c->out, s) == 0 ? 0 : -ENOMEM;
}

static const char *cert_path(const char *file)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void) snprintf(path, sizeof(paths[0]), "%s/%s", certs, file);
	return path;
}

static struct tls_config *config_of(const struct tls_params *p)
{
	struct tls_config *config = NULL;
	char why[512] = "";

	if (tls_config_new(&config, p, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return config;
}

static void client_connect(struct client *c, const char *peer_args)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char command[300], line[16];
	uint16_t port;

	(void) snprintf(command, sizeof(command), PEER " %s", peer_args);
	c->peer = popen(command, "r");
	assert_non_null(c->peer);
	assert_non_null(fgets(line, sizeof(line), c->peer));
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(text_parse_port(line, &port), 0);
	to.sin_port = htons(port);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *) &to, sizeof(to)), 0);
	assert_true(fcntl(c->fd, F_SETFL, O_NONBLOCK) >= 0);
}

/* @mode and @cert for the peer program; certificates are named by their stem. */
static void client_open(struct client *c, const struct tls_params *p, const char *mode,
			const char *cert, const char *client_ca)
{
	struct tls_sink sink = { .has_room = client_has_room, .put = client_put, .arg = c };
	char args[256];

	*c = (struct client){ .fd = -1, .feed_max = sizeof(c->in) };
	buf_init(&c->out, OUT_MAX);
	c->config = config_of(p);
	assert_int_equal(tls_new(&c->tls, c->config, &sink), 0);
	(void) snprintf(args, sizeof(args), "%s %s/%s", mode, certs, cert);
	if (client_ca != NULL)
		(void) snprintf(args + strlen(args), sizeof(args) - strlen(args), " %s/%s", certs,
				client_ca);
	client_connect(c, args);
}

static void client_close(struct client *c)
{
	(void) close(c->fd);
	(void) pclose(c->peer); /* ends by itself: its socket is closed */
	assert_null(tls_free(c->tls));
	assert_null(tls_config_free(c->config));
	buf_deinit(&c->out);
}

/* Send what is queued and wait for bytes; false at the end of the stream. */
static bool client_turn(struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	struct span out = buf_span(&c->out);
	ssize_t n;

	if (out.len > 0)
		p.events |= POLLOUT;
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	if (p.revents & POLLOUT) {
		n = send(c->fd, out.p, out.len, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		buf_eat(&c->out, (size_t) n);
	}
	if ((p.revents & ~POLLOUT) == 0)
		return true;
	n = recv(c->fd, c->in, c->feed_max, 0);
	if (n <= 0)
		return false;
	tls_feed(c->tls, span_of(c->in, (size_t) n));
	return true;
}

/* 0, or what the handshake says; TLS_E_MORE when the server has hung up. */
static int client_handshake(struct client *c)
{
	int r;

	for (;;) {
		r = tls_handshake(c->tls);
		if (r != TLS_E_MORE || !client_turn(c))
			return r;
	}
}

/* Next plain bytes, as tls_recv(); TLS_E_MORE when the server has hung up. */
static int client_recv(struct client *c, uint8_t *dst, size_t cap, size_t *ret_n)
{
	int r;

	for (;;) {
		r = tls_recv(c->tls, dst, cap, ret_n);
		if (r != TLS_E_MORE)
			return r;
		assert_int_equal(tls_rest(c->tls).len, 0);
		if (!client_turn(c))
			return r;
	}
}

static void client_must_handshake(struct client *c)
{
	int r = client_handshake(c);

	if (r != 0)
		fail_msg("%d: %s", r, tls_why(c->tls));
}

/* The handshake must fail with a text that contains @words. */
static void check_refused(const struct tls_params *p, const char *cert, const char *words)
{
	struct client c;

	client_open(&c, p, "echo", cert, /* client_ca= */ NULL);
	assert_int_equal(client_handshake(&c), TLS_E_BAD);
	if (strstr(tls_why(c.tls), words) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", tls_why(c.tls), words);
	assert_int_equal(tls_handshake(c.tls), TLS_E_BAD); /* stays so */
	client_close(&c);
}

static void check_accepted(const struct tls_params *p, const char *cert)
{
	struct client c;

	client_open(&c, p, "echo", cert, /* client_ca= */ NULL);
	client_must_handshake(&c);
	client_close(&c);
}

/* -- data -- */

static void check_echo(const char *mode, size_t total, size_t feed_max)
{
	const struct tls_params p = { .server_name = "127.0.0.1" };
	uint8_t *sent = malloc(total + 1), *got = malloc(total + 1);
	size_t n_sent = 0, n_got = 0, n = 0;
	struct client c;

	client_open(&c, &p, mode, "throwaway", /* client_ca= */ NULL);
	c.feed_max = feed_max;
	assert_false(tls_config_verifies(c.config));
	client_must_handshake(&c);
	assert_int_equal(strncmp(tls_describe(c.tls), "TLSv1.", 6), 0);
	for (size_t i = 0; i < total; i++)
		sent[i] = (uint8_t) (i * 7 + i / 256);
	while (n_got < total) {
		size_t part = total - n_sent < 50000 ? total - n_sent : 50000;
		int r = part > 0 ? tls_send(c.tls, span_of(sent + n_sent, part)) : TLS_E_ROOM;

		assert_true(r == 0 || r == TLS_E_ROOM);
		n_sent += r == 0 ? part : 0;
		if (r == 0 && n_sent < total)
			continue;
		assert_int_equal(client_recv(&c, got + n_got, total - n_got, &n), 0);
		n_got += n;
	}
	assert_memory_equal(sent, got, total);
	tls_send_close(c.tls);
	assert_int_equal(client_recv(&c, got, 1, &n), TLS_E_EOF); /* the server closes in turn */
	client_close(&c);
	free(sent);
	free(got);
}
