/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - tells the service manager how we stand. Floor 6. */
#include "agent/front/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/tunnel/service.h"
#include "proto/base/err.h"
#include "proto/base/text.h"

#define NOTIFY_AGAIN_MS 100	/* the manager was busy */
#define NOTIFY_STATUS_MAX 600	/* longer ones are cut */
#define NOTIFY_WATCHDOG_PARTS 2 /* of its time: sd_watchdog_enabled(3) wants half of it */
#define NOTIFY_SLACK_MS 5000	/* what the end needs beside the grace times */

struct notify {
	struct notify_place place;
	struct log *log; /* borrowed */
	struct loop *loop;
	struct timer watchdog, again;
	const char *state; /* of the last change of state; in @state_text or static */
	char state_text[NOTIFY_RELOADING_MAX * 2];
	char status[NOTIFY_STATUS_MAX]; /* "STATUS=..." */
	bool is_state_due, is_status_due;
	int said; /* the last failure that was logged */
};

/* -- where -- */

static int place_of(const char *path, struct notify_place *place)
{
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(place->addr.sun_path))
		return -EINVAL;
	place->addr.sun_family = AF_UNIX;
	memcpy(place->addr.sun_path, path, len);
	if (path[0] == '@')
		place->addr.sun_path[0] = '\0'; /* an abstract name: all of its bytes count */
	place->len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
	return 0;
}

static uint64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t v, owner;

	if (usec == NULL || text_parse_u64(usec, 1000, UINT64_MAX, &v) != 0)
		return 0;
	if (pid != NULL &&
	    (text_parse_u64(pid, 1, INT32_MAX, &owner) != 0 || owner != (uint64_t) getpid()))
		return 0; /* it was meant for another process */
	return v / 1000;
}

void notify_find(struct notify_place *ret_place)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct notify_place place = { .len = 0 };

	if (path != NULL && place_of(path, &place) == 0)
		place.watchdog_ms = watchdog_ms();
	*ret_place = place;
	(void) unsetenv("NOTIFY_SOCKET"); /* the names are good ones */
	(void) unsetenv("WATCHDOG_USEC");
	(void) unsetenv("WATCHDOG_PID");
}

/* -- sending -- */

int notify_send(const struct notify_place *place, const char *text)
{
	int fd, err = 0;

	if (place->len == 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *) &place->addr,
		   place->len) < 0)
		err = -errno;
	(void) close(fd);
	return err;
}

const char *notify_make_reloading(char dst[static NOTIFY_RELOADING_MAX])
{
	struct timespec now = { 0 };

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	(void) snprintf(dst, NOTIFY_RELOADING_MAX, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			(uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
	return dst;
}

/* True: @text is with the manager, or will never be. */
static bool notify_try(struct notify *n, const char *text)
{
	int err = notify_send(&n->place, text);

	if (err == -EAGAIN || err == -ENOBUFS) {
		timer_set(&n->again, loop_now_ms(n->loop) + NOTIFY_AGAIN_MS);
		return false;
	}
	if (err != n->said && err != 0)
		log_warn(n->log, "the service manager cannot be told how we stand", "error",
			 strerror(-err), "remedy", "does NOTIFY_SOCKET name a socket of ours?");
	n->said = err;
	return true;
}

static void notify_flush(struct notify *n)
{
	if (n->is_state_due)
		n->is_state_due = !notify_try(n, n->state);
	if (n->is_status_due && !n->is_state_due)
		n->is_status_due = !notify_try(n, n->status);
}

static void on_again(struct timer *t)
{
	notify_flush(container_of(t, struct notify, again));
}

static void on_watchdog(struct timer *t)
{
	struct notify *n = container_of(t, struct notify, watchdog);

	(void) notify_send(&n->place, "WATCHDOG=1"); /* the next one is in time, too */
	timer_set(t, loop_now_ms(n->loop) + n->place.watchdog_ms / NOTIFY_WATCHDOG_PARTS);
}

static void notify_set_state(struct notify *n, const char *state)
{
	n->state = state;
	n->is_state_due = true;
	notify_flush(n);
}

void notify_status(struct notify *n, const char *words)
{
	char status[NOTIFY_STATUS_MAX];

	(void) snprintf(status, sizeof(status), "STATUS=%s", words);
	if (strcmp(status, n->status) == 0)
		return;
	memcpy(n->status, status, sizeof(status));
	n->is_status_due = true;
	notify_flush(n);
}

/* -- what -- */

void notify_ready(struct notify *n)
{
	notify_set_state(n, "READY=1");
	if (n->place.watchdog_ms != 0 && !timer_is_armed(&n->watchdog))
		on_watchdog(&n->watchdog);
}

void notify_service(struct notify *n, const struct service *s)
{
	char words[NOTIFY_STATUS_MAX - sizeof("STATUS=")], error[NOTIFY_STATUS_MAX / 3];
	struct service_facts f;

	service_facts(s, &f);
	if (f.is_up)
		(void) snprintf(words, sizeof(words), "%zu of %zu proxies registered at %s%s",
				f.n_proxies_up, f.n_proxies, f.server,
				strcmp(f.node, "waiting") == 0 ? ", waiting for the node" : "");
	else if (f.error[0] != '\0')
		(void) snprintf(words, sizeof(words), "No session with %s: %s", f.server,
				text_escape(span_str(f.error), error, sizeof(error)));
	else
		(void) snprintf(words, sizeof(words), "Connecting to %s", f.server);
	notify_status(n, words);
}

void notify_reloading(struct notify *n)
{
	notify_set_state(n, notify_make_reloading(n->state_text));
}

void notify_stopping(struct notify *n, uint64_t wait_ms)
{
	/* Heeded only beyond the manager's own time (TimeoutStopSec). */
	(void) snprintf(n->state_text, sizeof(n->state_text),
			"STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
			(wait_ms + NOTIFY_SLACK_MS) * 1000);
	notify_set_state(n, n->state_text);
}

/* -- life -- */

int notify_new(struct notify **ret_n, struct loop *l, const struct notify_place *place)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return -ENOMEM;
	n->place = *place;
	n->loop = l;
	n->log = l->log;
	timer_init(&n->watchdog, l, on_watchdog);
	timer_init(&n->again, l, on_again);
	*ret_n = n;
	return 0;
}

struct notify *notify_free(struct notify *n)
{
	if (n == NULL)
		return NULL;
	timer_stop(&n->watchdog);
	timer_stop(&n->again);
	return mem_free(n);
}
