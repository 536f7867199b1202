/* SPDX-License-Identifier: Apache-2.0 */
/* many.c - one agent for each file of a folder (--config_dir). Floor 6.
 *
 * Processes, not sessions in one: a file that is wrong, or a server that is down, ends one of them
 * only. There is no loop here, so signals are waited for. */
#include "agent/front/many.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/front/notify.h"
#include "proto/base/err.h"

#define MANY_MAX 256 /* agents of one folder */

struct many {
	pid_t pids[MANY_MAX]; /* 0: ended */
	size_t n, n_running;
	int status;
	struct notify_place manager; /* a service manager that waits for us */
};

static void many_reap(struct many *m)
{
	int status, code;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < m->n; i++)
			if (m->pids[i] == pid) {
				m->pids[i] = 0;
				m->n_running--;
				code = WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
				m->status = code > m->status ? code : m->status;
			}
	}
}

/* The manager is told of a signal that is passed on. What it does not take at once is lost: nobody
 * here could try again. */
static void many_tell(const struct many *m, int number)
{
	char reloading[NOTIFY_RELOADING_MAX];

	if (number == SIGHUP) {
		(void) notify_send(&m->manager, notify_make_reloading(reloading));
		(void) notify_send(&m->manager, "READY=1");
	} else if (number > 0 && number != SIGCHLD) {
		(void) notify_send(&m->manager, "STOPPING=1");
	}
	if (m->manager.watchdog_ms != 0)
		(void) notify_send(&m->manager, "WATCHDOG=1");
}

/* The next signal; -1 when it is time to tell the watchdog. */
static int many_next_signal(const struct many *m, const sigset_t *signals)
{
	uint64_t ms = m->manager.watchdog_ms / 2;
	const struct timespec half = { .tv_sec = (time_t) (ms / 1000),
				       .tv_nsec = (long) (ms % 1000) * 1000000 };

	return ms != 0 ? sigtimedwait(signals, NULL, &half) : sigwaitinfo(signals, NULL);
}

static void many_wait(struct many *m, const sigset_t *signals)
{
	(void) notify_send(&m->manager, "READY=1"); /* as in many_tell() */
	while (m->n_running > 0) {
		int number = many_next_signal(m, signals);

		many_tell(m, number);
		for (size_t i = 0; i < m->n && number > 0 && number != SIGCHLD; i++)
			if (m->pids[i] != 0)
				(void) kill(m->pids[i], number); /* it may have ended just now */
		many_reap(m);
	}
}

/* In the child: as if started alone; it ends with us. */
static void many_be_child(const sigset_t *before, pid_t parent)
{
	(void) sigprocmask(SIG_SETMASK, before, NULL); /* cannot fail */
	(void) prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		(void) raise(SIGTERM); /* it was gone before */
}

/* The path of a regular file, or NULL for anything else. */
static char *many_path(const char *folder, const char *name)
{
	size_t cap = strlen(folder) + strlen(name) + 2;
	char *path = malloc(cap);
	struct stat st;

	if (path == NULL)
		return NULL;
	(void) snprintf(path, cap, "%s/%s", folder, name);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? path : mem_free(path);
}

/* 0, MANY_CHILD, or negated errno. */
static int many_fork(struct many *m, const char *folder, const struct dirent *entry,
		     const sigset_t *before, char **ret_path)
{
	char *path = many_path(folder, entry->d_name);
	pid_t pid, parent = getpid();

	if (path == NULL)
		return 0;
	if (m->n == MANY_MAX) {
		free(path);
		return -E2BIG;
	}
	pid = fork();
	if (pid == 0) {
		many_be_child(before, parent);
		*ret_path = path;
		return MANY_CHILD;
	}
	free(path);
	if (pid < 0)
		return -errno;
	m->pids[m->n++] = pid;
	m->n_running++;
	return 0;
}

int many_start(const char *folder, char **ret_path, int *ret_status)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD };
	struct many m = { 0 };
	struct dirent **found = NULL;
	sigset_t signals, before;
	int n = scandir(folder, &found, NULL, alphasort), r = 0;

	if (n < 0)
		return -errno;
	notify_find(&m.manager);      /* it knows the first process only */
	(void) sigemptyset(&signals); /* these cannot fail */
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void) sigaddset(&signals, numbers[i]);
		(void) signal(numbers[i], SIG_DFL); /* an ignored one cannot be waited for */
	}
	(void) sigprocmask(SIG_BLOCK, &signals, &before);
	for (int i = 0; i < n && r == 0; i++)
		r = many_fork(&m, folder, found[i], &before, ret_path);
	for (int i = 0; i < n; i++)
		free(found[i]);
	free(found);
	if (r == MANY_CHILD)
		return r;
	if (m.n == 0)
		return r < 0 ? r : -ENODATA;
	many_wait(&m, &signals);
	*ret_status = r < 0 ? EXIT_FAILURE : m.status;
	return 0;
}
