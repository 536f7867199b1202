/* SPDX-License-Identifier: Apache-2.0 */
/* login.c - hello, Login, LoginResp, and the keys that follow from them. Floor 2.
 *
 *   IDLE --start, v1--------------------> SENT --LoginResp--> DONE | REFUSED | BAD
 *     |--start, v2--> HELLO_SENT --ServerHello--^
 *                         |--refused, nonsense--> REFUSED | BAD */
#include "proto/session/login.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"
#include "proto/wire/aead.h"
#include "proto/wire/cfb.h"

const char *login_state_name(enum login_state s)
{
	switch (s) {
	case LOGIN_STATE_IDLE: return "idle";
	case LOGIN_STATE_HELLO_SENT: return "hello sent";
	case LOGIN_STATE_SENT: return "sent";
	case LOGIN_STATE_DONE: return "done";
	case LOGIN_STATE_REFUSED: return "refused";
	case LOGIN_STATE_BAD: return "bad";
	}
	return "?";
}

static bool login_is_final(const struct login *l)
{
	return l->state == LOGIN_STATE_DONE || l->state == LOGIN_STATE_REFUSED ||
	       l->state == LOGIN_STATE_BAD;
}

static void login_enter(struct login *l, enum login_state to)
{
	if (l->state == LOGIN_STATE_IDLE)
		MUST(to == (l->p.wire == WIRE_V1 ? LOGIN_STATE_SENT : LOGIN_STATE_HELLO_SENT));
	else
		MUST(!login_is_final(l) && to > l->state);
	MUST(l->state != LOGIN_STATE_HELLO_SENT || to != LOGIN_STATE_DONE);
	l->state = to;
}

static int login_end(struct login *l, enum login_state state, const char *text)
{
	(void) snprintf(l->error, sizeof(l->error), "%s", text); /* cut: it is for a person */
	login_enter(l, state);
	return 0;
}

static int login_bad(struct login *l, const char *why)
{
	return login_end(l, LOGIN_STATE_BAD, why);
}

void login_init(struct login *l, const struct login_params *p)
{
	*l = (struct login){ .p = *p };
	buf_init(&l->client_hello, LIMIT_V2_BODY);
	buf_init(&l->server_hello, LIMIT_V2_BODY);
}

void login_deinit(struct login *l)
{
	buf_deinit(&l->client_hello);
	buf_deinit(&l->server_hello);
	secret_wipe(l, sizeof(*l));
}

/* -- to the server -- */

static int login_send_hello(struct login *l, struct chan *c)
{
	struct buf frame;
	int r;

	r = hello_encode_client(&l->p.hello, &l->client_hello);
	MUST(r <= 0); /* some hundred bytes */
	if (r < 0)
		return r;
	buf_init(&frame, frame_max(WIRE_V2));
	r = frame_encode_hello(FRAME_CLIENT_HELLO, buf_span(&l->client_hello), &frame);
	if (r == 0)
		r = chan_send_raw(c, span_of(FRAME_MAGIC, FRAME_MAGIC_LEN));
	if (r == 0)
		r = chan_send_raw(c, buf_span(&frame));
	buf_deinit(&frame);
	return r;
}

static int login_send(struct login *l, struct chan *c)
{
	struct msg m = { .type = MSG_LOGIN, .login = l->p.login };
	char stamp[24], key[33];
	int r;

	(void) snprintf(stamp, sizeof(stamp), "%" PRId64, m.login.timestamp);
	r = prim_md5_hex(l->p.token, span_str(stamp), key);
	if (r < 0)
		return r;
	m.login.privilege_key = key;
	r = chan_send(c, &m);
	secret_wipe(key, sizeof(key));
	return r;
}

int login_start(struct login *l, struct chan *c)
{
	static const struct msg question = {
		.type = MSG_NEW_VISITOR_CONN,
		/* the server's log shows it */
		.new_visitor_conn = { .proxy_name = "mltunnel: is wire protocol v1 spoken?" },
	};
	int r = 0;

	MUST(l->state == LOGIN_STATE_IDLE);
	if (l->p.wire == WIRE_V2)
		r = login_send_hello(l, c);
	if (r == 0)
		r = l->p.is_question ? chan_send(c, &question) : login_send(l, c);
	MUST(r != BUF_E_FULL); /* nothing else waits on a new channel */
	if (r != 0)
		return r;
	login_enter(l, l->p.wire == WIRE_V1 ? LOGIN_STATE_SENT : LOGIN_STATE_HELLO_SENT);
	return 0;
}

