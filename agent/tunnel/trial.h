/* SPDX-License-Identifier: Apache-2.0 */
/* trial.h - one login for a look: how far does one get with this server? Floor 5.
 *
 * A session of its own: no run id, no client id, no work connections, so that it never takes the
 * place of an agent that runs. Each step is tried when the one before was passed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "agent/conf/schema.h"

struct loop;
struct trial;

enum trial_step { TRIAL_NAME, TRIAL_CONNECT, TRIAL_TLS, TRIAL_LOGIN, TRIAL_PROXY };
const char *trial_step_name(enum trial_step s); /* "dns", "tcp", "tls", "login", "port" */

struct trial_finding {
	enum trial_step step;
	bool is_passed, is_doubtful; /* the latter: passed, and a remedy all the same */
	const char *text;	     /* the server's words in it are raw */
	const char *remedy;	     /* NULL: none is needed */
	size_t proxy;		     /* of TRIAL_PROXY: its place in the configuration */
};

struct trial_params {
	struct loop *loop;
	const struct conf *conf; /* borrowed: outlives the trial */
	bool want_proxies;	 /* register all for a moment: nobody else holds their lock */
	/* Valid in the call. */
	void (*on_finding)(void *arg, const struct trial_finding *f);
	/* The last call; trial_free() is due then, not inside it. */
	void (*on_done)(void *arg);
	void *arg;
};

/* Everything comes from the loop. 0 or -ENOMEM. */
int trial_new(struct trial **ret_t, const struct trial_params *p);
/* After on_done(). NULL is fine; returns NULL. */
struct trial *trial_free(struct trial *t);
