/* SPDX-License-Identifier: Apache-2.0 */
/* works.c - from ReqWorkConn to joined bytes. Floor 2. */
#include "proto/session/works.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

void works_init(struct works *ws, uint64_t now_ms)
{
	list_init(&ws->all);
	list_init(&ws->unsent);
	list_init(&ws->asked);
	ws->tokens = LIMIT_WORK_PER_S;
	ws->tokens_ms = now_ms;
}

/* It is several times what a joined one needs, for hours. */
static void first_free(struct client_work *w)
{
	if (w->first == NULL)
		return;
	if (w->is_visit)
		visit_deinit(&w->first->visit);
	else
		work_deinit(&w->first->work);
	w->first = mem_free(w->first);
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
	else if (w->is_visit)
		ws->n_visits--;
	else
		ws->n_unstarted--;
	list_del(&w->link);
	list_del(&w->asked_link);
	list_del(&w->unsent_link);
	first_free(w);
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

/* -- opening -- */

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
	struct span out = span_of(NULL, 0);

	if (w->first != NULL)
		out = w->is_visit ? visit_out(&w->first->visit) : work_out(&w->first->work);
	if (out.len == 0)
		return true;
	if (mux_write_urgent(w->works->mux, w->stream, out) != 0)
		return false;
	if (w->is_visit)
		visit_sent(&w->first->visit, out.len);
	else
		work_sent(&w->first->work, out.len);
	return true;
}

/* It has a stream: send its first message. */
static void work_add(struct client_work *w)
{
	list_add_tail(&w->works->all, &w->link);
	if (!work_flush(w))
		list_add_tail(&w->works->unsent, &w->unsent_link);
}

static struct client_work *work_new(struct works *ws, bool is_visit)
{
	struct client_work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->first = malloc(sizeof(*w->first));
	if (w->first == NULL) {
		free(w);
		return NULL;
	}
	w->works = ws;
	w->is_visit = is_visit;
	list_init(&w->asked_link);
	list_init(&w->unsent_link);
	if (is_visit)
		visit_init(&w->first->visit, ws->wire);
	else
		work_init(&w->first->work, ws->wire);
	return w;
}

static int work_open(struct works *ws, int64_t stamp)
{
	struct client_work *w = work_new(ws, /* is_visit= */ false);
	int err;

	if (w == NULL)
		return -ENOMEM;
	err = work_start(&w->first->work, ws->run_id, ws->token, stamp);
	if (err == 0)
		err = mux_open(ws->mux, w, &w->stream);
	if (err != 0) {
		first_free(w);
		free(w);
		return err;
	}
	ws->n_unstarted++;
	work_add(w);
	return 0;
}

/* 0, -ENOMEM, CLIENT_E_BUSY, CLIENT_E_DOWN. */
static int visit_open_stream(struct client_work *w)
{
	int err = mux_open(w->works->mux, w, &w->stream);

	if (err <= 0)
		return err;
	return err == MUX_E_CLOSED ? CLIENT_E_DOWN : CLIENT_E_BUSY;
}

int works_visit(struct works *ws, const struct visit_params *p, void *user, uint64_t now_ms,
		int64_t stamp, struct client_work **ret_w)
{
	struct client_work *w = work_new(ws, /* is_visit= */ true);
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->user = user;
	w->due_ms = now_ms + WAIT_VISIT_MS;
	err = visit_start(&w->first->visit, ws->run_id, p, stamp);
	if (err == FRAME_E_BAD)
		err = CLIENT_E_LONG;
	if (err == 0)
		err = visit_open_stream(w);
	if (err != 0) {
		first_free(w);
		free(w);
		return err;
	}
	ws->n_visits++;
	list_add_tail(&ws->asked, &w->asked_link);
	work_add(w);
	*ret_w = w;
	return 0;
}

