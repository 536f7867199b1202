/* SPDX-License-Identifier: Apache-2.0 */
/* logfile.c - a log file with its rotation. Floor 3.
 *
 * Nothing here logs: it is the log. Files are written with the ordinary calls, for a line is in the
 * page cache at once; compressing takes time, so a timer does it step by step (squeeze.h). */
#include "agent/base/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/squeeze.h"
#include "agent/base/timer.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/text.h"

#define SQUEEZE_PAUSE_MS 5 /* between two steps: most of the time is for everybody else */
#define DAY_S 86400
#define STAMP_LEN 15 /* "20061102-150405" */

struct logfile {
	char *path;
	char *folder;	     /* of @path */
	char *stem, *ending; /* its name around the stamp: "frpc", ".log" */
	unsigned max_days;
	uint64_t size_max;
	int fd; /* -1: cannot be opened now */
	uint64_t size;
	int64_t day;	   /* since the epoch, of what is in it */
	uint64_t look_ms;  /* when to look again whether it is still there; monotonic */
	struct loop *loop; /* borrowed; NULL: detached */
	struct timer timer;
	struct squeeze *squeeze; /* NULL: nothing is being compressed */
};

static int64_t wall_s(void)
{
	struct timespec now = { .tv_sec = 0 };

	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	return now.tv_sec;
}

static uint64_t clock_ms(void)
{
	struct timespec now = { .tv_sec = 0 };

	(void) clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* -- names -- */

static char *join(const char *a, const char *b, const char *c, const char *d)
{
	size_t cap = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
	char *s = malloc(cap);

	if (s != NULL)
		(void) snprintf(s, cap, "%s%s%s%s", a, b, c, d);
	return s;
}

static void write_stamp(char dst[static STAMP_LEN + 1], int64_t at_s)
{
	time_t t = (time_t) at_s;
	struct tm tm = { .tm_mday = 1 };

	(void) gmtime_r(&t, &tm); /* fails only for years beyond int */
	if (strftime(dst, STAMP_LEN + 1, "%Y%m%d-%H%M%S", &tm) != STAMP_LEN)
		dst[0] = '\0';
}

/* The stamp in @name when it is one of our rotated files (*ret_is_gz: compressed); NULL: it
 * is not. */
static const char *stamp_of(const struct logfile *f, const char *name, bool *ret_is_gz)
{
	size_t n_stem = strlen(f->stem), n_ending = strlen(f->ending);
	const char *stamp = name + n_stem + 1;

	if (strncmp(name, f->stem, n_stem) != 0 || name[n_stem] != '.' ||
	    strlen(stamp) < STAMP_LEN + n_ending)
		return NULL;
	for (size_t i = 0; i < STAMP_LEN; i++)
		if (i == 8 ? stamp[i] != '-' : (stamp[i] < '0' || stamp[i] > '9'))
			return NULL;
	if (strncmp(stamp + STAMP_LEN, f->ending, n_ending) != 0)
		return NULL;
	*ret_is_gz = strcmp(stamp + STAMP_LEN + n_ending, ".gz") == 0;
	return *ret_is_gz || stamp[STAMP_LEN + n_ending] == '\0' ? stamp : NULL;
}

/* -- old files -- */

static int is_rotated(const struct logfile *f, const struct dirent *d)
{
	bool is_gz;

	return stamp_of(f, d->d_name, &is_gz) != NULL;
}

static void forget_file(const struct logfile *f, const char *name)
{
	char *path = join(f->folder, "/", name, "");

	if (path != NULL)
		(void) unlink(path); /* somebody else's then; the next rotation tries again */
	free(path);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The names of our rotated files, oldest first; *ret_n of them. NULL: none, or no memory. */
static char **list_rotated(const struct logfile *f, size_t *ret_n)
{
	char **names = NULL, **grown;
	struct dirent *d;
	DIR *dir = opendir(f->folder);
	size_t n = 0;

	*ret_n = 0;
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (!is_rotated(f, d))
			continue;
		grown = realloc(names, (n + 1) * sizeof(*names));
		if (grown == NULL)
			break;
		names = grown;
		names[n] = text_dup(d->d_name, strlen(d->d_name));
		if (names[n] == NULL)
			break;
		n++;
	}
	if (dir != NULL)
		(void) closedir(dir); /* was only read */
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	*ret_n = n;
	return names;
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Remove what is too old or too much; *ret_todo: the oldest that waits to be compressed, to be
 * freed, or NULL. */
static void logfile_tidy(const struct logfile *f, char **ret_todo)
{
	char oldest[STAMP_LEN + 1];
	size_t n;
	char **names = list_rotated(f, &n);

	*ret_todo = NULL;
	write_stamp(oldest, wall_s() - (int64_t) f->max_days * DAY_S);
	for (size_t i = 0; i < n; i++) {
		bool is_gz = false;
		const char *stamp = stamp_of(f, names[i], &is_gz);

		if ((f->max_days > 0 && strncmp(stamp, oldest, STAMP_LEN) < 0) ||
		    n - i > LIMIT_LOG_FILES)
			forget_file(f, names[i]);
		else if (!is_gz && *ret_todo == NULL)
			*ret_todo = join(f->folder, "/", names[i], "");
	}
	free_names(names, n);
}

/* -- compressing -- */

/* The next one, if there is one. */
static void logfile_start_squeeze(struct logfile *f)
{
	char *todo;

	if (f->loop == NULL || f->squeeze != NULL)
		return;
	logfile_tidy(f, &todo);
	if (todo != NULL && squeeze_new(&f->squeeze, todo) == 0)
		timer_set(&f->timer, loop_now_ms(f->loop));
}

static void logfile_on_timer(struct timer *t)
{
	struct logfile *f = container_of(t, struct logfile, timer);
	int r = squeeze_step(f->squeeze);

	if (r == 0) {
		timer_set(&f->timer, loop_now_ms(f->loop) + SQUEEZE_PAUSE_MS);
		return;
	}
	/* Else the disk is full: the next rotation tries again. */
	if (r == SQUEEZE_E_DONE)
		squeeze_finish(f->squeeze);
	f->squeeze = squeeze_free(f->squeeze);
	if (r == SQUEEZE_E_DONE)
		logfile_start_squeeze(f);
}

void logfile_attach(struct logfile *f, struct loop *l)
{
	f->loop = l;
	timer_init(&f->timer, l, logfile_on_timer);
	logfile_start_squeeze(f);
}

void logfile_detach(struct logfile *f)
{
	if (f == NULL || f->loop == NULL)
		return;
	timer_stop(&f->timer);
	f->squeeze = squeeze_free(f->squeeze);
	f->loop = NULL;
}

/* -- the file -- */

static int logfile_open(struct logfile *f)
{
	struct stat st;
	int err;

	f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		     0640);
	if (f->fd < 0)
		return -errno;
	if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		err = S_ISREG(st.st_mode) ? -EIO : -EINVAL; /* a pipe could make us wait */
		(void) close(f->fd);
		f->fd = -1;
		return err;
	}
	f->size = (uint64_t) st.st_size;
	f->day = (f->size > 0 ? st.st_mtim.tv_sec : wall_s()) / DAY_S;
	f->look_ms = clock_ms() + WAIT_LOG_REOPEN_MS;
	return 0;
}

