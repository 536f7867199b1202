/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - the program that runs beside the tunnel. Floor 6. */
#include "agent/front/child.h"

#include <signal.h>
#include <stdbool.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/front/process.h"
#include "proto/base/err.h"

struct child {
	struct loop *loop;
	child_ended_fn *on_ended; /* NULL: nobody listens any more */
	void *arg;
	struct timer timer; /* of child_ask() */
	uv_process_t process;
	bool is_asked, is_over;
};

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_process_t *) handle, struct child, process));
}

static void on_process_end(uv_process_t *process, int64_t code, int number)
{
	struct child *c = container_of(process, struct child, process);

	c->is_over = true;
	timer_stop(&c->timer);
	if (c->on_ended != NULL)
		c->on_ended(c->arg, number != 0 ? 128 + number : (int) (code & 0xff));
}

static void on_grace_over(struct timer *t)
{
	struct child *c = container_of(t, struct child, timer);

	log_warn(c->loop->log, "the command does not end: killing it");
	child_kill(c);
}

int child_start(struct child **ret_c, struct loop *l, const struct process_limits *inherited,
		char *const *argv, child_ended_fn *on_ended, void *arg)
{
	struct child *c = calloc(1, sizeof(*c));
	uv_stdio_container_t stdio[3];
	uv_process_options_t options = { .exit_cb = on_process_end,
					 .stdio = stdio,
					 .stdio_count = 3 };
	int r;

	if (c == NULL)
		return -ENOMEM;
	c->loop = l;
	timer_init(&c->timer, l, on_grace_over);
	for (int fd = 0; fd < 3; fd++) {
		stdio[fd].flags = UV_INHERIT_FD;
		stdio[fd].data.fd = fd;
	}
	options.file = argv[0];
	options.args = (char **) (uintptr_t) argv; /* libuv does not change them */
	process_lend_limits(inherited);
	r = uv_spawn(&l->uv, &c->process, &options);
	process_take_limits();
	if (r < 0) {
		uv_close((uv_handle_t *) &c->process, on_closed); /* initialised all the same */
		return r;
	}
	c->on_ended = on_ended;
	c->arg = arg;
	*ret_c = c;
	return 0;
}

int child_pid(const struct child *c)
{
	return uv_process_get_pid(&c->process);
}

void child_signal(struct child *c, int number)
{
	if (!c->is_over)
		(void) uv_process_kill(&c->process, number); /* it may just have ended */
}

void child_ask(struct child *c, int number, uint64_t grace_ms)
{
	if (c->is_asked)
		return;
	c->is_asked = true;
	child_signal(c, number);
	timer_set(&c->timer, loop_now_ms(c->loop) + grace_ms);
}

void child_kill(struct child *c)
{
	timer_stop(&c->timer);
	child_signal(c, SIGKILL);
}

struct child *child_free(struct child *c)
{
	if (c == NULL)
		return NULL;
	c->on_ended = NULL;
	timer_stop(&c->timer);
	uv_close((uv_handle_t *) &c->process, on_closed);
	return NULL;
}

int child_status_of_error(int err)
{
	return err == -ENOENT ? 127 : 126;
}
