/* SPDX-License-Identifier: Apache-2.0 */
/* visitor.c - a port here that leads to somebody's proxy. Floor 5. */
#include "agent/tunnel/visitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/reserve.h"
#include "agent/net/conn.h"
#include "agent/net/listen.h"
#include "agent/tunnel/advice.h"
#include "agent/tunnel/relay.h"
#include "agent/tunnel/visitudp.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

static void visitor_drop_share(struct visitor *v)
{
	if (v->n_shares > 0) {
		v->n_shares--;
		return;
	}
	v->whole = conf_free(v->whole);
	free(v);
}

/* -- users -- */

/* Users wait in the kernel until some visits have been answered. */
static void visitor_wait(struct visitor *v)
{
	if (v->listener == NULL)
		return;
	listen_pause(v->listener);
	timer_set(&v->timer, loop_now_ms(v->host->loop) + WAIT_VISITOR_BUSY_MS);
}

static void visitor_on_waiting(void *arg)
{
	struct visitor *v = arg;
	struct end e;
	int err;

	if (v->n_asked >= LIMIT_VISITOR_ASKED) {
		visitor_wait(v);
		return;
	}
	err = visitor_open(v, &e);
	if (err == VISITOR_E_BUSY)
		visitor_wait(v);
	if (err != 0)
		return; /* he is closed */
	err = relay_start_visit(v->host->users, e, v);
	if (err == 0)
		return;
	log_warn(v->host->loop->log, "user connection refused", "visitor", v->conf->name, "error",
		 uv_strerror(err));
	end_forget(e);
}

int visitor_open(struct visitor *v, struct end *ret_e)
{
	struct visit_params p = {
		.proxy_name = v->conf->wire_name,
		.secret_key = span_str(v->conf->secret_key),
		.use_encryption = v->conf->use_encryption,
		.use_compression = v->conf->use_compression,
	};
	int err = v->host->open(v->host->arg, &p, ret_e);

	if (err == VISITOR_E_DOWN)
		log_debug(v->host->loop->log,
			  "user connection closed: there is no session with the server", "visitor",
			  v->conf->name);
	else if (err == VISITOR_E_LONG)
		visitor_refused(v, "serverUser and serverName are too long for the wire");
	else if (err < 0)
		visitor_refused(v, uv_strerror(err));
	return err;
}

int visitor_take(struct visitor *v, struct conn *c)
{
	int err = listen_take(v->listener, c), fd;

	if (err == 0 && uv_fileno((const uv_handle_t *) &c->tcp, &fd) == 0 && reserve_has(fd)) {
		visitor_refused(v, "no file descriptor is left for it");
		listen_give_back(v->listener);
		err = -EMFILE;
	}
	if (err != 0)
		return err;
	v->n_shares++;
	v->n_asked++;
	return 0;
}

int visitor_answered(struct visitor *v, struct end *e)
{
	struct wrap_params p = {
		.name = v->conf->name,
		.use_encryption = v->conf->use_encryption,
		.use_compression = v->conf->use_compression,
		.secret = span_str(v->conf->secret_key),
	};
	int err;

	if (v->said[0] != '\0')
		log_info(v->host->loop->log, "the server lets users through again", "visitor",
			 v->conf->name);
	v->said[0] = '\0';
	err = v->host->wrap(v->host->arg, *e, &p, e);
	if (err != 0)
		log_warn(v->host->loop->log, "user connection refused", "visitor", v->conf->name,
			 "error", uv_strerror(err));
	return err;
}

void visitor_refused(struct visitor *v, const char *text)
{
	struct log *log = v->host->loop->log;

	if (strncmp(v->said, text, sizeof(v->said) - 1) == 0) {
		log_debug(log, "user connection refused", "visitor", v->conf->name, "error", text);
		return;
	}
	(void) snprintf(v->said, sizeof(v->said), "%s", text); /* compared to this length only */
	log_warn(log, "user connection refused, and the next ones until it is mended", "visitor",
		 v->conf->name, "to", v->conf->wire_name, "error", text, "remedy",
		 advice_for_visit(text));
}

void visitor_asked_enough(struct visitor *v)
{
	v->n_asked--;
	if (timer_is_armed(&v->timer))
		timer_set(&v->timer, loop_now_ms(v->host->loop)); /* somebody may wait */
}

void visitor_let_go(struct visitor *v)
{
	listen_give_back(v->listener);
	visitor_drop_share(v);
}

/* -- listening -- */

static void visitor_say_bind(struct visitor *v, int err)
{
	const struct conf_visitor *c = v->conf;
	char addr[80];

	text_format_hostport(addr, sizeof(addr), c->bind_host, c->bind_port);
	if (err == 0)
		log_info(v->host->loop->log, "start visitor success", "visitor", c->name, "address",
			 addr, "to", c->wire_name);
	else if (err != v->bind_err)
		log_error(v->host->loop->log, "visitor cannot listen, trying again", "visitor",
			  c->name, "address", addr, "error", uv_strerror(err), "remedy",
			  advice_for_bind(err));
	v->bind_err = err;
}

static int visitor_bind(struct visitor *v)
{
	struct listen_params p = {
		.host = v->conf->bind_host,
		.port = v->conf->bind_port,
		.backlog = LIMIT_VISITOR_BACKLOG,
		.n_max = v->whole->n_streams_max,
		.on_waiting = visitor_on_waiting,
		.arg = v,
	};

	if (v->conf->kind == CONF_TYPE_SUDP)
		return visitudp_new(&v->udp, v);
	return listen_new(&v->listener, v->host->loop, &p);
}

void visitor_start(struct visitor *v)
{
	int err;

	if (v->listener != NULL || v->udp != NULL || timer_is_armed(&v->timer))
		return;
	err = visitor_bind(v);
	visitor_say_bind(v, err);
	if (err != 0)
		timer_set(&v->timer, loop_now_ms(v->host->loop) + WAIT_VISITOR_BIND_MS);
}

static void visitor_on_timer(struct timer *t)
{
	struct visitor *v = container_of(t, struct visitor, timer);

	if (v->listener != NULL)
		listen_resume(v->listener);
	else
		visitor_start(v);
}

void visitor_stop(struct visitor *v)
{
	timer_stop(&v->timer);
	v->listener = listen_free(v->listener);
	v->udp = visitudp_free(v->udp);
}

/* -- life -- */

int visitor_new(struct visitor **ret_v, struct visitor_host *h, const struct conf *whole,
		const struct conf_visitor *conf)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v->host = h;
	v->whole = conf_share(whole);
	v->conf = conf;
	list_init(&v->link);
	timer_init(&v->timer, h->loop, visitor_on_timer);
	*ret_v = v;
	return 0;
}

struct visitor *visitor_free(struct visitor *v)
{
	if (v == NULL)
		return NULL;
	visitor_stop(v);
	visitor_drop_share(v);
	return NULL;
}

void visitor_set_conf(struct visitor *v, const struct conf *whole, const struct conf_visitor *conf)
{
	struct conf *old = v->whole;

	v->whole = conf_share(whole);
	v->conf = conf;
	(void) conf_free(old);
}
