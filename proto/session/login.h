/* SPDX-License-Identifier: Apache-2.0 */
/* login.h - the first exchange on the control channel: [hello,] Login, LoginResp; then the channel
 * is encrypted. Floor 2.
 *
 * states: LOGIN_STATE_IDLE -login_start-> [HELLO_SENT ->] SENT -LoginResp-> DONE | REFUSED | BAD */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/session/chan.h"
#include "proto/wire/hello.h"

enum login_state {
	LOGIN_STATE_IDLE,
	LOGIN_STATE_HELLO_SENT,
	LOGIN_STATE_SENT,
	LOGIN_STATE_DONE,
	LOGIN_STATE_REFUSED,
	LOGIN_STATE_BAD
};
const char *login_state_name(enum login_state s);

struct login_params {
	enum wire wire;
	struct span token;	/* borrowed for the life of the machine */
	struct msg_login login; /* privilege_key is filled in here from token and login.timestamp;
				   strings borrowed */
	/* v1: no login, but a question that every frps answers, with an error: it ends REFUSED when
	 * the server speaks v1 (frp server/service.go RegisterVisitorConn) */
	bool is_question;
	uint8_t iv[16]; /* v1: our CFB IV, random */
	/* v2 only */
	struct hello_client hello; /* kinds borrowed */
	uint8_t nonce[24];	   /* our AEAD stream nonce, random */
};

struct login {
	/* read-only */
	enum login_state state;
	char run_id[LIMIT_RUN_ID + 1]; /* after DONE */
	char server_version[32];       /* after DONE and REFUSED; escaped for a person */
	char error[512]; /* after REFUSED: the server's text, raw (escape before showing); after
			    BAD: ours */
	bool udp_binary; /* v2: ServerHello selected binary-v1 */
	/* private */
	struct login_params p;
	enum prim_aead_kind server_kind;       /* what ServerHello selected */
	struct buf client_hello, server_hello; /* exact payload bytes, for the transcript */
};

/* Allocates nothing yet. */
void login_init(struct login *l, const struct login_params *p);
void login_deinit(struct login *l); /* wipes */
/* Queue the client's messages on @c. 0, -ENOMEM, -EINVAL (a string is not UTF-8), FRAME_E_BAD (too
 * long). */
int login_start(struct login *l, struct chan *c);
/* Eat from *in until the answer is complete; then @c has its layer and the state is DONE, REFUSED
 * or BAD. An accepted run id must be 1..LIMIT_RUN_ID printable ASCII bytes, else BAD. 0 (state
 * changed to a final one), LOGIN_E_MORE, -ENOMEM. */
enum { LOGIN_E_MORE = 1 };
int login_next(struct login *l, struct chan *c, struct span *in);
