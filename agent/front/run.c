/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - one run of the agent: the lock, then the service, until a signal or its own end. Floor 6.
 */
#include "agent/front/run.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/front/lock.h"
#include "agent/front/signals.h"
#include "agent/tunnel/service.h"

#define RUN_NAMES 512 /* of the proxies, in the first line of the log */

struct run {
	const struct conf *conf; /* borrowed: outlives us */
	struct log *log;	 /* borrowed: outlives us */
	bool is_env;
	struct loop *loop;
	struct lock *lock;
	struct signals *signals;
	struct service *service; /* NULL while the lock is waited for */
	enum run_end end;
	int err;
};

static void run_finish(struct run *run, enum run_end end, int err)
{
	run->end = end;
	run->err = err;
	uv_stop(&run->loop->uv);
}

static void on_service_ended(void *arg, enum service_end end)
{
	run_finish(arg, end == SERVICE_END_LOGIN_FAILED ? RUN_END_LOGIN_FAILED : RUN_END_STOPPED,
		   0);
}

static void run_start_service(struct run *run)
{
	int r = service_new(&run->service, run->loop, run->conf, on_service_ended, run);

	if (r == 0)
		service_start(run->service);
	else
		run_finish(run, RUN_END_REFUSED, r == -EINVAL ? 0 : r);
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

static void run_take_lock(struct run *run)
{
	int r = lock_new(&run->lock, run->loop, run->conf, on_lock_done, run);

	if (r == 0)
		run_start_service(run);
	else if (r == LOCK_E_BUSY)
		log_info(
			run->log,
			"another agent serves these proxies at this server; waiting up to 15 s for its end");
	else
		on_lock_done(run, r);
}

static void on_stop(void *arg)
{
	struct run *run = arg;

	if (run->service != NULL)
		service_stop(run->service);
	else
		run_finish(run, RUN_END_STOPPED, 0);
}

static void on_reload(void *arg)
{
	struct run *run = arg;

	log_info(run->log, run->is_env ? "hangup ignored: nothing to reload in environment mode"
				       : "hangup ignored: reload is not supported by this version");
}

static const struct signals_ops run_signals = { .on_stop = on_stop, .on_reload = on_reload };

static void run_log_start(const struct run *run)
{
	const struct conf *c = run->conf;
	char server[300], names[RUN_NAMES] = "";
	bool is_v6 = strchr(c->server_host, ':') != NULL;
	size_t len = 0;

	(void) snprintf(server, sizeof(server), "%s%s%s:%u", is_v6 ? "[" : "", c->server_host,
			is_v6 ? "]" : "", c->server_port);
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

int run_agent(const struct conf *c, struct log *log, bool is_env, enum run_end *ret_end)
{
	struct run run = { .conf = c, .log = log, .is_env = is_env };
	int r;

	r = loop_new(&run.loop, log);
	if (r < 0)
		return r;
	r = signals_new(&run.signals, run.loop, &run_signals, &run);
	if (r == 0) {
		run_log_start(&run);
		run_take_lock(&run);
		/* After an early run_finish() this returns at once. */
		(void) uv_run(&run.loop->uv,
			      UV_RUN_DEFAULT); /* stopped: handles are left, closed below */
		r = run.err;
	}
	run.service = service_free(run.service);
	run.lock = lock_free(run.lock);
	run.signals = signals_free(run.signals);
	run.loop = loop_free(run.loop);
	*ret_end = run.end;
	return r;
}