static void logfile_close(struct logfile *f)
{
	if (f->fd >= 0)
		(void) close(f->fd);
	f->fd = -1;
}

/* Open it again when it is not there any more, but not at each line. */
static void logfile_look(struct logfile *f)
{
	uint64_t now_ms = clock_ms();
	struct stat mine, there;

	if (now_ms < f->look_ms)
		return;
	f->look_ms = now_ms + WAIT_LOG_REOPEN_MS;
	if (f->fd >= 0 && fstat(f->fd, &mine) == 0 && stat(f->path, &there) == 0 &&
	    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev) {
		f->size = (uint64_t) mine.st_size; /* it may have been truncated */
		return;
	}
	logfile_close(f);
	(void) logfile_open(f); /* else lines are lost until the next look */
}

/* A free name of a rotated file; NULL without memory. */
static char *rotated_name(const struct logfile *f, int64_t at_s)
{
	char stamp[STAMP_LEN + 2] = ".";
	char *name = NULL, *gz, *prefix = join(f->folder, "/", f->stem, "");

	/* Two in one second: the next one is free. */
	for (unsigned i = 0; prefix != NULL && i < 60 && name == NULL; i++) {
		write_stamp(stamp + 1, at_s + (int64_t) i);
		name = join(prefix, stamp, f->ending, "");
		gz = join(prefix, stamp, f->ending, ".gz");
		if (name != NULL && gz != NULL &&
		    (access(name, F_OK) == 0 || access(gz, F_OK) == 0))
			name = mem_free(name);
		free(gz);
	}
	free(prefix);
	return name;
}

static void logfile_rotate(struct logfile *f)
{
	char *name = rotated_name(f, wall_s());
	bool is_moved = name != NULL && rename(f->path, name) == 0;

	free(name);
	if (!is_moved) { /* goes on as it is, and tries again a day or a size later */
		f->size = 0;
		f->day = wall_s() / DAY_S;
		return;
	}
	logfile_close(f);
	(void) logfile_open(f); /* else lines are lost until the next look */
	logfile_start_squeeze(f);
}

ptrdiff_t logfile_put(void *arg, const char *line, size_t len)
{
	struct logfile *f = arg;
	ssize_t r;

	logfile_look(f);
	if (f->fd >= 0 && f->size > 0 &&
	    (f->size + len > f->size_max || wall_s() / DAY_S != f->day))
		logfile_rotate(f);
	if (f->fd < 0)
		return -EBADF;
	do
		r = write(f->fd, line, len);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	f->size += (uint64_t) r;
	return r > 0 ? r : -ENOSPC;
}

/* -- life -- */

/* "x/frpc.log": "x", "frpc", ".log". */
static int logfile_split(struct logfile *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	const char *dot = strrchr(name, '.');
	size_t n_folder = slash == path ? 1 : (size_t) (name - path) - (slash != NULL);

	if (dot == NULL || dot == name)
		dot = name + strlen(name);
	f->path = text_dup(path, strlen(path));
	f->folder = slash != NULL ? text_dup(path, n_folder) : text_dup(".", 1);
	f->stem = text_dup(name, (size_t) (dot - name));
	f->ending = text_dup(dot, strlen(dot));
	return f->path != NULL && f->folder != NULL && f->stem != NULL && f->ending != NULL
		       ? 0
		       : -ENOMEM;
}

int logfile_new(struct logfile **ret_f, const char *path, unsigned max_days, uint64_t size_max)
{
	struct logfile *f = calloc(1, sizeof(*f));
	int err;

	if (f == NULL)
		return -ENOMEM;
	f->fd = -1;
	f->max_days = max_days;
	f->size_max = size_max > 0 ? size_max : LIMIT_LOG_FILE;
	err = logfile_split(f, path);
	if (err == 0)
		err = logfile_open(f);
	if (err != 0) {
		(void) logfile_free(f);
		return err;
	}
	*ret_f = f;
	return 0;
}

struct logfile *logfile_free(struct logfile *f)
{
	if (f == NULL)
		return NULL;
	logfile_detach(f);
	logfile_close(f);
	free(f->path);
	free(f->folder);
	free(f->stem);
	free(f->ending);
	return mem_free(f);
}
