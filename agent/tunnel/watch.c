/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - is the node behind the pair there. Floor 5. */
#include "agent/tunnel/watch.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "proto/base/limits.h"

/* The target is a conf_proxy that does not own. */
static void watch_aim(struct watch *w, const char *path)
{
	w->target.health.path = (char *) (uintptr_t) path;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A node that was started together with us is there in a moment, or takes minutes. */
static uint64_t watch_impatience_ms(const struct watch *w)
{
	return w->n_asked < WATCH_EARLY ? (uint64_t) WAIT_READY_FIRST_MS << w->n_asked
					: WAIT_READY_MS;
}

/* How long until the next question, and for its answer: several fit into the time of silence. */
static void watch_pace(struct watch *w)
{
	uint64_t part_ms = w->conf->ready.down_after_ms / 4;

	w->target.health.interval_ms = w->is_ready ? smaller(part_ms, WAIT_READY_CALM_MS)
						   : watch_impatience_ms(w);
	w->target.health.timeout_ms = w->is_ready ? smaller(part_ms, WAIT_READY_ANSWER_MS)
						  : WAIT_READY_ANSWER_MS;
}

/* Once per change of the reason; numbers in it do not come and go. */
static void watch_say_waiting(struct watch *w, const char *error)
{
	char port[8];

	if (strncmp(w->said, error, sizeof(w->said) - 1) == 0)
		return;
	(void) snprintf(w->said, sizeof(w->said), "%s", error); /* compared to this length only */
	(void) snprintf(port, sizeof(port), "%u", w->target.local_port);
	log_info(
		w->loop->log, "waiting for the node to be ready before the proxies are registered",
		"port", port, "path", w->target.health.path, "error", error, "remedy",
		"is the node's server starting? MLTUNNEL_POC_PORT and MLTUNNEL_READY_PATH say what is asked");
}

static void watch_enter(struct watch *w, bool is_ready)
{
	w->is_ready = is_ready;
	w->n_silent = 0;
	w->n_asked = 0;
	w->said[0] = '\0';
	watch_pace(w);
	if (is_ready && w->conf->ready.down_after_ms == 0)
		health_stop(&w->health); /* that was all to find out */
	w->on_change(w->arg, is_ready);
}

static void watch_on_good(struct watch *w)
{
	if (w->is_ready)
		return;
	log_info(w->loop->log, "the node is ready, registering the proxies", "path",
		 w->target.health.path);
	watch_enter(w, true);
}

/* Silence is judged at the end of a question, and not by one alone: when this machine was paused,
 * the first answer is lost. */
static void watch_on_silence(struct watch *w, uint64_t now_ms)
{
	char silent[32];

	w->n_silent++;
	if (!w->is_ready || w->n_silent < 2 || now_ms - w->heard_ms < w->conf->ready.down_after_ms)
		return;
	(void) snprintf(silent, sizeof(silent), "%.1f s", (double) (now_ms - w->heard_ms) / 1000.0);
	log_warn(w->loop->log,
		 "the node is silent, withdrawing the proxies until it is ready again",
		 "silent_for", silent, "remedy",
		 "is the node's server alive? MLTUNNEL_DOWN_AFTER sets how long is waited");
	watch_enter(w, false);
}

static void watch_on_answer(void *arg, int status, const char *error)
{
	struct watch *w = arg;
	uint64_t now_ms = loop_now_ms(w->loop);

	if (status != 0) {
		w->heard_ms = now_ms;
		w->n_silent = 0;
	}
	watch_pace(w);
	if (w->n_asked < WATCH_EARLY)
		w->n_asked++;
	if (error == NULL) {
		watch_on_good(w);
		return;
	}
	if (status == 404 && w->conf->ready.path == NULL) {
		w->is_at_other_path = !w->is_at_other_path;
		watch_aim(w, w->is_at_other_path ? WATCH_PATH_OLD : WATCH_PATH);
		if (w->is_at_other_path)
			w->target.health.interval_ms = 0;
	}
	if (status == 0)
		watch_on_silence(w, now_ms);
	if (!w->is_ready)
		watch_say_waiting(w, error);
}

static void watch_on_health(void *arg, bool is_healthy)
{
	(void) arg;
	(void) is_healthy; /* watch_on_answer() knows more */
}

static void watch_on_gone(void *arg)
{
	struct watch *w = arg;

	w->on_gone(w->arg);
}

void watch_init(struct watch *w, struct loop *l, struct resolver *r, const struct conf *conf,
		void (*on_change)(void *arg, bool is_ready), void (*on_gone)(void *arg), void *arg)
{
	const struct conf_proxy *node = &conf->proxies[conf->ready.proxy];

	*w = (struct watch){
		.loop = l,
		.conf = conf_share(conf),
		.on_change = on_change,
		.on_gone = on_gone,
		.arg = arg,
		.target = {
			.name = node->name,
			.local_host = node->local_host,
			.local_port = node->local_port,
			.health = {
				.kind = CONF_HEALTH_HTTP,
				.n_failed_max = 1,
			},
		},
	};
	watch_aim(w, conf->ready.path != NULL ? conf->ready.path : WATCH_PATH);
	watch_pace(w);
	health_init(&w->health, l, r, &w->target, watch_on_health, watch_on_gone, w);
	w->health.on_answer = watch_on_answer;
}

void watch_deinit(struct watch *w)
{
	w->conf = conf_free(w->conf);
}

void watch_start(struct watch *w)
{
	health_start(&w->health);
}

void watch_stop(struct watch *w)
{
	health_stop(&w->health);
}
