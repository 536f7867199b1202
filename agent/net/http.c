/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - a small HTTP/1.1 server. Floor 4.
 *
 * One connection: bytes go through llhttp, which pauses at the end of a request; the handler
 * answers; the parser goes on with what is left. A connection that ends by our will gets a FIN
 * first and is read for a moment, or the reset that unread bytes cause would take the
 * answer away. */
#include "agent/net/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llhttp.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/conn.h"
#include "agent/net/listen.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/base/secret.h"

#define HTTP_BACKLOG 64
#define HTTP_NAME 24	  /* longest header name we look at */
#define HTTP_PIPELINED 64 /* requests of one read: more is no browser and no tool */

enum http_header { HTTP_HOST, HTTP_ORIGIN, HTTP_AUTHORIZATION, HTTP_EXPECT, HTTP_N_HEADERS };
static const char *const http_header_names[HTTP_N_HEADERS] = { "host", "origin", "authorization",
							       "expect" };

struct http_server {
	struct loop *loop; /* borrowed */
	struct listener *listener;
	http_handle_fn *handle;
	void *arg;
	struct list conns;
};

struct http_conn {
	struct http_server *server; /* NULL: it is gone */
	struct loop *loop;	    /* borrowed */
	struct list link;
	struct conn conn;
	struct timer timer;
	llhttp_t parser;
	bool is_begun;	/* bytes of a request have come */
	bool is_ending; /* answered for the last time: what comes is dropped */
	int refusal;	/* the status that the parser's callbacks found fit; 0: none */
	/* the head of the request: url and wanted values in @head, each with a NUL */
	char head[LIMIT_HTTP_HEAD];
	size_t head_len, n_head; /* stored; received */
	char name[HTTP_NAME];
	size_t name_len;
	const char *headers[HTTP_N_HEADERS];
	int header; /* whose value is being read; -1: one that nobody wants */
	struct buf body;
};

/* -- end -- */

static void http_on_gone(void *arg)
{
	struct http_conn *c = arg;

	list_del(&c->link);
	buf_deinit(&c->body);
	secret_wipe(c->head, sizeof(c->head));
	if (c->server != NULL)
		listen_give_back(c->server->listener);
	free(c);
}

static void http_close(struct http_conn *c)
{
	timer_stop(&c->timer);
	conn_close(&c->conn);
}

static void http_on_timer(struct timer *t)
{
	http_close(container_of(t, struct http_conn, timer));
}

/* FIN, and a moment for the peer to take what was said. */
static void http_end(struct http_conn *c)
{
	c->is_ending = true;
	conn_finish(&c->conn);
	timer_set(&c->timer, loop_now_ms(c->loop) + WAIT_HTTP_LINGER_MS);
}

/* -- answers -- */

static const char *http_reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	case 417: return "Expectation Failed";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

static void http_send(struct http_conn *c, const struct http_answer *a, bool want_body,
		      bool is_last)
{
	char head[512];
	int n;

	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 %d %s\r\n%s%s%sContent-Length: %zu\r\nCache-Control: no-store\r\n"
		     "X-Content-Type-Options: nosniff\r\n%s%s\r\n",
		     a->status, http_reason(a->status), a->type != NULL ? "Content-Type: " : "",
		     a->type != NULL ? a->type : "", a->type != NULL ? "\r\n" : "",
		     buf_len(&a->body), a->extra != NULL ? a->extra : "",
		     is_last ? "Connection: close\r\n" : "");
	MUST(n > 0 && (size_t) n < sizeof(head));
	if (conn_send(&c->conn, span_of(head, (size_t) n)) != 0 ||
	    (want_body && buf_len(&a->body) > 0 && conn_send(&c->conn, buf_span(&a->body)) != 0)) {
		timer_stop(&c->timer);
		conn_reset(&c->conn); /* it does not read what it asks for */
		return;
	}
	conn_flush(&c->conn);
}

/* The request makes no sense, or is too much: say so and end. */
static void http_refuse(struct http_conn *c, int status)
{
	struct http_answer a = { .status = status };

	buf_init(&a.body, 0);
	http_send(c, &a, /* want_body= */ false, /* is_last= */ true);
	if (!c->conn.is_closing)
		http_end(c);
}

