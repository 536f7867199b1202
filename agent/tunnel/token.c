/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - the token of the next login. Floor 5.
 *
 * A program runs in a session of its own, with nothing to read, and its errors unheard; it gets our
 * environment without what is secret in it, and the variables configured for it. What counts is
 * what it has printed when it ends well. One that is given up is killed with all it has started,
 * and its handle stays on the loop until it has ended: else it would stay as a zombie. */
#include "agent/tunnel/token.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/conf/file.h"
#include "agent/conf/schema.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define TOKEN_ERROR 400
#define TOKEN_PART_MIN 8 /* a shorter value is found in a secret by chance */

struct token_fetch {
	struct loop *loop;
	struct conf *conf; /* a share */
	token_fn *on_done; /* NULL: over */
	void *arg;
	struct loop_task now; /* for what needs no waiting */
	struct timer deadline;
	int spawn_err;
	uv_process_t process;
	uv_pipe_t out;
	bool is_running; /* the process has not been seen to end */
	unsigned n_handles;
	char *text; /* LIMIT_TOKEN_OUT + 1 bytes; what the program has printed, a secret */
	size_t len;
};

/* -- ending -- */

static void token_free(struct token_fetch *f)
{
	if (f->text != NULL)
		secret_wipe(f->text, LIMIT_TOKEN_OUT + 1);
	free(f->text);
	f->conf = conf_free(f->conf);
	free(f);
}

static void on_process_closed(uv_handle_t *h)
{
	struct token_fetch *f = container_of(h, struct token_fetch, process);

	if (--f->n_handles == 0)
		token_free(f);
}

static void on_out_closed(uv_handle_t *h)
{
	struct token_fetch *f = container_of(h, struct token_fetch, out);

	if (--f->n_handles == 0)
		token_free(f);
}

/* No call comes any more; @f is gone now or soon. */
static void token_release(struct token_fetch *f)
{
	f->on_done = NULL;
	timer_stop(&f->deadline);
	loop_task_cancel(&f->now);
	if (f->n_handles == 0) {
		token_free(f);
		return;
	}
	uv_close((uv_handle_t *) &f->out, on_out_closed);
	if (f->is_running) /* it leads the group that it is in */
		(void) kill(-uv_process_get_pid(&f->process), SIGKILL); /* it may end just now */
	else
		uv_close((uv_handle_t *) &f->process, on_process_closed);
}

/* Tell, as the last thing. */
static void token_end(struct token_fetch *f, const struct token_result *r)
{
	token_fn *on_done = f->on_done;
	void *arg = f->arg;
	struct conf *conf = conf_share(f->conf); /* the words may be in there */

	token_release(f);
	on_done(arg, r);
	(void) conf_free(conf);
}

static void token_end_without_memory(struct token_fetch *f)
{
	const struct token_result r = {
		.words = "the token cannot be read",
		.error = "out of memory",
		.remedy = "give the agent more memory",
	};

	token_end(f, &r);
}

/* -- a file, or none -- */

static void token_read_file(struct token_fetch *f)
{
	struct token_result result = { .words = "the token file cannot be read",
				       .remedy = f->conf->token_file };
	char why[FILE_WHY];
	int r = file_read_token(f->conf->token_file, &result.token, why);

	if (r < 0) {
		token_end_without_memory(f);
		return;
	}
	result.error = why;
	token_end(f, &result);
}

static void token_copy(struct token_fetch *f)
{
	const char *given = f->conf->token != NULL ? f->conf->token : "";
	const struct token_result r = { .token = text_dup(given, strlen(given)) };

	if (r.token == NULL)
		token_end_without_memory(f);
	else
		token_end(f, &r);
}

/* -- a program -- */

__attribute__((format(printf, 2, 3))) static void token_exec_failed(struct token_fetch *f,
								    const char *format, ...)
{
	struct token_result r = {
		.words = "the program for the token has failed",
		.remedy = "run it as the agent's user: it has to print the token and to end with 0",
	};
	char error[TOKEN_ERROR];
	int n = snprintf(error, sizeof(error), "%.200s: ", f->conf->token_exec.command);
	va_list args;

	va_start(args, format);
	if (n >= 0)
		(void) vsnprintf(error + n, sizeof(error) - (size_t) n, format, args); /* cut */
	va_end(args);
	r.error = error;
	token_end(f, &r);
}

