/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - one run of the agent: the lock, the program beside it, the service. Floor 6.
 *
 * The end: the service drains; then the command is asked to end, and killed when it does not. A
 * command that ends by itself ends the service. */
#include "agent/front/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/logfile.h"
#include "agent/base/loop.h"
#include "agent/front/addrfile.h"
#include "agent/front/answer.h"
#include "agent/front/child.h"
#include "agent/front/lock.h"
#include "agent/front/notify.h"
#include "agent/front/process.h"
#include "agent/front/reaper.h"
#include "agent/front/signals.h"
#include "agent/tunnel/service.h"
#include "proto/base/text.h"

#define RUN_NAMES 512 /* of the proxies, in the first line of the log */

struct run {
	const struct run_params *p; /* borrowed: outlives us */
	struct log *log;	    /* borrowed: outlives us */
	struct loop *loop;
	struct lock *lock;
	struct signals *signals;
	struct live *live;	 /* NULL as long as @service */
	struct answer *answer;	 /* the same, and without a lock */
	struct service *service; /* NULL while the lock is waited for */
	struct child *child;	 /* NULL: none */
	struct reaper *reaper;	 /* NULL: we are not the first process */
	struct notify *notify;	 /* to the service manager */
	struct addrfile *addrs;	 /* NULL: not asked for */
	struct loop_task news;	 /* the service stands differently now */
	bool is_end_told;	 /* to the service manager */
	bool is_service_over, is_child_over;
	int stopped_with; /* the first signal that asks us to end; 0: none yet */
	enum run_end end;
	int status;
	int err;
};

static void run_finish(struct run *run, enum run_end end, int err)
{
	run->end = end;
	run->err = err;
	uv_stop(&run->loop->uv);
}

static bool run_has_child(const struct run *run)
{
	return run->child != NULL && !run->is_child_over;
}

/* The end begins. */
static void run_tell_end(struct run *run)
{
	uint64_t grace_ms = run->p->conf->grace_ms;

	if (run->is_end_told)
		return;
	run->is_end_told = true;
	/* first for connections, then for the command */
	notify_stopping(run->notify, run->child != NULL ? 2 * grace_ms : grace_ms);
}

static void on_news(void *arg)
{
	struct run *run = arg;

	loop_task_queue(run->loop, &run->news); /* once a turn, and outside of the service */
}

static void run_tell_news(struct loop_task *t)
{
	struct run *run = container_of(t, struct run, news);

	if (run->addrs != NULL)
		addrfile_update(run->addrs, run->service);
	notify_service(run->notify, run->service);
}

static void run_ask_child(struct run *run)
{
	log_info(run->log, "asking the command to end");
	child_ask(run->child, run->stopped_with != 0 ? run->stopped_with : SIGTERM,
		  run->p->conf->grace_ms);
}

static void on_service_ended(void *arg, enum service_end end)
{
	struct run *run = arg;

	run->is_service_over = true;
	run_tell_end(run);
	if (end == SERVICE_END_LOGIN_FAILED)
		run->end = RUN_END_LOGIN_FAILED;
	if (run_has_child(run))
		run_ask_child(run);
	else
		run_finish(run, run->end, 0);
}

static void on_child_ended(void *arg, int status)
{
	struct run *run = arg;
	/* by our signal, or in the way of programs that catch it and tell */
	bool is_as_asked = run->stopped_with != 0 &&
			   (status == 0 || status == 128 + run->stopped_with);
	char text[16];

	run->is_child_over = true;
	run_tell_end(run);
	(void) snprintf(text, sizeof(text), "%d", status);
	log_info(run->log, "the command has ended", "status", text);
	if (run->end == RUN_END_STOPPED && !is_as_asked) {
		run->end = RUN_END_COMMAND;
		run->status = status;
	}
	if (run->is_service_over)
		run_finish(run, run->end, 0);
	else if (run->stopped_with == 0)
		service_stop(run->service);
}

/* False: it cannot be started, and the end is near. */
static bool run_start_child(struct run *run)
{
	char *const *argv = run->p->command;
	char pid[16];
	int r;

	if (argv == NULL)
		return true;
	r = child_start(&run->child, run->loop, run->p->inherited, argv, on_child_ended, run);
	if (r < 0) {
		log_error(run->log, "the command cannot be started", "command", argv[0], "error",
			  uv_strerror(r));
		run->status = child_status_of_error(r);
		run_finish(run, RUN_END_COMMAND, 0);
		return false;
	}
	(void) snprintf(pid, sizeof(pid), "%d", child_pid(run->child));
	log_info(run->log, "command started", "command", argv[0], "pid", pid);
	return true;
}

static void on_admin_stop(void *arg)
{
	struct run *run = arg;

	if (run->stopped_with == 0 && !run->is_child_over)
		run->stopped_with = SIGTERM;
	run_tell_end(run);
	service_stop(run->service);
}

static int run_start_live(struct run *run)
{
	struct live_params p = {
		.loop = run->loop,
		.service = run->service,
		.conf = run->p->conf,
		.file = run->p->file,
		.load = run->p->load,
		.load_arg = run->p->load_arg,
		.on_stop = on_admin_stop,
		.arg = run,
	};

	return live_new(&run->live, &p);
}

static void run_start_service(struct run *run)
{
	int r = service_new(&run->service, run->loop, run->p->conf, on_service_ended, run);

	if (r != 0) {
		run_finish(run, RUN_END_REFUSED, r == -EINVAL ? 0 : r);
		return;
	}
	if (!run_start_child(run))
		return;
	r = run_start_live(run);
	if (r != 0) {
		run_finish(run, RUN_END_STOPPED, r);
		return;
	}
	r = answer_new(&run->answer, run->loop, run->lock, run->service);
	if (r < 0)
		log_info(run->log, "mltunnel status will not find this agent", "error",
			 uv_strerror(r));
	process_harden(); /* the command was the last to get rights from us */
	service_watch(run->service, on_news, run);
	on_news(run); /* what an earlier run has left is not true any more */
	service_start(run->service);
	notify_ready(run->notify);
}

