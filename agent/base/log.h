/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per event: a level, fixed words, then fields. stderr only unless asked. Floor 3.
 *
 * log_info(log, "start proxy success", "proxy", name, "addr", addr): the field list is pairs of
 * strings and ends by itself. Values are escaped; a secret has no path in here. Lines never block:
 * what the reader does not take is dropped and counted, and the count is printed with the next line
 * that gets through. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log; /* one for the process; owned by main */

/* Lines go to @fd, borrowed; its flags, which other processes may share, stay as they are. 0 or
 * -ENOMEM. */
int log_new(struct log **ret_l, int fd, enum log_level level, enum log_format format);
/* Lines go to @put instead: how much of the line was taken, 0: no room now, or negated errno: lost.
 * Never waits. NULL: to the descriptor again. */
typedef ptrdiff_t log_put_fn(void *arg, const char *line, size_t len);
void log_set_put(struct log *l, log_put_fn *put, void *arg);
void log_set_level(struct log *l, enum log_level level);
/* Lines that found no taker, ever. */
uint64_t log_n_lost(const struct log *l);
/* Writes what still fits, closes nothing of the caller's. Returns NULL. */
struct log *log_free(struct log *l);
bool log_wants(const struct log *l, enum log_level level);
/* "trace", "debug", "info", "warn", "error". 0, or LOG_E_BAD. */
enum { LOG_E_BAD = 1 };
int log_level_of_name(const char *name, enum log_level *ret_level);

/* Text: "2026-11-21T23:04:05.123Z INFO [NAME] words key=value key="with spaces"". frp's tools look
 * for "[NAME] words": when the first field is called "proxy" or "visitor", its value is printed in
 * brackets before the words. JSON: ts, level, msg, then the fields. NULL values are printed as "".
 * Nothing happens without a log (@l NULL). */
void log_write(struct log *l, enum log_level level, const char *words, ...)
	__attribute__((sentinel));
#define log_error(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__, (const char *) NULL)
#define log_warn(l, ...) log_write((l), LOG_WARN, __VA_ARGS__, (const char *) NULL)
#define log_info(l, ...) log_write((l), LOG_INFO, __VA_ARGS__, (const char *) NULL)
#define log_debug(l, ...)                                                            \
	do {                                                                         \
		if (log_wants((l), LOG_DEBUG))                                       \
			log_write((l), LOG_DEBUG, __VA_ARGS__, (const char *) NULL); \
	} while (0)

/* Limits repeats: true when this event may be written now; else it is counted, and *ret_n_dropped
 * of the next allowed one tells how many were not. */
struct log_limit {
	uint64_t every_ms;	     /* set by owner */
	uint64_t next_ms, n_dropped; /* private */
};
bool log_limit_allows(struct log_limit *l, uint64_t now_ms, uint64_t *ret_n_dropped);
