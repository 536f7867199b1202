/* SPDX-License-Identifier: Apache-2.0 */
/* test_logfile.c - rotation, compression, clean-up, and what happens when a file cannot
 * be written. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <zlib.h>

#include "agent/base/log.h"
#include "agent/base/logfile.h"
#include "agent/base/loop.h"
#include "proto/base/limits.h"

#define WAIT_MS 10000

struct world {
	char folder[64], path[96];
	struct loop *loop;
	struct logfile *file;
};

static void setup(struct world *w, unsigned max_days, uint64_t size_max)
{
	*w = (struct world){ .folder = "/tmp/test_logfile.XXXXXX" };
	assert_non_null(mkdtemp(w->folder));
	(void) snprintf(w->path, sizeof(w->path), "%s/frpc.log", w->folder);
	assert_int_equal(loop_new(&w->loop, /* log= */ NULL), 0);
	assert_int_equal(logfile_new(&w->file, w->path, max_days, size_max), 0);
}

/* Names in the folder that hold @part; the last one's path in @ret_path when there is one. */
static unsigned count_files(const struct world *w, const char *part, char *ret_path, size_t cap)
{
	DIR *dir = opendir(w->folder);
	struct dirent *d;
	unsigned n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || strstr(d->d_name, part) == NULL)
			continue;
		n++;
		if (ret_path != NULL)
			(void) snprintf(ret_path, cap, "%s/%s", w->folder, d->d_name);
	}
	(void) closedir(dir);
	return n;
}

static void teardown(struct world *w)
{
	char path[512];

	w->file = logfile_free(w->file);
	w->loop = loop_free(w->loop);
	while (count_files(w, "", path, sizeof(path)) > 0)
		assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(w->folder), 0);
}

static void put(struct world *w, const char *line)
{
	assert_int_equal(logfile_put(w->file, line, strlen(line)), strlen(line));
}

