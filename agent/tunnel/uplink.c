/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.c - one server: dial, secure, log in, serve, try again. Floor 5. */
#include "agent/tunnel/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/tunnel/advice.h"
#include "agent/tunnel/machine.h"
#include "agent/tunnel/params.h"
#include "agent/tunnel/reload.h"
#include "agent/tunnel/token.h"
#include "agent/tunnel/upstate.h"
#include "agent/tunnel/upusers.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

/* -- words -- */

void uplink_watch(struct uplink *u, uplink_news_fn *on_news, void *arg)
{
	u->on_news = on_news;
	u->news_arg = arg;
}

void uplink_tell(struct uplink *u)
{
	if (u->on_news != NULL)
		u->on_news(u->news_arg);
}

/* One line per change of cause; repeats are debug. */
static void uplink_say(struct uplink *u, const char *words, const char *error, const char *remedy)
{
	uint64_t now_ms = loop_now_ms(u->loop);
	char said[sizeof(u->said)], when[40];
	bool is_news;

	(void) snprintf(said, sizeof(said), "%s|%s", words, error); /* cut: enough to compare */
	is_news = strcmp(said, u->said) != 0;
	memcpy(u->said, said, sizeof(said));
	uplink_tell(u);
	if (u->is_ending)
		return;
	(void) snprintf(when, sizeof(when), "%.1f s",
			u->retry.due_ms > now_ms ? (double) (u->retry.due_ms - now_ms) / 1000.0
						 : 0.0);
	if (is_news)
		log_warn(u->log, words, "server", u->addr, "error", error, "remedy", remedy,
			 "retry_in", when);
	else
		log_debug(u->log, words, "server", u->addr, "error", error, "retry_in", when);
}

void uplink_failed(struct uplink *u, enum retry_class class, const char *words, const char *error,
		   const char *remedy)
{
	retry_lost(&u->retry, class, loop_now_ms(u->loop));
	uplink_say(u, words, error, remedy);
	if (u->conf->login_fail_exit && u->n_logins == 0 && !u->is_ending) {
		log_error(u->log, "the first login failed and login_fail_exit is set: leaving",
			  "server", u->addr);
		u->is_ending = true;
		u->end = UPLINK_END_LOGIN_FAILED;
	}
	uplink_close(u);
}

bool uplink_doubt(struct uplink *u, enum client_cause cause, const char *text)
{
	bool was_question = u->doubt == DOUBT_ASK;

	if (u->n_logins > 0 || u->is_ending)
		return false;
	if (doubt_on_end(&u->doubt, cause)) {
		log_error(u->log, "the server does not speak the configured wire protocol: leaving",
			  "server", u->addr, "wire", "v2", "remedy",
			  "transport.wireProtocol = \"v1\", or frps 0.69 or later");
		u->is_ending = true;
		u->end = UPLINK_END_LOGIN_FAILED;
	}
	if (!was_question)
		return false;
	log_debug(u->log, "asked the server in wire protocol v1", "server", u->addr, "answer",
		  text);
	retry_lost(&u->retry, RETRY_NETWORK, loop_now_ms(u->loop));
	uplink_close(u);
	return true;
}

/* The list of proxies has changed. */
static void uplink_on_proxies(void *arg)
{
	struct uplink *u = arg;

	uplink_tell(u);
	if (u->client == NULL)
		return;
	client_sync(u->client, loop_now_ms(u->loop));
	uplink_pump(u);
}

/* -- the end of a connection -- */

void uplink_drop_users(struct uplink *u)
{
	joined_end_all(&u->users);
	wrap_abandon_all(&u->solo_wraps);
	solo_close_all(&u->solos);
}

void uplink_closed(struct uplink *u)
{
	if (u->state != UPLINK_STATE_CLOSING || u->has_link)
		return;
	if (u->is_ending) { /* perhaps since a moment: a try had failed already */
		uplink_drop_users(u);
		proxyset_stop(&u->proxies);
	}
	if ((u->is_ending || u->has_next) &&
	    (!list_is_empty(&u->users.all) || !list_is_empty(&u->solos.solos)))
		return;
	u->session_conf = conf_free(u->session_conf);
	if (!u->is_ending) {
		if (u->has_next)
			reload_finish(u);
		u->state = UPLINK_STATE_WAITING;
		uplink_arm(u);
		return;
	}
	if (u->proxies.n_healths > 0)
		return;
	u->state = UPLINK_STATE_ENDED;
	timer_stop(&u->timer);
	loop_task_cancel(&u->flush);
	u->on_ended(u->arg, u->end);
}

void uplink_close(struct uplink *u)
{
	if (u->state == UPLINK_STATE_CLOSING || u->state == UPLINK_STATE_ENDED)
		return;
	u->state = UPLINK_STATE_CLOSING;
	timer_stop(&u->timer);
	joined_reset_carried(&u->users, &u->works);
	joined_reset_carried(&u->users, &u->wraps);
	wrap_abandon_all(&u->wraps);
	u->client = client_free(u->client);
	u->works.client = NULL;
	solo_close_unjoined(&u->solos);
	if (u->is_ending) {
		uplink_drop_users(u);
		proxyset_stop(&u->proxies);
		visitorset_stop(&u->visitors);
	}
	proxyset_lost(&u->proxies);
	uplink_tell(u);
	u->fetch = token_cancel(u->fetch);
	if (u->has_link)
		link_close(&u->link);
	loop_task_queue(u->loop, &u->flush); /* uplink_closed() comes from there, too */
}