static void http_answer_request(struct http_conn *c)
{
	bool is_head = c->parser.method == HTTP_HEAD;
	char *query = strchr(c->head, '?');
	struct http_request r = {
		.method = is_head ? "GET" : llhttp_method_name((llhttp_method_t) c->parser.method),
		.path = c->head,
		.query = query != NULL ? query + 1 : "",
		.host = c->headers[HTTP_HOST],
		.origin = c->headers[HTTP_ORIGIN],
		.authorization = c->headers[HTTP_AUTHORIZATION],
		.body = buf_span(&c->body),
	};
	struct http_answer a = { .status = 500 };
	bool is_last = llhttp_should_keep_alive(&c->parser) == 0;

	if (query != NULL)
		*query = '\0';
	buf_init(&a.body, LIMIT_HTTP_ANSWER);
	c->server->handle(c->server->arg, &r, &a);
	http_send(c, &a, !is_head, is_last);
	buf_deinit(&a.body);
	if (is_last && !c->conn.is_closing)
		http_end(c);
}

/* -- the parser's callbacks -- */

static int http_count_head(struct http_conn *c, size_t n)
{
	c->n_head += n;
	if (c->n_head <= LIMIT_HTTP_HEAD - HTTP_N_HEADERS - 1) /* a NUL behind each */
		return 0;
	c->refusal = 431;
	return HPE_USER;
}

static int http_store(struct http_conn *c, const char *p, size_t n)
{
	memcpy(c->head + c->head_len, p, n); /* fits: less is stored than was counted */
	c->head_len += n;
	return 0;
}

static int http_on_begin(llhttp_t *p)
{
	struct http_conn *c = p->data;

	c->head_len = 0;
	c->n_head = 0;
	c->name_len = 0;
	c->header = -1;
	memset(c->headers, 0, sizeof(c->headers));
	buf_deinit(&c->body);
	return 0;
}

static int http_on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (http_count_head(c, n) != 0)
		return HPE_USER;
	return http_store(c, at, n);
}

static int http_on_url_complete(llhttp_t *p)
{
	struct http_conn *c = p->data;

	c->head[c->head_len++] = '\0';
	return 0;
}

static int http_on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	size_t i;

	for (i = 0; i < n && c->name_len < HTTP_NAME - 1; i++)
		c->name[c->name_len++] = at[i];
	if (i < n)
		c->name[0] = '\0'; /* too long for one that we know */
	return http_count_head(c, n);
}

static int http_on_field_complete(llhttp_t *p)
{
	struct http_conn *c = p->data;

	c->name[c->name_len] = '\0';
	c->name_len = 0;
	c->header = -1;
	for (int i = 0; i < HTTP_N_HEADERS; i++)
		if (strcasecmp(c->name, http_header_names[i]) == 0)
			c->header = i;
	if (c->header < 0)
		return 0;
	if (c->headers[c->header] != NULL) { /* which one is meant? */
		c->refusal = 400;
		return HPE_USER;
	}
	c->headers[c->header] = c->head + c->head_len;
	return 0;
}

static int http_on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;

	if (http_count_head(c, n + 4) != 0) /* colon, space, CRLF */
		return HPE_USER;
	return c->header >= 0 ? http_store(c, at, n) : 0;
}

static int http_on_value_complete(llhttp_t *p)
{
	struct http_conn *c = p->data;

	if (c->header >= 0)
		c->head[c->head_len++] = '\0';
	c->header = -1;
	return 0;
}

static int http_on_head(llhttp_t *p)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_conn *c = p->data;
	const char *expect = c->headers[HTTP_EXPECT];

	p->upgrade = 0; /* an offer that we do not take up */
	if (p->content_length > LIMIT_HTTP_BODY && (p->flags & F_CONTENT_LENGTH) != 0)
		c->refusal = 413;
	else if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
		c->refusal = 417;
	if (c->refusal != 0)
		return HPE_USER;
	if (expect != NULL && conn_send(&c->conn, span_of(go_on, sizeof(go_on) - 1)) == 0)
		conn_flush(&c->conn);
	return 0;
}

static int http_on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http_conn *c = p->data;
	int err = buf_add(&c->body, span_of(at, n));

	if (err == 0)
		return 0;
	c->refusal = err == BUF_E_FULL ? 413 : 500;
	return HPE_USER;
}

static int http_on_complete(llhttp_t *p)
{
	(void) p;
	return HPE_PAUSED;
}

static const llhttp_settings_t http_settings = {
	.on_message_begin = http_on_begin,
	.on_url = http_on_url,
	.on_url_complete = http_on_url_complete,
	.on_header_field = http_on_field,
	.on_header_field_complete = http_on_field_complete,
	.on_header_value = http_on_value,
	.on_header_value_complete = http_on_value_complete,
	.on_headers_complete = http_on_head,
	.on_body = http_on_body,
	.on_message_complete = http_on_complete,
};

