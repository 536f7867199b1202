/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - the configuration of a run, while it runs. Floor 6.
 *
 * Files are small, so they are read and written at once, on the loop. A new text is written beside
 * the old one, read back by the very reader that a start uses, and takes the place of the old one
 * when that found nothing wrong: whoever looks at the file sees the old text or the new one, whole,
 * also after a loss of power. */
#include "agent/front/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/conf/file.h"
#include "agent/front/admin.h"
#include "agent/tunnel/service.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define NO_FILE "the configuration did not come from a file: nothing to reload\n"

struct live {
	struct live_params p;
	struct admin *admin; /* NULL: none is asked for */
};

static void say(struct buf *out, const char *text)
{
	(void) buf_add(out, span_str(text)); /* without memory the result alone has to do */
}

static void say_errno(struct buf *out, const char *what, int err)
{
	say(out, what);
	say(out, ": ");
	say(out, strerror(err));
	say(out, "\n");
}

/* -- reload -- */

/* Each line of the problems is one of the log. */
static void log_problems(const struct live *l, struct span text)
{
	char line[512];
	const uint8_t *end;

	while (text.len > 0) {
		end = memchr(text.p, '\n', text.len);
		if (end == NULL)
			return;
		(void) snprintf(line, sizeof(line), "%.*s", (int) (end - text.p),
				(const char *) text.p); /* cut */
		log_error(l->p.loop->log, "the configuration is wrong, the old one stays",
			  "problem", line);
		text = span_skip(text, (size_t) (end - text.p) + 1);
	}
}

static int live_apply(struct live *l, const struct conf *c, struct buf *out)
{
	int err = service_reload(l->p.service, c);

	if (err < 0) {
		say_errno(out,
			  "the configuration cannot be applied, the old one stays (see the log)",
			  -err);
		log_error(l->p.loop->log, "reload failed, the old configuration stays", "error",
			  strerror(-err));
		return ADMIN_E_BAD;
	}
	log_set_level(l->p.loop->log, (enum log_level) c->log_level);
	log_info(l->p.loop->log, "reload success", "config", l->p.file);
	return 0;
}

static int live_on_reload(void *arg, bool is_strict, struct buf *out)
{
	CLEANUP(conf_free) struct conf *c = NULL;
	struct live *l = arg;
	struct problems problems;
	int r;

	if (l->p.file == NULL) {
		say(out, NO_FILE);
		return ADMIN_E_BAD;
	}
	problems_init(&problems);
	r = l->p.load(l->p.load_arg, /* text= */ NULL, is_strict, &problems, &c);
	if (r < 0) {
		say_errno(out, "the configuration cannot be read", -r);
		r = ADMIN_E_BAD;
	} else if (problems.n_lines > 0) {
		(void) buf_add(out, buf_span(&problems.text)); /* see say() */
		log_problems(l, buf_span(&problems.text));
		r = ADMIN_E_BAD;
	} else {
		r = live_apply(l, c, out);
	}
	problems_deinit(&problems);
	return r;
}

void live_reload(struct live *l)
{
	struct buf out;

	if (l->p.file == NULL) {
		log_info(l->p.loop->log,
			 "nothing to reload: the configuration did not come from a file");
		return;
	}
	buf_init(&out, LIMIT_HTTP_ANSWER);
	(void) live_on_reload(l, /* is_strict= */ true, &out); /* logged */
	buf_deinit(&out);
}

/* -- the file -- */

static int live_on_read_config(void *arg, struct buf *out)
{
	struct live *l = arg;
	char why[FILE_WHY], *text;
	size_t len;
	int r;

	if (l->p.file == NULL) {
		say(out, NO_FILE);
		return ADMIN_E_BAD;
	}
	r = file_read(l->p.file, LIMIT_HTTP_BODY, /* want_regular= */ false, &text, &len, why);
	if (r != 0) {
		say(out, r > 0 ? why : strerror(-r));
		say(out, "\n");
		return ADMIN_E_BAD;
	}
	r = buf_add(out, span_of(text, len));
	secret_wipe(text, len);
	free(text);
	return r == 0 ? 0 : ADMIN_E_BAD;
}

/* A new file beside the old one. */
struct draft {
	char *real;	 /* the file behind all links */
	char *path;	 /* of the draft */
	size_t n_folder; /* of both, with the slash */
	int fd;		 /* -1: closed */
};

static void draft_deinit(struct draft *d)
{
	if (d->fd >= 0)
		(void) close(d->fd);
	if (d->path != NULL)
		(void) unlink(d->path); /* gone already when it has become the file */
	free(d->path);
	free(d->real);
}

/* "/etc/frpc.toml": "/etc/.frpc.toml.XXXXXX", with the owner and mode of the other. 0 or negated
 * errno. */