static void token_exec_ended(struct token_fetch *f, int64_t status, int number)
{
	struct token_result result = { .token = NULL };
	char why[FILE_WHY];
	int r;

	if (number != 0) {
		token_exec_failed(f, "ended by signal %d", number);
	} else if (status != 0) {
		token_exec_failed(f, "exit status %d", (int) status);
	} else {
		r = file_token_of(f->text, f->len, &result.token, why);
		if (r == 0)
			token_end(f, &result);
		else if (r < 0)
			token_end_without_memory(f);
		else
			token_exec_failed(f, "what it prints is no token: %s", why);
	}
}

/* What it has printed and we have not read yet. Not until the end of the stream: something that it
 * has left behind may hold the other end. */
static void token_drain(struct token_fetch *f)
{
	uv_os_fd_t fd;
	ssize_t n = -1;

	if (uv_fileno((uv_handle_t *) &f->out, &fd) != 0)
		return;
	do {
		n = read(fd, f->text + f->len, LIMIT_TOKEN_OUT + 1 - f->len);
		if (n > 0)
			f->len += (size_t) n;
	} while (n > 0 || (n < 0 && errno == EINTR));
}

static void token_exec_too_long(struct token_fetch *f)
{
	token_exec_failed(f, "it prints more than %d bytes", LIMIT_TOKEN_OUT);
}

static void on_exit_of_program(uv_process_t *process, int64_t status, int number)
{
	struct token_fetch *f = container_of(process, struct token_fetch, process);

	f->is_running = false;
	if (f->on_done == NULL) {
		uv_close((uv_handle_t *) process, on_process_closed);
		return;
	}
	token_drain(f);
	if (f->len > LIMIT_TOKEN_OUT)
		token_exec_too_long(f);
	else
		token_exec_ended(f, status, number);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct token_fetch *f = container_of(h, struct token_fetch, out);

	(void) size;
	*buf = uv_buf_init(f->text + f->len, (unsigned) (LIMIT_TOKEN_OUT + 1 - f->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct token_fetch *f = container_of(s, struct token_fetch, out);

	(void) buf;
	if (n < 0) {
		(void) uv_read_stop(s); /* its end is told by its status */
		return;
	}
	f->len += (size_t) n;
	if (f->len > LIMIT_TOKEN_OUT)
		token_exec_too_long(f);
}

static void on_deadline(struct timer *t)
{
	struct token_fetch *f = container_of(t, struct token_fetch, deadline);

	token_exec_failed(f, "it did not end in time, and was killed");
}

/* -- its environment -- */

/* Is @value one of our secrets, or did it become a part of one? */
static bool is_of_secret(const char *value, const char *secret)
{
	if (secret == NULL || value[0] == '\0')
		return false;
	return strcmp(value, secret) == 0 ||
	       (strlen(value) >= TOKEN_PART_MIN && strstr(secret, value) != NULL);
}

static bool is_secret(const struct conf *c, const char *entry)
{
	const char *equals = strchr(entry, '='), *value = equals != NULL ? equals + 1 : "";
	bool is = strncmp(entry, "SECRET_FRP_TOKEN=", strlen("SECRET_FRP_TOKEN=")) == 0 ||
		  is_of_secret(value, c->token) || is_of_secret(value, c->proxy_url) ||
		  is_of_secret(value, c->web.password);

	for (size_t i = 0; i < c->n_proxies && !is; i++) {
		const struct conf_proxy *p = &c->proxies[i];

		is = is_of_secret(value, p->secret_key) || is_of_secret(value, p->group_key) ||
		     is_of_secret(value, p->http_password);
	}
	for (size_t i = 0; i < c->n_visitors && !is; i++)
		is = is_of_secret(value, c->visitors[i].secret_key);
	return is;
}

static void token_env_free(const struct conf *c, char **env)
{
	for (size_t i = 0; env != NULL && i < c->token_exec.env.n; i++)
		env[i] = secret_free(env[i]);
	free(env);
}

static bool is_replaced(const struct conf_pairs *own, const char *entry)
{
	bool is = false;

	for (size_t i = 0; i < own->n && !is; i++) {
		size_t n = strlen(own->at[i].name);

		is = strncmp(own->at[i].name, entry, n) == 0 && entry[n] == '=';
	}
	return is;
}

/* Its own variables, and of ours what they do not replace, borrowed. */
static char **token_env(const struct conf *c)
{
	const struct conf_pairs *own = &c->token_exec.env;
	size_t n = 0, n_all = own->n;
	char **env;

	while (environ != NULL && environ[n] != NULL)
		n++;
	env = calloc(own->n + n + 1, sizeof(*env));
	for (size_t i = 0; env != NULL && i < own->n; i++) {
		size_t cap = strlen(own->at[i].name) + strlen(own->at[i].value) + 2;

		env[i] = malloc(cap);
		if (env[i] == NULL) {
			token_env_free(c, env);
			return NULL;
		}
		(void) snprintf(env[i], cap, "%s=%s", own->at[i].name, own->at[i].value);
	}
	for (size_t i = 0; env != NULL && i < n; i++) {
		if (!is_secret(c, environ[i]) && !is_replaced(own, environ[i]))
			env[n_all++] = environ[i];
	}
	return env;
}

/* NULL without memory; the words are borrowed. */
static char **token_argv(const struct conf_exec *e)
{
	char **argv = calloc(e->args.n + 2, sizeof(*argv));

	if (argv == NULL)
		return NULL;
	argv[0] = e->command;
	for (size_t i = 0; i < e->args.n; i++)
		argv[i + 1] = e->args.at[i];
	return argv;
}

/* -- starting it -- */

/* 0 or negated errno. */
static int token_spawn(struct token_fetch *f, char **argv, char **env)
{
	uv_stdio_container_t stdio[] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *) &f->out },
		{ .flags = UV_IGNORE },
	};
	const uv_process_options_t options = {
		.file = argv[0],
		.args = argv,
		.env = env,
		.exit_cb = on_exit_of_program,
		.flags = UV_PROCESS_DETACHED,
		.stdio = stdio,
		.stdio_count = sizeof(stdio) / sizeof(stdio[0]),
	};
	int err = uv_pipe_init(&f->loop->uv, &f->out, /* ipc= */ 0);

	if (err != 0)
		return err;
	f->n_handles = 2; /* a process that did not start has a handle, too */
	err = uv_spawn(&f->loop->uv, &f->process, &options);
	f->is_running = err == 0;
	if (err == 0)
		err = uv_read_start((uv_stream_t *) &f->out, on_alloc, on_read);
	return err;
}

