/* SPDX-License-Identifier: Apache-2.0 */
/* trial.c - one login for a look. Floor 5. */
#include "agent/tunnel/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/net/resolve.h"
#include "agent/net/tlsconf.h"
#include "agent/tunnel/advice.h"
#include "agent/tunnel/link.h"
#include "agent/tunnel/machine.h"
#include "agent/tunnel/params.h"
#include "agent/tunnel/token.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

struct trial {
	struct trial_params p;
	struct conf *conf; /* a share */
	char addr[300];
	char *token; /* a secret */
	struct link_server server;
	struct resolve *resolve;
	struct token_fetch *fetch;
	struct link link;
	bool has_link;
	bool is_over; /* nothing more is found out */
	bool is_in;   /* logged in; all else is over at due_ms */
	uint64_t due_ms;
	struct client *client;
	struct roster roster;
	size_t n_unheard; /* proxies that were not answered */
	struct timer timer;
	struct loop_task pump;
};

const char *trial_step_name(enum trial_step s)
{
	switch (s) {
	case TRIAL_NAME: return "dns";
	case TRIAL_CONNECT: return "tcp";
	case TRIAL_TLS: return "tls";
	case TRIAL_LOGIN: return "login";
	case TRIAL_PROXY: return "port";
	}
	return "?";
}

static void trial_tell(struct trial *t, enum trial_step step, bool is_passed, const char *text,
		       const char *remedy)
{
	const struct trial_finding f = {
		.step = step,
		.is_passed = is_passed,
		.is_doubtful = is_passed && remedy != NULL,
		.text = text,
		.remedy = remedy,
	};

	t->p.on_finding(t->p.arg, &f);
}

/* All is closed: say so, from the loop. */
static void trial_end(struct trial *t)
{
	t->is_over = true;
	timer_stop(&t->timer);
	t->client = client_free(t->client);
	if (t->has_link)
		link_close(&t->link);
	else
		loop_task_queue(t->p.loop, &t->pump);
}

static void trial_fail(struct trial *t, enum trial_step step, const char *text, const char *remedy)
{
	trial_tell(t, step, false, text, remedy);
	trial_end(t);
}

/* -- the session */

/* One proxy is answered; the last answer ends the session. @error NULL: it was registered. */
static void trial_on_proxy(struct trial *t, size_t i, const char *error)
{
	struct trial_finding f = {
		.step = TRIAL_PROXY,
		.is_passed = error == NULL,
		.text = error != NULL ? error : "free",
		.remedy = error != NULL ? advice_for_proxy(error) : NULL,
		.proxy = (size_t) ((struct conf_proxy *) t->roster.entries[i].user -
				   t->conf->proxies),
	};

	if (t->n_unheard == 0)
		return; /* asked again after a refusal */
	t->p.on_finding(t->p.arg, &f);
	roster_want(&t->roster, i, false, loop_now_ms(t->p.loop));
	client_sync(t->client, loop_now_ms(t->p.loop));
	t->n_unheard--;
	if (t->n_unheard == 0) {
		client_leave(t->client, loop_now_ms(t->p.loop));
		client_bye(t->client);
	}
}

static void trial_on_login(struct trial *t, const char *version)
{
	char text[200];

	t->is_in = true;
	t->due_ms = loop_now_ms(t->p.loop) + WAIT_PROXY_RESP_MS;
	(void) snprintf(text, sizeof(text), "accepted by frps %s", version);
	trial_tell(t, TRIAL_LOGIN, true, text, /* remedy= */ NULL);
	if (t->n_unheard > 0)
		return;
	client_leave(t->client, loop_now_ms(t->p.loop));
	client_bye(t->client);
}

static void trial_on_dead(struct trial *t, enum client_cause cause, const char *text)
{
	if (cause == CLIENT_CAUSE_LEFT)
		trial_end(t);
	else if (!t->is_in)
		trial_fail(t, TRIAL_LOGIN, text,
			   cause == CLIENT_CAUSE_REFUSED ? advice_for_login(text)
							 : advice_for_cause(cause));
	else if (t->n_unheard > 0)
		trial_fail(t, TRIAL_LOGIN, text, advice_for_cause(cause));
	else
		trial_end(t);
}

static void trial_on_event(struct trial *t, const struct client_event *ev)
{
	switch (ev->kind) {
	case CLIENT_EV_LOGIN: trial_on_login(t, ev->text); break;
	case CLIENT_EV_PROXY_UP: trial_on_proxy(t, ev->proxy, NULL); break;
	case CLIENT_EV_PROXY_REFUSED: trial_on_proxy(t, ev->proxy, ev->text); break;
	case CLIENT_EV_START: /* a user in that moment: he tries again */
		client_rst(t->client, ev->work);
		client_forget(t->client, ev->work);
		break;
	case CLIENT_EV_DEAD: trial_on_dead(t, ev->cause, ev->text); break;
	case CLIENT_EV_PROXY_DOWN:
	case CLIENT_EV_WANT_WORK:
	case CLIENT_EV_WORK_ERROR:
	case CLIENT_EV_LIMIT:
	case CLIENT_EV_DATA:
	case CLIENT_EV_FIN:
	case CLIENT_EV_RST:
	case CLIENT_EV_VISIT_OPEN:
	case CLIENT_EV_VISIT_REFUSED:
	case CLIENT_EV_PONG_ERROR: break;
	}
}

