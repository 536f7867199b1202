/* SPDX-License-Identifier: Apache-2.0 */
/* checkup.c - mltunnel check. Floor 6.
 *
 *   environment -> server (trial.h) -> local services, one by one -> exposure */
#include "agent/front/checkup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/front/exposure.h"
#include "agent/front/lock.h"
#include "agent/front/status.h"
#include "agent/net/resolve.h"
#include "agent/tunnel/trial.h"
#include "agent/tunnel/watch.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"
#include "proto/wire/jtext.h"

#define CHECKUP_TEXT 1024
#define CHECKUP_PORTS 64	 /* local ports of ours whose exposure is looked at */
#define CHECKUP_DESCRIPTORS 2048 /* 500 streams take 1,000, and as many come and go */
#define CHECKUP_LOCAL_MS 5000	 /* what the network node's poll waits for an answer */

enum verdict { VERDICT_PASS, VERDICT_WARN, VERDICT_FAIL };

struct checkup {
	const struct checkup_params *p;
	struct log *log;
	struct loop *loop;
	struct resolver *resolver;
	struct lock *lock;
	struct trial *trial;
	/* the local services */
	size_t next; /* of @p->conf->proxies */
	struct conf_proxy target;
	struct health health;
	bool is_other_path;
	int status; /* of the last answer */
	char error[CHECKUP_TEXT];
	/* the result */
	bool has_failed;
	struct buf out;
	struct jtext json;
};

/* -- telling */

static void put_text(struct jtext *j, const char *name, const char *value)
{
	char safe[CHECKUP_TEXT];

	if (text_is_utf8(span_str(value)))
		jtext_put_str(j, name, value);
	else
		jtext_put_str(j, name, text_escape(span_str(value), safe, sizeof(safe)));
}

/* One line. @remedy NULL: nothing is to be done. */
static void tell(struct checkup *c, enum verdict v, const char *check, const char *text,
		 const char *remedy)
{
	static const char *const loud[] = { "PASS", "WARN", "FAIL" };
	static const char *const calm[] = { "pass", "warn", "fail" };

	c->has_failed |= v == VERDICT_FAIL;
	if (!c->p->want_json) {
		(void) printf("%s %s: %s%s%s\n", loud[v], check, text,
			      remedy != NULL ? "; remedy: " : "", remedy != NULL ? remedy : "");
		(void) fflush(stdout); /* a wait may follow */
		return;
	}
	jtext_open(&c->json, NULL, '{');
	jtext_put_str(&c->json, "check", check);
	jtext_put_str(&c->json, "result", calm[v]);
	put_text(&c->json, "text", text);
	if (remedy != NULL)
		put_text(&c->json, "remedy", remedy);
	jtext_close(&c->json, '}');
}

static void __attribute__((format(printf, 5, 6)))
tell_of(struct checkup *c, enum verdict v, const char *check, const char *remedy,
	const char *format, ...)
{
	char text[CHECKUP_TEXT];
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(text, sizeof(text), format, ap); /* cut: it is for a person */
	va_end(ap);
	tell(c, v, check, text, remedy);
}

/* -- environment */

static void check_problems(struct checkup *c)
{
	struct span rest = buf_span(&c->p->problems->text);

	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.len);
		size_t len = (size_t) (end - rest.p);

		tell_of(c, VERDICT_FAIL, "environment", /* remedy= */ NULL, "%.*s", (int) len,
			(const char *) rest.p);
		rest = span_skip(rest, len + 1);
	}
}

static void check_environment(struct checkup *c)
{
	const struct conf *conf = c->p->conf;
	struct rlimit limit;

	tell_of(c, VERDICT_PASS, "environment", /* remedy= */ NULL, "%zu proxies from %s",
		conf->n_proxies, conf->source);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < CHECKUP_DESCRIPTORS)
		tell_of(c, VERDICT_WARN, "descriptors",
			"raise the hard limit (ulimits.nofile of the container)",
			"at most %llu, and each user takes two",
			(unsigned long long) limit.rlim_max);
}

/* -- the local services */

static void check_next_local(struct checkup *c);

static bool is_node(const struct checkup *c)
{
	const struct conf_ready *r = &c->p->conf->ready;

	return r->is_on && c->next == r->proxy;
}

