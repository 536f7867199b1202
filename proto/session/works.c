/* SPDX-License-Identifier: Apache-2.0 */
/* works.c - from ReqWorkConn to joined bytes. Floor 2. */
#include "proto/session/works.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"

void works_init(struct works *ws, uint64_t now_ms)
{
	list_init(&ws->all);
	list_init(&ws->unsent);
	ws->tokens = LIMIT_WORK_PER_S;
	ws->tokens_ms = now_ms;
}

static void work_free(struct client_work *w)
{
	struct works *ws = w->works;

	if (ws->shown == w)
		ws->shown = NULL;
	if (ws->of_in == w)
		ws->of_in = NULL;
	if (w->is_joined)
		ws->n_joined--;
	else
		ws->n_unstarted--;
	list_del(&w->link);
	list_del(&w->unsent_link);
	work_deinit(&w->work);
	free(w);
}

void works_deinit(struct works *ws)
{
	while (!list_is_empty(&ws->all))
		work_free(container_of(ws->all.next, struct client_work, link));
}

void works_forget(struct works *ws, struct client_work *w)
{
	mux_forget(ws->mux, w->stream);
	work_free(w);
}

/* Close one that is not joined: nothing of it matters any more. */
static void work_close(struct client_work *w)
{
	mux_fin(w->works->mux, w->stream);
	works_forget(w->works, w);
}

/* -- opening ------------------------------------------------------------------------------------------------------ */

void works_ask(struct works *ws)
{
	if (ws->n_wanted < LIMIT_WORK_QUEUE)
		ws->n_wanted++;
}

static bool tokens_take(struct works *ws, uint64_t now_ms)
{
	uint64_t more = (now_ms - ws->tokens_ms) * LIMIT_WORK_PER_S / 1000;

	ws->tokens = ws->tokens + more > LIMIT_WORK_PER_S ? LIMIT_WORK_PER_S : ws->tokens + more;
	ws->tokens_ms = now_ms;
	if (ws->tokens == 0)
		return false;
	ws->tokens--;
	return true;
}

/* True: nothing of the first message is left to send. */
static bool work_flush(struct client_work *w)
{
	struct span out = work_out(&w->work);

	if (out.len == 0)
		return true;
	if (mux_write_urgent(w->works->mux, w->stream, out) != 0)
		return false;
	work_sent(&w->work, out.len);
	return true;
}

static int work_open(struct works *ws, int64_t stamp)
{
	struct client_work *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->works = ws;
	list_init(&w->unsent_link);
	work_init(&w->work, ws->wire);
	err = work_start(&w->work, ws->run_id, ws->token, stamp);
	if (err == 0)
		err = mux_open(ws->mux, w, &w->stream);
	if (err != 0) {
		work_deinit(&w->work);
		free(w);
		return err;
	}
	list_add_tail(&ws->all, &w->link);
	ws->n_unstarted++;
	if (!work_flush(w))
		list_add_tail(&ws->unsent, &w->unsent_link);
	return 0;
}

int works_open(struct works *ws, uint64_t now_ms, int64_t stamp)
{
	int err;

	while (ws->n_wanted > 0 && ws->n_unstarted < LIMIT_WORK_UNSTARTED && tokens_take(ws, now_ms)) {
		err = work_open(ws, stamp);
		if (err == MUX_E_UNACKED) {
			ws->tokens++;
			break; /* goes on when the server has acknowledged some */
		}
		ws->n_wanted--;
		ws->is_cap_hit = ws->is_cap_hit || err == MUX_E_STREAMS;
		if (err < 0)
			return err;
	}
	return 0;
}

void works_flush(struct works *ws)
{
	struct client_work *w;

	while (!list_is_empty(&ws->unsent)) {
		w = container_of(ws->unsent.next, struct client_work, unsent_link);
		if (!work_flush(w))
			return;
		list_del(&w->unsent_link);
	}
}

