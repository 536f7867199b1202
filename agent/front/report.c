/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - how the service stands, as text for programs. Floor 6. */
#include "agent/front/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/tunnel/service.h"
#include "proto/base/err.h"
#include "proto/base/text.h"
#include "proto/wire/jtext.h"

#define REPORT_TEXT 1024 /* one value; longer ones are cut */
#define REPORT_LINE 4096

/* -- status -- */

/* A copy that can be sorted. */
struct row {
	char *name, *status, *error, *local_addr, *remote_addr;
	const char *type; /* of the configuration */
};
struct rows {
	struct row *at;
	size_t n, cap;
	int err;
};

static char *copy(struct rows *rows, const char *s)
{
	char *c = text_dup(s, strlen(s));

	if (c == NULL)
		rows->err = -ENOMEM;
	return c;
}

static void rows_add(void *arg, const struct service_proxy *p)
{
	struct rows *rows = arg;

	if (rows->err != 0 || rows->n == rows->cap)
		return;
	rows->at[rows->n++] = (struct row){
		.name = copy(rows, p->name),
		.type = p->type,
		.status = copy(rows, p->status),
		.error = copy(rows, p->error),
		.local_addr = copy(rows, p->local_addr),
		.remote_addr = copy(rows, p->remote_addr),
	};
}

static void rows_deinit(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		free(rows->at[i].name);
		free(rows->at[i].status);
		free(rows->at[i].error);
		free(rows->at[i].local_addr);
		free(rows->at[i].remote_addr);
	}
	free(rows->at);
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int by_type = strcmp(x->type, y->type);

	return by_type != 0 ? by_type : strcmp(x->name, y->name);
}

/* Words of the server may be cut in the middle of a character. */
static void put_text(struct jtext *j, const char *name, const char *value)
{
	char safe[REPORT_TEXT];

	if (text_is_utf8(span_str(value)))
		jtext_put_str(j, name, value);
	else
		jtext_put_str(j, name, text_escape(span_str(value), safe, sizeof(safe)));
}

static void put_row(struct jtext *j, const struct row *r)
{
	jtext_open(j, NULL, '{');
	put_text(j, "name", r->name);
	put_text(j, "type", r->type);
	put_text(j, "status", r->status);
	put_text(j, "err", r->error);
	put_text(j, "local_addr", r->local_addr);
	put_text(j, "plugin", "");
	put_text(j, "remote_addr", r->remote_addr);
	jtext_close(j, '}');
}

int report_status(const struct service *s, struct buf *out)
{
	struct service_facts f;
	struct rows rows = { .n = 0 };
	const char *type = NULL;
	struct jtext j;
	int err;

	service_facts(s, &f);
	rows.cap = f.n_proxies;
	rows.at = calloc(rows.cap + 1, sizeof(*rows.at));
	if (rows.at == NULL)
		return -ENOMEM;
	service_each_proxy(s, rows_add, &rows);
	if (rows.err == 0)
		qsort(rows.at, rows.n, sizeof(*rows.at), compare_rows);
	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	for (size_t i = 0; rows.err == 0 && i < rows.n; i++) {
		if (type == NULL || strcmp(type, rows.at[i].type) != 0) {
			if (type != NULL)
				jtext_close(&j, ']');
			type = rows.at[i].type;
			jtext_open(&j, type, '[');
		}
		put_row(&j, &rows.at[i]);
	}
	if (type != NULL)
		jtext_close(&j, ']');
	jtext_close(&j, '}');
	err = jtext_end(&j);
	err = rows.err != 0 ? rows.err : err;
	rows_deinit(&rows);
	return err;
}

/* -- readiness -- */

static bool facts_are_ready(const struct service_facts *f)
{
	return f->is_up && f->n_proxies_up == f->n_proxies && strcmp(f->state, "session") == 0;
}

static void put_unready(void *arg, const struct service_proxy *p)
{
	struct jtext *j = arg;

	if (strcmp(p->status, "running") == 0)
		return;
	jtext_open(j, NULL, '{');
	put_text(j, "name", p->name);
	put_text(j, "status", p->status);
	put_text(j, "error", p->error);
	jtext_close(j, '}');
}

