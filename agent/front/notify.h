/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - tells the service manager that started us how we stand: the protocol of sd_notify(3),
 * as for units of Type=notify and notify-reload. Floor 6.
 *
 * Without NOTIFY_SOCKET in the environment every call does nothing. The manager may be slow: what
 * it does not take now is sent again a little later; nothing here waits for it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>
#include <sys/un.h>

struct loop;
struct notify;
struct service;

/* Where the manager listens. */
struct notify_place {
	struct sockaddr_un addr;
	socklen_t len;	      /* of @addr; 0: nowhere */
	uint64_t watchdog_ms; /* it wants to hear WATCHDOG=1 within this time; 0: it does not */
};

/* Take it out of the environment, so that programs that we start do not speak in our place. */
void notify_find(struct notify_place *ret_place);
/* Send @text, lines of NAME=VALUE. 0 (also without a place) or negated errno: -EAGAIN is worth
 * another try. */
int notify_send(const struct notify_place *place, const char *text);
/* "RELOADING=1", with the time that goes with it. */
#define NOTIFY_RELOADING_MAX 64
const char *notify_make_reloading(char dst[static NOTIFY_RELOADING_MAX]);

/* @place is copied. 0 or -ENOMEM. */
int notify_new(struct notify **ret_n, struct loop *l, const struct notify_place *place);
/* A line for people: what we do before we serve. */
void notify_status(struct notify *n, const char *words);
/* We serve our configuration, whether or not the server can be reached by now. Keeps its watchdog
 * content from here on. */
void notify_ready(struct notify *n);
/* What people are to read has perhaps changed. */
void notify_service(struct notify *n, const struct service *s);
/* The configuration is read again; then notify_ready(). */
void notify_reloading(struct notify *n);
/* The end has begun, and takes @wait_ms at most. */
void notify_stopping(struct notify *n, uint64_t wait_ms);
/* NULL is fine; returns NULL. */
struct notify *notify_free(struct notify *n);
