/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - one agent per server and proxies in this network namespace. Floor 6.
 *
 * A start script that runs again starts a second agent; it would fight with the first for the same
 * ports. The lock is an abstract socket: it needs no writable file, and it is free the moment its
 * owner is gone. */
#pragma once
#include <stddef.h>

#include "agent/conf/schema.h"

struct lock;
struct loop;

/* 0, negated errno (there is no lock here), or LOCK_E_BUSY: another agent has it; *ret_l is set,
 * and on_done will come. */
enum { LOCK_E_BUSY = 1 };
/* @err is 0: the lock is ours now; or -EBUSY: the other agent is still there after
 * WAIT_SECOND_COPY_MS; or another negated errno. The last thing the lock does. */
typedef void lock_done_fn(void *arg, int err);
int lock_new(struct lock **ret_l, struct loop *l, const struct conf *c, lock_done_fn *on_done,
	     void *arg);
/* A descriptor of its socket, to listen on: whoever knows the configuration finds it. The name is
 * taken until that is closed, too. Or negated errno. */
int lock_copy_socket(const struct lock *lock);
/* Where the lock of @c is, whoever has it. 0 or negated errno. */
struct sockaddr_un;
int lock_find(const struct conf *c, struct sockaddr_un *ret_addr, size_t *ret_len);
/* The beginning of the names of all locks; a zero byte stands before. */
#define LOCK_PREFIX "mltunnel-"
/* Give it back. NULL is fine; returns NULL. */
struct lock *lock_free(struct lock *lock);
