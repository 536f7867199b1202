/* SPDX-License-Identifier: Apache-2.0 */
/* solo.c - one work connection of its own. Floor 5. */
#include "agent/tunnel/solo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

enum solo_state { SOLO_STATE_OPENING, SOLO_STATE_PARKED, SOLO_STATE_JOINED, SOLO_STATE_CLOSING };

struct solo {
	struct solo_host *host; /* borrowed: outlives the solo */
	enum solo_state state;
	struct link link;
	bool is_visit;
	union {
		struct work work;
		struct visit visit; /* is_visit */
	};
	char *proxy_name, *secret_key; /* of a visit, until it is asked for */
	bool use_encryption, use_compression;
	struct timer timer;    /* a visit's answer; forgotten: the server's FIN */
	struct end_user *user; /* borrowed; NULL: forgotten */
	struct list in_host;
	struct loop_task turn; /* the user waits for room and there is some */
	bool is_wanting, is_fin_sent, is_fin_seen, is_over;
	bool is_link_gone;   /* reset while the user had it: the memory waits for end_forget() */
	size_t n_unconsumed; /* given to the user and still in our memory */
};

/* -- ending -- */

/* The first messages have been said; idempotent. */
static void solo_deinit_first(struct solo *s)
{
	if (s->is_visit)
		visit_deinit(&s->visit);
	else
		work_deinit(&s->work);
	s->proxy_name = mem_free(s->proxy_name);
	s->secret_key = secret_free(s->secret_key);
}

static void solo_free(struct solo *s)
{
	struct solo_host *h = s->host;

	solo_deinit_first(s);
	list_del(&s->in_host);
	free(s);
	h->on_gone(h->arg);
}

static void solo_left_the_unjoined(struct solo *s)
{
	s->host->n_unjoined--;
	s->host->n_visits -= s->is_visit;
}

static void solo_close(struct solo *s)
{
	if (s->state == SOLO_STATE_CLOSING)
		return;
	if (s->state != SOLO_STATE_JOINED)
		solo_left_the_unjoined(s);
	s->state = SOLO_STATE_CLOSING;
	timer_stop(&s->timer);
	loop_task_cancel(&s->turn);
	if (s->is_link_gone)
		solo_free(s);
	else
		link_close(&s->link);
}

static void solo_on_gone(void *arg)
{
	struct solo *s = arg;

	s->is_link_gone = true;
	if (s->state == SOLO_STATE_CLOSING)
		solo_free(s);
	else if (s->user != NULL)
		s->user->ops->on_rst(s->user);
	else
		solo_close(s);
}

/* It is not joined and never will be: the user of a visit hears why. */
static void solo_give_up(struct solo *s, const char *why)
{
	struct end_user *u = s->user;

	if (s->state == SOLO_STATE_CLOSING)
		return;
	s->user = NULL;
	if (u != NULL)
		u->ops->on_refused(u, why); /* forgets it, which closes */
	else
		solo_close(s);
}

static void solo_close_some(struct solo_host *h, bool want_joined)
{
	struct list *l, *next;
	struct solo *s;

	for (l = h->solos.next; l != &h->solos; l = next) {
		next = l->next;
		s = container_of(l, struct solo, in_host);
		if (s->state != SOLO_STATE_JOINED)
			solo_give_up(s, "the session with the server is gone");
		else if (want_joined)
			solo_close(s);
	}
}

void solo_close_unjoined(struct solo_host *h)
{
	solo_close_some(h, /* want_joined= */ false);
}

void solo_close_all(struct solo_host *h)
{
	solo_close_some(h, /* want_joined= */ true);
}

/* -- the end -- */

static void solo_set_user(struct end e, struct end_user *u)
{
	struct solo *s = e.item;

	s->user = u;
}

static int solo_reserve(struct end e, uint8_t **ret_dst, size_t *ret_cap)
{
	struct solo *s = e.item;

	if (conn_n_queued(&s->link.conn) > LIMIT_LINK_QUEUED - LIMIT_RECORD - LIMIT_SEAL) {
		s->is_wanting = true; /* until something has left */
		return END_E_WAIT;
	}
	*ret_dst = s->host->server->loop->plain_buf;
	*ret_cap = LIMIT_RECORD;
	return 0;
}

static void solo_commit(struct end e, size_t n)
{
	struct solo *s = e.item;

	if (n == 0 || s->is_over)
		return;
	if (conn_send(&s->link.conn, span_of(s->host->server->loop->plain_buf, n)) == 0) {
		conn_flush(&s->link.conn);
		return;
	}
	s->is_over = true; /* room was there, so memory or TLS failed: the connection is worth
			      nothing now */
	conn_reset(&s->link.conn);
}

static void solo_want(struct end e)
{
	struct solo *s = e.item;

	s->is_wanting = true;
	if (conn_n_queued(&s->link.conn) == 0)
		loop_task_queue(s->host->server->loop, &s->turn);
}

