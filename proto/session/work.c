/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - NewWorkConn out, StartWorkConn in. Floor 2. */
#include "proto/session/work.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"
#include "proto/wire/prim.h"

const char *work_state_name(enum work_state s)
{
	switch (s) {
	case WORK_STATE_IDLE: return "idle";
	case WORK_STATE_PARKED: return "parked";
	case WORK_STATE_STARTED: return "started";
	case WORK_STATE_REFUSED: return "refused";
	case WORK_STATE_BAD: return "bad";
	}
	return "?";
}

static void work_enter(struct work *w, enum work_state to)
{
	MUST(w->state == WORK_STATE_IDLE ? to == WORK_STATE_PARKED
					 : w->state == WORK_STATE_PARKED && to > WORK_STATE_PARKED);
	w->state = to;
}

void work_init(struct work *w, enum wire wire)
{
	*w = (struct work){ .state = WORK_STATE_IDLE };
	chan_init(&w->chan, wire, FRAME_MAGIC_LEN + frame_max(wire));
}

void work_deinit(struct work *w)
{
	msg_deinit(&w->start);
	w->start = (struct msg){ .type = MSG_NONE };
	chan_deinit(&w->chan);
}

int work_start(struct work *w, const char *run_id, struct span token, int64_t timestamp)
{
	char stamp[24], key[33];
	struct msg m = {
		.type = MSG_NEW_WORK_CONN,
		.new_work_conn = { .run_id = run_id, .privilege_key = key, .timestamp = timestamp },
	};
	int r;

	/* Signed always: a server that does not want the signature does not look at it. */
	(void) snprintf(stamp, sizeof(stamp), "%" PRId64, timestamp);
	r = prim_md5_hex(token, span_str(stamp), key);
	if (r < 0)
		return r;
	if (w->chan.wire == WIRE_V2)
		r = chan_send_raw(&w->chan, span_of(FRAME_MAGIC, FRAME_MAGIC_LEN));
	if (r == 0)
		r = chan_send(&w->chan, &m);
	secret_wipe(key, sizeof(key));
	MUST(r != BUF_E_FULL); /* the queue holds the magic and the longest frame */
	if (r != 0)
		return r;
	work_enter(w, WORK_STATE_PARKED);
	return 0;
}

struct span work_out(const struct work *w)
{
	return chan_out(&w->chan);
}

void work_sent(struct work *w, size_t n)
{
	chan_sent(&w->chan, n);
}

static int work_bad(struct work *w, const char *why)
{
	w->why = why;
	work_enter(w, WORK_STATE_BAD);
	return 0;
}

int work_next(struct work *w, struct span *in)
{
	const struct msg_start_work_conn *s = &w->start.start_work_conn;
	int r;

	MUST(w->state != WORK_STATE_IDLE);
	if (w->state != WORK_STATE_PARKED)
		return 0;
	r = chan_next(&w->chan, in, &w->start);
	if (r < 0)
		return r;
	if (r == CHAN_E_MORE)
		return WORK_E_MORE;
	if (r == CHAN_E_BAD)
		return work_bad(w, w->chan.why);
	if (chan_out(&w->chan).len == 0)
		chan_deinit(&w->chan); /* it may live for hours, joined: keep no buffers */
	if (w->start.type != MSG_START_WORK_CONN)
		return work_bad(w, "another message in place of StartWorkConn");
	if (s->error != NULL && s->error[0] != '\0')
		work_enter(w, WORK_STATE_REFUSED);
	else if (s->proxy_name == NULL || s->proxy_name[0] == '\0')
		return work_bad(w, "StartWorkConn names no proxy");
	else
		work_enter(w, WORK_STATE_STARTED);
	return 0;
}

static bool work_is_numeric(const char *addr)
{
	return addr == NULL || addr[0] == '\0' || text_is_ip(addr);
}

bool work_has_numeric_addrs(const struct msg_start_work_conn *s)
{
	return work_is_numeric(s->src_addr) && work_is_numeric(s->dst_addr);
}