int report_readiness(const struct service *s, struct buf *out, bool *ret_is_ready)
{
	struct service_facts f;
	struct jtext j;
	bool is_ready;

	service_facts(s, &f);
	is_ready = facts_are_ready(&f);
	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	jtext_put_bool(&j, "ready", is_ready);
	put_text(&j, "server", f.server);
	put_text(&j, "state", f.state);
	put_text(&j, "error", f.error);
	jtext_put_int(&j, "proxies", (int64_t) f.n_proxies);
	jtext_put_int(&j, "proxies_up", (int64_t) f.n_proxies_up);
	jtext_open(&j, "not_ready", '[');
	service_each_proxy(s, put_unready, &j);
	jtext_close(&j, ']');
	jtext_close(&j, '}');
	*ret_is_ready = is_ready;
	return jtext_end(&j);
}

/* -- summary -- */

static void put_proxy(void *arg, const struct service_proxy *p)
{
	struct jtext *j = arg;

	jtext_open(j, NULL, '{');
	put_text(j, "name", p->name);
	put_text(j, "type", p->type);
	put_text(j, "status", p->status);
	put_text(j, "error", p->error);
	put_text(j, "local", p->local_addr);
	put_text(j, "remote", p->remote_addr);
	jtext_put_int(j, "users", (int64_t) p->n_users);
	jtext_put_int(j, "users_ever", (int64_t) p->n_users_ever);
	jtext_put_int(j, "bytes_up", (int64_t) p->n_bytes_up);
	jtext_put_int(j, "bytes_down", (int64_t) p->n_bytes_down);
	jtext_close(j, '}');
}

static void put_server(struct jtext *j, const struct service_facts *f)
{
	jtext_open(j, "server", '{');
	put_text(j, "address", f->server);
	put_text(j, "state", f->state);
	jtext_put_bool(j, "logged_in", f->is_up);
	put_text(j, "error", f->error);
	jtext_put_int(j, "tries", f->n_tries);
	jtext_put_int(j, "retry_in_ms", (int64_t) f->retry_in_ms);
	jtext_put_int(j, "rtt_ms", (int64_t) f->rtt_ms);
	jtext_put_int(j, "logins", (int64_t) f->n_logins);
	jtext_put_int(j, "losses", (int64_t) f->n_losses);
	jtext_close(j, '}');
}

int report_summary(const struct service *s, uint64_t uptime_s, struct buf *out)
{
	struct service_facts f;
	struct jtext j;

	service_facts(s, &f);
	jtext_begin(&j, out);
	jtext_open(&j, NULL, '{');
	jtext_put_str(&j, "version", MLTUNNEL_VERSION);
	jtext_put_int(&j, "pid", getpid());
	jtext_put_int(&j, "uptime_s", (int64_t) uptime_s);
	jtext_put_bool(&j, "ready", facts_are_ready(&f));
	jtext_put_str(&j, "node", f.node);
	put_server(&j, &f);
	jtext_put_int(&j, "users", (int64_t) f.n_users);
	jtext_open(&j, "proxies", '[');
	service_each_proxy(s, put_proxy, &j);
	jtext_close(&j, ']');
	jtext_close(&j, '}');
	return jtext_end(&j);
}

/* -- metrics -- */

struct metrics {
	struct buf *out;
	int err;	  /* the first failure */
	const char *name; /* of the family that is being written */
};