int works_open(struct works *ws, uint64_t now_ms, int64_t stamp)
{
	int err;

	while (ws->n_wanted > 0 && ws->n_unstarted < LIMIT_WORK_UNSTARTED &&
	       tokens_take(ws, now_ms)) {
		err = work_open(ws, stamp);
		if (err == MUX_E_UNACKED) {
			ws->tokens++;
			break; /* goes on when the server has acknowledged some */
		}
		ws->n_wanted--;
		if (err == MUX_E_STREAMS)
			ws->limit = "concurrent streams";
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
	uint64_t due_ms = UINT64_MAX;

	if (!list_is_empty(&ws->asked))
		due_ms = container_of(ws->asked.next, struct client_work, asked_link)->due_ms;
	if (ws->n_wanted == 0 || ws->tokens > 0 || ws->n_unstarted >= LIMIT_WORK_UNSTARTED)
		return due_ms;
	return due_ms < ws->tokens_ms + 1 ? due_ms : ws->tokens_ms + 1;
}

/* -- what the server says -- */

void works_feed(struct works *ws, struct client_work *w, struct span in)
{
	ws->in = in;
	ws->of_in = w;
}

void works_settle(struct works *ws)
{
	if (ws->shown != NULL)
		first_free(ws->shown);
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
	const struct msg_start_work_conn *start = &w->first->work.start.start_work_conn;
	const char *why = start_refusal(&w->first->work);
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
	*ret_ev = (struct client_event){
		.kind = CLIENT_EV_START, .work = w, .proxy = i, .start = start
	};
	return 0;
}

/* The visit came to nothing; its user forgets it. */
static void visit_refuse(struct client_work *w, const char *why, struct client_event *ret_ev)
{
	struct works *ws = w->works;

	(void) snprintf(ws->text, sizeof(ws->text), "%s", why); /* cut if long */
	w->is_refused = true;
	list_del(&w->asked_link);
	list_del(&w->unsent_link);
	first_free(w);
	mux_fin(ws->mux, w->stream);
	*ret_ev = (struct client_event){
		.kind = CLIENT_EV_VISIT_REFUSED,
		.work = w,
		.user = w->user,
		.text = ws->text,
	};
}

/* As work_step(), for a visit that is not joined. */
static int visit_step(struct client_work *w, struct client_event *ret_ev)
{
	struct works *ws = w->works;
	size_t n = ws->in.len;
	int err = VISIT_E_MORE;

	if (w->is_refused)
		ws->in = span_skip(ws->in, n); /* whatever it still says */
	else
		err = visit_next(&w->first->visit, &ws->in);
	mux_consume(ws->mux, w->stream, n - ws->in.len);
	if (err != 0)
		return err == VISIT_E_MORE ? WORKS_E_MORE : err;
	if (w->first->visit.state != VISIT_STATE_OPEN) {
		visit_refuse(w, w->first->visit.why, ret_ev);
		return 0;
	}
	w->is_joined = true;
	list_del(&w->asked_link);
	ws->n_visits--;
	ws->n_joined++;
	ws->shown = w;
	*ret_ev = (struct client_event){ .kind = CLIENT_EV_VISIT_OPEN, .work = w, .user = w->user };
	return 0;
}

static int work_step(struct client_work *w, struct client_event *ret_ev)
{
	struct works *ws = w->works;
	size_t n = ws->in.len;
	int err;

	if (w->is_joined) {
		*ret_ev = (struct client_event){
			.kind = CLIENT_EV_DATA, .work = w, .user = w->user, .data = ws->in
		};
		ws->of_in = NULL;
		return 0;
	}
	if (w->is_visit)
		return visit_step(w, ret_ev);
	err = work_next(&w->first->work, &ws->in);
	mux_consume(ws->mux, w->stream, n - ws->in.len);
	if (err == WORK_E_MORE)
		return WORKS_E_MORE;
	return err < 0 ? err : work_started(w, ret_ev);
}

int works_next(struct works *ws, struct client_event *ret_ev)
{
	int err;

	if (ws->limit != NULL) {
		*ret_ev = (struct client_event){ .kind = CLIENT_EV_LIMIT, .text = ws->limit };
		ws->limit = NULL;
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

bool works_on_time(struct works *ws, uint64_t now_ms, struct client_event *ret_ev)
{
	struct client_work *w;

	if (list_is_empty(&ws->asked))
		return false;
	w = container_of(ws->asked.next, struct client_work, asked_link);
	if (w->due_ms > now_ms)
		return false;
	visit_refuse(w, "the server did not answer", ret_ev);
	return true;
}

bool works_on_end(struct works *ws, struct client_work *w, bool is_reset,
		  struct client_event *ret_ev)
{
	(void) ws; /* the handle knows */
	if (w->is_refused)
		return false;
	if (w->is_visit && !w->is_joined) {
		visit_refuse(w, "the server closed the connection before it answered", ret_ev);
		return true;
	}
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
