/* SPDX-License-Identifier: Apache-2.0 */
/* dgram.h - one UDP datagram of a user as a frame: UDPPacket as JSON, or the binary form of frp
 * 0.71 (frp pkg/msg/msg.go UDPPacket, pkg/msg/wire_v2.go). Floor 1. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/span.h"
#include "proto/base/text.h"
#include "proto/wire/frame.h"

#define DGRAM_ZONE_MAX 47 /* longer than any interface's name; longer ones are refused */

/* Which form: JSON in the frames of either wire version, or binary when ServerHello selected it
 * (then JSON is refused, as by the server). */
enum dgram_form { DGRAM_V1, DGRAM_V2, DGRAM_BINARY };

/* The user's address, by which the answer finds back: equal addresses are equal bytes. */
struct dgram_addr {
	struct text_ip ip;
	uint16_t port;
	char zone[DGRAM_ZONE_MAX + 1]; /* zero beyond the end */
};

struct dgram {
	struct span payload; /* may be empty: such datagrams exist */
	struct dgram_addr remote;
};

/* Append @d as one frame. 0, -ENOMEM, BUF_E_FULL (no room in @out), DGRAM_E_LONG: longer than the
 * wire allows (v1: about 7.5 kB, v2: about 49 kB); nothing appended then. */
enum { DGRAM_E_LONG = 2 };
int dgram_encode(enum dgram_form form, const struct dgram *d, struct buf *out);

/* Read frame @f, a message of type MSG_UDP_PACKET or a FRAME_UDP. The payload lies in @dst, or in
 * the frame. 0, -ENOMEM, DGRAM_E_LONG: more than @cap bytes; or DGRAM_E_BAD, *ret_why (static text)
 * says why: no datagram, or not of this form. */
enum { DGRAM_E_BAD = 3 };
int dgram_decode(enum dgram_form form, const struct frame *f, uint8_t *dst, size_t cap,
		 struct dgram *ret_d, const char **ret_why);
