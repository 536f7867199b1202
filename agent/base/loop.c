/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the one event loop: uv_loop, shared buffers, end-of-turn tasks; not the timers on it.
 * Floor 3.
 *
 * Order inside a turn of libuv: timers, pending, idle, prepare, poll, check, closing. Tasks run in
 * prepare, that is after all that the last turn has produced and before the loop waits. */
#include "agent/base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

static void loop_on_idle(uv_idle_t *idle)
{
	(void) idle; /* being active is its work */
}

static void loop_on_prepare(uv_prepare_t *prepare)
{
	struct loop *l = container_of(prepare, struct loop, prepare);

	for (size_t n = 0; n < LOOP_TASKS_MAX && !list_is_empty(&l->tasks); n++) {
		struct loop_task *t = container_of(l->tasks.next, struct loop_task, link);

		list_del(&t->link);
		t->run(t);
	}
	if (list_is_empty(&l->tasks)) {
		(void) uv_prepare_stop(&l->prepare); /* cannot fail */
		(void) uv_idle_stop(&l->idle);
	} else {
		(void) uv_idle_start(&l->idle, loop_on_idle); /* fails only without a callback */
	}
}

int loop_new(struct loop **ret_l, struct log *log)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (l == NULL)
		return r;
	l->cipher_buf = malloc(LIMIT_CIPHER_BUF);
	l->plain_buf = malloc(LIMIT_PLAIN_BUF);
	if (l->cipher_buf != NULL && l->plain_buf != NULL)
		r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l->cipher_buf);
		free(l->plain_buf);
		free(l);
		return r;
	}
	l->log = log;
	list_init(&l->tasks);
	list_init(&l->free_chunks);
	/* These only link the handle into the loop; they have no way to fail. */
	MUST(uv_prepare_init(&l->uv, &l->prepare) == 0);
	MUST(uv_idle_init(&l->uv, &l->idle) == 0);
	MUST(uv_timer_init(&l->uv, &l->timer) == 0);
	*ret_l = l;
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	if (l == NULL)
		return NULL;
	MUST(l->timers == NULL);
	uv_close((uv_handle_t *) &l->prepare, NULL);
	uv_close((uv_handle_t *) &l->idle, NULL);
	uv_close((uv_handle_t *) &l->timer, NULL);
	(void) uv_run(&l->uv, UV_RUN_DEFAULT); /* what it returns is asked again in the next line */
	MUST(uv_loop_close(&l->uv) == 0);
	while (!list_is_empty(&l->free_chunks)) {
		struct list *chunk = l->free_chunks.next;

		list_del(chunk);
		free(chunk);
	}
	free(l->cipher_buf);
	free(l->plain_buf);
	free(l);
	return NULL;
}

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t))
{
	t->run = run;
	list_init(&t->link);
}

void loop_task_queue(struct loop *l, struct loop_task *t)
{
	if (list_is_linked(&t->link))
		return;
	list_add_tail(&l->tasks, &t->link);
	(void) uv_prepare_start(&l->prepare, loop_on_prepare); /* fails only without a callback */
}

void loop_task_cancel(struct loop_task *t)
{
	list_del(&t->link);
}

int loop_random(void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, /* flags= */ 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		at += got;
		n -= (size_t) got;
	}
	return 0;
}
