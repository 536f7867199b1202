/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the admin API. Floor 6.
 *
 * Answers and words are frpc's where frpc has the route. Two things it does not do: without a
 * password a request must name this machine as its host (a page in a browser could reach us under a
 * name of its own otherwise), and requests from pages of other origins are refused. */
#include "agent/front/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/loop.h"
#include "agent/front/report.h"
#include "agent/net/http.h"
#include "proto/base/base64.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"
#define ADMIN_PAIR 1024 /* "user:password"; longer ones are never right */

struct admin {
	struct admin_params p; /* @web is not used any more */
	char *pair;	       /* "user:password", a secret; NULL: none is asked for */
	bool has_password;
	struct http_server *server;
};

typedef void admin_route_fn(struct admin *a, const struct http_request *r, struct http_answer *ret);

static void answer_text(struct http_answer *ret, int status, const char *text)
{
	ret->status = status;
	ret->type = TEXT;
	(void) buf_add(&ret->body, span_str(text)); /* without memory the status has to do */
}

/* -- routes -- */

static void get_healthz(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	(void) a;
	(void) r;
	ret->status = 200;
}

static void get_readyz(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	bool is_ready;

	(void) r;
	ret->type = JSON;
	if (report_readiness(a->p.service, &ret->body, &is_ready) == 0)
		ret->status = is_ready ? 200 : 503;
}

static void get_metrics(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	(void) r;
	ret->type = METRICS;
	if (report_metrics(a->p.service, a->p.loop->log, &ret->body) == 0)
		ret->status = 200;
}

static void get_status(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	(void) r;
	ret->type = JSON;
	if (report_status(a->p.service, &ret->body) == 0)
		ret->status = 200;
}

/* The value of @name in a query; false without one, as frpc has it. True: it is no truth value. */
static bool query_bool_is_bad(const char *query, const char *name, bool *ret_v)
{
	size_t n = strlen(name), len;
	char value[8];

	*ret_v = false;
	for (; *query != '\0'; query += *query == '&') {
		len = strcspn(query, "&");
		if (len > n && strncmp(query, name, n) == 0 && query[n] == '=') {
			if (len - n - 1 >= sizeof(value))
				return true;
			memcpy(value, query + n + 1, len - n - 1);
			value[len - n - 1] = '\0';
			return value[0] != '\0' && text_parse_bool(value, ret_v) != 0;
		}
		query += len;
	}
	return false;
}

static void get_reload(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	bool is_strict;

	if (query_bool_is_bad(r->query, "strictConfig", &is_strict)) {
		answer_text(ret, 400, "strictConfig is true or false\n");
		return;
	}
	ret->type = TEXT;
	ret->status = a->p.ops->reload(a->p.arg, is_strict, &ret->body) == 0 ? 200 : 400;
}

static void post_stop(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	(void) r;
	ret->status = 200;
	a->p.ops->stop(a->p.arg);
}

static void get_config(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	(void) r;
	ret->type = TEXT;
	ret->status = a->p.ops->read_config(a->p.arg, &ret->body) == 0 ? 200 : 400;
}

static void put_config(struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	if (r->body.len == 0) {
		answer_text(ret, 400, "body can't be empty\n");
		return;
	}
	ret->type = TEXT;
	ret->status = a->p.ops->write_config(a->p.arg, r->body, &ret->body) == 0 ? 200 : 400;
}

static const struct admin_route {
	const char *path, *method;
	bool is_open; /* to everybody */
	admin_route_fn *answer;
} routes[] = {
	{ "/healthz", "GET", true, get_healthz },    { "/readyz", "GET", false, get_readyz },
	{ "/metrics", "GET", false, get_metrics },   { "/api/status", "GET", false, get_status },
	{ "/api/reload", "GET", false, get_reload }, { "/api/stop", "POST", false, post_stop },
	{ "/api/config", "GET", false, get_config }, { "/api/config", "PUT", false, put_config },
};

/* -- who may -- */

