/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - the whole tunnel of one configuration: owns the uplink and the proxies; starts,
 * drains, ends. Floor 5.
 *
 * GLOSSARY
 * up, down   to the server; to the local service.
 * uplink     everything about one server: dialing, TLS, login, the session, its work connections.
 * proxy      one published local service.
 * link       the TCP (and TLS) connection of a session.
 * relay      one user connection: bytes between a work connection and a connection to the local
 * service. drain      live relays may finish while nothing new is taken. */
#pragma once
#include <stdbool.h>

#include "agent/base/loop.h"
#include "agent/conf/schema.h"

struct service;

enum service_end {
	SERVICE_END_STOPPED,	  /* asked to stop; drained, or the grace time is over */
	SERVICE_END_LOGIN_FAILED, /* the first login failed and login_fail_exit is set */
};
/* The last call the service makes; service_free() is due then (not inside it). */
typedef void service_ended_fn(void *arg, enum service_end end);

/* @conf is borrowed: outlives the service. 0 or negated errno. */
int service_new(struct service **ret_s, struct loop *l, const struct conf *conf,
		service_ended_fn *on_ended, void *arg);
/* Begin to dial; never fails for reasons of the network. */
void service_start(struct service *s);
/* First call: close the proxies, drain live streams within the grace time, end. Second call: end at
 * once. */
void service_stop(struct service *s);
/* Reset and close what is left; asynchronous handles close on the loop. Returns NULL. */
struct service *service_free(struct service *s);