/* -- connection -- */

static void uplink_on_data(void *arg, struct span data)
{
	struct uplink *u = arg;

	if (u->client == NULL)
		return;
	client_feed(u->client, data, loop_now_ms(u->loop));
	uplink_pump(u);
}

static void uplink_on_lost(void *arg, const char *error, bool is_clean)
{
	struct uplink *u = arg;

	(void) is_clean; /* a session ends either way */
	if (u->client == NULL)
		return;
	client_lost(u->client, error);
	uplink_pump(u);
}

static void uplink_on_failed(void *arg, const char *words, const char *error, const char *remedy)
{
	uplink_failed(arg, RETRY_NETWORK, words, error, remedy);
}

static void uplink_on_gone(void *arg)
{
	struct uplink *u = arg;

	u->has_link = false;
	uplink_closed(u);
}

/* The connection is ready for the session. */
static void uplink_on_ready(void *arg)
{
	struct uplink *u = arg;
	struct client_params p;
	struct machine m;
	int err;

	machine_read(&m);
	err = params_fill(&p, u->conf, &m, u->token, u->runid.at);
	if (u->doubt == DOUBT_ASK) {
		p.login.wire = WIRE_V1;
		p.login.is_question = true;
	}
	if (err == 0)
		err = client_new(&u->client, &p, &u->roster, loop_now_ms(u->loop));
	if (err != 0) {
		uplink_failed(u, RETRY_NETWORK, "login cannot be made",
			      err < 0 ? uv_strerror(err) : "too long", "check user and metadata");
		return;
	}
	u->works.client = u->client;
	u->n_run = 0;
	u->state = UPLINK_STATE_SESSION;
	client_tick(u->client, loop_now_ms(u->loop));
	uplink_pump(u);
}

static void uplink_open(struct uplink *u)
{
	static const struct link_ops ops = {
		.on_ready = uplink_on_ready,
		.on_failed = uplink_on_failed,
		.on_data = uplink_on_data,
		.on_written = uplink_flush_later,
		.on_lost = uplink_on_lost,
		.on_gone = uplink_on_gone,
	};

	if (u->session_conf == NULL)
		u->session_conf = conf_share(u->conf);
	u->has_link = link_open(&u->link, &u->server, &ops, u) == 0;
	if (!u->has_link)
		uplink_failed(u, RETRY_NETWORK, "connect to server error", "out of memory",
			      advice_for_cause(CLIENT_CAUSE_MEMORY));
}

static void uplink_on_token(void *arg, const struct token_result *r)
{
	struct uplink *u = arg;

	u->fetch = NULL;
	if (r->token == NULL) {
		uplink_failed(u, RETRY_REFUSED, r->words, r->error, r->remedy);
		return;
	}
	u->token = secret_free(u->token);
	u->token = r->token;
	uplink_open(u);
}

static void uplink_try(struct uplink *u)
{
	uint64_t now_ms = loop_now_ms(u->loop);
	int err;

	if (retry_begin(&u->retry, now_ms) != 0) {
		uplink_arm(u);
		return;
	}
	u->state = UPLINK_STATE_OPENING;
	/* It may have been changed since the last try. */
	err = token_fetch(u->loop, u->conf, now_ms + WAIT_TOKEN_EXEC_MS, uplink_on_token, u,
			  &u->fetch);
	if (err != 0)
		uplink_failed(u, RETRY_NETWORK, "the token cannot be read", uv_strerror(err),
			      advice_for_cause(CLIENT_CAUSE_MEMORY));
}

/* -- time -- */

void uplink_arm(struct uplink *u)
{
	uint64_t due_ms;

	switch (u->state) {
	case UPLINK_STATE_WAITING: timer_set(&u->timer, u->retry.due_ms); break;
	case UPLINK_STATE_SESSION: timer_set(&u->timer, client_deadline(u->client)); break;
	case UPLINK_STATE_LEAVING:
		due_ms = client_deadline(u->client);
		timer_set(&u->timer, due_ms < u->grace_due_ms ? due_ms : u->grace_due_ms);
		break;
	case UPLINK_STATE_IDLE:
	case UPLINK_STATE_OPENING: /* the link has its own deadlines */
	case UPLINK_STATE_CLOSING:
	case UPLINK_STATE_ENDED: break;
	}
}

