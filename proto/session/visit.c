/* SPDX-License-Identifier: Apache-2.0 */
/* visit.c - NewVisitorConn out, NewVisitorConnResp in. Floor 2. */
#include "proto/session/visit.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/wire/prim.h"

const char *visit_state_name(enum visit_state s)
{
	switch (s) {
	case VISIT_STATE_IDLE: return "idle";
	case VISIT_STATE_ASKED: return "asked";
	case VISIT_STATE_OPEN: return "open";
	case VISIT_STATE_REFUSED: return "refused";
	case VISIT_STATE_BAD: return "bad";
	}
	return "?";
}

static void visit_enter(struct visit *v, enum visit_state to)
{
	MUST(v->state == VISIT_STATE_IDLE
		     ? to == VISIT_STATE_ASKED
		     : v->state == VISIT_STATE_ASKED && to > VISIT_STATE_ASKED);
	v->state = to;
}

void visit_init(struct visit *v, enum wire wire)
{
	*v = (struct visit){ .state = VISIT_STATE_IDLE };
	chan_init(&v->chan, wire, FRAME_MAGIC_LEN + frame_max(wire));
}

void visit_deinit(struct visit *v)
{
	msg_deinit(&v->resp);
	v->why = NULL;
	chan_deinit(&v->chan);
}

int visit_start(struct visit *v, const char *run_id, const struct visit_params *p,
		int64_t timestamp)
{
	char stamp[24], key[33];
	struct msg m = {
		.type = MSG_NEW_VISITOR_CONN,
		.new_visitor_conn = {
			.run_id = run_id,
			.proxy_name = p->proxy_name,
			.sign_key = key,
			.timestamp = timestamp,
			.use_encryption = p->use_encryption,
			.use_compression = p->use_compression,
		},
	};
	int r;

	(void) snprintf(stamp, sizeof(stamp), "%" PRId64, timestamp);
	r = prim_md5_hex(p->secret_key, span_str(stamp), key);
	if (r < 0)
		return r;
	if (v->chan.wire == WIRE_V2)
		r = chan_send_raw(&v->chan, span_of(FRAME_MAGIC, FRAME_MAGIC_LEN));
	if (r == 0)
		r = chan_send(&v->chan, &m);
	secret_wipe(key, sizeof(key));
	MUST(r != BUF_E_FULL); /* the queue holds the magic and the longest frame */
	if (r != 0)
		return r;
	visit_enter(v, VISIT_STATE_ASKED);
	return 0;
}

struct span visit_out(const struct visit *v)
{
	return chan_out(&v->chan);
}

void visit_sent(struct visit *v, size_t n)
{
	chan_sent(&v->chan, n);
}

static int visit_bad(struct visit *v, const char *why)
{
	v->why = why;
	visit_enter(v, VISIT_STATE_BAD);
	return 0;
}

int visit_next(struct visit *v, struct span *in)
{
	const char *error;
	int r;

	MUST(v->state != VISIT_STATE_IDLE);
	if (v->state != VISIT_STATE_ASKED)
		return 0;
	r = chan_next(&v->chan, in, &v->resp);
	if (r < 0)
		return r;
	if (r == CHAN_E_MORE)
		return VISIT_E_MORE;
	if (r == CHAN_E_BAD)
		return visit_bad(v, v->chan.why);
	if (chan_out(&v->chan).len == 0)
		chan_deinit(&v->chan); /* it may live for hours: keep no buffers */
	if (v->resp.type != MSG_NEW_VISITOR_CONN_RESP)
		return visit_bad(v, "another message in place of NewVisitorConnResp");
	error = v->resp.new_visitor_conn_resp.error;
	if (error == NULL || error[0] == '\0') {
		visit_enter(v, VISIT_STATE_OPEN);
		return 0;
	}
	v->why = error;
	visit_enter(v, VISIT_STATE_REFUSED);
	return 0;
}