static void on_lock_done(void *arg, int err)
{
	struct run *run = arg;

	if (err == -EBUSY) {
		log_info(run->log,
			 "another agent still serves these proxies at this server; ending");
		run_finish(run, RUN_END_STOPPED, 0);
		return;
	}
	if (err < 0)
		log_warn(run->log, "cannot tell whether another agent runs; starting anyway", "err",
			 uv_strerror(err));
	else
		log_info(run->log, "the other agent has ended; starting");
	run_start_service(run);
}

static void run_log_start(const struct run *run)
{
	const struct conf *c = run->p->conf;
	char server[300], names[RUN_NAMES] = "";
	size_t len = 0;

	text_format_hostport(server, sizeof(server), c->server_host, c->server_port);
	for (size_t i = 0; i < c->n_proxies; i++) {
		const char *name = c->proxies[i].wire_name;

		if (len + strlen(name) + 20 > sizeof(names)) {
			(void) snprintf(names + len, sizeof(names) - len, " and %zu more",
					c->n_proxies - i);
			break;
		}
		len += (size_t) snprintf(names + len, sizeof(names) - len, "%s%s", i > 0 ? " " : "",
					 name);
	}
	log_info(run->log, "mltunnel starts", "version", MLTUNNEL_VERSION, "config", c->source,
		 "server", server, "proxies", names);
}

static void run_wait(struct run *run)
{
	log_info(
		run->log,
		"another agent serves these proxies at this server; waiting up to 15 s for its end");
	notify_status(run->notify, "Waiting for the end of another agent");
}

static void run_take_lock(struct run *run)
{
	int r = lock_new(&run->lock, run->loop, run->p->conf, on_lock_done, run);

	run_log_start(run); /* who reads this can count on the lock */
	if (r == 0)
		run_start_service(run);
	else if (r == LOCK_E_BUSY)
		run_wait(run);
	else
		on_lock_done(run, r);
}

/* The first signal drains; a further one cuts live connections, or kills the command. */
static void on_stop(void *arg, int number)
{
	struct run *run = arg;

	if (run->service == NULL) {
		run_finish(run, RUN_END_STOPPED, 0);
		return;
	}
	if (run->is_service_over) {
		child_kill(run->child);
		return;
	}
	if (run->stopped_with == 0 && !run->is_child_over)
		run->stopped_with = number;
	run_tell_end(run);
	service_stop(run->service);
}

static void on_reload(void *arg)
{
	struct run *run = arg;

	if (run->live == NULL)
		return;
	if (!run->is_end_told)
		notify_reloading(run->notify);
	if (run->child != NULL)
		child_signal(run->child, SIGHUP);
	else
		live_reload(run->live);
	if (!run->is_end_told)
		notify_ready(run->notify);
}

static void on_pass(void *arg, int number)
{
	struct run *run = arg;

	if (run->child != NULL)
		child_signal(run->child, number);
}

static const struct signals_ops run_signals = {
	.on_stop = on_stop,
	.on_reload = on_reload,
	.on_pass = on_pass,
};

/* All that is needed before the lock is asked for. 0 or negated errno. */
static int run_prepare(struct run *run)
{
	const struct run_params *p = run->p;
	struct notify_place place;
	int r;

	notify_find(&place);
	loop_task_init(&run->news, run_tell_news);
	r = notify_new(&run->notify, run->loop, &place);
	if (r == 0 && p->conf->remote_addr_file != NULL)
		r = addrfile_new(&run->addrs, p->conf->remote_addr_file, run->log);
	if (r == 0)
		r = signals_new(&run->signals, run->loop, &run_signals, run,
				/* want_pass= */ p->command != NULL);
	if (r == 0 && p->command != NULL && getpid() == 1)
		r = reaper_new(&run->reaper, run->loop);
	return r;
}

/* Only handles are left, which close on the loop. */
static void run_deinit(struct run *run)
{
	loop_task_cancel(&run->news);
	if (run->addrs != NULL && run->service != NULL)
		addrfile_update(run->addrs, /* s= */ NULL);
	run->addrs = addrfile_free(run->addrs);
	run->answer = answer_free(run->answer);
	run->live = live_free(run->live);
	run->service = service_free(run->service);
	run->child = child_free(run->child);
	run->lock = lock_free(run->lock);
	run->reaper = reaper_free(run->reaper);
	run->signals = signals_free(run->signals);
	run->notify = notify_free(run->notify);
}

int run_agent(const struct run_params *p, enum run_end *ret_end, int *ret_status)
{
	struct run run = { .p = p, .log = p->log };
	int r;

	if (p->command == NULL)
		process_harden(); /* else when it runs */
	r = loop_new(&run.loop, p->log);
	if (r < 0)
		return r;
	if (p->logfile != NULL)
		logfile_attach(p->logfile, run.loop);
	r = run_prepare(&run);
	if (r == 0) {
		run_take_lock(&run);
		/* After an early run_finish() this returns at once. Handles may be left: they are
		 * closed below. */
		(void) uv_run(&run.loop->uv, UV_RUN_DEFAULT);
		r = run.err;
	}
	logfile_detach(p->logfile);
	if (run_has_child(&run))
		child_kill(run.child); /* only when there was no memory to go on */
	run_deinit(&run);
	run.loop = loop_free(run.loop);
	*ret_end = run.end;
	*ret_status = run.status;
	return r;
}
