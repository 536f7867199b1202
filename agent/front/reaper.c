/* SPDX-License-Identifier: Apache-2.0 */
/* reaper.c - processes whose parents have gone. Floor 6. */
#include "agent/front/reaper.h"

#include <signal.h>
#include <sys/wait.h>

#include "agent/base/loop.h"
#include "proto/base/err.h"

struct reaper {
	struct loop *loop;
	struct loop_task again;
	uv_signal_t handle;
};

/* A process that libuv has started on this loop and not seen the end of. */
struct search {
	int pid;
	bool is_found;
};

static void compare(uv_handle_t *handle, void *arg)
{
	struct search *s = arg;

	if (handle->type == UV_PROCESS && uv_is_active(handle) &&
	    uv_process_get_pid((uv_process_t *) handle) == s->pid)
		s->is_found = true;
}

/* One that has ended: its number if it is ours to take; 0: there is none; -1: libuv will take it.
 * The kernel shows the same one until it is taken. */
static int reaper_look(struct reaper *r)
{
	siginfo_t info = { 0 };
	struct search s;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return 0; /* no children at all */
	s = (struct search){ .pid = info.si_pid };
	if (s.pid > 0)
		uv_walk(&r->loop->uv, compare, &s);
	return s.is_found ? -1 : s.pid;
}

static int reaper_run(struct reaper *r)
{
	int pid;

	while ((pid = reaper_look(r)) > 0)
		if (waitpid(pid, NULL, WNOHANG) < 0)
			return 0;
	return pid;
}

/* libuv has taken its own in this turn. If another stands there, its signal is still to come, and
 * brings us back. */
static void on_again(struct loop_task *t)
{
	(void) reaper_run(container_of(t, struct reaper, again));
}

static void on_ended(uv_signal_t *handle, int number)
{
	struct reaper *r = container_of(handle, struct reaper, handle);

	(void) number;
	if (reaper_run(r) < 0)
		loop_task_queue(r->loop, &r->again);
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_signal_t *) handle, struct reaper, handle));
}

int reaper_new(struct reaper **ret_r, struct loop *l)
{
	struct reaper *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->loop = l;
	loop_task_init(&r->again, on_again);
	err = uv_signal_init(&l->uv, &r->handle);
	if (err < 0) {
		free(r);
		return err;
	}
	err = uv_signal_start(&r->handle, on_ended, SIGCHLD);
	if (err < 0) {
		uv_close((uv_handle_t *) &r->handle, on_closed);
		return err;
	}
	(void) reaper_run(r); /* those that ended before */
	*ret_r = r;
	return 0;
}

struct reaper *reaper_free(struct reaper *r)
{
	if (r == NULL)
		return NULL;
	loop_task_cancel(&r->again);
	uv_close((uv_handle_t *) &r->handle, on_closed);
	return NULL;
}
