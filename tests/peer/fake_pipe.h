/* SPDX-License-Identifier: Apache-2.0 */
/* fake_pipe.h - what fake_session.c and fake_command.c share: the byte streams of a session. */
#pragma once
#include <stdint.h>

#include "proto/base/list.h"
#include "proto/session/chan.h"
#include "proto/session/mux.h"
#include "proto/wire/hello.h"
#include "proto/wire/mframe.h"
#include "tests/peer/fake_session.h"

enum fake_role { FAKE_ROLE_NEW, FAKE_ROLE_CONTROL, FAKE_ROLE_PARKED, FAKE_ROLE_JOINED };

struct fake_pipe {
	struct list link; /* of the session */
	struct fake_session *session;
	struct mux_stream *stream; /* NULL: the connection itself */
	unsigned id;		   /* of the stream; 0 */
	enum fake_role role;
	enum wire wire; /* 0: no byte came yet */
	size_t magic_due;
	struct chan chan;
	struct hello_keys keys; /* v2 */
	enum prim_aead_kind kind;
	uint64_t n_received;
};

/* Bytes on the pipe, behind its layer if it has one. */
void fake_pipe_put(struct fake_pipe *p, struct span bytes);
/* A message of wire type byte @type with JSON @body, right or wrong. */
void fake_pipe_put_frame(struct fake_pipe *p, uint8_t type, struct span body);
void fake_pipe_send(struct fake_pipe *p, const struct msg *m);

/* All that can leave goes to s->out; afterwards the mux is between two frames. */
void fake_session_flush(struct fake_session *s);
/* A frame of the mux without payload, behind the mux's back. */
void fake_session_put_mframe(struct fake_session *s, const struct mframe *f);
/* True: go on as a stock server does. @p may be NULL. */
bool fake_session_step(struct fake_session *s, struct fake_pipe *p, const struct fake_step *step);
