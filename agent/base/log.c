/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - one line per event, escaped, never waiting for its reader; no files, no colours, no loop.
 * Floor 3.
 *
 * The descriptor is usually an inherited stderr, and its O_NONBLOCK belongs to everybody who shares
 * it. So a pipe or terminal is opened anew through /proc (a description of our own), a socket is
 * sent to with MSG_DONTWAIT, and where the kernel refuses the first, poll() is asked before each
 * write of at most PIPE_BUF bytes. Lines that find no room wait in a small queue; the queue moves
 * with the next line. */
#include "agent/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/text.h"

#define LOG_LINE_MAX 4000 /* with the newline; below PIPE_BUF (4,096): a write is never torn */
#define LOG_QUEUE_MAX (64 * 1024) /* waiting lines: what a pipe holds once more */
#define LOG_TAIL \
	32 /* kept free until the end of the line: mark of the cut, quote, brace, newline */
#define LOG_FIELDS_MAX 16 /* pairs of one line; more would be a bug of the caller */

enum log_way {
	LOG_WAY_WRITE, /* a file, or a description of our own: write() does not wait */
	LOG_WAY_SEND,  /* a socket */
	LOG_WAY_POLL,  /* a shared description: ask first */
	LOG_WAY_PUT,   /* somebody else's */
};

struct log {
	enum log_level level;
	enum log_format format;
	enum log_way way, fd_way; /* of now; of @fd */
	log_put_fn *put;
	void *arg;
	int fd;
	int own_fd; /* to be closed; -1: @fd is borrowed */
	/* waiting lines, each with its newline; start <= end <= LOG_QUEUE_MAX */
	char *queue;
	size_t start, end;
	uint64_t n_dropped, n_lost; /* since the last note; ever */
	/* a line ends in the middle at the reader: the next one begins with a newline */
	bool is_torn;
};

/* A line being built; the last LOG_TAIL bytes are only for what closes values and the line. */
struct log_line {
	char p[LOG_LINE_MAX];
	size_t len;
	bool is_cut;
};

enum log_quote { LOG_QUOTE_WORDS, LOG_QUOTE_BRACKET, LOG_QUOTE_VALUE, LOG_QUOTE_JSON };

static const char *const log_names[] = {
	[LOG_TRACE] = "trace", [LOG_DEBUG] = "debug", [LOG_INFO] = "info",
	[LOG_WARN] = "warn",   [LOG_ERROR] = "error",
};
static const char *const log_marks[] = {
	[LOG_TRACE] = "TRACE", [LOG_DEBUG] = "DEBUG", [LOG_INFO] = "INFO",
	[LOG_WARN] = "WARN",   [LOG_ERROR] = "ERROR",
};

/* -- building a line -- */

/* Room before the kept tail; closing quotes of values may already stand in it. */
static size_t line_room(const struct log_line *n)
{
	return n->len < LOG_LINE_MAX - LOG_TAIL ? LOG_LINE_MAX - LOG_TAIL - n->len : 0;
}

/* All of @s or, when there is no room, nothing more of this line. */
static void line_put(struct log_line *n, const char *s, size_t len)
{
	if (n->is_cut || len > line_room(n)) {
		n->is_cut = true;
		return;
	}
	memcpy(n->p + n->len, s, len);
	n->len += len;
}

static void line_put_str(struct log_line *n, const char *s)
{
	line_put(n, s, strlen(s));
}

/* What closes a line or value; LOG_TAIL bytes are kept for all such calls of one line. */
static void line_put_tail(struct log_line *n, const char *s)
{
	size_t len = strlen(s);

	MUST(len <= LOG_LINE_MAX - n->len);
	memcpy(n->p + n->len, s, len);
	n->len += len;
}

/* Bytes that a terminal acts on or that are no text: C0, DEL, C1 (U+0080-U+009F), invalid UTF-8. 0:
 * @len bytes of text. */
