/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - names to addresses with c-ares: files and DNS only, never the C library's resolver.
 * Floor 4. */
#pragma once
#include <netinet/in.h>
#include <stddef.h>

struct loop;
struct resolver; /* one per loop */
struct resolve;	 /* one lookup under way */

#define RESOLVE_ADDRS_MAX 16 /* both families of one name; more are cut */

struct resolve_answer {
	struct sockaddr_storage addrs[RESOLVE_ADDRS_MAX]; /* port set; IPv6 and IPv4 alternating,
							     IPv6 first (RFC 8305) */
	size_t n_addrs;					  /* 0: failed, see @why */
	const char *why; /* static text: "no such name", "DNS timeout", ... */
};
typedef void resolve_fn(void *arg, const struct resolve_answer *a);

int resolver_new(struct resolver **ret_r, struct loop *l); /* 0 or negated errno */
/* Ask these servers ("1.2.3.4:5353,[v6]:53") instead of those of /etc/resolv.conf; copied; NULL:
 * those of the file again. 0 or -EINVAL (too long). */
int resolver_set_servers(struct resolver *r, const char *csv);
/* Lookups still open end without a call back. Returns NULL. Asynchronous parts close on
 * the loop. */
struct resolver *resolver_free(struct resolver *r);

/* Look up @host:@port, both families, fresh every time (but see resolve_leave()). Numeric addresses
 * and "localhost" are answered in code. The answer always comes from the loop, never inside this
 * call, at most WAIT_DNS_MS later. 0, -ENOMEM. */
int resolve_start(struct resolver *r, const char *host, uint16_t port, resolve_fn *on_done,
		  void *arg, struct resolve **ret_q);
/* No answer will come; NULL is fine. Returns NULL. After the answer came @q is gone by itself. */
struct resolve *resolve_cancel(struct resolve *q);
/* The same, but the lookup goes on, and the next resolve_start() for that host and port joins it or
 * gets its answer, unless that is older than WAIT_NAME_KEPT_MS: who tries again sooner than a slow
 * DNS server answers does not ask for ever. */
struct resolve *resolve_leave(struct resolve *q);
