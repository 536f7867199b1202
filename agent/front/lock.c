/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - one agent per server and proxies in this network namespace. Floor 6. */
#include "agent/front/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/conf/ident.h"
#include "proto/base/limits.h"

#define LOCK_RETRY_MS 150 /* a person does not notice; four system calls */

/* A zero byte, then the name: abstract, seen by nobody's file system. */
struct lock_path {
	char at[1 + sizeof(LOCK_PREFIX) - 1 + IDENT_CAP];
};

struct lock {
	struct timer timer;
	struct loop *loop;
	lock_done_fn *on_done;
	void *arg;
	uint64_t until_ms;
	int fd;
	struct lock_path path;
};

/* The name says which server and which proxies, but tells nothing and always fits. */
static int lock_name(struct lock_path *path, const struct conf *c)
{
	path->at[0] = '\0';
	memcpy(path->at + 1, LOCK_PREFIX, sizeof(LOCK_PREFIX) - 1);
	return conf_ident(c, path->at + sizeof(LOCK_PREFIX));
}

static size_t lock_fill_address(const struct lock_path *path, struct sockaddr_un *ret_addr)
{
	size_t n = sizeof(path->at) - 1; /* without the NUL at its end */

	_Static_assert(sizeof(path->at) <= sizeof(ret_addr->sun_path), "the name fits");
	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_addr->sun_path, path->at, n);
	return offsetof(struct sockaddr_un, sun_path) + n;
}

int lock_find(const struct conf *c, struct sockaddr_un *ret_addr, size_t *ret_len)
{
	struct lock_path path;
	int r = lock_name(&path, c);

	if (r == 0)
		*ret_len = lock_fill_address(&path, ret_addr);
	return r;
}

/* 0, LOCK_E_BUSY or negated errno. */
static int lock_try(struct lock *lock)
{
	struct sockaddr_un addr;
	size_t len = lock_fill_address(&lock->path, &addr);
	int fd, r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = bind(fd, (struct sockaddr *) &addr, (socklen_t) len);
	if (r < 0) {
		r = errno == EADDRINUSE ? LOCK_E_BUSY : -errno;
		(void) close(fd); /* never bound */
		return r;
	}
	lock->fd = fd;
	return 0;
}

int lock_copy_socket(const struct lock *lock)
{
	int fd = lock->fd < 0 ? -1 : fcntl(lock->fd, F_DUPFD_CLOEXEC, 3);

	return fd >= 0 ? fd : lock->fd < 0 ? -ENOTCONN : -errno;
}

static void on_retry(struct timer *t)
{
	struct lock *lock = container_of(t, struct lock, timer);
	uint64_t now_ms = loop_now_ms(lock->loop);
	int r = lock_try(lock);

	if (r == LOCK_E_BUSY && now_ms < lock->until_ms) {
		timer_set(&lock->timer, now_ms + LOCK_RETRY_MS);
		return;
	}
	lock->on_done(lock->arg, r == LOCK_E_BUSY ? -EBUSY : r);
}

struct lock *lock_free(struct lock *lock)
{
	if (lock == NULL)
		return NULL;
	timer_stop(&lock->timer);
	if (lock->fd >= 0)
		(void) close(lock->fd); /* gives the name back */
	return mem_free(lock);
}

int lock_new(struct lock **ret_l, struct loop *l, const struct conf *c, lock_done_fn *on_done,
	     void *arg)
{
	struct lock *lock = calloc(1, sizeof(*lock));
	int r;

	if (lock == NULL)
		return -ENOMEM;
	lock->fd = -1;
	lock->loop = l;
	lock->on_done = on_done;
	lock->arg = arg;
	timer_init(&lock->timer, l, on_retry);
	r = lock_name(&lock->path, c);
	if (r == 0)
		r = lock_try(lock);
	if (r < 0) {
		(void) lock_free(lock);
		return r;
	}
	if (r == LOCK_E_BUSY) {
		lock->until_ms = loop_now_ms(l) + WAIT_SECOND_COPY_MS;
		timer_set(&lock->timer, loop_now_ms(l) + LOCK_RETRY_MS);
	}
	*ret_l = lock;
	return r;
}
