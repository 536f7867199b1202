/* SPDX-License-Identifier: Apache-2.0 */
/* chan.h - a message channel: frp messages in and out of a byte stream, through an optional layer.
 * Floor 2.
 *
 * It never reads a byte beyond the frame it returns, so what follows (ciphertext after LoginResp,
 * payload after StartWorkConn) is still in the lent span. */
#pragma once
#include "proto/base/buf.h"
#include "proto/wire/frame.h"
#include "proto/wire/layer.h"

struct chan {
	/* read-only */
	const char *why; /* after CHAN_E_BAD (static text) */
	/* private */
	enum wire wire;
	struct layer *layer; /* owned; NULL: in clear */
	struct buf in;	     /* one frame, plain */
	size_t in_eat;	     /* of the frame handed out last */
	struct buf out;	     /* wire bytes to send */
	struct buf plain;    /* scratch of chan_send() */
};

/* @out_max bounds the unsent bytes. Allocates nothing. */
void chan_init(struct chan *c, enum wire wire, size_t out_max);
void chan_deinit(struct chan *c); /* wipes */
/* From here on both directions pass @layer; owned by @c now. */
void chan_set_layer(struct chan *c, struct layer *layer);

enum { CHAN_E_MORE = 1, CHAN_E_BAD = 2 };
/* Call until CHAN_E_MORE, even with *in empty: one record of a layer may hold several frames.
 * Eat the next frame from the front of *in. 0 and *ret_f (valid until the next call), CHAN_E_MORE
 * (all of *in eaten), CHAN_E_BAD (see c->why; the channel is dead), -ENOMEM. */
int chan_next_frame(struct chan *c, struct span *in, struct frame *ret_f);
/* The same, decoded; a hello frame or a FRAME_UDP is CHAN_E_BAD. The caller owes msg_deinit(). */
int chan_next(struct chan *c, struct span *in, struct msg *ret_m);

/* Queue @m. 0, -ENOMEM, -EINVAL, BUF_E_FULL (out_max), or FRAME_E_BAD (too long for the wire):
 * nothing queued then. */
int chan_send(struct chan *c, const struct msg *m);
/* Queue raw bytes outside the layer (magic, hello frames). */
int chan_send_raw(struct chan *c, struct span bytes);
/* What waits to be sent, and how much of it was. */
struct span chan_out(const struct chan *c);
void chan_sent(struct chan *c, size_t n);
