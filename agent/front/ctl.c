/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.c - reload, status, stop of an agent that runs. Floor 6.
 *
 * One request, one answer, one connection that ends with it: HTTP/1.0, so that nothing has to be
 * taken apart but a status line and an empty line. There is no loop here; the socket has its time
 * limits. */
#include "agent/front/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <uv.h>

#include "proto/base/base64.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"
#include "proto/wire/jtext.h"

#define CTL_PAIR 1024 /* "user:password", as the other side has it */
#define CTL_HEAD 4096

static const struct {
	const char *name, *method, *path;
} requests[] = {
	[CTL_RELOAD] = { "reload", "GET", "/api/reload?strictConfig=" },
	[CTL_STATUS] = { "status", "GET", "/api/status" },
	[CTL_STOP] = { "stop", "POST", "/api/stop" },
};

/* -- the connection -- */

/* Where the agent listens; one that listens everywhere is here as well. */
static int ctl_address(const struct conf_web *w, struct sockaddr_storage *ret_addr,
		       socklen_t *ret_len)
{
	const char *host = w->addr;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (host == NULL || strcasecmp(host, "localhost") == 0 || strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	*ret_len = sizeof(struct sockaddr_in);
	if (uv_ip4_addr(host, w->port, (struct sockaddr_in *) ret_addr) == 0)
		return 0;
	*ret_len = sizeof(struct sockaddr_in6);
	return uv_ip6_addr(host, w->port, (struct sockaddr_in6 *) ret_addr);
}

/* A socket, or negated errno. */
static int ctl_connect(const struct conf_web *w, unsigned timeout_s)
{
	struct timeval wait = { .tv_sec = (time_t) timeout_s };
	struct sockaddr_storage addr;
	socklen_t len;
	int fd, err = ctl_address(w, &addr, &len);

	if (err != 0)
		return err;
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* connect() obeys the second one */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, (const struct sockaddr *) &addr, len) == 0)
		return fd;
	err = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	(void) close(fd);
	return err;
}

static int ctl_send(int fd, struct span s)
{
	while (s.len > 0) {
		ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n > 0)
			s = span_skip(s, (size_t) n);
	}
	return 0;
}

static int ctl_receive(int fd, struct buf *in)
{
	for (;;) {
		uint8_t *p;
		ssize_t n;
		int err = buf_reserve(in, CTL_HEAD, &p);

		if (err != 0)
			return err < 0 ? err : -EMSGSIZE;
		n = recv(fd, p, CTL_HEAD, 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n > 0)
			buf_commit(in, (size_t) n);
	}
}

/* -- the request -- */

/* "Authorization: Basic ...\r\n", or "" when nobody asks for it. False: too long. */
static bool write_authorization(const struct conf_web *w, char *dst, size_t cap)
{
	const char *user = w->user != NULL ? w->user : "",
		   *password = w->password != NULL ? w->password : "";
	char pair[CTL_PAIR], text[BASE64_LEN(CTL_PAIR) + 1];
	int n = snprintf(pair, sizeof(pair), "%s:%s", user, password);

	if (n < 0 || (size_t) n >= sizeof(pair))
		return false;
	dst[0] = '\0';
	if (n > 1) {
		base64_encode(span_of(pair, (size_t) n), text, sizeof(text));
		(void) snprintf(dst, cap, "Authorization: Basic %s\r\n", text);
	}
	secret_wipe(pair, sizeof(pair));
	secret_wipe(text, sizeof(text));
	return true;
}

/* 0 and the whole answer, or negated errno. */
static int ctl_ask(enum ctl_what what, const struct conf_web *w, const struct ctl_options *o,
		   struct buf *in)
{
	char head[CTL_HEAD], authorization[BASE64_LEN(CTL_PAIR) + 32];
	const char *strict = what != CTL_RELOAD ? "" : o->is_strict ? "true" : "false";
	int fd, n, err;

	if (!write_authorization(w, authorization, sizeof(authorization)))
		return -EMSGSIZE;
	n = snprintf(head, sizeof(head),
		     "%s %s%s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n%s\r\n",
		     requests[what].method, requests[what].path, strict, authorization);
	MUST(n > 0 && (size_t) n < sizeof(head));
	fd = ctl_connect(w, o->timeout_s);
	err = fd < 0 ? fd : ctl_send(fd, span_of(head, (size_t) n));
	if (err == 0)
		err = ctl_receive(fd, in);
	if (fd >= 0)
		(void) close(fd);
	secret_wipe(head, sizeof(head));
	secret_wipe(authorization, sizeof(authorization));
	return err;
}

/* 0 and its parts, or -EPROTO. */
static int ctl_parse(struct span answer, unsigned *ret_status, struct span *ret_body)
{
	static const char version[] = "HTTP/1.";
	const uint8_t *end = memmem(answer.p, answer.len, "\r\n\r\n", 4);

	if (end == NULL || answer.len < 12 || memcmp(answer.p, version, sizeof(version) - 1) != 0)
		return -EPROTO;
	*ret_status = 0;
	for (size_t i = 9; i < 12; i++) {
		if (answer.p[i] < '0' || answer.p[i] > '9')
			return -EPROTO;
		*ret_status = *ret_status * 10 + (unsigned) (answer.p[i] - '0');
	}
	*ret_body = span_skip(answer, (size_t) (end - answer.p) + 4);
	return 0;
}

