/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - the signals of the process, told on the loop. Floor 6. */
#include "agent/front/signals.h"

#include <signal.h>

#include "agent/base/loop.h"
#include "proto/base/err.h"

/* The first four are always ours. */
static const int signal_numbers[] = { SIGTERM, SIGINT,	SIGQUIT,  SIGHUP,
				      SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM };
#define N_SIGNALS (sizeof(signal_numbers) / sizeof(signal_numbers[0]))
#define N_OURS 4

struct signals {
	const struct signals_ops *ops; /* borrowed: static */
	void *arg;
	uv_signal_t handles[N_SIGNALS];
	size_t n_handles; /* not closed yet; the last one frees */
};

static void on_closed(uv_handle_t *handle)
{
	struct signals *s = handle->data;

	s->n_handles--;
	if (s->n_handles == 0)
		free(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct signals *s = handle->data;

	if (number == SIGHUP)
		s->ops->on_reload(s->arg);
	else if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
		s->ops->on_stop(s->arg, number);
	else
		s->ops->on_pass(s->arg, number);
}

struct signals *signals_free(struct signals *s)
{
	if (s == NULL)
		return NULL;
	if (s->n_handles == 0)
		return mem_free(s);
	for (size_t i = 0, n = s->n_handles; i < n; i++)
		uv_close((uv_handle_t *) &s->handles[i], on_closed);
	return NULL;
}

int signals_new(struct signals **ret_s, struct loop *l, const struct signals_ops *ops, void *arg,
		bool want_pass)
{
	struct signals *s = calloc(1, sizeof(*s));
	size_t n = want_pass ? N_SIGNALS : N_OURS;
	int r = 0;

	if (s == NULL)
		return -ENOMEM;
	s->ops = ops;
	s->arg = arg;
	for (size_t i = 0; i < n; i++) {
		r = uv_signal_init(&l->uv, &s->handles[i]);
		if (r < 0)
			break;
		s->handles[i].data = s;
		s->n_handles++;
		r = uv_signal_start(&s->handles[i], on_signal, signal_numbers[i]);
		if (r < 0)
			break;
	}
	if (r < 0) {
		(void) signals_free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}