static bool is_unsafe(struct span s, size_t *ret_len)
{
	size_t len = text_utf8_len(s);

	*ret_len = len > 0 ? len : 1;
	if (len == 0)
		return true;
	if (len == 1)
		return s.p[0] < 0x20 || s.p[0] == 0x7f;
	return len == 2 && s.p[0] == 0xc2 && s.p[1] < 0xa0;
}

/* @len bytes at @p, which is_unsafe() has refused, as text: \x1b, in JSON \u001b. */
static void line_put_hex(struct log_line *n, const uint8_t *p, size_t len, enum log_quote quote)
{
	char hex[2 * 6 + 1];

	if (quote == LOG_QUOTE_JSON) /* U+0080-U+009F: the code point is the second byte */
		(void) snprintf(hex, sizeof(hex), "\\u00%02x", p[len - 1]);
	else if (len == 2)
		(void) snprintf(hex, sizeof(hex), "\\x%02x\\x%02x", p[0], p[1]);
	else
		(void) snprintf(hex, sizeof(hex), "\\x%02x", p[0]);
	line_put_str(n, hex);
}

static void line_put_escaped(struct log_line *n, const char *str, enum log_quote quote)
{
	struct span s = span_str(str);

	while (s.len > 0 && !n->is_cut) {
		char c = (char) s.p[0];
		size_t len;

		if (is_unsafe(s, &len) || (quote == LOG_QUOTE_BRACKET && c == ']'))
			line_put_hex(n, s.p, len, quote);
		else if (quote >= LOG_QUOTE_VALUE && (c == '"' || c == '\\'))
			line_put(n, (const char[]){ '\\', c }, 2);
		else
			line_put(n, (const char *) s.p, len);
		s = span_skip(s, len);
	}
}

/* Does a text value need quotes, so that a reader can take the line apart again? */
static bool wants_quotes(const char *str)
{
	struct span s = span_str(str);
	size_t len;

	if (s.len == 0)
		return true;
	for (; s.len > 0; s = span_skip(s, len)) {
		if (is_unsafe(s, &len) || memchr(" \"=\\", s.p[0], 4) != NULL)
			return true;
	}
	return false;
}

/* "..." closed even when the line is cut inside. */
static void line_put_quoted(struct log_line *n, const char *str, enum log_quote quote)
{
	size_t before = n->len;

	line_put_str(n, "\"");
	if (n->len == before)
		return;
	line_put_escaped(n, str, quote);
	line_put_tail(n, n->is_cut ? "...\"" : "\"");
}

/* A field appears whole, with its value cut, or not at all. */
static void line_put_field(struct log_line *n, const char *key, const char *value,
			   enum log_format format)
{
	/* Key, a quote, an escape: below that nothing of the value would be seen. */
	if (n->is_cut || strlen(key) + 16 > line_room(n)) {
		n->is_cut = true;
		return;
	}
	if (format == LOG_FORMAT_JSON) {
		line_put_str(n, ",");
		line_put_quoted(n, key, LOG_QUOTE_JSON);
		line_put_str(n, ":");
		line_put_quoted(n, value, LOG_QUOTE_JSON);
		return;
	}
	line_put_str(n, " ");
	line_put_escaped(n, key, LOG_QUOTE_WORDS);
	line_put_str(n, "=");
	if (wants_quotes(value))
		line_put_quoted(n, value, LOG_QUOTE_VALUE);
	else
		line_put_escaped(n, value, LOG_QUOTE_VALUE);
}

static void line_put_time(struct log_line *n)
{
	struct timespec now = { .tv_sec = 0 };
	struct tm tm = { .tm_mday = 1 };
	char text[80];

	(void) clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	(void) gmtime_r(&now.tv_sec, &tm);	    /* fails only for years beyond int */
	(void) snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, now.tv_nsec / 1000000);
	line_put_str(n, text);
}