static void trial_hear(struct trial *t)
{
	struct client_event ev;

	while (t->client != NULL && client_next(t->client, &ev) == 0)
		trial_on_event(t, &ev);
}

static void trial_pump(struct trial *t)
{
	uint64_t due_ms;
	struct span out;

	trial_hear(t);
	while (t->client != NULL && (out = client_drain(t->client)).len > 0) {
		out = span_head(out, LIMIT_RECORD);
		if (conn_send(&t->link.conn, out) != 0)
			break; /* the rest when there is room */
		client_drained(t->client, out.len);
	}
	if (t->client == NULL)
		return;
	conn_flush(&t->link.conn);
	trial_hear(t); /* a session that leaves is over when all is sent */
	if (t->client == NULL)
		return;
	due_ms = client_deadline(t->client);
	timer_set(&t->timer, t->is_in && t->due_ms < due_ms ? t->due_ms : due_ms);
	if (conn_n_queued(&t->link.conn) == 0 && client_drain(t->client).len > 0)
		loop_task_queue(t->p.loop, &t->pump);
}

static void trial_on_pump(struct loop_task *task)
{
	struct trial *t = container_of(task, struct trial, pump);

	if (!t->is_over)
		trial_pump(t);
	else if (!t->has_link)
		t->p.on_done(t->p.arg);
}

static void trial_on_timer(struct timer *timer)
{
	struct trial *t = container_of(timer, struct trial, timer);

	if (t->is_in && loop_now_ms(t->p.loop) >= t->due_ms) {
		trial_fail(t, TRIAL_LOGIN, "the server does not answer after the login",
			   advice_for_cause(CLIENT_CAUSE_SILENT));
		return;
	}
	client_tick(t->client, loop_now_ms(t->p.loop));
	trial_pump(t);
}

static void trial_log_in(struct trial *t)
{
	uint64_t now_ms = loop_now_ms(t->p.loop);
	struct client_params p;
	struct machine m;
	int err;

	machine_read(&m);
	err = params_fill(&p, t->conf, &m, t->token, /* run_id= */ "");
	p.login.login.client_id = NULL; /* it may be taken by the agent that runs */
	p.login.login.pool_count = 0;
	if (err == 0)
		err = client_new(&t->client, &p, &t->roster, now_ms);
	if (err != 0) {
		trial_fail(t, TRIAL_LOGIN, err < 0 ? uv_strerror(err) : "it is too long",
			   "check user and metadata");
		return;
	}
	client_tick(t->client, now_ms);
	trial_pump(t);
}

/* -- the connection */

static void trial_on_ready(void *arg)
{
	struct trial *t = arg;
	const char *tls = conn_describe_tls(&t->link.conn);
	char text[200];

	trial_tell(t, TRIAL_CONNECT, true, "connected", /* remedy= */ NULL);
	if (tls == NULL) {
		trial_tell(t, TRIAL_TLS, true, "off: whoever is on the way can read all of it",
			   "turn it on (MLTUNNEL_TLS, transport.tls.enable)");
	} else if (tls_config_verifies(t->server.tls)) {
		trial_tell(t, TRIAL_TLS, true, tls, /* remedy= */ NULL);
	} else {
		(void) snprintf(text, sizeof(text), "%s; the certificate is not verified", tls);
		trial_tell(t, TRIAL_TLS, true, text,
			   "give a CA or a pin (MLTUNNEL_TLS_CA, MLTUNNEL_TLS_PIN)");
	}
	trial_log_in(t);
}

static void trial_on_failed(void *arg, const char *words, const char *error, const char *remedy)
{
	struct trial *t = arg;
	bool is_tls = t->link.state == LINK_STATE_SECURING;
	char text[600];

	if (is_tls)
		trial_tell(t, TRIAL_CONNECT, true, "connected", /* remedy= */ NULL);
	(void) snprintf(text, sizeof(text), "%s: %s", words, error);
	trial_fail(t, is_tls ? TRIAL_TLS : TRIAL_CONNECT, text, remedy);
}

static void trial_on_data(void *arg, struct span data)
{
	struct trial *t = arg;

	if (t->client == NULL)
		return;
	client_feed(t->client, data, loop_now_ms(t->p.loop));
	trial_pump(t);
}

static void trial_on_written(void *arg)
{
	struct trial *t = arg;

	loop_task_queue(t->p.loop, &t->pump);
}

static void trial_on_lost(void *arg, const char *error, bool is_clean)
{
	struct trial *t = arg;

	(void) is_clean; /* it is over either way */
	if (t->client == NULL)
		return;
	client_lost(t->client, error);
	trial_pump(t);
}

static void trial_on_gone(void *arg)
{
	struct trial *t = arg;

	t->has_link = false;
	loop_task_queue(t->p.loop, &t->pump);
}

