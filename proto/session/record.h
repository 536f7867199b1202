/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the bytes a mux has to send: ctl (small, first) and the open record (payload). No
 * stream is known here. Floor 2.
 *
 * Used by the mux only. Frames are whole when they are added; what leaves first is
 * decided by record_drain(). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/limits.h"
#include "proto/wire/mframe.h"

/* A frame with less room behind it waits for the next record: small pieces cost calls. */
#define RECORD_MIN_ROOM 2048

/* Of LIMIT_CTL: never taken by data or by frames of streams, so that a ping and its answer always
 * fit. */
#define RECORD_FOR_PINGS 4096

struct record {
	/* private; invariants: sent <= len <= LIMIT_BATCH; sent > 0 only while it is being taken
	 * away */
	struct buf ctl;
	size_t max; /* no frame is added beyond it */
	size_t len, sent;
	uint8_t bytes[LIMIT_BATCH];
};

void record_init(struct record *r);
void record_deinit(struct record *r);
/* From now on it holds @max bytes, LIMIT_RECORD (as at first) to LIMIT_BATCH. */
void record_set_max(struct record *r, size_t max);

/* Add a frame without payload to ctl. 0, -ENOMEM or BUF_E_FULL. @reserve bytes of ctl stay free for
 * more urgent ones. */
int record_add_ctl(struct record *r, const struct mframe *f, size_t reserve);
/* Add a data frame with a copy of @data to ctl, all or nothing; leaves room for pings. */
int record_add_urgent(struct record *r, uint32_t stream_id, struct span data);
/* Add a frame without payload to the record, behind the data in it. false: no room now. */
bool record_add_tail(struct record *r, const struct mframe *f);
/* Room for payload behind a header and before the frame of a record_add_tail(), 0 when less than
 * RECORD_MIN_ROOM; *ret_dst is where the payload goes. */
size_t record_reserve(struct record *r, uint8_t **ret_dst);
/* The @n bytes written there become a data frame of @stream_id. */
void record_commit(struct record *r, uint32_t stream_id, size_t n);

/* What to send next: the rest of a record under way, else ctl, else the record. */
struct span record_drain(const struct record *r);
void record_drained(struct record *r, size_t n);