static void solo_consume(struct end e, size_t n)
{
	struct solo *s = e.item;

	s->n_unconsumed -= n;
	if (s->n_unconsumed <= LIMIT_LOCAL_QUEUED / 2)
		conn_read(&s->link.conn, true);
}

static void solo_fin(struct end e)
{
	struct solo *s = e.item;

	if (s->is_fin_sent || s->state != SOLO_STATE_JOINED)
		return;
	s->is_fin_sent = true;
	conn_finish(&s->link.conn);
}

static void solo_rst(struct end e)
{
	struct solo *s = e.item;

	if (s->state != SOLO_STATE_JOINED)
		return; /* a visit without an answer, of which only the end is left */
	s->is_over = true;
	conn_reset(&s->link.conn);
}

static void solo_on_lingered(struct timer *t)
{
	solo_close(container_of(t, struct solo, timer));
}

/* All that was committed has left. Closing over bytes that are unread would reset the connection,
 * and the server may not have read all of ours. */
static void solo_linger(struct solo *s)
{
	if (s->is_fin_seen) {
		solo_close(s);
		return;
	}
	timer_stop(&s->timer);
	timer_init(&s->timer, s->host->server->loop, solo_on_lingered);
	timer_set(&s->timer, loop_now_ms(s->host->server->loop) + WAIT_LOCAL_EOF_MS);
}

static void solo_forget(struct end e)
{
	struct solo *s = e.item;

	s->user = NULL;
	if (!s->is_fin_sent || s->is_over) {
		solo_close(s);
		return;
	}
	conn_read(&s->link.conn, true); /* and dropped */
	if (conn_n_queued(&s->link.conn) == 0)
		solo_linger(s);
}

static const struct end_ops solo_end_ops = {
	.set_user = solo_set_user,
	.reserve = solo_reserve,
	.commit = solo_commit,
	.want = solo_want,
	.consume = solo_consume,
	.fin = solo_fin,
	.rst = solo_rst,
	.forget = solo_forget,
};

static void solo_on_turn(struct loop_task *t)
{
	struct solo *s = container_of(t, struct solo, turn);

	if (!s->is_wanting || s->user == NULL || s->is_over)
		return;
	s->is_wanting = false;
	s->user->ops->on_turn(s->user, LIMIT_TURN);
}

/* -- the link -- */

static int solo_say_work(struct solo *s)
{
	int err = work_start(&s->work, s->host->run_id, span_str(*s->host->token),
			     (int64_t) time(NULL));

	if (err == 0)
		err = conn_send(&s->link.conn, work_out(&s->work));
	if (err == 0)
		work_sent(&s->work, work_out(&s->work).len);
	return err;
}

static int solo_say_visit(struct solo *s)
{
	struct visit_params p = {
		.proxy_name = s->proxy_name,
		.secret_key = span_str(s->secret_key),
		.use_encryption = s->use_encryption,
		.use_compression = s->use_compression,
	};
	int err = visit_start(&s->visit, s->host->run_id, &p, (int64_t) time(NULL));

	if (err == 0)
		err = conn_send(&s->link.conn, visit_out(&s->visit));
	if (err == 0)
		visit_sent(&s->visit, visit_out(&s->visit).len);
	s->proxy_name = mem_free(s->proxy_name);
	s->secret_key = secret_free(s->secret_key);
	timer_set(&s->timer, loop_now_ms(s->host->server->loop) + WAIT_VISIT_MS);
	return err;
}

static void solo_on_ready(void *arg)
{
	struct solo *s = arg;
	int err = s->is_visit ? solo_say_visit(s) : solo_say_work(s);

	if (err != 0) {
		log_warn(s->host->log, "work connection cannot be opened", "error",
			 err < 0 ? "out of memory" : "the name is too long for the wire");
		solo_give_up(s, "the visit cannot be asked for");
		return;
	}
	conn_flush(&s->link.conn);
	s->state = SOLO_STATE_PARKED;
}

static void solo_on_late(struct timer *t)
{
	solo_give_up(container_of(t, struct solo, timer), "the server did not answer");
}

static void solo_on_failed(void *arg, const char *words, const char *error, const char *remedy)
{
	struct solo *s = arg;

	(void) remedy; /* the session's own connection tells it when the server is gone */
	log_debug(s->host->log, "work connection cannot be opened", "stage", words, "error", error);
	solo_give_up(s, error);
}

/* StartWorkConn is complete; *in is what follows it. */
static void solo_started(struct solo *s)
{
	const struct msg_start_work_conn *start = &s->work.start.start_work_conn;
	struct end e = { .ops = &solo_end_ops, .carrier = s->host, .item = s };

	if (s->work.state != WORK_STATE_STARTED || !work_has_numeric_addrs(start)) {
		log_debug(s->host->log, "work connection closed", "text",
			  s->work.state == WORK_STATE_REFUSED ? start->error
							      : "not a usable StartWorkConn");
		solo_close(s);
		return;
	}
	solo_left_the_unjoined(s);
	s->state = SOLO_STATE_JOINED;
	s->host->on_start(s->host->arg, e, start);
	solo_deinit_first(s);
}

