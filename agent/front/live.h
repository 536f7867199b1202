/* SPDX-License-Identifier: Apache-2.0 */
/* live.h - the configuration of a run, while it runs: read again, shown, replaced; and the admin
 * API that asks for it. Floor 6. */
#pragma once
#include <stdbool.h>

#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

struct live;
struct loop;
struct service;

/* Read the configuration as at the start, conf_check() included; or what it would be with @text
 * (with a NUL behind it) in the file. Not strict: unknown keys are no problem. 0 (also with
 * problems: *ret_c is set then too) or negated errno. */
typedef int live_load_fn(void *arg, const struct span *text, bool is_strict, struct problems *p,
			 struct conf **ret_c);

struct live_params {
	struct loop *loop;
	struct service *service;
	const struct conf *conf; /* as at the start */
	const char *file;	 /* where it came from; NULL: not from a file, nothing to reload */
	live_load_fn *load;
	void *load_arg;
	void (*on_stop)(void *arg); /* somebody asks by the admin API to end */
	void *arg;
};

/* Serves the admin API when @p->conf asks for it; an address that cannot be had is logged. All of
 * @p is borrowed: outlives it. 0 or -ENOMEM. */
int live_new(struct live **ret_l, const struct live_params *p);
/* Read the file again and go on with what it says now; logged. */
void live_reload(struct live *l);
/* NULL is fine; returns NULL. */
struct live *live_free(struct live *l);
