/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - message framing of wire v1 and v2 (golib msg/json; frp pkg/proto/wire/wire.go).
 * Floor 1. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/span.h"
#include "proto/wire/msg.h"

enum wire { WIRE_V1 = 1, WIRE_V2 = 2 };

#define FRAME_MAGIC "FRP\0\x02\r\n" /* each v2 stream, client to server, before the first frame */
#define FRAME_MAGIC_LEN 7

/* v1 has messages only; FRAME_UDP is message type 19 of frp 0.71, whose body is no
 * JSON (dgram.h). */
enum frame_kind { FRAME_MESSAGE, FRAME_CLIENT_HELLO, FRAME_SERVER_HELLO, FRAME_UDP };

struct frame {
	enum frame_kind kind;
	enum msg_type type; /* of a message */
	struct span body;   /* JSON (but FRAME_UDP); points into the input */
	size_t total_len;   /* bytes of input this frame took */
};

enum {
	FRAME_E_MORE = 1, /* the input is a good beginning; ret_f->total_len = the length known to
			   * be needed so far: that of the header, or of the whole frame once the
			   * header is there */
	FRAME_E_BAD = 2, /* refused; *ret_why (static text) says why: known as soon as the header is
			    there */
};
/* Look at the front of @in for one frame; stateless, allocates nothing. 0, FRAME_E_MORE,
 * FRAME_E_BAD. */
int frame_next(enum wire wire, struct span in, struct frame *ret_f, const char **ret_why);

/* The longest frame of a wire version with its header (limits.h): what a reading buffer must be
 * able to hold. */
size_t frame_max(enum wire wire);

/* Append message @m as a frame. 0, -ENOMEM, -EINVAL (not UTF-8), BUF_E_FULL (no room in @out), or
 * FRAME_E_BAD: longer than the wire allows (nothing appended in either case). */
int frame_encode(enum wire wire, const struct msg *m, struct buf *out);
/* Append a v2 hello frame with payload @body. 0, -ENOMEM, BUF_E_FULL. */
int frame_encode_hello(enum frame_kind kind, struct span body, struct buf *out);
/* What stands in front of the body of a FRAME_UDP. */
#define FRAME_UDP_HEADER_LEN 10
void frame_put_udp(uint8_t header[static FRAME_UDP_HEADER_LEN], size_t body_len);