static int draft_open(struct draft *d, const char *file)
{
	struct stat st;
	size_t cap;

	*d = (struct draft){ .fd = -1, .real = realpath(file, NULL) };
	if (d->real == NULL || stat(d->real, &st) != 0)
		return -errno;
	d->n_folder = (size_t) (strrchr(d->real, '/') + 1 - d->real); /* it begins with one */
	cap = strlen(d->real) + sizeof("..XXXXXX");
	d->path = malloc(cap);
	if (d->path == NULL)
		return -ENOMEM;
	(void) snprintf(d->path, cap, "%.*s.%s.XXXXXX", (int) d->n_folder, d->real,
			d->real + d->n_folder);
	d->fd = mkostemp(d->path, O_CLOEXEC);
	if (d->fd < 0) {
		d->path = mem_free(d->path);
		return -errno;
	}
	(void) !fchown(d->fd, st.st_uid, st.st_gid); /* of another owner only for root */
	return fchmod(d->fd, st.st_mode & 07777) == 0 ? 0 : -errno;
}

static int draft_write(struct draft *d, struct span text)
{
	ssize_t n;

	while (text.len > 0) {
		n = write(d->fd, text.p, text.len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text = span_skip(text, (size_t) n);
	}
	return fsync(d->fd) == 0 ? 0 : -errno;
}

/* It becomes the file. */
static int draft_publish(const struct draft *d)
{
	char *folder = text_dup(d->real, d->n_folder);
	int fd;

	if (folder == NULL)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (rename(d->path, d->real) != 0) {
		if (fd >= 0)
			(void) close(fd);
		return -errno;
	}
	if (fd >= 0) {
		(void) fsync(fd); /* only against a loss of power: the new text is there */
		(void) close(fd);
	}
	return 0;
}

/* Would a start take it? */
static int live_check(const struct live *l, struct span text, struct buf *out)
{
	CLEANUP(conf_free) struct conf *c = NULL;
	char *copy = text_dup((const char *) text.p, text.len); /* with its NUL */
	struct span copied = span_of(copy, text.len);
	struct problems problems;
	int r = -ENOMEM;

	problems_init(&problems);
	if (copy != NULL)
		r = l->p.load(l->p.load_arg, &copied, /* is_strict= */ true, &problems, &c);
	if (r < 0)
		say_errno(out, "the configuration cannot be read", -r);
	(void) buf_add(out, buf_span(&problems.text)); /* see say() */
	r = r < 0 || problems.n_lines > 0 ? ADMIN_E_BAD : 0;
	problems_deinit(&problems);
	if (copy != NULL)
		secret_wipe(copy, text.len);
	free(copy);
	return r;
}

static int live_on_write_config(void *arg, struct span text, struct buf *out)
{
	struct live *l = arg;
	struct draft d;
	int r;

	if (l->p.file == NULL) {
		say(out, NO_FILE);
		return ADMIN_E_BAD;
	}
	if (live_check(l, text, out) != 0)
		return ADMIN_E_BAD;
	r = draft_open(&d, l->p.file);
	if (r == 0)
		r = draft_write(&d, text);
	if (r == 0)
		r = draft_publish(&d);
	draft_deinit(&d);
	if (r < 0)
		say_errno(out, "the configuration file cannot be written", -r);
	else if (r == 0)
		log_info(l->p.loop->log, "configuration file written by the admin API", "config",
			 l->p.file);
	return r == 0 ? 0 : ADMIN_E_BAD;
}

static void live_on_stop(void *arg)
{
	struct live *l = arg;

	log_info(l->p.loop->log, "stopping, asked by the admin API");
	l->p.on_stop(l->p.arg);
}

/* -- life -- */

static void live_serve(struct live *l)
{
	static const struct admin_ops ops = {
		.reload = live_on_reload,
		.read_config = live_on_read_config,
		.write_config = live_on_write_config,
		.stop = live_on_stop,
	};
	const struct conf_web *web = &l->p.conf->web;
	struct admin_params p = {
		.loop = l->p.loop, .service = l->p.service, .web = web, .ops = &ops, .arg = l
	};
	char at[300];
	int r = admin_new(&l->admin, &p);

	text_format_hostport(at, sizeof(at), web->addr != NULL ? web->addr : "127.0.0.1",
			     web->port);
	if (r < 0)
		log_error(
			l->p.loop->log, "the admin API cannot be served, going on without", "at",
			at, "error", strerror(-r), "remedy",
			"choose another port or address (MLTUNNEL_ADMIN, webServer.port, webServer.addr)");
	else
		log_info(l->p.loop->log, "admin API", "at", at);
}

int live_new(struct live **ret_l, const struct live_params *p)
{
	struct live *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->p = *p;
	if (p->conf->web.port != 0)
		live_serve(l);
	*ret_l = l;
	return 0;
}

struct live *live_free(struct live *l)
{
	if (l == NULL)
		return NULL;
	l->admin = admin_free(l->admin);
	return mem_free(l);
}
