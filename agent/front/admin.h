/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - the admin API (webServer.*): frpc's routes, and /readyz and /metrics. Floor 6. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "agent/conf/schema.h"
#include "proto/base/buf.h"
#include "proto/base/span.h"

struct admin;
struct log;
struct loop;
struct service;

/* What others do for it. @out is for a person when it is not 0: one or more lines. */
struct admin_ops {
	/* 0; or ADMIN_E_BAD: nothing has changed. */
	int (*reload)(void *arg, bool is_strict, struct buf *out);
	/* The text of the configuration file. 0 or ADMIN_E_BAD. */
	int (*read_config)(void *arg, struct buf *out);
	/* A new text for it, not in force before a reload. 0; or ADMIN_E_BAD: the file is as it
	 * was. */
	int (*write_config)(void *arg, struct span text, struct buf *out);
	/* End the program, after this call. */
	void (*stop)(void *arg);
};
enum { ADMIN_E_BAD = 1 };

struct admin_params {
	struct loop *loop;
	struct service *service;
	const struct conf_web *web; /* copied; its port is set */
	const struct admin_ops *ops;
	void *arg;
};

/* Serve. All of @p but @web is borrowed: outlives it. 0 or negated errno (-EADDRINUSE). */
int admin_new(struct admin **ret_a, const struct admin_params *p);
/* NULL is fine; returns NULL. */
struct admin *admin_free(struct admin *a);
