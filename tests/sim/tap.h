/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h - an observer between two yamux ends that reads every frame by itself and holds both to the
 * rules. Tests only.
 *
 * Bytes pass twice: when they are sent (the rules) and when they arrive (credit counts
 * from there). */
#pragma once
#include "proto/base/map.h"
#include "proto/base/span.h"
#include "tests/sim/env.h"

#define TAP_PINGS 256 /* unanswered; a server that floods asks more than LIMIT_PINGS_PER_S */

enum tap_dir { TAP_UP, TAP_DOWN }; /* client to server, and back */

struct tap_side {
	uint8_t header[12];
	size_t header_len;
	uint32_t body_left;
};

struct tap {
	struct env *env;
	struct map streams;
	struct tap_side sent[2], arrived[2];
	uint32_t last_id;
	bool is_off; /* it is no yamux: nothing to see */
	/* read-only */
	size_t n_unacked, n_open;	  /* open: not ended by a RST or two FINs */
	uint32_t pings_due[2][TAP_PINGS]; /* ids asked by this side, in order */
	size_t n_pings_due[2];
	uint64_t n_data[2];
};

void tap_init(struct tap *t, struct env *env);
void tap_deinit(struct tap *t);
void tap_sent(struct tap *t, enum tap_dir dir, struct span bytes);
void tap_arrived(struct tap *t, enum tap_dir dir, struct span bytes);