static void __attribute__((format(printf, 2, 3)))
put_line(struct metrics *m, const char *format, ...)
{
	char line[REPORT_LINE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (m->err == 0)
		m->err = n > 0 && (size_t) n < sizeof(line)
				 ? buf_add(m->out, span_of(line, (size_t) n))
				 : -EINVAL;
}

static void begin(struct metrics *m, const char *name, const char *type, const char *help)
{
	m->name = name;
	put_line(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(struct metrics *m, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	begin(m, name, type, help);
	put_line(m, "%s %" PRIu64 "\n", name, value);
}

static void put_seconds(struct metrics *m, const char *name, const char *help, uint64_t ms)
{
	begin(m, name, "gauge", help);
	put_line(m, "%s %" PRIu64 ".%03u\n", name, ms / 1000, (unsigned) (ms % 1000));
}

/* The value of a label: backslash, quote and newline are escaped. */
static const char *label(const char *s, char dst[static REPORT_TEXT])
{
	size_t n = 0;

	for (; *s != '\0' && n < REPORT_TEXT - 3; s++) {
		if (*s == '\\' || *s == '"' || *s == '\n')
			dst[n++] = '\\';
		dst[n++] = *s == '\n' ? 'n' : *s;
	}
	dst[n] = '\0';
	return dst;
}

static void put_of_proxy(struct metrics *m, const struct service_proxy *p, const char *more,
			 uint64_t value)
{
	char name[REPORT_TEXT];

	put_line(m, "%s{proxy=\"%s\",type=\"%s\"%s} %" PRIu64 "\n", m->name, label(p->name, name),
		 p->type, more, value);
}

static void put_proxy_up(void *arg, const struct service_proxy *p)
{
	put_of_proxy(arg, p, "", strcmp(p->status, "running") == 0);
}

static void put_proxy_users(void *arg, const struct service_proxy *p)
{
	put_of_proxy(arg, p, "", p->n_users);
}

static void put_proxy_users_ever(void *arg, const struct service_proxy *p)
{
	put_of_proxy(arg, p, "", p->n_users_ever);
}

static void put_proxy_bytes(void *arg, const struct service_proxy *p)
{
	put_of_proxy(arg, p, ",direction=\"up\"", p->n_bytes_up);
	put_of_proxy(arg, p, ",direction=\"down\"", p->n_bytes_down);
}

static void put_proxies(struct metrics *m, const struct service *s)
{
	begin(m, "mltunnel_proxy_up", "gauge", "The proxy is registered at the server.");
	service_each_proxy(s, put_proxy_up, m);
	begin(m, "mltunnel_proxy_connections", "gauge", "Live connections of users.");
	service_each_proxy(s, put_proxy_users, m);
	begin(m, "mltunnel_proxy_connections_total", "counter",
	      "Connections of users since the proxy was made.");
	service_each_proxy(s, put_proxy_users_ever, m);
	begin(m, "mltunnel_proxy_bytes_total", "counter",
	      "Bytes of users to (up) and from (down) the server.");
	service_each_proxy(s, put_proxy_bytes, m);
}

int report_metrics(const struct service *s, const struct log *log, struct buf *out)
{
	struct metrics m = { .out = out };
	struct service_facts f;

	service_facts(s, &f);
	begin(&m, "mltunnel_build_info", "gauge", "Always 1; the version is in the label.");
	put_line(&m, "mltunnel_build_info{version=\"%s\"} 1\n", MLTUNNEL_VERSION);
	put_one(&m, "mltunnel_session_up", "gauge", "Logged in at the server.", f.is_up);
	put_one(&m, "mltunnel_logins_total", "counter", "Good logins.", f.n_logins);
	put_one(&m, "mltunnel_reconnects_total", "counter", "Good logins after the first.",
		f.n_logins > 0 ? f.n_logins - 1 : 0);
	put_one(&m, "mltunnel_session_losses_total", "counter", "Sessions that were lost.",
		f.n_losses);
	put_one(&m, "mltunnel_retry_tries", "gauge",
		"Tries to reach the server in this outage; 0 when there is none.", f.n_tries);
	put_seconds(&m, "mltunnel_retry_seconds", "Time until the next try.", f.retry_in_ms);
	put_seconds(&m, "mltunnel_rtt_seconds", "Round trip to the server, smoothed.", f.rtt_ms);
	put_one(&m, "mltunnel_proxies", "gauge", "Proxies of the configuration.", f.n_proxies);
	put_one(&m, "mltunnel_proxies_up", "gauge", "Proxies that are registered at the server.",
		f.n_proxies_up);
	put_one(&m, "mltunnel_connections", "gauge", "Live connections of users.", f.n_users);
	put_one(&m, "mltunnel_connections_total", "counter",
		"Connections of users since the start.", f.n_users_ever);
	begin(&m, "mltunnel_bytes_total", "counter",
	      "Bytes of users to (up) and from (down) the server.");
	put_line(&m, "mltunnel_bytes_total{direction=\"up\"} %" PRIu64 "\n", f.n_bytes_up);
	put_line(&m, "mltunnel_bytes_total{direction=\"down\"} %" PRIu64 "\n", f.n_bytes_down);
	put_one(&m, "mltunnel_queue_bytes", "gauge",
		"Bytes for the server that its socket has not taken yet.", f.n_queued);
	put_one(&m, "mltunnel_log_lines_lost_total", "counter", "Log lines that found no taker.",
		log_n_lost(log));
	put_proxies(&m, s);
	return m.err;
}
