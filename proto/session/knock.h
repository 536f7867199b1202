/* SPDX-License-Identifier: Apache-2.0 */
/* knock.h - what is said to a proxy until it has connected us: HTTP CONNECT, SOCKS5. Floor 2.
 *
 *   IDLE --knock_start--> ASKING --the proxy agrees--> OPEN
 *                           |------it does not-------> REFUSED
 *                           |------nonsense----------> BAD
 *
 * RFC 9110 9.3.6, RFC 7617 (Basic); RFC 1928, RFC 1929. The proxy resolves names. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

struct hopurl;

enum knock_state {
	KNOCK_STATE_IDLE,
	KNOCK_STATE_ASKING,
	KNOCK_STATE_OPEN,
	KNOCK_STATE_REFUSED,
	KNOCK_STATE_BAD
};
/* What a refusal is about. */
enum knock_cause { KNOCK_CAUSE_OTHER, KNOCK_CAUSE_LOGIN, KNOCK_CAUSE_RULE, KNOCK_CAUSE_TARGET };

#define KNOCK_WHY 128
#define KNOCK_OUT 3072 /* a CONNECT with a name of 253 and Basic of 1,279 bytes is 2,400 */

struct knock {
	/* read-only */
	enum knock_state state;
	enum knock_cause cause; /* REFUSED */
	char why[KNOCK_WHY];	/* REFUSED, BAD: for a person; printable, no credentials */
	/* private; out_start <= out_end <= KNOCK_OUT */
	const struct hopurl *via; /* borrowed: until deinit */
	const char *host;	  /* borrowed: until deinit */
	uint16_t port;
	unsigned step; /* of SOCKS5 */
	uint8_t out[KNOCK_OUT];
	size_t out_start, out_end;
	uint8_t in[96];		 /* HTTP: the status line; SOCKS5: the answer's fixed part */
	size_t n_in, n_skip;	 /* SOCKS5: still to come, and not looked at */
	size_t n_head, line_len; /* HTTP: bytes of the head; of this line, without its end */
	unsigned n_lines;
};

/* Ask @via for @host:@port: knock_out() has the first bytes. 0, or -EINVAL: @host cannot be said
 * in that protocol. */
int knock_start(struct knock *k, const struct hopurl *via, const char *host, uint16_t port);
/* Wipes. */
void knock_deinit(struct knock *k);
/* To be sent now; valid until the next call. */
struct span knock_out(const struct knock *k);
void knock_sent(struct knock *k, size_t n);
/* Hear @in; never eats beyond the end of the proxy's answer. 0: the state is final; KNOCK_E_MORE:
 * all was eaten. */
enum { KNOCK_E_MORE = 1 };
int knock_feed(struct knock *k, struct span in, size_t *ret_n_eaten);
