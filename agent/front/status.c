/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - mltunnel status. Floor 6.
 *
 * A process of its own that may block: it has no loop. */
#include "agent/front/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/front/lock.h"
#include "proto/base/buf.h"
#include "proto/base/limits.h"
#include "proto/wire/jtext.h"

#define STATUS_AGENTS 64 /* on one machine; more are not asked */
#define STATUS_WAIT_S 5	 /* for the whole of an answer */
#define STATUS_EVERY_S 2 /* of --watch */
#define STATUS_LINE 512	 /* of /proc/net/unix */
#define STATUS_TABLE "/proc/net/unix"

struct place {
	struct sockaddr_un addr;
	size_t len;
};

/* -- finding */

/* A line ends with the path, whose first byte is shown as '@'. */
static bool place_of_line(char *line, struct place *ret_p)
{
	char *path = strstr(line, " @" LOCK_PREFIX);
	size_t n;

	if (path == NULL)
		return false;
	path++;
	n = strcspn(path, "\n");
	if (n > sizeof(ret_p->addr.sun_path))
		return false;
	*ret_p = (struct place){ .addr.sun_family = AF_UNIX };
	memcpy(ret_p->addr.sun_path + 1, path + 1, n - 1);
	ret_p->len = offsetof(struct sockaddr_un, sun_path) + n;
	return true;
}

/* The table has a line for each end of each connection, too. */
static bool is_known(const struct place *places, size_t n, const struct place *p)
{
	for (size_t i = 0; i < n; i++)
		if (places[i].len == p->len && memcmp(&places[i].addr, &p->addr, p->len) == 0)
			return true;
	return false;
}

static size_t find_places(struct place *places)
{
	FILE *table = fopen(STATUS_TABLE, "re");
	char line[STATUS_LINE];
	size_t n = 0;

	if (table == NULL)
		return 0;
	while (n < STATUS_AGENTS && fgets(line, sizeof(line), table) != NULL)
		if (place_of_line(line, &places[n]) && !is_known(places, n, &places[n]))
			n++;
	(void) fclose(table); /* only read */
	return n;
}

/* -- asking */

/* The rest of the answer; it ends with the end of the connection. 0 or negated errno. */
static int read_all(int fd, struct buf *out)
{
	char part[16384];
	ssize_t n;
	int err;

	for (;;) {
		n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		err = buf_add(out, span_of(part, (size_t) n));
		if (err != 0)
			return err > 0 ? -E2BIG : err;
	}
}

/* 0; negated errno: -ECONNREFUSED there is no agent, -EACCES it does not talk to us. */
static int ask(const struct place *p, struct buf *out)
{
	struct timeval wait = { .tv_sec = STATUS_WAIT_S };
	int fd, err;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)); /* cannot fail */
	(void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)); /* of connect() */
	if (connect(fd, (const struct sockaddr *) &p->addr, (socklen_t) p->len) < 0)
		err = -errno;
	else
		err = read_all(fd, out);
	(void) close(fd); /* nothing was written */
	if (err == 0 && buf_span(out).len == 0)
		err = -EACCES;
	return err;
}

/* -- showing */

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(jtext_get(object, name));

	return s != NULL ? s : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(jtext_get(object, name));
}

static void show_proxy(const json_t *p)
{
	const char *error = text_of(p, "error");

	(void) printf("%s: %s", text_of(p, "name"), text_of(p, "status"));
	if (text_of(p, "remote")[0] != '\0')
		(void) printf(", %s", text_of(p, "remote"));
	(void) printf(" -> %s, %" PRId64 " connections", text_of(p, "local"),
		      number_of(p, "users"));
	(void) printf(" (%" PRId64 " ever, %" PRId64 " bytes to the server, %" PRId64 " from it)",
		      number_of(p, "users_ever"), number_of(p, "bytes_up"),
		      number_of(p, "bytes_down"));
	(void) printf("%s%s\n", error[0] != '\0' ? ": " : "", error);
}