/* -- the table of status -- */

#define N_COLUMNS 6
static const char *const column_heads[N_COLUMNS] = { "Name",   "Status",     "LocalAddr",
						     "Plugin", "RemoteAddr", "Error" };
static const char *const column_names[N_COLUMNS] = { "name",   "status",      "local_addr",
						     "plugin", "remote_addr", "err" };
static const char *const types[] = {
	"tcp", "udp", "tcpmux", "http", "https", "stcp", "sudp", "xtcp"
};

#define CELL 512

/* Safe to print: it may hold words of the server. */
static const char *cell(const json_t *row, size_t column, char dst[static CELL])
{
	const char *s = json_string_value(jtext_get(row, column_names[column]));

	return text_escape(span_str(s != NULL ? s : ""), dst, CELL);
}

static void print_table(const char *type, const json_t *rows, FILE *out)
{
	size_t widths[N_COLUMNS];
	char text[CELL];

	for (size_t k = 0; k < N_COLUMNS; k++) {
		widths[k] = strlen(column_heads[k]);
		for (size_t i = 0; i < json_array_size(rows); i++) {
			size_t n = strlen(cell(json_array_get(rows, i), k, text));

			widths[k] = n > widths[k] ? n : widths[k];
		}
	}
	for (const char *p = type; *p != '\0'; p++)
		(void) fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
	(void) fputc('\n', out);
	for (size_t k = 0; k < N_COLUMNS; k++)
		(void) fprintf(out, "%-*s  ", (int) widths[k], column_heads[k]);
	(void) fputc('\n', out);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		for (size_t k = 0; k < N_COLUMNS; k++)
			(void) fprintf(out, "%-*s  ", (int) widths[k],
				       cell(json_array_get(rows, i), k, text));
		(void) fputc('\n', out);
	}
	(void) fputc('\n', out);
}

/* 0, -ENOMEM or -EPROTO. */
static int print_status(struct span body, FILE *out)
{
	const json_t *rows;
	const char *why;
	json_t *all;
	int err = jtext_parse(body, &all, &why);

	if (err != 0)
		return err < 0 ? err : -EPROTO;
	(void) fputs("Proxy Status...\n\n", out);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		rows = jtext_get(all, types[i]);
		if (json_array_size(rows) > 0)
			print_table(types[i], rows, out);
	}
	json_decref(all);
	return 0;
}

/* -- commands -- */

static void print_body(struct span body, FILE *f)
{
	char line[CELL];
	const uint8_t *end;

	while (body.len > 0) {
		end = memchr(body.p, '\n', body.len);
		struct span part = span_head(body,
					     end != NULL ? (size_t) (end - body.p) : body.len);

		(void) fprintf(f, "%s\n", text_escape(part, line, sizeof(line)));
		body = span_skip(body, part.len + (end != NULL));
	}
}

static int ctl_tell(enum ctl_what what, struct span answer, FILE *out, FILE *err)
{
	const char *name = requests[what].name;
	struct span body;
	unsigned status = 0;
	int r = ctl_parse(answer, &status, &body);

	if (r == 0 && status == 200 && what == CTL_STATUS)
		r = print_status(body, out);
	else if (r == 0 && status == 200)
		(void) fprintf(out, "%s success\n", name);
	if (r == -ENOMEM)
		return r;
	if (r != 0) {
		(void) fprintf(err, "mltunnel: %s: what answers there is no admin API\n", name);
	} else if (status == 401) {
		(void) fprintf(
			err,
			"mltunnel: %s: user or password is wrong: is the agent that runs one of this "
			"file?\n",
			name);
	} else if (status != 200) {
		(void) fprintf(err, "mltunnel: %s failed (%u)\n", name, status);
		print_body(body, err);
	}
	return r == 0 && status == 200 ? 0 : CTL_E_FAILED;
}

int ctl_run(enum ctl_what what, const struct conf *c, const struct ctl_options *o, FILE *out,
	    FILE *err)
{
	struct buf in;
	char at[300];
	int r;

	if (c->web.port == 0) {
		(void) fprintf(
			err, "mltunnel: %s: %s is not set in %s, so the agent cannot be asked\n",
			requests[what].name, c->all_or_none ? "MLTUNNEL_ADMIN" : "webServer.port",
			c->all_or_none ? "the environment" : c->source);
		return CTL_E_FAILED;
	}
	text_format_hostport(at, sizeof(at), c->web.addr != NULL ? c->web.addr : "127.0.0.1",
			     c->web.port);
	buf_init(&in, LIMIT_HTTP_ANSWER + 2 * CTL_HEAD);
	r = ctl_ask(what, &c->web, o, &in);
	if (r == 0) {
		r = ctl_tell(what, buf_span(&in), out, err);
	} else if (r != -ENOMEM) {
		(void) fprintf(err, "mltunnel: %s: %s: %s%s\n", requests[what].name, at,
			       strerror(-r), r == -ECONNREFUSED ? " (does the agent run?)" : "");
		r = CTL_E_FAILED;
	}
	buf_deinit(&in);
	return r;
}