/* Everything before the fields. @name: the value printed in brackets, or NULL. */
static void line_begin(struct log_line *n, enum log_format format, enum log_level level,
		       const char *name, const char *words)
{
	n->len = 0;
	n->is_cut = false;
	if (format == LOG_FORMAT_JSON) {
		line_put_str(n, "{\"ts\":\"");
		line_put_time(n);
		line_put_str(n, "\",\"level\":\"");
		line_put_str(n, log_names[level]);
		line_put_str(n, "\",\"msg\":");
		line_put_quoted(n, words, LOG_QUOTE_JSON);
		return;
	}
	line_put_time(n);
	line_put_str(n, " ");
	line_put_str(n, log_marks[level]);
	if (name != NULL) {
		line_put_str(n, " [");
		line_put_escaped(n, name, LOG_QUOTE_BRACKET);
		line_put_tail(n, n->is_cut ? "...]" : "]");
	}
	line_put_str(n, " ");
	line_put_escaped(n, words, LOG_QUOTE_WORDS);
}

static void line_end(struct log_line *n, enum log_format format)
{
	if (format == LOG_FORMAT_JSON)
		line_put_tail(n, n->is_cut ? ",\"cut\":true}\n" : "}\n");
	else
		line_put_tail(n, n->is_cut ? " ...\n" : "\n");
}

/* -- writing -- */