uint64_t works_deadline(const struct works *ws)
{
	if (ws->n_wanted == 0 || ws->tokens > 0 || ws->n_unstarted >= LIMIT_WORK_UNSTARTED)
		return UINT64_MAX;
	return ws->tokens_ms + 1;
}

/* -- what the server says ----------------------------------------------------------------------------------------- */

void works_feed(struct works *ws, struct client_work *w, struct span in)
{
	ws->in = in;
	ws->of_in = w;
}

void works_settle(struct works *ws)
{
	if (ws->shown != NULL)
		work_deinit(&ws->shown->work);
	ws->shown = NULL;
}

/* Why this work connection cannot be used, or NULL. */
static const char *start_refusal(const struct work *w)
{
	if (w->state == WORK_STATE_REFUSED)
		return w->start.start_work_conn.error;
	if (w->state == WORK_STATE_BAD)
		return w->why;
	if (!work_has_numeric_addrs(&w->start.start_work_conn))
		return "StartWorkConn with an address that is not numeric";
	return NULL;
}

/* StartWorkConn is complete. 0: *ret_ev is an event; WORKS_E_MORE: none. */
static int work_started(struct client_work *w, struct client_event *ret_ev)
{
	const struct msg_start_work_conn *start = &w->work.start.start_work_conn;
	const char *why = start_refusal(&w->work);
	struct works *ws = w->works;
	size_t i = 0;

	if (why != NULL) {
		(void) snprintf(ws->text, sizeof(ws->text), "%s", why); /* cut if long */
		work_close(w);
		*ret_ev = (struct client_event){ .kind = CLIENT_EV_WORK_ERROR, .text = ws->text };
		return 0;
	}
	if (start->proxy_name == NULL || roster_find(ws->roster, start->proxy_name, &i) != 0) {
		work_close(w); /* frps does send names of proxies just closed: nothing to tell */
		return WORKS_E_MORE;
	}
	w->is_joined = true;
	ws->n_unstarted--;
	ws->n_joined++;
	ws->shown = w;
	*ret_ev = (struct client_event){ .kind = CLIENT_EV_START, .work = w, .proxy = i, .start = start };
	return 0;
}

static int work_step(struct client_work *w, struct client_event *ret_ev)
{
	struct works *ws = w->works;
	size_t n = ws->in.len;
	int err;

	if (w->is_joined) {
		*ret_ev = (struct client_event){ .kind = CLIENT_EV_DATA, .work = w, .user = w->user, .data = ws->in };
		ws->of_in = NULL;
		return 0;
	}
	err = work_next(&w->work, &ws->in);
	mux_consume(ws->mux, w->stream, n - ws->in.len);
	if (err == WORK_E_MORE)
		return WORKS_E_MORE;
	return err < 0 ? err : work_started(w, ret_ev);
}

int works_next(struct works *ws, struct client_event *ret_ev)
{
	int err;

	if (ws->is_cap_hit) {
		ws->is_cap_hit = false;
		*ret_ev = (struct client_event){ .kind = CLIENT_EV_WORK_ERROR, .text = "the limit of concurrent streams is reached" };
		return 0;
	}
	while (ws->of_in != NULL) {
		if (ws->in.len == 0) {
			ws->of_in = NULL;
			break;
		}
		err = work_step(ws->of_in, ret_ev);
		if (err != WORKS_E_MORE)
			return err;
	}
	return WORKS_E_MORE;
}

bool works_on_end(struct works *ws, struct client_work *w, bool is_reset, struct client_event *ret_ev)
{
	(void) ws; /* the handle knows */
	if (!w->is_joined) {
		work_close(w); /* a parked one that the server has no use for: normal */
		return false;
	}
	*ret_ev = (struct client_event){
		.kind = is_reset ? CLIENT_EV_RST : CLIENT_EV_FIN,
		.work = w,
		.user = w->user,
	};
	return true;
}