static void trial_connect(struct trial *t)
{
	static const struct link_ops ops = {
		.on_ready = trial_on_ready,
		.on_failed = trial_on_failed,
		.on_data = trial_on_data,
		.on_written = trial_on_written,
		.on_lost = trial_on_lost,
		.on_gone = trial_on_gone,
	};

	t->has_link = link_open(&t->link, &t->server, &ops, t) == 0;
	if (!t->has_link)
		trial_fail(t, TRIAL_CONNECT, "out of memory",
			   advice_for_cause(CLIENT_CAUSE_MEMORY));
}

/* -- what comes before */

static void trial_on_token(void *arg, const struct token_result *r)
{
	struct trial *t = arg;
	char text[600];

	t->fetch = NULL;
	t->token = r->token;
	if (t->token != NULL) {
		trial_connect(t);
		return;
	}
	(void) snprintf(text, sizeof(text), "%s: %s", r->words, r->error);
	trial_fail(t, TRIAL_LOGIN, text, r->remedy);
}

static void trial_fetch_token(struct trial *t)
{
	if (token_fetch(t->p.loop, t->conf, loop_now_ms(t->p.loop) + WAIT_TOKEN_EXEC_MS,
			trial_on_token, t, &t->fetch) != 0)
		trial_fail(t, TRIAL_LOGIN, "out of memory", advice_for_cause(CLIENT_CAUSE_MEMORY));
}

static void trial_on_name(void *arg, const struct resolve_answer *a)
{
	struct trial *t = arg;
	char text[600], addr[64] = "";
	const struct sockaddr *first = (const struct sockaddr *) &a->addrs[0];

	t->resolve = NULL;
	if (a->n_addrs == 0) {
		(void) snprintf(text, sizeof(text), "%s: %s", t->conf->server_host, a->why);
		trial_fail(t, TRIAL_NAME, text, advice_for_dial(DIAL_STAGE_NAME, -ENOENT));
		return;
	}
	if (first->sa_family == AF_INET6)
		(void) uv_ip6_name((const struct sockaddr_in6 *) first, addr, sizeof(addr));
	else
		(void) uv_ip4_name((const struct sockaddr_in *) first, addr, sizeof(addr));
	if (strcmp(addr, t->conf->server_host) == 0)
		(void) snprintf(text, sizeof(text), "%s is an address, nothing to look up", addr);
	else
		(void) snprintf(text, sizeof(text), "%s is %s%s", t->conf->server_host, addr,
				a->n_addrs > 1 ? " and others" : "");
	trial_tell(t, TRIAL_NAME, true, text, /* remedy= */ NULL);
	trial_fetch_token(t);
}

static void trial_start(struct trial *t)
{
	int err;

	if (t->server.hop != NULL) { /* the proxy resolves the name */
		trial_fetch_token(t);
		return;
	}
	err = resolve_start(t->server.resolver, t->conf->server_host, t->conf->server_port,
			    trial_on_name, t, &t->resolve);
	if (err != 0)
		trial_fail(t, TRIAL_NAME, "out of memory", advice_for_cause(CLIENT_CAUSE_MEMORY));
}

static int trial_add_proxies(struct trial *t)
{
	int err = 0;
	size_t i;

	for (i = 0; err == 0 && t->p.want_proxies && i < t->conf->n_proxies; i++) {
		size_t index;

		err = roster_add(&t->roster, &t->conf->proxies[i].msg, &t->conf->proxies[i],
				 &index);
		t->n_unheard++;
	}
	return err > 0 ? -E2BIG : err;
}

int trial_new(struct trial **ret_t, const struct trial_params *p)
{
	struct trial *t = calloc(1, sizeof(*t));
	uint64_t seed;
	int err;

	if (t == NULL)
		return -ENOMEM;
	t->p = *p;
	t->conf = conf_share(p->conf);
	timer_init(&t->timer, p->loop, trial_on_timer);
	loop_task_init(&t->pump, trial_on_pump);
	err = loop_random(&seed, sizeof(seed));
	if (err == 0) {
		roster_init(&t->roster, seed);
		err = trial_add_proxies(t);
	}
	if (err != 0) {
		(void) trial_free(t);
		return err;
	}
	text_format_hostport(t->addr, sizeof(t->addr), t->conf->server_host, t->conf->server_port);
	err = link_server_init(&t->server, p->loop, t->conf, t->addr);
	if (err == 0)
		trial_start(t);
	else
		trial_fail(t, TRIAL_TLS, "its settings cannot be used",
			   "mltunnel's log says what is wrong with them");
	*ret_t = t;
	return 0;
}

struct trial *trial_free(struct trial *t)
{
	if (t == NULL)
		return NULL;
	timer_stop(&t->timer);
	loop_task_cancel(&t->pump);
	t->resolve = resolve_cancel(t->resolve);
	t->fetch = token_cancel(t->fetch);
	t->client = client_free(t->client);
	roster_deinit(&t->roster);
	link_server_deinit(&t->server);
	t->token = secret_free(t->token);
	t->conf = conf_free(t->conf);
	return mem_free(t);
}