static bool is_authorized(const struct admin *a, const char *authorization)
{
	static const char scheme[] = "Basic ";
	uint8_t given[ADMIN_PAIR];
	size_t n;
	bool is_same;

	if (a->pair == NULL)
		return true;
	if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0 ||
	    base64_decode(span_str(authorization + sizeof(scheme) - 1), given, sizeof(given), &n) !=
		    0)
		return false;
	is_same = secret_equal(given, n, a->pair, strlen(a->pair));
	secret_wipe(given, sizeof(given));
	return is_same;
}

/* Without a password: is the request meant for us? */
static bool is_ours(const char *host)
{
	struct text_hostport hp;

	if (host == NULL) /* no browser leaves it out */
		return true;
	return text_parse_hostport(host, /* default_port= */ 80, &hp) == 0 &&
	       (hp.is_ip || strcasecmp(hp.host, "localhost") == 0);
}

/* A page of another origin sent it. */
static bool is_foreign(const char *origin, const char *host)
{
	const char *at;

	if (origin == NULL)
		return false;
	at = strstr(origin, "://");
	return at == NULL || host == NULL || strcasecmp(at + 3, host) != 0;
}

/* Not for this one: the answer is made. */
static bool is_refused(const struct admin *a, const struct http_request *r, struct http_answer *ret)
{
	if (!is_authorized(a, r->authorization)) {
		answer_text(ret, 401, "Unauthorized\n");
		ret->extra = "WWW-Authenticate: Basic realm=\"Restricted\"\r\n";
	} else if (is_foreign(r->origin, r->host)) {
		answer_text(ret, 403, "not for pages of other origins\n");
	} else if (!a->has_password && !is_ours(r->host)) {
		answer_text(ret, 403,
			    "without a password only for localhost or an address as the host\n");
	} else {
		return false;
	}
	return true;
}

static void admin_handle(void *arg, const struct http_request *r, struct http_answer *ret)
{
	const struct admin_route *found = NULL;
	struct admin *a = arg;
	bool is_path = false;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(r->path, routes[i].path) != 0)
			continue;
		is_path = true;
		if (strcmp(r->method, routes[i].method) == 0)
			found = &routes[i];
	}
	if ((found == NULL || !found->is_open) && is_refused(a, r, ret))
		return;
	if (found != NULL)
		found->answer(a, r, ret);
	else if (is_path)
		answer_text(ret, 405, "Method Not Allowed\n");
	else
		answer_text(ret, 404, "404 page not found\n");
}

/* -- life -- */

static int admin_set_pair(struct admin *a, const struct conf_web *w)
{
	const char *user = w->user != NULL ? w->user : "",
		   *password = w->password != NULL ? w->password : "";
	size_t cap = strlen(user) + strlen(password) + 2;

	a->has_password = password[0] != '\0';
	if (user[0] == '\0' && !a->has_password)
		return 0;
	a->pair = malloc(cap);
	if (a->pair == NULL)
		return -ENOMEM;
	(void) snprintf(a->pair, cap, "%s:%s", user, password);
	return 0;
}

int admin_new(struct admin **ret_a, const struct admin_params *p)
{
	const char *addr = p->web->addr;
	struct admin *a = calloc(1, sizeof(*a));
	int err;

	if (a == NULL)
		return -ENOMEM;
	a->p = *p;
	a->p.web = NULL;
	if (addr == NULL || strcasecmp(addr, "localhost") == 0)
		addr = "127.0.0.1";
	err = admin_set_pair(a, p->web);
	if (err == 0)
		err = http_server_new(&a->server, p->loop, addr, p->web->port, admin_handle, a);
	if (err != 0) {
		(void) admin_free(a);
		return err;
	}
	*ret_a = a;
	return 0;
}

struct admin *admin_free(struct admin *a)
{
	if (a == NULL)
		return NULL;
	a->server = http_server_free(a->server);
	a->pair = secret_free(a->pair);
	return mem_free(a);
}