/* NewVisitorConnResp is complete. */
static void solo_answered(struct solo *s)
{
	if (s->visit.state != VISIT_STATE_OPEN) {
		solo_give_up(s, s->visit.why);
		return;
	}
	timer_stop(&s->timer);
	solo_left_the_unjoined(s);
	s->state = SOLO_STATE_JOINED;
	solo_deinit_first(s);
	s->user->ops->on_open(s->user);
}

/* What the server says before it is joined; eats that from the front of *in. */
static void solo_hear_first(struct solo *s, struct span *in)
{
	int err = s->is_visit ? visit_next(&s->visit, in) : work_next(&s->work, in);

	if (err == (s->is_visit ? (int) VISIT_E_MORE : (int) WORK_E_MORE))
		return;
	if (err != 0)
		solo_give_up(s, "out of memory");
	else if (s->is_visit)
		solo_answered(s);
	else
		solo_started(s);
}

static void solo_on_data(void *arg, struct span data)
{
	struct solo *s = arg;

	if (s->state == SOLO_STATE_PARKED)
		solo_hear_first(s, &data);
	if (data.len == 0 || s->user == NULL || s->state != SOLO_STATE_JOINED)
		return;
	s->n_unconsumed += data.len;
	s->user->ops->on_data(s->user, data);
	if (s->state == SOLO_STATE_JOINED && s->n_unconsumed >= LIMIT_LOCAL_QUEUED)
		conn_read(&s->link.conn, false);
}

static void solo_on_written(void *arg)
{
	struct solo *s = arg;

	if (s->state == SOLO_STATE_JOINED && s->user == NULL && conn_n_queued(&s->link.conn) == 0)
		solo_linger(s);
	else if (s->is_wanting)
		loop_task_queue(s->host->server->loop, &s->turn);
}

/* EOF and errors look alike here: a clean end of TCP is a FIN, everything else is a reset. */
static void solo_on_lost(void *arg, const char *error, bool is_clean)
{
	struct solo *s = arg;

	if (s->state != SOLO_STATE_JOINED || s->user == NULL) {
		if (s->state == SOLO_STATE_PARKED)
			log_debug(s->host->log, "work connection closed by the server", "text",
				  error);
		solo_give_up(s, "the server closed the connection before it answered");
	} else if (is_clean) {
		s->is_fin_seen = true;
		s->user->ops->on_fin(s->user);
	} else {
		s->is_over = true;
		s->user->ops->on_rst(s->user);
	}
}

static const struct link_ops solo_link_ops = {
	.on_ready = solo_on_ready,
	.on_failed = solo_on_failed,
	.on_data = solo_on_data,
	.on_written = solo_on_written,
	.on_lost = solo_on_lost,
	.on_gone = solo_on_gone,
};

static struct solo *solo_new(struct solo_host *h)
{
	struct solo *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->host = h;
	list_init(&s->in_host);
	loop_task_init(&s->turn, solo_on_turn);
	timer_init(&s->timer, h->server->loop, solo_on_late);
	return s;
}

/* Frees @s when it fails. */
static int solo_dial(struct solo *s)
{
	struct solo_host *h = s->host;
	int err = link_open_for_user(&s->link, h->server, &solo_link_ops, s);

	if (err != 0) {
		solo_deinit_first(s);
		free(s);
		return err;
	}
	list_add_tail(&h->solos, &s->in_host);
	h->n_unjoined++;
	h->n_visits += s->is_visit;
	return 0;
}

int solo_open(struct solo_host *h)
{
	struct solo *s;

	if (h->n_unjoined - h->n_visits >= LIMIT_DIALS)
		return SOLO_E_FULL;
	s = solo_new(h);
	if (s == NULL)
		return -ENOMEM;
	work_init(&s->work, h->server->conf->wire);
	return solo_dial(s);
}

int solo_open_visit(struct solo_host *h, const struct visit_params *p, struct end *ret_e)
{
	struct solo *s;
	int err;

	if (h->n_visits >= LIMIT_DIALS)
		return SOLO_E_FULL;
	s = solo_new(h);
	if (s == NULL)
		return -ENOMEM;
	s->is_visit = true;
	visit_init(&s->visit, h->server->conf->wire);
	s->use_encryption = p->use_encryption;
	s->use_compression = p->use_compression;
	s->proxy_name = text_dup(p->proxy_name, strlen(p->proxy_name));
	s->secret_key = text_dup((const char *) p->secret_key.p, p->secret_key.len);
	if (s->proxy_name == NULL || s->secret_key == NULL) {
		solo_deinit_first(s);
		free(s);
		return -ENOMEM;
	}
	err = solo_dial(s);
	if (err == 0)
		*ret_e = (struct end){ .ops = &solo_end_ops, .carrier = h, .item = s };
	return err;
}
