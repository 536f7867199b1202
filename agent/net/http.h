/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - a small HTTP/1.1 server: whole requests in, whole answers out. The parser is llhttp.
 * Floor 4.
 *
 * For a person's tools, not for the public: bounded heads, bodies, connections and times; no TLS,
 * no ranges, no files. */
#pragma once
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/span.h"

struct http_server;
struct loop;

/* Everything in it is valid inside the call only. Bytes of a stranger. */
struct http_request {
	const char *method; /* "GET"; a HEAD looks like a GET, its answer's body is not sent */
	const char *path;   /* as it was sent, without the query */
	const char *query;  /* behind the "?"; "" when there is none */
	/* headers; NULL when not sent */
	const char *host, *origin, *authorization;
	struct span body;
};

/* Filled by the handler. */
struct http_answer {
	int status;	   /* 500 until set */
	const char *type;  /* static; NULL: none */
	const char *extra; /* static further header lines, each with its CRLF; NULL: none */
	struct buf body;   /* may hold up to LIMIT_HTTP_ANSWER */
};

/* Answers at once: the answer is what @a holds when it returns. Does not free the server. */
typedef void http_handle_fn(void *arg, const struct http_request *r, struct http_answer *a);

/* Serve at the numeric @host. 0, -ENOMEM, -EINVAL (not numeric) or negated errno (-EADDRINUSE). */
int http_server_new(struct http_server **ret_s, struct loop *l, const char *host, uint16_t port,
		    http_handle_fn *handle, void *arg);
uint16_t http_server_port(const struct http_server *s);
/* What the sockets did not take yet is lost; all closes on the loop. NULL is fine; returns NULL. */
struct http_server *http_server_free(struct http_server *s);