static void show_server(const json_t *s)
{
	const char *error = text_of(s, "error");
	bool is_in = json_is_true(jtext_get(s, "logged_in"));

	(void) printf("server %s: %s", text_of(s, "address"),
		      is_in ? "logged in" : text_of(s, "state"));
	if (is_in)
		(void) printf(", answers in %" PRId64 " ms", number_of(s, "rtt_ms"));
	else if (error[0] != '\0')
		(void) printf(", %s; next try in %.1f s", error,
			      (double) number_of(s, "retry_in_ms") / 1000.0);
	(void) printf(" (%" PRId64 " logins, %" PRId64 " lost)\n", number_of(s, "logins"),
		      number_of(s, "losses"));
}

static void show(const json_t *doc)
{
	const json_t *proxies = jtext_get(doc, "proxies");

	(void) printf("mltunnel %s, process %" PRId64 ", up for %" PRId64 " s: %s\n",
		      text_of(doc, "version"), number_of(doc, "pid"), number_of(doc, "uptime_s"),
		      json_is_true(jtext_get(doc, "ready")) ? "ready" : "not ready");
	show_server(jtext_get(doc, "server"));
	if (strcmp(text_of(doc, "node"), "waiting") == 0)
		(void) printf("node: not ready, the proxies wait for it\n");
	for (size_t i = 0; i < json_array_size(proxies); i++)
		show_proxy(json_array_get(proxies, i));
}

/* 0, or 1: it is not ready, or cannot be asked. */
static int show_one(const struct status_params *p, const struct place *place)
{
	struct buf text;
	json_t *doc = NULL;
	const char *why;
	bool is_ready = false;
	int err;

	buf_init(&text, LIMIT_HTTP_ANSWER);
	err = ask(place, &text);
	if (err == 0 && jtext_parse(buf_span(&text), &doc, &why) == 0) {
		is_ready = json_is_true(jtext_get(doc, "ready"));
		if (p->want_json)
			(void) printf("%.*s\n", (int) buf_span(&text).len,
				      (const char *) buf_span(&text).p);
		else
			show(doc);
		json_decref(doc);
	} else if (err == -ECONNREFUSED) {
		(void) fprintf(stderr, "mltunnel: no agent runs here for this configuration\n");
	} else {
		(void) fprintf(stderr, "mltunnel: the agent does not answer: %s\n",
			       err == -EACCES ? "it talks to its own user and to root only"
			       : err < 0      ? strerror(-err)
					      : "its answer makes no sense");
	}
	buf_deinit(&text);
	return doc != NULL && (is_ready || !p->want_ready) ? 0 : 1;
}

static int show_all(const struct status_params *p)
{
	struct place places[STATUS_AGENTS];
	size_t n = 1;
	int r = 0;

	if (p->conf == NULL)
		n = find_places(places);
	else if (lock_find(p->conf, &places[0].addr, &places[0].len) != 0)
		n = 0;
	if (n == 0) {
		(void) fprintf(stderr, "mltunnel: no agent runs here\n");
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		r |= show_one(p, &places[i]);
	return r;
}

int status_show(const struct status_params *p)
{
	const struct timespec pause = { .tv_sec = STATUS_EVERY_S };
	int r = show_all(p);

	while (p->want_watch && (r == 0 || p->want_ready)) {
		(void) fflush(stdout);
		if (ferror(stdout) || nanosleep(&pause, NULL) < 0)
			break;
		(void) putchar('\n');
		r = show_all(p);
	}
	return r;
}

bool status_finds_agent(const struct conf *c, bool *ret_is_ready)
{
	struct place place;
	struct buf text;
	json_t *doc = NULL;
	const char *why;
	int err;

	*ret_is_ready = false;
	if (lock_find(c, &place.addr, &place.len) != 0)
		return false;
	buf_init(&text, LIMIT_HTTP_ANSWER);
	err = ask(&place, &text);
	if (err == 0 && jtext_parse(buf_span(&text), &doc, &why) == 0) {
		*ret_is_ready = json_is_true(jtext_get(doc, "ready"));
		json_decref(doc);
	}
	buf_deinit(&text);
	return err != -ECONNREFUSED;
}