/* Its name in the lines: the node's two have known roles. */
static const char *local_name(const struct checkup *c)
{
	if (!c->p->conf->all_or_none)
		return c->p->conf->proxies[c->next].name;
	return c->next == c->p->conf->ready.proxy ? "management" : "inference";
}

static void tell_local(struct checkup *c)
{
	char addr[300];

	text_format_hostport(addr, sizeof(addr), c->target.local_host, c->target.local_port);
	if (c->error[0] == '\0' && is_node(c))
		tell_of(c, VERDICT_PASS, local_name(c), NULL, "%s is ready (%s)", addr,
			c->target.health.path);
	else if (c->error[0] == '\0')
		tell_of(c, VERDICT_PASS, local_name(c), NULL, "%s takes connections", addr);
	else if (is_node(c))
		tell_of(c, VERDICT_FAIL, local_name(c),
			c->status != 0
				? "the proxies are registered when it answers with 2xx: see the node's log, or set MLTUNNEL_READY_PATH"
				: "start the node's server, or set MLTUNNEL_POC_PORT to its port",
			"%s%s is not ready: %s", addr, c->target.health.path, c->error);
	else
		tell_of(c, VERDICT_WARN, local_name(c),
			"normal while a model loads; else start the service, or correct its port",
			"%s: %s", addr, c->error);
}

static void on_local_answer(void *arg, int status, const char *error)
{
	struct checkup *c = arg;

	c->status = status;
	if (status == 404 && error != NULL)
		error = "the path is unknown there (404)";
	else if (status != 0 && error != NULL)
		error = "it says that it is not (HTTP status other than 2xx)";
	(void) snprintf(c->error, sizeof(c->error), "%s", error != NULL ? error : "");
	health_stop(&c->health);
}

static void on_local_change(void *arg, bool is_healthy)
{
	(void) arg;
	(void) is_healthy; /* on_local_answer() knows more */
}

static void check_local(struct checkup *c, const char *path);

static void on_local_gone(void *arg)
{
	struct checkup *c = arg;

	if (c->status == 404 && is_node(c) && c->p->conf->ready.path == NULL && !c->is_other_path) {
		c->is_other_path = true;
		check_local(c, WATCH_PATH_OLD);
		return;
	}
	tell_local(c);
	c->is_other_path = false;
	c->next++;
	check_next_local(c);
}

static void check_local(struct checkup *c, const char *path)
{
	const struct conf_proxy *proxy = &c->p->conf->proxies[c->next];

	c->status = 0;
	c->target = (struct conf_proxy){
		.name = proxy->name,
		.local_host = proxy->local_host,
		.local_port = proxy->local_port,
		.health = {
			.kind = is_node(c) ? CONF_HEALTH_HTTP : CONF_HEALTH_TCP,
			.interval_ms = CHECKUP_LOCAL_MS,
			.timeout_ms = CHECKUP_LOCAL_MS,
			.n_failed_max = 1,
			.path = (char *) (uintptr_t) path, /* not owned */
		},
	};
	health_init(&c->health, c->loop, c->resolver, &c->target, on_local_change, on_local_gone,
		    c);
	c->health.on_answer = on_local_answer;
	health_start(&c->health);
}

static void check_next_local(struct checkup *c)
{
	const struct conf *conf = c->p->conf;

	while (c->next < conf->n_proxies && conf->proxies[c->next].kind == CONF_TYPE_UDP)
		c->next++; /* nobody can tell whether somebody listens */
	if (c->next == conf->n_proxies)
		uv_stop(&c->loop->uv);
	else
		check_local(c, conf->ready.path != NULL ? conf->ready.path : WATCH_PATH);
}

/* -- the server */

static void on_finding(void *arg, const struct trial_finding *f)
{
	struct checkup *c = arg;
	enum verdict v = !f->is_passed	  ? VERDICT_FAIL
			 : f->is_doubtful ? VERDICT_WARN
					  : VERDICT_PASS;
	const struct conf_proxy *proxy = &c->p->conf->proxies[f->proxy];
	char safe[CHECKUP_TEXT];
	const char *text = text_escape(span_str(f->text), safe, sizeof(safe));

	if (f->step == TRIAL_PROXY)
		tell_of(c, v, trial_step_name(f->step), f->remedy, "%u for %s: %s",
			proxy->remote_port, proxy->name, text);
	else
		tell(c, v, trial_step_name(f->step), text, f->remedy);
}

static void on_trial_done(void *arg)
{
	check_next_local(arg);
}

