/* SPDX-License-Identifier: Apache-2.0 */
/* work.h - the beginning of a work connection: NewWorkConn out, StartWorkConn in, then raw bytes.
 * Floor 2.
 *
 *   IDLE --work_start--> PARKED --StartWorkConn--> STARTED | REFUSED (error text)
 *                          |--anything else--> BAD
 *
 * No deadline: StartWorkConn may come hours later. */
#pragma once
#include <stdint.h>

#include "proto/session/chan.h"

enum work_state {
	WORK_STATE_IDLE,
	WORK_STATE_PARKED,
	WORK_STATE_STARTED,
	WORK_STATE_REFUSED,
	WORK_STATE_BAD
};
const char *work_state_name(enum work_state s);

struct work {
	/* read-only */
	enum work_state state;
	const char *why;  /* BAD: static text */
	struct msg start; /* STARTED, REFUSED: the decoded message, until work_deinit */
	/* private */
	struct chan chan;
};

void work_init(struct work *w, enum wire wire);
void work_deinit(struct work *w);
/* Build NewWorkConn (v2: behind the magic), signed: work_out() has the bytes. 0, -ENOMEM, -EINVAL,
 * FRAME_E_BAD. */
int work_start(struct work *w, const char *run_id, struct span token, int64_t timestamp);
struct span work_out(const struct work *w);
void work_sent(struct work *w, size_t n);
/* Eat from *in up to the end of StartWorkConn; what is left in *in is payload. 0: the state is
 * final; WORK_E_MORE; -ENOMEM. */
enum { WORK_E_MORE = 1 };
int work_next(struct work *w, struct span *in);
/* The two addresses are numeric IPs or empty (never names: nothing steers our resolver)? */
bool work_has_numeric_addrs(const struct msg_start_work_conn *s);
