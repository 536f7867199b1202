/* SPDX-License-Identifier: Apache-2.0 */
/* rerun.h - our client machine in the place of a recorded frpc: it gets the server's bytes at the
 * recorded times and the recorded randoms. Tests only. */
#pragma once
#include "tests/unit/unit.h"

#include "proto/session/client.h"
#include "proto/session/work.h"
#include "tests/sim/recording.h"

#define MAX_PROXIES 16

struct replay {
	struct recording r;
	struct rec_messages up, down; /* of the control channel */
	struct rec_keys keys;
	const struct rec_messages *hello; /* the first frames */
	struct msg login;
	struct msg proxies[MAX_PROXIES];
	bool is_refused[MAX_PROXIES];
	size_t n_proxies, n_pings, n_works, n_visitors, n_messages, n_binary;
};

struct run {
	struct replay *p;
	struct client *c;
	struct roster roster;
	size_t entry[MAX_PROXIES];
	struct rec_demux demux;	    /* of what we send */
	struct rec_stream *streams; /* what we sent */
	size_t n_streams;
	uint64_t now_ms;
	size_t left; /* bytes of the server on the first connection until that is reset; SIZE_MAX:
			never */
	struct work works[32]; /* without mux */
	size_t n_works;
	bool is_dead;
	enum client_cause cause;
	size_t n_seen_up; /* recorded control messages whose time has come */
};

static inline void rec_message_decode(const struct rec_message *m, struct msg *ret_m)
{
	assert_int_equal(msg_decode(m->type, buf_span(&m->body), ret_m, NULL), 0);
}

static inline struct rec_stream *replay_control(struct replay *p)
{
	return rec_stream(p->r.streams, &p->r.n_streams, p->r.is_mux ? 1 : 0);
}

void run_init(struct run *u, struct replay *p);
/* Pieces of the recording, all or as many as are left, the server's cut by @split. */
void run_pieces(struct run *u, struct unit_split split);
void run_free(struct run *u);