static void on_lock(void *arg, int err)
{
	(void) arg;
	(void) err; /* it is not waited for */
}

/* May the proxies be registered for a moment? Not while an agent has them: it is asked instead. */
static bool check_lock(struct checkup *c)
{
	bool is_ready, is_there = status_finds_agent(c->p->conf, &is_ready);

	if (!is_there && lock_new(&c->lock, c->loop, c->p->conf, on_lock, c) == 0)
		return true;
	if (is_ready)
		tell(c, VERDICT_PASS, "agent", "it runs here and has registered all its proxies",
		     NULL);
	else
		tell(c, VERDICT_WARN, "agent",
		     "it runs here and has not registered all its proxies",
		     "see mltunnel status, and the lines of its log");
	return false;
}

static int check_all(struct checkup *c)
{
	struct trial_params p = {
		.loop = c->loop,
		.conf = c->p->conf,
		.on_finding = on_finding,
		.on_done = on_trial_done,
		.arg = c,
	};
	int r;

	check_environment(c);
	p.want_proxies = check_lock(c);
	r = trial_new(&c->trial, &p);
	if (r == 0)
		(void) uv_run(&c->loop->uv, UV_RUN_DEFAULT); /* until uv_stop(); closed below */
	return r;
}

/* -- exposure */

static void check_exposure(struct checkup *c)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6", NULL };
	const struct conf *conf = c->p->conf;
	struct exposure found[EXPOSURE_MAX];
	uint16_t more[CHECKUP_PORTS];
	size_t n_more = 0, n;

	for (size_t i = 0; conf != NULL && i < conf->n_proxies && n_more < CHECKUP_PORTS; i++)
		more[n_more++] = conf->proxies[i].local_port;
	n = exposure_find(tables, c->p->envp, more, n_more, found);
	for (size_t i = 0; i < n; i++) {
		const struct exposure *e = &found[i];

		if (e->published != NULL)
			tell_of(c, e->is_open ? VERDICT_FAIL : VERDICT_WARN, "exposure",
				"take the port out of the platform's list: anybody can use the node",
				"port %u is published as %s (%.*s)%s", e->port, e->public_port,
				(int) e->published_len, e->published,
				e->is_open ? "" : ", and nothing listens behind it now");
		else
			tell_of(c, VERDICT_WARN, "exposure",
				"let the service listen on 127.0.0.1 only",
				"port %u listens beyond this machine", e->port);
	}
	if (n == 0)
		tell(c, VERDICT_PASS, "exposure", "no port of the node is open or published", NULL);
}

/* -- life */

static int checkup_prepare(struct checkup *c)
{
	int r = log_new(&c->log, /* fd= */ 2, LOG_ERROR, LOG_FORMAT_TEXT);

	if (r == 0)
		r = loop_new(&c->loop, c->log);
	if (r == 0)
		r = resolver_new(&c->resolver, c->loop);
	return r;
}

static int checkup_print(struct checkup *c)
{
	int r = 0;

	if (c->p->want_json) {
		jtext_close(&c->json, ']');
		jtext_put_str(&c->json, "result", c->has_failed ? "fail" : "pass");
		jtext_close(&c->json, '}');
		r = jtext_end(&c->json);
		if (r == 0)
			(void) printf("%.*s\n", (int) buf_span(&c->out).len,
				      (const char *) buf_span(&c->out).p);
	}
	return r > 0 ? -E2BIG : r;
}

int checkup_run(const struct checkup_params *p)
{
	struct checkup c = { .p = p };
	int r;

	buf_init(&c.out, LIMIT_HTTP_ANSWER);
	jtext_begin(&c.json, &c.out);
	jtext_open(&c.json, NULL, '{');
	jtext_open(&c.json, "checks", '[');
	r = checkup_prepare(&c);
	if (r == 0 && p->problems->n_lines > 0)
		check_problems(&c);
	else if (r == 0)
		r = check_all(&c);
	if (r == 0)
		check_exposure(&c);
	c.trial = trial_free(c.trial);
	c.lock = lock_free(c.lock);
	c.resolver = resolver_free(c.resolver);
	c.loop = c.loop != NULL ? loop_free(c.loop) : NULL;
	c.log = log_free(c.log);
	if (r == 0)
		r = checkup_print(&c);
	buf_deinit(&c.out);
	return r < 0 ? r : c.has_failed;
}
