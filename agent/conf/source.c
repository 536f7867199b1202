/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - the token from a file or a program (auth.tokenSource). Floor 4. */
#include "agent/conf/source.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/conf/file.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define SOURCE_TOKEN_MAX (64 * 1024) /* as of a file */
#define SOURCE_WAIT_MS 10000
#define SOURCE_SECRET "SECRET_FRP_TOKEN="

static int source_refuse(char *why, const char *what, const char *name, const char *words)
{
	char quote[256];

	(void) snprintf(why, SOURCE_WHY, "%s \"%s\" cannot be used: %s", what,
			text_escape(span_str(name), quote, sizeof(quote)), words);
	return SOURCE_E_BAD;
}

static int source_read_file(struct conf *c, char *why)
{
	char reason[FILE_WHY], *token;
	int r = file_read_token(c->token_file, &token, reason);

	if (r > 0)
		return source_refuse(why, "the file", c->token_file, reason);
	if (r < 0)
		return r;
	c->token = secret_free(c->token);
	c->token = token;
	return 0;
}

static uint64_t source_now_ms(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail with this clock */
	return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* NULL-terminated copies: pointers are borrowed, but for "NAME=value" of the program's own. */
static char **source_env(const struct conf_exec *e, char *const *envp)
{
	size_t n = 0, n_own = 0;
	char **all;

	while (envp != NULL && envp[n] != NULL)
		n++;
	all = calloc(n + e->env.n + 1, sizeof(*all));
	if (all == NULL)
		return NULL;
	for (size_t i = 0; i < e->env.n; i++, n_own++) {
		const struct msg_pair *p = &e->env.at[i];
		size_t cap = strlen(p->name) + strlen(p->value) + 2;

		all[i] = malloc(cap);
		if (all[i] == NULL)
			break;
		(void) snprintf(all[i], cap, "%s=%s", p->name, p->value);
	}
	if (n_own < e->env.n) {
		for (size_t i = 0; i < n_own; i++)
			free(all[i]);
		free(all);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strncmp(envp[i], SOURCE_SECRET, strlen(SOURCE_SECRET)) != 0)
			all[n_own++] = envp[i];
	return all;
}

static void source_env_free(char **env, size_t n_own)
{
	for (size_t i = 0; env != NULL && i < n_own; i++)
		env[i] = secret_free(env[i]);
	free(env);
}

/* 0 or an errno; as execvp() in a child with standard input from nowhere. */
static int source_spawn(const struct conf_exec *e, char *const *envp, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char **argv = calloc(e->args.n + 2, sizeof(*argv));
	int err = ENOMEM;

	if (argv == NULL)
		return ENOMEM;
	argv[0] = e->command;
	for (size_t i = 0; i < e->args.n; i++)
		argv[i + 1] = e->args.at[i];
	(void) sigemptyset(&none); /* cannot fail */
	(void) sigfillset(&all);
	if (posix_spawn_file_actions_init(&actions) == 0) {
		if (posix_spawnattr_init(&attr) == 0) {
			/* We ignore SIGPIPE, and may have inherited more of that kind. */
			(void) posix_spawnattr_setsigmask(&attr, &none);
			(void) posix_spawnattr_setsigdefault(&attr, &all);
			(void) posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
								       POSIX_SPAWN_SETSIGDEF);
			err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY,
							       0);
			if (err == 0)
				err = posix_spawn_file_actions_adddup2(&actions, out, 1);
			if (err == 0)
				err = posix_spawnp(ret_pid, e->command, &actions, &attr, argv,
						   envp);
			(void) posix_spawnattr_destroy(&attr);
		}
		(void) posix_spawn_file_actions_destroy(&actions);
	}
	free(argv);
	return err;
}

/* What comes out of @fd within the time. NULL, or a reason. */
static const char *source_drain(int fd, char *dst, size_t *ret_len)
{
	uint64_t due_ms = source_now_ms() + SOURCE_WAIT_MS;

	for (*ret_len = 0;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now_ms = source_now_ms();
		ssize_t n;

		if (now_ms >= due_ms)
			return "it did not end within 10 s";
		if (poll(&p, 1, (int) (due_ms - now_ms)) <= 0)
			continue; /* the time is looked at above */
		n = read(fd, dst + *ret_len, SOURCE_TOKEN_MAX - *ret_len);
		if (n < 0 && errno != EINTR)
			return strerror(errno);
		if (n == 0)
			return NULL;
		if (n > 0)
			*ret_len += (size_t) n;
		if (*ret_len == SOURCE_TOKEN_MAX)
			return "it prints more than 64 KiB";
	}
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The program runs already; its output becomes the token. */
static int source_collect(struct conf *c, int fd, pid_t pid, char *why)
{
	char *text = malloc(SOURCE_TOKEN_MAX), *token = NULL;
	const char *reason = NULL;
	size_t start = 0, len = 0;
	int status = 0, r = 0;

	if (text != NULL)
		reason = source_drain(fd, text, &len);
	if (text == NULL || reason != NULL)
		(void) kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	while (len > 0 && is_space(text[len - 1]))
		len--;
	while (start < len && is_space(text[start]))
		start++;
	if (text == NULL)
		return -ENOMEM;
	if (reason == NULL && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		reason = "it failed";
	else if (reason == NULL &&
		 (start == len || memchr(text + start, '\0', len - start) != NULL))
		reason = "what it prints is no token";
	if (reason != NULL) {
		r = source_refuse(why, "the program", c->token_exec.command, reason);
	} else {
		token = text_dup(text + start, len - start);
		r = token == NULL ? -ENOMEM : 0;
	}
	if (r == 0) {
		c->token = secret_free(c->token);
		c->token = token;
	}
	secret_wipe(text, SOURCE_TOKEN_MAX);
	free(text);
	return r;
}

static int source_run(struct conf *c, char *const *envp, char *why)
{
	char **env = source_env(&c->token_exec, envp);
	int fds[2], err;
	pid_t pid;

	if (env == NULL)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		err = errno;
		source_env_free(env, c->token_exec.env.n);
		return -err;
	}
	err = source_spawn(&c->token_exec, env, fds[1], &pid);
	source_env_free(env, c->token_exec.env.n);
	(void) close(fds[1]);
	if (err == 0)
		err = source_collect(c, fds[0], pid, why);
	else if (err == ENOMEM)
		err = -ENOMEM;
	else
		err = source_refuse(why, "the program", c->token_exec.command, strerror(err));
	(void) close(fds[0]);
	return err;
}

int source_read(struct conf *c, char *const *envp, char why[static SOURCE_WHY])
{
	return c->token_file != NULL ? source_read_file(c, why) : source_run(c, envp, why);
}
