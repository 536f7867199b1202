/* SPDX-License-Identifier: Apache-2.0 */
/* logfile.h - a log file that is rotated each day (UTC) and at a size, compressed, and removed when
 * it is old. Floor 3.
 *
 * PATH "x/frpc.log" is rotated to "x/frpc.20061102-150405.log", later
 * "x/frpc.20061102-150405.log.gz". When the file cannot be written, lines are lost and counted by
 * the log; it is opened again when somebody moved it away, and about once a second while it cannot
 * be. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct logfile;
struct loop;

/* Rotated files older than @max_days are removed (0: never), and so are the oldest beyond
 * LIMIT_LOG_FILES. @size_max 0: LIMIT_LOG_FILE. 0, -ENOMEM, or negated errno: the file cannot be
 * opened. */
int logfile_new(struct logfile **ret_f, const char *path, unsigned max_days, uint64_t size_max);
/* Rotated files are compressed on @l, a little each turn; also those that are left from earlier.
 * Until this is called, and after logfile_detach(), they stay as they are. */
void logfile_attach(struct logfile *f, struct loop *l);
void logfile_detach(struct logfile *f);
/* A log_put_fn: all of the line, or a negated errno. */
ptrdiff_t logfile_put(void *arg, const char *line, size_t len);
/* NULL is fine; returns NULL. */
struct logfile *logfile_free(struct logfile *f);
