/* SPDX-License-Identifier: Apache-2.0 */
/* runfile.c - the file of the run id. Floor 5.
 *
 * It is a line of at most LIMIT_RUN_ID bytes in a local folder, written only when the server gives
 * another id: it is written at once, on the loop, and not synced, since a machine that lost its
 * power is a new machine to the server as well. */
#include "agent/tunnel/runfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/conf/ident.h"
#include "proto/base/secret.h"

/* As it may stand in a line; servers make hex digits. */
static bool is_clean(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	return len > 0 && len <= LIMIT_RUN_ID;
}

/* False: there is no place for it. */
static bool file_path(const struct conf *conf, char ret_path[static PATH_MAX])
{
	char ident[IDENT_CAP];

	if (conf->state_dir == NULL || conf_ident(conf, ident) != 0)
		return false;
	/* 64 bits of the hash keep apart what one machine runs. */
	return snprintf(ret_path, PATH_MAX, "%s/mltunnel-%.16s.run", conf->state_dir, ident) <
	       PATH_MAX - 8; /* and the end of a draft's name */
}

/* "" when there is none that can be believed: ours alone to read and to write. */
static void file_read(const char *path, char ret_id[static LIMIT_RUN_ID + 1])
{
	char text[LIMIT_RUN_ID + 2]; /* with the end of the line, and a byte that none may have */
	struct stat st;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	ret_id[0] = '\0';
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 077) == 0)
		n = read(fd, text, sizeof(text));
	(void) close(fd); /* only read */
	if (n > 0 && text[n - 1] == '\n') {
		text[n - 1] = '\0';
		if (is_clean(text, (size_t) n - 1)) /* a NUL is not */
			memcpy(ret_id, text, (size_t) n);
	}
	secret_wipe(text, sizeof(text));
}

/* @draft becomes @path. 0 or negated errno. */
static int file_publish(int fd, const char *draft, const char *path, const char *id)
{
	char line[LIMIT_RUN_ID + 2];
	int len = snprintf(line, sizeof(line), "%s\n", id);
	ssize_t n = write(fd, line, (size_t) len); /* whole, or the disk is full */
	int err = n == len ? 0 : n < 0 ? -errno : -ENOSPC;

	secret_wipe(line, sizeof(line));
	if (close(fd) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(draft, path) != 0)
		err = -errno;
	if (err != 0)
		(void) unlink(draft);
	return err;
}

static int file_write(const char *path, const char *id)
{
	char draft[PATH_MAX + 8];
	int fd;

	(void) snprintf(draft, sizeof(draft), "%s.XXXXXX", path);
	fd = mkostemp(draft, O_CLOEXEC); /* 0600 */
	return fd < 0 ? -errno : file_publish(fd, draft, path, id);
}

/* Once. It matters only to who has asked for it. */
static void runfile_failed(struct runfile *f, const struct conf *conf, int err)
{
	if (f->is_told)
		return;
	f->is_told = true;
	if (conf->is_state_dir_asked_for)
		log_warn(f->log, "the state folder cannot be written: going on without it",
			 "folder", conf->state_dir, "error", strerror(-err), "remedy",
			 "let MLTUNNEL_STATE_DIR name a folder that the agent may write to");
	else
		log_debug(f->log, "no state is kept", "folder", conf->state_dir, "error",
			  strerror(-err));
}

void runfile_init(struct runfile *f, const struct conf *conf, struct log *log)
{
	char path[PATH_MAX];

	*f = (struct runfile){ .log = log };
	if (file_path(conf, path))
		file_read(path, f->kept);
}

void runfile_deinit(struct runfile *f)
{
	secret_wipe(f->kept, sizeof(f->kept));
}

static void runfile_remove(struct runfile *f, const char *path)
{
	(void) unlink(path); /* else the next start fails once with it, and forgets it */
	runfile_deinit(f);
}

void runfile_keep(struct runfile *f, const struct conf *conf, const char *id)
{
	char path[PATH_MAX];
	int err;

	if (strcmp(id, f->kept) == 0 || !file_path(conf, path))
		return;
	if (id[0] == '\0')
		runfile_remove(f, path);
	if (!is_clean(id, strlen(id)))
		return;
	err = file_write(path, id);
	if (err != 0)
		runfile_failed(f, conf, err);
	else
		(void) snprintf(f->kept, sizeof(f->kept), "%s", id);
}
