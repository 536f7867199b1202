/* SPDX-License-Identifier: Apache-2.0 */
/* addrfile.c - the file with the addresses at the server. Floor 6.
 *
 * It is small and on a local disk or in memory, so it is written at once, on the loop; not synced,
 * since it is written anew at every start. */
#include "agent/front/addrfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/tunnel/service.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

struct addrfile {
	const char *path; /* borrowed */
	struct log *log;  /* borrowed */
	struct buf text;  /* of the last good write */
	bool is_written;
	int said; /* the last failure that was logged; 0: none since it worked */
};

/* The text in the making. */
struct lines {
	struct buf text;
	int err;
};

static void lines_add(struct lines *lines, const char *word, const char *end)
{
	if (lines->err == 0)
		lines->err = buf_add(&lines->text, span_str(word));
	if (lines->err == 0)
		lines->err = buf_add(&lines->text, span_str(end));
}

static void on_proxy(void *arg, const struct service_proxy *p)
{
	if (strcmp(p->status, "running") != 0)
		return;
	lines_add(arg, p->name, " ");
	lines_add(arg, p->remote_addr[0] != '\0' ? p->remote_addr : "-", "\n");
}

static bool is_same(const struct buf *a, const struct buf *b)
{
	struct span x = buf_span(a), y = buf_span(b);

	return x.len == y.len && (x.len == 0 || memcmp(x.p, y.p, x.len) == 0);
}

static int write_all(int fd, struct span text)
{
	ssize_t n;

	while (text.len > 0) {
		n = write(fd, text.p, text.len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = span_skip(text, (size_t) n);
	}
	return 0;
}

/* @draft becomes @path, with @text in it. */
static int publish(int fd, const char *draft, const char *path, struct span text)
{
	int err = write_all(fd, text);

	if (err == 0 && fchmod(fd, 0644) != 0) /* mkostemp() makes files that only we may read */
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(draft, path) != 0)
		err = -errno;
	if (err != 0)
		(void) unlink(draft);
	return err;
}

/* 0 or negated errno. */
static int replace_file(const char *path, struct span text)
{
	size_t cap = strlen(path) + sizeof(".XXXXXX");
	char *draft = malloc(cap); /* in the same folder: else it could not take its place */
	int fd, err;

	if (draft == NULL)
		return -ENOMEM;
	(void) snprintf(draft, cap, "%s.XXXXXX", path);
	fd = mkostemp(draft, O_CLOEXEC);
	err = fd < 0 ? -errno : publish(fd, draft, path, text);
	free(draft);
	return err;
}

static const char *remedy_for(int err)
{
	switch (err) {
	case -ENOENT: return "make the folder of the file";
	case -EACCES:
	case -EPERM:
	case -EROFS: return "the agent needs a folder there that it may write to";
	case -EBUSY: return "mount the folder of the file, not the file alone";
	case -ENOSPC:
	case -EDQUOT: return "make room on that disk";
	default: return "name a file in a folder that the agent may write to";
	}
}

static void addrfile_failed(struct addrfile *a, int err)
{
	if (err == a->said)
		return;
	a->said = err;
	log_warn(a->log,
		 "the file of remote addresses cannot be written, trying again at the next change",
		 "file", a->path, "error", strerror(-err), "remedy", remedy_for(err));
}

int addrfile_new(struct addrfile **ret_a, const char *path, struct log *log)
{
	struct addrfile *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->path = path;
	a->log = log;
	buf_init(&a->text, LIMIT_HTTP_ANSWER);
	*ret_a = a;
	return 0;
}

void addrfile_update(struct addrfile *a, const struct service *s)
{
	struct lines lines = { .err = 0 };

	buf_init(&lines.text, LIMIT_HTTP_ANSWER);
	if (s != NULL)
		service_each_proxy(s, on_proxy, &lines);
	if (lines.err == 0 && a->is_written && is_same(&lines.text, &a->text)) {
		buf_deinit(&lines.text);
		return;
	}
	if (lines.err == 0)
		lines.err = replace_file(a->path, buf_span(&lines.text));
	a->is_written = lines.err == 0;
	if (a->is_written) {
		buf_deinit(&a->text);
		a->text = lines.text;
		a->said = 0;
		return;
	}
	buf_deinit(&lines.text);
	addrfile_failed(a, lines.err < 0 ? lines.err : -EFBIG);
}

struct addrfile *addrfile_free(struct addrfile *a)
{
	if (a == NULL)
		return NULL;
	buf_deinit(&a->text);
	return mem_free(a);
}
