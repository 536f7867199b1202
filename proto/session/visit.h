/* SPDX-License-Identifier: Apache-2.0 */
/* visit.h - the beginning of a visitor's connection: NewVisitorConn out, NewVisitorConnResp in,
 * then raw bytes to the proxy of somebody else. Floor 2.
 *
 *   IDLE --visit_start--> ASKED --NewVisitorConnResp--> OPEN | REFUSED (error text)
 *                           |--anything else--> BAD
 *
 * The caller gives up after WAIT_VISIT_MS. What the two sides wrap the bytes in is independent of
 * each other: ours is keyed by the secret key. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/session/chan.h"

enum visit_state {
	VISIT_STATE_IDLE,
	VISIT_STATE_ASKED,
	VISIT_STATE_OPEN,
	VISIT_STATE_REFUSED,
	VISIT_STATE_BAD
};
const char *visit_state_name(enum visit_state s);

struct visit_params {
	const char *proxy_name; /* on the wire: "serverUser.serverName", or the own user's */
	struct span secret_key; /* signs; never sent */
	bool use_encryption, use_compression;
};

struct visit {
	/* read-only */
	enum visit_state state;
	const char *why; /* BAD: static text; REFUSED: the server's text, until visit_deinit */
	/* private */
	struct msg resp;
	struct chan chan;
};

void visit_init(struct visit *v, enum wire wire);
void visit_deinit(struct visit *v);
/* Build NewVisitorConn (v2: behind the magic), signed: visit_out() has the bytes. Nothing of @p is
 * needed afterwards. 0, -ENOMEM, -EINVAL, FRAME_E_BAD. */
int visit_start(struct visit *v, const char *run_id, const struct visit_params *p,
		int64_t timestamp);
struct span visit_out(const struct visit *v);
void visit_sent(struct visit *v, size_t n);
/* Eat from *in up to the end of NewVisitorConnResp; what is left in *in is payload. 0: the state is
 * final; VISIT_E_MORE; -ENOMEM. */
enum { VISIT_E_MORE = 1 };
int visit_next(struct visit *v, struct span *in);