static int token_exec_start(struct token_fetch *f)
{
	char **argv = token_argv(&f->conf->token_exec), **env = token_env(f->conf);

	f->text = malloc(LIMIT_TOKEN_OUT + 1);
	f->spawn_err = -ENOMEM;
	if (f->text != NULL && argv != NULL && env != NULL)
		f->spawn_err = token_spawn(f, argv, env);
	token_env_free(f->conf, env);
	free(argv);
	return f->spawn_err;
}

static void on_now(struct loop_task *t)
{
	struct token_fetch *f = container_of(t, struct token_fetch, now);

	if (f->conf->token_exec.command != NULL)
		token_exec_failed(f, "it cannot be started: %s", uv_strerror(f->spawn_err));
	else if (f->conf->token_file != NULL)
		token_read_file(f);
	else
		token_copy(f);
}

int token_fetch(struct loop *l, const struct conf *conf, uint64_t deadline_ms, token_fn *on_done,
		void *arg, struct token_fetch **ret_f)
{
	struct token_fetch *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->loop = l;
	f->conf = conf_share(conf);
	f->on_done = on_done;
	f->arg = arg;
	loop_task_init(&f->now, on_now);
	timer_init(&f->deadline, l, on_deadline);
	if (conf->token_exec.command == NULL || token_exec_start(f) != 0)
		loop_task_queue(l, &f->now);
	else
		timer_set(&f->deadline, deadline_ms);
	*ret_f = f;
	return 0;
}

struct token_fetch *token_cancel(struct token_fetch *f)
{
	if (f != NULL)
		token_release(f);
	return NULL;
}