static void uplink_on_timer(struct timer *t)
{
	struct uplink *u = container_of(t, struct uplink, timer);
	uint64_t now_ms = loop_now_ms(u->loop);

	switch (u->state) {
	case UPLINK_STATE_WAITING: uplink_try(u); break;
	case UPLINK_STATE_LEAVING:
		if (now_ms >= u->grace_due_ms) {
			log_warn(u->log, "grace time is over: live connections are cut");
			uplink_close(u);
			break;
		}
		client_tick(u->client, now_ms);
		uplink_pump(u);
		break;
	case UPLINK_STATE_SESSION:
		client_tick(u->client, now_ms);
		uplink_pump(u);
		break;
	case UPLINK_STATE_IDLE:
	case UPLINK_STATE_OPENING:
	case UPLINK_STATE_CLOSING:
	case UPLINK_STATE_ENDED: break;
	}
}

/* -- life -- */

static int uplink_fill(struct uplink *u)
{
	struct visitor **visitors;
	uint64_t seed;
	int err = loop_random(&seed, sizeof(seed));

	if (err != 0)
		return err;
	retry_init(&u->retry, seed);
	roster_init(&u->roster, seed);
	u->limits.every_ms = WAIT_LIMIT_TOLD_MS;
	u->roster.all_or_none = u->conf->all_or_none;
	reload_name(u);
	err = link_server_init(&u->server, u->loop, u->conf, u->addr);
	if (err != 0)
		return err;
	u->proxies.resolver = u->server.resolver;
	err = visitorset_plan(&u->visitors, u->conf, &visitors);
	if (err != 0)
		return err;
	visitorset_apply(&u->visitors, u->conf, visitors);
	return proxyset_apply(&u->proxies, u->conf);
}

int uplink_new(struct uplink **ret_u, struct loop *l, const struct conf *conf,
	       uplink_ended_fn *on_ended, void *arg)
{
	struct uplink *u = calloc(1, sizeof(*u));
	int err;

	if (u == NULL)
		return -ENOMEM;
	u->loop = l;
	u->log = l->log;
	u->conf = conf_share(conf);
	u->on_ended = on_ended;
	u->arg = arg;
	u->proxies = (struct proxyset){
		.loop = l,
		.roster = &u->roster,
		.on_change = uplink_on_proxies,
		.on_gone = uplink_flush_later,
		.arg = u,
	};
	proxyset_init(&u->proxies);
	timer_init(&u->timer, l, uplink_on_timer);
	loop_task_init(&u->flush, uplink_on_flush);
	u->works.flush_later = uplink_flush_later;
	u->works.make_room = uplink_make_room;
	u->works.arg = u;
	upusers_init(u);
	err = uplink_fill(u);
	if (err != 0) {
		(void) uplink_free(u);
		return err;
	}
	u->users.resolver = u->server.resolver;
	*ret_u = u;
	return 0;
}

struct uplink *uplink_free(struct uplink *u)
{
	if (u == NULL)
		return NULL;
	MUST(!u->has_link && u->client == NULL && list_is_empty(&u->users.all) &&
	     list_is_empty(&u->solos.solos));
	timer_stop(&u->timer);
	loop_task_cancel(&u->flush);
	proxyset_deinit(&u->proxies);
	visitorset_deinit(&u->visitors);
	roster_deinit(&u->roster);
	if (u->has_next)
		link_server_deinit(&u->next);
	link_server_deinit(&u->server);
	u->token = secret_free(u->token);
	runid_deinit(&u->runid);
	runfile_deinit(&u->runfile);
	u->session_conf = conf_free(u->session_conf);
	u->conf = conf_free(u->conf);
	free(u);
	return NULL;
}

void uplink_start(struct uplink *u)
{
	runfile_init(&u->runfile, u->conf, u->log);
	runid_init(&u->runid, u->runfile.kept);
	retry_lost(&u->retry, RETRY_NETWORK, loop_now_ms(u->loop));
	proxyset_start(&u->proxies);
	visitorset_start(&u->visitors);
	retry_hurry(&u->retry, loop_now_ms(u->loop)); /* a start is no storm */
	u->state = UPLINK_STATE_WAITING;
	uplink_arm(u);
}

void uplink_on_network(struct uplink *u)
{
	if (u->client != NULL && link_has_moved(&u->link))
		uplink_on_lost(u, "the address of this machine has changed", /* is_clean= */ false);
	retry_hurry(&u->retry, loop_now_ms(u->loop));
	if (u->state == UPLINK_STATE_WAITING)
		uplink_arm(u);
}

void uplink_leave(struct uplink *u, uint64_t grace_ms)
{
	u->is_ending = true;
	u->end = UPLINK_END_LEFT;
	if (u->state != UPLINK_STATE_SESSION || !client_is_up(u->client)) {
		uplink_close(u);
		return;
	}
	u->state = UPLINK_STATE_LEAVING;
	u->grace_due_ms = loop_now_ms(u->loop) + grace_ms;
	client_leave(u->client, loop_now_ms(u->loop));
	solo_close_unjoined(&u->solos);
	proxyset_stop(&u->proxies); /* what becomes healthy now is not registered again */
	visitorset_stop(&u->visitors);
	uplink_tell(u);
	uplink_pump(u);
}

void uplink_stop(struct uplink *u)
{
	u->is_ending = true;
	u->end = UPLINK_END_LEFT;
	uplink_close(u);
}
