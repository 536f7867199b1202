/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch.h - has the network of this machine changed? The kernel's news of addresses, links and
 * routes (rtnetlink), and what they mean for a connection. Floor 4. */
#pragma once
#include <stdbool.h>

struct loop;
struct netwatch;

/* Addresses, links or routes have changed, WAIT_SETTLE_MS ago or longer. */
typedef void netwatch_fn(void *arg);

/* Tells from the loop, which it does not keep alive; a burst of news is one call. 0, or negated
 * errno: the kernel does not tell (a sandbox without rtnetlink). */
int netwatch_new(struct netwatch **ret_w, struct loop *l, netwatch_fn *on_change, void *arg);
/* No call comes any more; closes on the loop. NULL is fine; returns NULL. */
struct netwatch *netwatch_free(struct netwatch *w);

/* Connected @fd is lost though nobody said so: its address is not this machine's any more, and its
 * peer can be reached from another one. False also when that cannot be found out. */
bool netwatch_has_moved(int fd);