static void make(const struct world *w, const char *name, const char *text, time_t at)
{
	char path[256];
	struct timespec times[2] = { { .tv_sec = at }, { .tv_sec = at } };
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/%s", w->folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void read_gz(const char *path, char *dst, size_t cap)
{
	gzFile f = gzopen(path, "rb");
	int n;

	assert_non_null(f);
	n = gzread(f, dst, (unsigned) cap - 1);
	assert_true(n >= 0);
	dst[n] = '\0';
	assert_int_equal(gzclose(f), Z_OK);
}

/* Until nothing but compressed files and the log is there. */
static void wait_squeezed(struct world *w, unsigned n)
{
	uint64_t due_ms = loop_now_ms(w->loop) + WAIT_MS;

	while (count_files(w, ".log.gz", NULL, 0) < n || count_files(w, ".tmp", NULL, 0) > 0 ||
	       count_files(w, "", NULL, 0) > n + 1) {
		(void) uv_run(&w->loop->uv, UV_RUN_ONCE);
		assert_true(loop_now_ms(w->loop) < due_ms);
	}
}

static void test_a_full_file_is_rotated_and_compressed(void **state)
{
	struct world w;
	char path[512], text[256];

	(void) state;
	setup(&w, 3, 32);
	logfile_attach(w.file, w.loop);
	put(&w, "first line of the file\n");
	put(&w, "second line\n");			   /* 35 bytes would be too much */
	assert_int_equal(count_files(&w, "", NULL, 0), 3); /* the compressed one is begun */
	wait_squeezed(&w, 1);
	assert_int_equal(count_files(&w, ".log.gz", path, sizeof(path)), 1);
	read_gz(path, text, sizeof(text));
	assert_string_equal(text, "first line of the file\n");
	teardown(&w);
}

static void test_many_in_one_second_have_names_of_their_own(void **state)
{
	struct world w;
	char line[32];

	(void) state;
	setup(&w, 3, 8);
	for (unsigned i = 0; i < 6; i++) {
		(void) snprintf(line, sizeof(line), "line %u\n", i);
		put(&w, line);
	}
	assert_int_equal(count_files(&w, "", NULL, 0), 6);
	logfile_attach(w.file, w.loop); /* what is left from earlier is compressed as well */
	wait_squeezed(&w, 5);
	teardown(&w);
}

static void test_a_big_file_is_compressed_in_small_steps(void **state)
{
	enum { SIZE = 4 * 1024 * 1024 };
	struct world w;
	char *big = malloc(SIZE + 1), *again = malloc(SIZE + 1);
	char path[512];
	unsigned n_turns = 0;
	uint64_t rng = 88172645463325252ULL;

	(void) state;
	assert_true(big != NULL && again != NULL);
	for (size_t i = 0; i < SIZE; i++) {
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		big[i] = (char) ('a' + rng % 16);
	}
	big[SIZE] = '\0';
	setup(&w, 3, 1);
	make(&w, "frpc.20990102-030405.log", big, time(NULL));
	logfile_attach(w.file, w.loop);
	while (count_files(&w, ".log.gz", path, sizeof(path)) == 0 ||
	       strstr(path, ".tmp") != NULL) {
		(void) uv_run(&w.loop->uv, UV_RUN_ONCE);
		n_turns++;
	}
	assert_true(n_turns >= SIZE / (64 * 1024)); /* other things had their turn in between */
	read_gz(path, again, SIZE + 1);
	assert_string_equal(again, big);
	free(big);
	free(again);
	teardown(&w);
}

static void test_a_new_day_is_a_new_file(void **state)
{
	struct world w;

	(void) state;
	setup(&w, 3, 0);
	w.file = logfile_free(w.file);
	make(&w, "frpc.log", "of yesterday\n", time(NULL) - 86400);
	assert_int_equal(logfile_new(&w.file, w.path, 3, 0), 0);
	put(&w, "of today\n");
	assert_int_equal(count_files(&w, "", NULL, 0), 2);
	put(&w, "of today, too\n");
	assert_int_equal(count_files(&w, "", NULL, 0), 2);
	teardown(&w);
}

static void test_old_files_go_and_strangers_stay(void **state)
{
	struct world w;
	char name[64];

	(void) state;
	setup(&w, 3, 0);
	make(&w, "frpc.20010101-000000.log.gz", "old", time(NULL));
	make(&w, "frpc.20010101-000000.log", "old", time(NULL));
	make(&w, "frpc.20010101-00000x.log", "not ours", time(NULL));
	make(&w, "frpc.20010101-000000.txt", "not ours", time(NULL));
	make(&w, "frps.20010101-000000.log", "not ours", time(NULL));
	for (unsigned i = 0; i < LIMIT_LOG_FILES + 5; i++) {
		(void) snprintf(name, sizeof(name), "frpc.20990101-0000%02u.log.gz", i);
		make(&w, name, "many", time(NULL));
	}
	logfile_attach(w.file, w.loop);
	assert_int_equal(count_files(&w, ".20010101-", NULL, 0), 3);
	assert_int_equal(count_files(&w, ".20990101-", NULL, 0), LIMIT_LOG_FILES);
	assert_int_equal(count_files(&w, ".20990101-000004.", NULL, 0), 0); /* the oldest went */
	assert_int_equal(count_files(&w, ".20990101-000005.", NULL, 0), 1);
	teardown(&w);
}

static void test_a_file_that_was_moved_away_is_opened_again(void **state)
{
	struct world w;
	char moved[128];
	time_t due = time(NULL) + 10;

	(void) state;
	setup(&w, 3, 0);
	put(&w, "before\n");
	(void) snprintf(moved, sizeof(moved), "%s/elsewhere", w.folder);
	assert_int_equal(rename(w.path, moved), 0);
	while (access(w.path, F_OK) != 0) {
		put(&w, "after\n");
		assert_true(time(NULL) < due);
	}
	teardown(&w);
}

static void test_lines_that_the_disk_does_not_take_are_counted(void **state)
{
	struct rlimit old, tight;
	struct world w;
	struct log *log = NULL;
	char text[1024] = "";
	FILE *f;

	(void) state;
	setup(&w, 3, 0);
	assert_int_equal(log_new(&log, STDERR_FILENO, LOG_INFO, LOG_FORMAT_TEXT), 0);
	log_set_put(log, logfile_put, w.file);
	log_info(log, "one");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 40;
	(void) signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	log_info(log, "two, which is not taken any more");
	log_info(log, "three, which is not taken any more");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(log_n_lost(log) >= 1);
	log_info(log, "four");
	log = log_free(log);
	f = fopen(w.path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	(void) fclose(f);
	assert_non_null(strstr(text, " one\n"));
	assert_null(strstr(text, "three"));
	assert_non_null(strstr(text, "lines dropped"));
	assert_non_null(strstr(text, " four\n"));
	teardown(&w);
}

static void test_places_that_cannot_be_written(void **state)
{
	struct logfile *f = NULL;

	(void) state;
	assert_int_equal(logfile_new(&f, "/no/such/folder/x.log", 3, 0), -ENOENT);
	assert_int_equal(logfile_new(&f, "/tmp", 3, 0), -EISDIR);
	assert_int_equal(logfile_new(&f, "/dev/null", 3, 0), -EINVAL);
	assert_null(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_file_is_rotated_and_compressed),
		cmocka_unit_test(test_many_in_one_second_have_names_of_their_own),
		cmocka_unit_test(test_a_big_file_is_compressed_in_small_steps),
		cmocka_unit_test(test_a_new_day_is_a_new_file),
		cmocka_unit_test(test_old_files_go_and_strangers_stay),
		cmocka_unit_test(test_a_file_that_was_moved_away_is_opened_again),
		cmocka_unit_test(test_lines_that_the_disk_does_not_take_are_counted),
		cmocka_unit_test(test_places_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