/* -- from the server -- */

static int login_new_layer(struct login *l, struct layer **ret_layer)
{
	struct hello_keys keys;
	struct aead_params ap = {
		.kind = l->server_kind,
		.key_out = keys.client_to_server,
		.key_in = keys.server_to_client,
		.nonce = l->p.nonce,
	};
	int r;

	if (l->p.wire == WIRE_V1)
		return cfb_new(ret_layer, l->p.token, l->p.iv);
	r = hello_derive(l->p.token, buf_span(&l->client_hello), buf_span(&l->server_hello),
			 ap.kind, &keys);
	if (r == 0)
		r = aead_new(ret_layer, &ap);
	secret_wipe(&keys, sizeof(keys));
	return r;
}

static bool login_is_run_id(const char *s)
{
	size_t len = s != NULL ? strlen(s) : 0;

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len >= 1 && len <= LIMIT_RUN_ID;
}

static int login_on_resp(struct login *l, struct chan *c, const struct msg_login_resp *resp)
{
	struct layer *layer;
	int r;

	(void) text_escape(span_str(resp->version), l->server_version, sizeof(l->server_version));
	if (resp->error != NULL && resp->error[0] != '\0')
		return login_end(l, LOGIN_STATE_REFUSED, resp->error);
	if (l->state == LOGIN_STATE_HELLO_SENT)
		return login_bad(l, "LoginResp without a ServerHello");
	if (!login_is_run_id(resp->run_id))
		return login_bad(
			l, "LoginResp with a run id that is empty, too long or not printable");
	r = login_new_layer(l, &layer);
	if (r < 0)
		return r;
	chan_set_layer(c, layer);
	memcpy(l->run_id, resp->run_id, strlen(resp->run_id) + 1);
	login_enter(l, LOGIN_STATE_DONE);
	return 0;
}

static int login_on_answer(struct login *l, const struct frame *f)
{
	if (f->type != MSG_NEW_VISITOR_CONN_RESP)
		return login_bad(l, "another message in place of NewVisitorConnResp");
	return login_end(l, LOGIN_STATE_REFUSED, "the server speaks wire protocol v1");
}

static int login_on_message(struct login *l, struct chan *c, const struct frame *f)
{
	const char *why = NULL;
	struct msg m;
	int r;

	if (f->kind != FRAME_MESSAGE)
		return login_bad(l, "a second hello in place of LoginResp");
	if (l->p.is_question)
		return login_on_answer(l, f);
	if (f->type != MSG_LOGIN_RESP)
		return login_bad(l, "another message in place of LoginResp");
	r = msg_decode(f->type, f->body, &m, &why);
	if (r < 0)
		return r;
	if (r == MSG_E_BAD)
		return login_bad(l, why);
	r = login_on_resp(l, c, &m.login_resp);
	msg_deinit(&m);
	return r;
}

static int login_on_hello(struct login *l, const struct frame *f)
{
	struct hello_server h;
	const char *why = NULL;
	int r;

	r = hello_decode_server(f->body, &l->p.hello, &h, &why);
	if (r < 0)
		return r;
	if (r == HELLO_E_BAD)
		return login_bad(l, why);
	if (h.error[0] != '\0')
		return login_end(l, LOGIN_STATE_REFUSED, h.error);
	r = buf_add(&l->server_hello, f->body);
	MUST(r <= 0); /* a frame's body is never longer */
	if (r < 0)
		return r;
	l->server_kind = h.kind;
	l->udp_binary = h.udp_binary;
	login_enter(l, LOGIN_STATE_SENT);
	return 0;
}

int login_next(struct login *l, struct chan *c, struct span *in)
{
	struct frame f;
	int r;

	MUST(l->state != LOGIN_STATE_IDLE);
	while (!login_is_final(l)) {
		r = chan_next_frame(c, in, &f);
		if (r < 0)
			return r;
		if (r == CHAN_E_MORE)
			return LOGIN_E_MORE;
		if (r == CHAN_E_BAD)
			r = login_bad(l, c->why);
		else if (l->state == LOGIN_STATE_HELLO_SENT && f.kind == FRAME_SERVER_HELLO)
			r = login_on_hello(l, &f);
		else if (f.kind == FRAME_CLIENT_HELLO)
			r = login_bad(l, "a ClientHello from the server");
		else /* a server may refuse before its hello */
			r = login_on_message(l, c, &f);
		if (r < 0)
			return r;
	}
	return 0;
}
