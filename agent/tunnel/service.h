/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - the whole tunnel of one configuration: owns the uplink and the proxies; starts,
 * drains, ends. Floor 5.
 *
 * GLOSSARY
 * up, down   to the server; to the local service
 * uplink     everything about one server: dialing, TLS, login, the session, its work connections
 * proxy      one published local service
 * link       the TCP (and TLS) connection of a session
 * relay      one user connection: bytes between a work connection and the local service
 * drain      live relays may finish while nothing new is taken */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/loop.h"
#include "agent/conf/schema.h"

struct service;

enum service_end {
	SERVICE_END_STOPPED,	  /* asked to stop; drained, or the grace time is over */
	SERVICE_END_LOGIN_FAILED, /* the first login failed and login_fail_exit is set */
};
/* The last call the service makes; service_free() is due then (not inside it). */
typedef void service_ended_fn(void *arg, enum service_end end);

/* @conf is shared. 0 or negated errno. */
int service_new(struct service **ret_s, struct loop *l, const struct conf *conf,
		service_ended_fn *on_ended, void *arg);
/* What service_facts() or service_each_proxy() tell, figures aside, has changed. Comes from inside
 * the service, which is not to be changed then. NULL: no more. */
typedef void service_news_fn(void *arg);
void service_watch(struct service *s, service_news_fn *on_news, void *arg);
/* Begin to dial; never fails for reasons of the network. */
void service_start(struct service *s);
/* First call: close the proxies, drain live streams within the grace time, end. Second call: end at
 * once. */
void service_stop(struct service *s);
/* Go on with @conf, which has gone through conf_check() and is shared. What is the same goes on
 * undisturbed; see uplink_reload(). 0, or negated errno (the log says why) and nothing
 * has changed. */
int service_reload(struct service *s, const struct conf *conf);

/* How things stand. The strings are valid until the loop runs again. */
struct service_facts {
	const char *server; /* "host:port" */
	const char *state;  /* "waiting", "connecting", "session", "leaving", "closing" */
	const char *error;  /* the last failure; "" after a good login */
	bool is_up;	    /* logged in */
	unsigned n_tries;   /* in this outage */
	uint64_t retry_in_ms, rtt_ms;
	uint64_t n_logins, n_losses; /* of sessions that were logged in */
	size_t n_proxies, n_proxies_up;
	const char *node; /* behind the proxies: "ready", "waiting", or "unwatched" */
	size_t n_users;	  /* connections that are live now */
	uint64_t n_users_ever, n_bytes_up, n_bytes_down;
	size_t n_queued; /* bytes for the server that its socket has not taken */
};
void service_facts(const struct service *s, struct service_facts *ret_f);

/* One proxy, in frp's words. Valid inside the call. */
struct service_proxy {
	const char *name, *type;
	const char *status; /* "wait start", "start error", "running", "check failed" */
	const char *error;  /* of "start error": the server's text, raw; else "" */
	const char *local_addr, *remote_addr; /* the latter is "" unless it runs */
	size_t n_users;
	uint64_t n_users_ever, n_bytes_up, n_bytes_down;
};
typedef void service_proxy_fn(void *arg, const struct service_proxy *p);
/* In the order of the configuration. */
void service_each_proxy(const struct service *s, service_proxy_fn *fn, void *arg);

/* Reset and close what is left; asynchronous handles close on the loop. Returns NULL. */
struct service *service_free(struct service *s);
