/* SPDX-License-Identifier: Apache-2.0 */
/* addrfile.h - the file that tells other programs where the server publishes the proxies
 * (MLTUNNEL_REMOTE_ADDR_FILE). Floor 6. */
#pragma once

struct addrfile;
struct log;
struct service;

/* For the file at @path. @path and @log are borrowed: outlive it. 0 or -ENOMEM. */
int addrfile_new(struct addrfile **ret_a, const char *path, struct log *log);
/* Write the file anew if the registered proxies, or their addresses, are others than it says; a
 * line "NAME ADDRESS" for each. NULL of @s: there are none. It is replaced as a whole, so that who
 * reads it never sees a part. What fails is logged, once as long as it fails for the same reason,
 * and tried again at the next call. */
void addrfile_update(struct addrfile *a, const struct service *s);
/* The file stays. NULL is fine; returns NULL. */
struct addrfile *addrfile_free(struct addrfile *a);
