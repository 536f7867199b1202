/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - message framing of wire v1 and v2. Floor 1. */
#include "proto/wire/frame.h"

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define V1_HEADER 9 /* type byte | length i64 */
#define V2_HEADER 8 /* frame type u16 | flags u16, 0 | length u32 */
#define V2_TYPE 2   /* message type u16 at the front of a message's payload */
#define V2_UDP 19   /* frp pkg/msg/wire_v2.go: the message type that is no JSON (0.71) */

enum v2_frame { V2_CLIENT_HELLO = 1, V2_SERVER_HELLO = 2, V2_MESSAGE = 16 };

static int frame_refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return FRAME_E_BAD;
}

/* A good beginning so far, of a frame that is at least @total_len bytes long. */
static int frame_want(struct frame *ret_f, size_t total_len)
{
	*ret_f = (struct frame){ .total_len = total_len };
	return FRAME_E_MORE;
}

static int frame_next_v1(struct span in, struct frame *ret_f, const char **ret_why)
{
	enum msg_type type;
	uint64_t len;

	if (in.len == 0)
		return frame_want(ret_f, V1_HEADER);
	type = msg_type_of_byte(in.p[0]);
	if (type == MSG_NONE)
		return frame_refuse(ret_why, "unknown message type");
	if (in.len < V1_HEADER)
		return frame_want(ret_f, V1_HEADER);
	len = bytes_get_u64(in.p + 1);
	if (len > INT64_MAX)
		return frame_refuse(ret_why, "negative message length");
	if (len > LIMIT_V1_BODY)
		return frame_refuse(ret_why, "message longer than 10240 bytes");
	if (in.len - V1_HEADER < len)
		return frame_want(ret_f, V1_HEADER + (size_t) len);
	*ret_f = (struct frame){
		.kind = FRAME_MESSAGE,
		.type = type,
		.body = span_of(in.p + V1_HEADER, (size_t) len),
		.total_len = V1_HEADER + (size_t) len,
	};
	return 0;
}

/* The header's checks; *ret_kind and the payload's length. */
static int frame_header_v2(const uint8_t *p, enum frame_kind *ret_kind, size_t *ret_len,
			   const char **ret_why)
{
	uint32_t len = bytes_get_u32(p + 4);
	enum frame_kind kind;

	switch (bytes_get_u16(p)) {
	case V2_CLIENT_HELLO: kind = FRAME_CLIENT_HELLO; break;
	case V2_SERVER_HELLO: kind = FRAME_SERVER_HELLO; break;
	case V2_MESSAGE: kind = FRAME_MESSAGE; break;
	default: return frame_refuse(ret_why, "unknown frame type");
	}
	if (bytes_get_u16(p + 2) != 0)
		return frame_refuse(ret_why, "frame flags are not zero");
	if (len > LIMIT_V2_BODY)
		return frame_refuse(ret_why, "frame longer than 65536 bytes");
	if (kind == FRAME_MESSAGE && len < V2_TYPE)
		return frame_refuse(ret_why, "message frame without a message type");
	*ret_kind = kind;
	*ret_len = len;
	return 0;
}

static int frame_next_v2(struct span in, struct frame *ret_f, const char **ret_why)
{
	struct frame f = { .type = MSG_NONE };
	uint16_t type;
	size_t len;
	int r;

	if (in.len < V2_HEADER)
		return frame_want(ret_f, V2_HEADER);
	r = frame_header_v2(in.p, &f.kind, &len, ret_why);
	if (r != 0)
		return r;
	f.total_len = V2_HEADER + len;
	in = span_skip(in, V2_HEADER);
	if (f.kind == FRAME_MESSAGE) {
		if (in.len < V2_TYPE)
			return frame_want(ret_f, f.total_len);
		type = bytes_get_u16(in.p);
		if (type == V2_UDP)
			f.kind = FRAME_UDP;
		else if (type == MSG_NONE || type >= MSG_N_TYPES)
			return frame_refuse(ret_why, "unknown message type");
		else
			f.type = (enum msg_type) type;
		in = span_skip(in, V2_TYPE);
		len -= V2_TYPE;
	}
	if (in.len < len)
		return frame_want(ret_f, f.total_len);
	f.body = span_head(in, len);
	*ret_f = f;
	return 0;
}

int frame_next(enum wire wire, struct span in, struct frame *ret_f, const char **ret_why)
{
	return wire == WIRE_V1 ? frame_next_v1(in, ret_f, ret_why)
			       : frame_next_v2(in, ret_f, ret_why);
}

size_t frame_max(enum wire wire)
{
	return wire == WIRE_V1 ? V1_HEADER + LIMIT_V1_BODY : V2_HEADER + LIMIT_V2_BODY;
}

/* Header and body in one piece, or nothing. */
static int frame_add(struct buf *out, struct span header, struct span body)
{
	uint8_t *p;
	int r;

	r = buf_reserve(out, header.len + body.len, &p);
	if (r != 0)
		return r;
	memcpy(p, header.p, header.len);
	if (body.len > 0)
		memcpy(p + header.len, body.p, body.len);
	buf_commit(out, header.len + body.len);
	return 0;
}

static void frame_put_v2(uint8_t header[static V2_HEADER + V2_TYPE], uint16_t type, size_t body_len)
{
	bytes_put_u16(header, V2_MESSAGE);
	bytes_put_u16(header + 2, 0);
	bytes_put_u32(header + 4, (uint32_t) (V2_TYPE + body_len));
	bytes_put_u16(header + V2_HEADER, type);
}

static size_t frame_put_header(enum wire wire, enum msg_type type, size_t body_len,
			       uint8_t header[static V2_HEADER + V2_TYPE])
{
	if (wire == WIRE_V1) {
		header[0] = msg_type_byte(type);
		bytes_put_u64(header + 1, body_len);
		return V1_HEADER;
	}
	frame_put_v2(header, (uint16_t) type, body_len);
	return V2_HEADER + V2_TYPE;
}

int frame_encode(enum wire wire, const struct msg *m, struct buf *out)
{
	uint8_t header[V2_HEADER + V2_TYPE];
	struct buf body;
	size_t n;
	int r;

	buf_init(&body, wire == WIRE_V1 ? LIMIT_V1_BODY : LIMIT_V2_BODY - V2_TYPE);
	r = msg_encode(m, &body);
	if (r == BUF_E_FULL) {
		r = FRAME_E_BAD;
	} else if (r == 0) {
		n = frame_put_header(wire, m->type, buf_len(&body), header);
		r = frame_add(out, span_of(header, n), buf_span(&body));
	}
	buf_deinit(&body);
	return r;
}

int frame_encode_hello(enum frame_kind kind, struct span body, struct buf *out)
{
	uint8_t header[V2_HEADER];

	MUST((kind == FRAME_CLIENT_HELLO || kind == FRAME_SERVER_HELLO) &&
	     body.len <= LIMIT_V2_BODY);
	bytes_put_u16(header, kind == FRAME_CLIENT_HELLO ? V2_CLIENT_HELLO : V2_SERVER_HELLO);
	bytes_put_u16(header + 2, 0);
	bytes_put_u32(header + 4, (uint32_t) body.len);
	return frame_add(out, span_of(header, sizeof(header)), body);
}

void frame_put_udp(uint8_t header[static FRAME_UDP_HEADER_LEN], size_t body_len)
{
	frame_put_v2(header, V2_UDP, body_len);
}
