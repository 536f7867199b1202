/* SPDX-License-Identifier: Apache-2.0 */
/* squeeze.c - a file is compressed beside itself, then takes its own place. Floor 3. */
#include "agent/base/squeeze.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "proto/base/text.h"

#define SQUEEZE_PIECE (32 * 1024) /* about 2 ms of one slow core */
#define GZIP_WINDOW (15 + 16)	  /* zlib: the largest window, with a gzip header */

struct squeeze {
	z_stream z;
	int in, out;	 /* -1: none */
	char *from, *to; /* @to is the name until it is complete */
	bool is_finished;
	uint8_t in_buf[SQUEEZE_PIECE], out_buf[SQUEEZE_PIECE];
};

struct squeeze *squeeze_free(struct squeeze *q)
{
	if (q == NULL)
		return NULL;
	(void) deflateEnd(&q->z); /* fine before deflateInit2 as well */
	if (q->in >= 0)
		(void) close(q->in);
	if (q->out >= 0) {
		(void) close(q->out);
		if (!q->is_finished)
			(void) unlink(q->to); /* a part only */
	}
	free(q->from);
	free(q->to);
	free(q);
	return NULL;
}

static char *squeeze_name(const char *from, const char *ending)
{
	size_t cap = strlen(from) + strlen(ending) + 1;
	char *name = malloc(cap);

	if (name != NULL)
		(void) snprintf(name, cap, "%s%s", from, ending);
	return name;
}

int squeeze_new(struct squeeze **ret_q, char *from)
{
	struct squeeze *q = calloc(1, sizeof(*q));
	struct stat st;
	int err = 0;

	if (q == NULL) {
		free(from);
		return -ENOMEM;
	}
	q->from = from;
	q->out = -1;
	q->in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	q->to = squeeze_name(from, ".gz.tmp");
	if (q->in < 0 || q->to == NULL || fstat(q->in, &st) != 0)
		err = q->to == NULL ? -ENOMEM : -errno;
	if (err == 0) {
		(void) unlink(q->to); /* of a run that was cut */
		q->out = open(q->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
		err = q->out < 0 ? -errno : 0;
	}
	if (err == 0 && deflateInit2(&q->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
				     Z_DEFAULT_STRATEGY) != Z_OK)
		err = -ENOMEM;
	if (err != 0) {
		(void) squeeze_free(q);
		return err;
	}
	*ret_q = q;
	return 0;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, p, n);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0) {
			p += r;
			n -= (size_t) r;
		}
	}
	return 0;
}

int squeeze_step(struct squeeze *q)
{
	ssize_t n = read(q->in, q->in_buf, sizeof(q->in_buf));
	int r = Z_OK, err = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	q->z.next_in = q->in_buf;
	q->z.avail_in = (unsigned) n;
	do {
		q->z.next_out = q->out_buf;
		q->z.avail_out = sizeof(q->out_buf);
		r = deflate(&q->z, n == 0 ? Z_FINISH : Z_NO_FLUSH);
		err = write_all(q->out, q->out_buf, sizeof(q->out_buf) - q->z.avail_out);
	} while (err == 0 && r == Z_OK && q->z.avail_out == 0);
	if (err != 0)
		return err;
	return n == 0 ? SQUEEZE_E_DONE : 0;
}

void squeeze_finish(struct squeeze *q)
{
	size_t n = strlen(q->to) - strlen(".tmp");
	char *name = text_dup(q->to, n);

	if (name != NULL && rename(q->to, name) == 0)
		(void) unlink(q->from);
	else
		(void) unlink(q->to); /* the other stays as it is */
	q->is_finished = true;
	free(name);
}
