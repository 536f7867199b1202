/* SPDX-License-Identifier: Apache-2.0 */
/* reaper.h - as the first process of a container: end the processes whose parents have gone.
 * Floor 6.
 *
 * libuv asks for each of its own processes by its number; a reaper that takes whatever has ended
 * would steal the status that libuv waits for. So we look first, and take what is not libuv's. */
#pragma once

struct loop;
struct reaper;

/* Does nothing but watch for ends of processes. 0 or negated errno. */
int reaper_new(struct reaper **ret_r, struct loop *l);
/* Closes on the loop. NULL is fine; returns NULL. */
struct reaper *reaper_free(struct reaper *r);
