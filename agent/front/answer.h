/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - tells who asks on the lock's socket how the service stands: mltunnel status. No TCP,
 * no file. Floor 6.
 *
 * Who connects gets one JSON document and the end. Only our own user and root are told anything. */
#pragma once

struct answer;
struct lock;
struct loop;
struct service;

/* @lock is ours, or NULL when there is none; @service is borrowed: outlives it. 0 or negated errno
 * (nobody is answered then). */
int answer_new(struct answer **ret_a, struct loop *l, const struct lock *lock,
	       const struct service *service);
/* Those who have not got all yet see the end of it. Closes on the loop. NULL is fine;
 * returns NULL. */
struct answer *answer_free(struct answer *a);