/* -- bytes -- */

/* A request is complete: answer it. True: the parser may go on. */
static bool http_on_request(struct http_conn *c)
{
	c->is_begun = false;
	timer_set(&c->timer, loop_now_ms(c->loop) + WAIT_HTTP_IDLE_MS);
	http_answer_request(c);
	llhttp_resume(&c->parser);
	return !c->is_ending && !c->conn.is_closing;
}

static void http_on_data(void *arg, struct span data)
{
	struct http_conn *c = arg;
	llhttp_errno_t err = HPE_OK;
	const char *at;

	for (unsigned n = 0; data.len > 0 && !c->is_ending; n++) {
		if (!c->is_begun)
			timer_set(&c->timer, loop_now_ms(c->loop) + WAIT_HTTP_REQUEST_MS);
		c->is_begun = true;
		if (n < HTTP_PIPELINED)
			err = llhttp_execute(&c->parser, (const char *) data.p, data.len);
		if (err == HPE_OK && n < HTTP_PIPELINED)
			return;
		if (err != HPE_PAUSED || n == HTTP_PIPELINED) {
			http_refuse(c, c->refusal != 0 ? c->refusal : 400);
			return;
		}
		at = llhttp_get_error_pos(&c->parser);
		if (!http_on_request(c))
			return;
		data = span_skip(data, (size_t) ((const uint8_t *) at - data.p));
	}
}

static void http_on_eof(void *arg)
{
	struct http_conn *c = arg;

	if (conn_n_queued(&c->conn) > 0)
		http_end(c); /* it may still read */
	else
		http_close(c);
}

static void http_on_error(void *arg, int err, const char *why)
{
	struct http_conn *c = arg;

	(void) err;
	(void) why; /* a tool went away: nobody's trouble */
	http_close(c);
}

static void http_on_written(void *arg, size_t n)
{
	(void) arg;
	(void) n;
}

/* -- life -- */

static void http_on_waiting(void *arg)
{
	static const struct conn_ops ops = {
		.on_data = http_on_data,
		.on_written = http_on_written,
		.on_eof = http_on_eof,
		.on_error = http_on_error,
		.on_gone = http_on_gone,
	};
	struct http_server *s = arg;
	struct http_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return;
	if (conn_init(&c->conn, s->loop, &ops, c, LIMIT_HTTP_ANSWER) != 0) {
		free(c);
		return;
	}
	c->loop = s->loop;
	timer_init(&c->timer, s->loop, http_on_timer);
	buf_init(&c->body, LIMIT_HTTP_BODY);
	llhttp_init(&c->parser, HTTP_REQUEST, &http_settings);
	c->parser.data = c;
	list_init(&c->link);
	list_add_tail(&s->conns, &c->link);
	if (listen_take(s->listener, &c->conn) != 0) {
		conn_close(&c->conn);
		return;
	}
	c->server = s;
	timer_set(&c->timer, loop_now_ms(s->loop) + WAIT_HTTP_IDLE_MS);
	conn_read(&c->conn, true);
}

int http_server_new(struct http_server **ret_s, struct loop *l, const char *host, uint16_t port,
		    http_handle_fn *handle, void *arg)
{
	struct http_server *s = calloc(1, sizeof(*s));
	struct listen_params p = {
		.host = host,
		.port = port,
		.backlog = HTTP_BACKLOG,
		.n_max = LIMIT_HTTP_CONNS,
		.on_waiting = http_on_waiting,
		.arg = s,
	};
	int err;

	if (s == NULL)
		return -ENOMEM;
	s->loop = l;
	s->handle = handle;
	s->arg = arg;
	list_init(&s->conns);
	err = listen_new(&s->listener, l, &p);
	if (err != 0) {
		free(s);
		return err;
	}
	*ret_s = s;
	return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
	return listen_port(s->listener);
}

struct http_server *http_server_free(struct http_server *s)
{
	struct http_conn *c;
	struct list *l;

	if (s == NULL)
		return NULL;
	s->listener = listen_free(s->listener);
	while (!list_is_empty(&s->conns)) {
		l = s->conns.next;
		c = container_of(l, struct http_conn, link);
		list_del(&c->link);
		list_init(&c->link);
		c->server = NULL;
		http_close(c);
	}
	return mem_free(s);
}
