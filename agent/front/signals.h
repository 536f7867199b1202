/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - the signals of the process, told on the loop. Floor 6. */
#pragma once
#include <stdbool.h>

struct loop;
struct signals;

struct signals_ops {
	void (*on_stop)(void *arg, int number); /* SIGTERM, SIGINT, SIGQUIT; once per signal */
	void (*on_reload)(void *arg);		/* SIGHUP */
	/* Other signals that may be meant for a program of ours. */
	void (*on_pass)(void *arg, int number);
};

/* Handlers are set for all of them, also for those that were inherited as ignored; for those of
 * on_pass() only when @want_pass. 0 or negated errno. */
int signals_new(struct signals **ret_s, struct loop *l, const struct signals_ops *ops, void *arg,
		bool want_pass);
/* No call comes any more; the handles close on the loop. NULL is fine; returns NULL. */
struct signals *signals_free(struct signals *s);
