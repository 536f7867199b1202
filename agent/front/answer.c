/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - tells who asks on the lock's socket how the service stands. Floor 6. */
#include "agent/front/answer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/front/lock.h"
#include "agent/front/report.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define ANSWER_BACKLOG 16
#define ANSWER_ASKERS 8 /* at once; more of them are our own user's mistake, and wait */

struct asker {
	struct answer *owner;
	bool is_used;
	struct buf text;
	uv_pipe_t pipe;
	uv_write_t write;
};

struct answer {
	struct loop *loop;
	const struct service *service;
	uint64_t began_ms;
	bool is_waiting; /* somebody was left in the backlog, for want of a place */
	bool is_closing;
	size_t n_handles; /* not closed yet; the last one frees */
	struct asker askers[ANSWER_ASKERS];
	uv_pipe_t pipe;
};

static void answer_take(struct answer *a);

static void answer_forget_handle(struct answer *a)
{
	a->n_handles--;
	if (a->n_handles == 0)
		free(a);
}

static void on_asker_closed(uv_handle_t *handle)
{
	struct asker *k = container_of((uv_pipe_t *) handle, struct asker, pipe);
	struct answer *a = k->owner;

	buf_deinit(&k->text);
	k->is_used = false;
	if (a->is_waiting && !a->is_closing)
		answer_take(a);
	answer_forget_handle(a);
}

static void asker_close(struct asker *k)
{
	if (!uv_is_closing((uv_handle_t *) &k->pipe))
		uv_close((uv_handle_t *) &k->pipe, on_asker_closed);
}

static void on_written(uv_write_t *write, int err)
{
	(void) err; /* either way that was it */
	asker_close(container_of(write, struct asker, write));
}

static bool asker_is_friend(const struct asker *k)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	uv_os_fd_t fd;

	return uv_fileno((const uv_handle_t *) &k->pipe, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static int asker_tell(struct asker *k, const struct answer *a)
{
	struct span text;
	uv_buf_t b;
	int err;

	err = report_summary(a->service, (loop_now_ms(a->loop) - a->began_ms) / 1000, &k->text);
	if (err != 0)
		return err;
	text = buf_span(&k->text);
	b = uv_buf_init((char *) (uintptr_t) text.p, (unsigned) text.len);
	return uv_write(&k->write, (uv_stream_t *) &k->pipe, &b, 1, on_written);
}

static struct asker *answer_find_place(struct answer *a)
{
	for (size_t i = 0; i < ANSWER_ASKERS; i++)
		if (!a->askers[i].is_used)
			return &a->askers[i];
	return NULL;
}

/* One who waits. */
static void answer_take(struct answer *a)
{
	struct asker *k = answer_find_place(a);

	a->is_waiting = k == NULL;
	if (k == NULL)
		return;
	*k = (struct asker){ .owner = a, .is_used = true };
	(void) uv_pipe_init(&a->loop->uv, &k->pipe, /* ipc= */ 0); /* cannot fail */
	a->n_handles++;
	buf_init(&k->text, LIMIT_HTTP_ANSWER);
	if (uv_accept((uv_stream_t *) &a->pipe, (uv_stream_t *) &k->pipe) != 0 ||
	    !asker_is_friend(k) || asker_tell(k, a) != 0)
		asker_close(k);
}

static void on_waiting(uv_stream_t *pipe, int err)
{
	if (err == 0)
		answer_take(container_of((uv_pipe_t *) pipe, struct answer, pipe));
}

static void on_closed(uv_handle_t *handle)
{
	answer_forget_handle(container_of((uv_pipe_t *) handle, struct answer, pipe));
}

int answer_new(struct answer **ret_a, struct loop *l, const struct lock *lock,
	       const struct service *service)
{
	struct answer *a = calloc(1, sizeof(*a));
	int fd, err;

	if (a == NULL)
		return -ENOMEM;
	a->loop = l;
	a->service = service;
	a->began_ms = loop_now_ms(l);
	(void) uv_pipe_init(&l->uv, &a->pipe, /* ipc= */ 0); /* cannot fail */
	a->n_handles = 1;
	fd = lock != NULL ? lock_copy_socket(lock) : -ENOTCONN;
	err = fd < 0 ? fd : uv_pipe_open(&a->pipe, fd);
	if (err < 0 && fd >= 0)
		(void) close(fd); /* not taken over */
	if (err == 0)
		err = uv_listen((uv_stream_t *) &a->pipe, ANSWER_BACKLOG, on_waiting);
	if (err < 0) {
		uv_close((uv_handle_t *) &a->pipe, on_closed);
		return err;
	}
	*ret_a = a;
	return 0;
}

struct answer *answer_free(struct answer *a)
{
	if (a == NULL)
		return NULL;
	a->is_closing = true;
	uv_close((uv_handle_t *) &a->pipe, on_closed);
	for (size_t i = 0; i < ANSWER_ASKERS; i++)
		if (a->askers[i].is_used)
			asker_close(&a->askers[i]);
	return NULL;
}
