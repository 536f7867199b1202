/* SPDX-License-Identifier: Apache-2.0 */
/* fake_script.h - what the scriptable server does at each stage, and the words of its commands. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/span.h"

enum fake_stage {
	FAKE_STAGE_TCP,	  /* somebody connected */
	FAKE_STAGE_MUX,	  /* its first bytes */
	FAKE_STAGE_LOGIN, /* Login: instead of LoginResp */
	FAKE_STAGE_UP,	  /* right behind a good LoginResp */
	FAKE_STAGE_PROXY, /* NewProxy: instead of NewProxyResp */
	FAKE_STAGE_WORK,  /* NewWorkConn: it is parked otherwise */
};
#define FAKE_N_STAGES 6

enum fake_act {
	FAKE_ACT_ANSWER, /* as a stock server does */
	FAKE_ACT_SILENT, /* no answer; at tcp and mux no byte is looked at any more */
	FAKE_ACT_FREEZE, /* half-open: nothing is read or written from now on */
	FAKE_ACT_FIN,	 /* end the connection */
	FAKE_ACT_RST,
	FAKE_ACT_RAW,	 /* these bytes on the connection, below the mux */
	FAKE_ACT_BYTES,	 /* these bytes on the stream, through its layer */
	FAKE_ACT_FRAME,	 /* a message of this type byte with this body */
	FAKE_ACT_REFUSE, /* an answer with this error text */
};

struct fake_step {
	enum fake_act act;
	uint8_t type;	/* of FRAME */
	uint8_t *bytes; /* owned; of RAW, BYTES, FRAME, REFUSE (NUL behind them) */
	size_t len;
};

struct fake_script {
	struct fake_step at[FAKE_N_STAGES];
	char *proxy; /* owned; PROXY is for this name only; NULL: for all */
	struct span token;
	bool is_mux;
};

/* Parse "ACT [ARG]": the bytes of RAW and BYTES in hex, FRAME's "T JSON". 0, -ENOMEM or
 * SCRIPT_E_BAD. */
enum { SCRIPT_E_BAD = 1 };
int fake_step_parse(const char *text, struct fake_step *ret_step);
void fake_step_deinit(struct fake_step *s);
/* "login" and so on. 0 or SCRIPT_E_BAD. */
int fake_stage_of_name(const char *name, enum fake_stage *ret_stage);
void fake_script_deinit(struct fake_script *s);

/* Cut the first word off *text; "" when there is none. */
char *fake_word(char **text);
