/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - the signals of the process, told on the loop. Floor 6. */
#pragma once

struct loop;
struct signals;

struct signals_ops {
	void (*on_stop)(void *arg);   /* SIGTERM, SIGINT, SIGQUIT; once per signal */
	void (*on_reload)(void *arg); /* SIGHUP */
};

/* Handlers are set for all of them, also for those that were inherited as ignored. 0 or negated
 * errno. */
int signals_new(struct signals **ret_s, struct loop *l, const struct signals_ops *ops, void *arg);
/* No call comes any more; the handles close on the loop. NULL is fine; returns NULL. */
struct signals *signals_free(struct signals *s);