/* How much of the line was taken; 0: no room now; negated errno. Never waits. */
static ssize_t log_put(const struct log *l, const char *p, size_t n)
{
	for (;;) {
		struct pollfd ready = { .fd = l->fd, .events = POLLOUT };
		ssize_t r;

		if (l->way == LOG_WAY_POLL && poll(&ready, 1, /* timeout= */ 0) <= 0)
			return 0;
		if (l->way == LOG_WAY_PUT)
			return l->put(l->arg, p, n);
		if (l->way == LOG_WAY_SEND)
			r = send(l->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			r = write(l->fd, p, n);
		if (r >= 0)
			return r;
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static void log_count_lost(struct log *l)
{
	l->n_dropped++;
	l->n_lost++;
}

/* Nobody takes lines any more (reader gone, disk full): count what waits. */
static void log_drop_queue(struct log *l)
{
	for (size_t i = l->start; i < l->end; i++) {
		if (l->queue[i] == '\n')
			log_count_lost(l);
	}
	l->start = 0;
	l->end = 0;
}

/* Write what waits, line by line. True when nothing waits any more. */
static bool log_flush(struct log *l)
{
	while (l->start < l->end) {
		const char *p = l->queue + l->start;
		const char *newline = memchr(p, '\n', l->end - l->start);
		size_t n = newline != NULL ? (size_t) (newline - p) + 1 : l->end - l->start;
		ssize_t r = log_put(l, p, n);

		if (r < 0) {
			log_drop_queue(l);
			return true;
		}
		if (r == 0)
			return false;
		l->is_torn = (size_t) r < n;
		l->start += (size_t) r;
	}
	l->start = 0;
	l->end = 0;
	return true;
}

static bool log_has_room(struct log *l, size_t n)
{
	if (l->start > 0) {
		memmove(l->queue, l->queue + l->start, l->end - l->start);
		l->end -= l->start;
		l->start = 0;
	}
	return n <= LOG_QUEUE_MAX - l->end;
}

/* Write @p, or let it wait behind the others. False: dropped, to be counted by the caller. */
static bool log_emit(struct log *l, const char *p, size_t n)
{
	ssize_t r = 0;

	if (l->start == l->end) {
		if (l->is_torn && log_put(l, "\n", 1) != 1)
			return false;
		l->is_torn = false;
		r = log_put(l, p, n);
		if (r < 0)
			return false;
		if ((size_t) r == n)
			return true;
		l->is_torn = r > 0;
	}
	if (!log_has_room(l, n - (size_t) r))
		return false;
	memcpy(l->queue + l->end, p + r, n - (size_t) r);
	l->end += n - (size_t) r;
	return true;
}

/* The line, and before it how many are missing. */
static void log_send(struct log *l, const struct log_line *line)
{
	struct log_line note;
	char count[24];

	if (!log_flush(l) && !log_has_room(l, line->len + 200)) { /* 200: the note */
		log_count_lost(l);
		return;
	}
	if (l->n_dropped > 0) {
		(void) snprintf(count, sizeof(count), "%llu", (unsigned long long) l->n_dropped);
		line_begin(&note, l->format, LOG_WARN, NULL,
			   "lines dropped, the log did not take them");
		line_put_field(&note, "n", count, l->format);
		line_end(&note, l->format);
		if (!log_emit(l, note.p, note.len)) {
			log_count_lost(l);
			return;
		}
		l->n_dropped = 0;
	}
	if (!log_emit(l, line->p, line->len))
		log_count_lost(l);
}

/* -- life -- */

static void log_choose_way(struct log *l, int fd)
{
	char path[40];
	struct stat st;

	l->fd = fd;
	l->own_fd = -1;
	l->way = LOG_WAY_WRITE;
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		l->way = LOG_WAY_SEND;
		return;
	}
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	l->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (l->own_fd >= 0)
		l->fd = l->own_fd;
	else /* no /proc, or the pipe belongs to another user */
		l->way = LOG_WAY_POLL;
}

int log_new(struct log **ret_l, int fd, enum log_level level, enum log_format format)
{
	struct log *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->queue = malloc(LOG_QUEUE_MAX);
	if (l->queue == NULL) {
		free(l);
		return -ENOMEM;
	}
	l->level = level;
	l->format = format;
	log_choose_way(l, fd);
	l->fd_way = l->way;
	*ret_l = l;
	return 0;
}

void log_set_put(struct log *l, log_put_fn *put, void *arg)
{
	l->put = put;
	l->arg = arg;
	l->way = put != NULL ? LOG_WAY_PUT : l->fd_way;
}

void log_set_level(struct log *l, enum log_level level)
{
	if (l != NULL)
		l->level = level;
}

uint64_t log_n_lost(const struct log *l)
{
	return l != NULL ? l->n_lost : 0;
}

struct log *log_free(struct log *l)
{
	if (l == NULL)
		return NULL;
	(void) log_flush(l); /* the reader has had its chance */
	if (l->own_fd >= 0)
		(void) close(l->own_fd);
	free(l->queue);
	free(l);
	return NULL;
}

bool log_wants(const struct log *l, enum log_level level)
{
	return l != NULL && level >= l->level;
}

int log_level_of_name(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(log_names) / sizeof(log_names[0]); i++) {
		if (strcmp(name, log_names[i]) == 0) {
			*ret_level = (enum log_level) i;
			return 0;
		}
	}
	return LOG_E_BAD;
}

void log_write(struct log *l, enum log_level level, const char *words, ...)
{
	struct log_line line;
	const char *key, *name = NULL;
	va_list ap;

	if (!log_wants(l, level))
		return;
	va_start(ap, words);
	key = va_arg(ap, const char *);
	if (l->format == LOG_FORMAT_TEXT && key != NULL &&
	    (strcmp(key, "proxy") == 0 || strcmp(key, "visitor") == 0)) {
		name = va_arg(ap, const char *);
		name = name != NULL ? name : "";
		key = va_arg(ap, const char *);
	}
	line_begin(&line, l->format, level, name, words);
	for (int i = 0; key != NULL && i < LOG_FIELDS_MAX; i++) {
		const char *value = va_arg(ap, const char *);

		line_put_field(&line, key, value != NULL ? value : "", l->format);
		key = va_arg(ap, const char *);
	}
	va_end(ap);
	line_end(&line, l->format);
	log_send(l, &line);
}

bool log_limit_allows(struct log_limit *l, uint64_t now_ms, uint64_t *ret_n_dropped)
{
	if (now_ms < l->next_ms) {
		l->n_dropped++;
		return false;
	}
	*ret_n_dropped = l->n_dropped;
	l->n_dropped = 0;
	l->next_ms = now_ms + l->every_ms;
	return true;
}
