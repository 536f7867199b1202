/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c - the shape of lines, escaping, and readers that are slow, stopped or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/base/log.h"
#include "proto/base/err.h"
#include "tests/loop/fail.h"

#define STALL_S 20 /* a write that waits for its reader ends the test program */

struct sink {
	int in, out;
	struct log *log;
	char text[512 * 1024];
	size_t len;
};

static struct sink sink;

static void sink_open(enum log_format format, enum log_level level)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	sink.in = fds[0];
	sink.out = fds[1];
	sink.len = 0;
	assert_int_equal(log_new(&sink.log, sink.out, level, format), 0);
}

/* What has arrived, without waiting for more. */
static const char *sink_read(void)
{
	ssize_t n;

	assert_true(fcntl(sink.in, F_SETFL, O_NONBLOCK) >= 0);
	for (;;) {
		n = read(sink.in, sink.text + sink.len, sizeof(sink.text) - 1 - sink.len);
		if (n <= 0)
			break;
		sink.len += (size_t) n;
	}
	sink.text[sink.len] = '\0';
	return sink.text;
}

static void sink_close(void)
{
	assert_null(log_free(sink.log));
	(void) close(sink.out);
	if (sink.in >= 0)
		(void) close(sink.in);
}

/* The line without its time; checks the time's shape. */
static const char *after_time(const char *line)
{
	static const char shape[] = "0000-00-00T00:00:00.000Z ";

	for (size_t i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == '0')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], shape[i]);
	}
	return line + sizeof(shape) - 1;
}

static void test_text_lines_look_as_documented(void **state)
{
	(void) state;
	sink_open(LOG_FORMAT_TEXT, LOG_INFO);
	log_info(sink.log, "start proxy success", "proxy", "a.web", "addr", "1.2.3.4:80");
	assert_string_equal(after_time(sink_read()),
			    "INFO [a.web] start proxy success addr=1.2.3.4:80\n");
	sink.len = 0;
	log_error(sink.log, "no field");
	assert_string_equal(after_time(sink_read()), "ERROR no field\n");
	sink.len = 0;
	log_warn(sink.log, "dial failed", "why", "no route", "empty", "", "null", NULL, "eq",
		 "a=b");
	assert_string_equal(after_time(sink_read()),
			    "WARN dial failed why=\"no route\" empty=\"\" null=\"\" eq=\"a=b\"\n");
	sink.len = 0;
	log_warn(sink.log, "second field", "n", "1", "proxy", "p");
	assert_string_equal(after_time(sink_read()), "WARN second field n=1 proxy=p\n");
	sink_close();
}

static void test_levels_below_the_chosen_one_are_silent(void **state)
{
	enum log_level level = LOG_ERROR;

	(void) state;
	sink_open(LOG_FORMAT_TEXT, LOG_WARN);
	log_info(sink.log, "not this");
	log_debug(sink.log, "nor this");
	assert_string_equal(sink_read(), "");
	assert_false(log_wants(sink.log, LOG_INFO));
	assert_true(log_wants(sink.log, LOG_ERROR));
	assert_int_equal(log_level_of_name("debug", &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(log_level_of_name("DEBUG ", &level), LOG_E_BAD);
	assert_int_equal(level, LOG_DEBUG);
	sink_close();
	log_error(NULL, "no log, no harm");
	assert_false(log_wants(NULL, LOG_ERROR));
	assert_null(log_free(NULL));
}

/* A peer must not be able to forge a line, a field, a bracket or a terminal sequence. */
static void test_foreign_bytes_are_escaped_in_text(void **state)
{
	(void) state;
	sink_open(LOG_FORMAT_TEXT, LOG_INFO);
	log_info(sink.log, "x", "proxy", "a] b\n", "v", "\x1b[31m\nq\"\\ \xff\xc3\xa4\xc2\x9b\x7f");
	assert_string_equal(
		after_time(sink_read()),
		"INFO [a\\x5d b\\x0a] x v=\"\\x1b[31m\\x0aq\\\"\\\\ \\xff\xc3\xa4\\xc2\\x9b\\x7f\"\n");
	sink_close();
}

static const char *json_field(const json_t *line, const char *key)
{
	const char *value = json_string_value(json_object_get(line, key));

	assert_non_null(value);
	return value;
}

static void test_json_lines_are_json_whatever_the_bytes(void **state)
{
	json_t *line;

	(void) state;
	sink_open(LOG_FORMAT_JSON, LOG_INFO);
	log_info(sink.log, "words", "proxy", "p", "v", "\x1b\n\"\\\xff\xc3\xa4\xc2\x9b");
	line = json_loads(sink_read(), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_field(line, "level"), "info");
	assert_string_equal(json_field(line, "msg"), "words");
	assert_string_equal(json_field(line, "proxy"), "p");
	assert_int_equal(json_field(line, "ts")[10], 'T');
	/* The invalid byte 0xff comes back as U+00FF. */
	assert_string_equal(json_field(line, "v"), "\x1b\n\"\\\xc3\xbf\xc3\xa4\xc2\x9b");
	assert_null(strchr(sink.text, '\x1b'));
	assert_null(strstr(sink.text, "\xc2\x9b"));
	json_decref(line);
	sink_close();
}

/* Every length around the limit, so that the cut meets each byte of a value, an escape, a key. */
static void test_long_lines_are_cut_and_stay_whole(void **state)
{
	static char value[5000];

	(void) state;
	for (size_t n = 3850; n < 4100; n++) {
		json_t *line;

		memset(value, 'v', n);
		memcpy(value + n - 2, "\x1b", 2);
		sink_open(LOG_FORMAT_JSON, LOG_INFO);
		log_info(sink.log, "cut", "a", value, "b", "\"\"\"\"\"\"\"\"\"\"", "c", "d e");
		line = json_loads(sink_read(), 0, NULL);
		assert_non_null(line);
		assert_in_range(sink.len, 3800, 4000);
		assert_int_equal(json_object_get(line, "cut") != NULL,
				 json_object_get(line, "c") == NULL ||
					 strstr(sink.text, "...\"") != NULL);
		json_decref(line);
		sink_close();
		sink_open(LOG_FORMAT_TEXT, LOG_INFO);
		log_info(sink.log, "cut", "a", value, "b", "\"\"\"\"\"\"\"\"\"\"", "c", "d e");
		(void) sink_read();
		assert_in_range(sink.len, 3800, 4000);
		assert_ptr_equal(strchr(sink.text, '\n'), sink.text + sink.len - 1);
		if (strstr(sink.text, "c=\"d e\"") == NULL)
			assert_string_equal(sink.text + sink.len - 4, "...\n");
		sink_close();
	}
}

/* Count lines of @words and add up the n of "lines dropped"; every line must be whole. */
static void count_lines(char *text, unsigned *ret_n_lines, unsigned *ret_n_dropped)
{
	char *rest = text, *line;

	*ret_n_lines = 0;
	*ret_n_dropped = 0;
	for (line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
		const char *words = after_time(line);

		if (strncmp(words, "WARN lines dropped", 18) == 0) {
			for (const char *p = strstr(words, " n=") + 3; *p != '\0'; p++)
				assert_in_range(*p, '0', '9');
			*ret_n_dropped += (unsigned) strtoumax(strstr(words, " n=") + 3, NULL, 10);
			continue;
		}
		assert_int_equal(strncmp(words, "INFO burst pad=", 15), 0);
		assert_int_equal(strlen(words), 15 + 300);
		++*ret_n_lines;
	}
	assert_string_equal(line, "");
}

static void burst(unsigned n)
{
	char pad[301];

	memset(pad, 'p', 300);
	pad[300] = '\0';
	while (n-- > 0)
		log_info(sink.log, "burst", "pad", pad);
}

/* The reader does not read: no write waits, what does not fit is counted, and the count arrives
 * with the next line. */
static void check_stopped_reader(void)
{
	unsigned n_lines, n_dropped;

	(void) alarm(STALL_S);
	burst(2000);
	(void) sink_read();
	burst(1); /* brings what was queued, then the count, then itself */
	(void) sink_read();
	burst(1);
	(void) sink_read();
	(void) alarm(0);
	count_lines(sink.text, &n_lines, &n_dropped);
	assert_true(n_dropped > 1000);
	assert_int_equal(n_lines + n_dropped, 2002);
	sink_close();
}

static void test_a_stopped_reader_of_a_pipe_stalls_nobody(void **state)
{
	int flags;

	(void) state;
	sink_open(LOG_FORMAT_TEXT, LOG_INFO);
	flags = fcntl(sink.out, F_GETFL);
	assert_int_equal(flags & O_NONBLOCK, 0); /* others share it */
	check_stopped_reader();
}

/* Where the pipe cannot be opened anew, poll() is asked first. */
static void test_a_stopped_reader_stalls_nobody_without_proc(void **state)
{
	struct rlimit old, none;
	int fds[2];

	(void) state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	sink.in = fds[0];
	sink.out = fds[1];
	sink.len = 0;
	assert_int_equal(log_new(&sink.log, sink.out, LOG_INFO, LOG_FORMAT_TEXT), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	check_stopped_reader();
}

static void test_a_stopped_reader_of_a_socket_stalls_nobody(void **state)
{
	int fds[2];

	(void) state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	sink.in = fds[0];
	sink.out = fds[1];
	sink.len = 0;
	assert_int_equal(log_new(&sink.log, sink.out, LOG_INFO, LOG_FORMAT_TEXT), 0);
	assert_int_equal(fcntl(sink.out, F_GETFL) & O_NONBLOCK, 0);
	check_stopped_reader();
}

static void test_a_reader_that_is_gone_stalls_nobody(void **state)
{
	(void) state;
	sink_open(LOG_FORMAT_TEXT, LOG_INFO);
	burst(500); /* more than the pipe holds */
	(void) close(sink.in);
	sink.in = -1;
	burst(500);
	sink_close();
}

static void test_a_full_disk_stalls_nobody(void **state)
{
	struct log *l = NULL;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void) state;
	assert_true(fd >= 0);
	assert_int_equal(log_new(&l, fd, LOG_INFO, LOG_FORMAT_TEXT), 0);
	for (int i = 0; i < 100; i++)
		log_info(l, "lost");
	assert_null(log_free(l));
	(void) close(fd);
}

/* A file at its size limit takes half a line, then nothing. Once there is room, the next line
 * starts on a line of its own. */
static void test_a_torn_line_is_ended_before_the_next(void **state)
{
	struct rlimit old, small = { .rlim_cur = 100 };
	FILE *file = tmpfile();
	struct log *l = NULL;
	char text[1000];
	char *second;
	size_t n;

	(void) state;
	assert_non_null(file);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(log_new(&l, fileno(file), LOG_INFO, LOG_FORMAT_TEXT), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 4; i++)
		log_info(l, "a line of about fifty bytes");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	log_info(l, "room again");
	assert_null(log_free(l));
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	(void) fclose(file);
	second = text + 101; /* 100 bytes, then the newline that ends the torn line */
	assert_int_equal(text[100], '\n');
	assert_string_equal(after_time(strsep(&second, "\n")),
			    "WARN lines dropped, the log did not take them n=3");
	assert_string_equal(after_time(strsep(&second, "\n")), "INFO room again");
}

static void test_repeats_are_limited_and_counted(void **state)
{
	struct log_limit limit = { .every_ms = 10000 };
	uint64_t n = 99;

	(void) state;
	assert_true(log_limit_allows(&limit, 5, &n));
	assert_int_equal(n, 0);
	n = 99;
	assert_false(log_limit_allows(&limit, 6, &n));
	assert_false(log_limit_allows(&limit, 10004, &n));
	assert_int_equal(n, 99);
	assert_true(log_limit_allows(&limit, 10005, &n));
	assert_int_equal(n, 2);
}

static void test_each_failing_allocation_is_reported(void **state)
{
	struct log *l = NULL;

	(void) state;
	for (unsigned i = 1; i <= 2; i++) {
		fail_at = i;
		assert_int_equal(log_new(&l, 2, LOG_INFO, LOG_FORMAT_TEXT), -ENOMEM);
		assert_null(l);
	}
	fail_at = 0;
	assert_int_equal(log_new(&l, 2, LOG_INFO, LOG_FORMAT_TEXT), 0);
	log_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_lines_look_as_documented),
		cmocka_unit_test(test_levels_below_the_chosen_one_are_silent),
		cmocka_unit_test(test_foreign_bytes_are_escaped_in_text),
		cmocka_unit_test(test_json_lines_are_json_whatever_the_bytes),
		cmocka_unit_test(test_long_lines_are_cut_and_stay_whole),
		cmocka_unit_test(test_a_stopped_reader_of_a_pipe_stalls_nobody),
		cmocka_unit_test(test_a_stopped_reader_stalls_nobody_without_proc),
		cmocka_unit_test(test_a_stopped_reader_of_a_socket_stalls_nobody),
		cmocka_unit_test(test_a_reader_that_is_gone_stalls_nobody),
		cmocka_unit_test(test_a_full_disk_stalls_nobody),
		cmocka_unit_test(test_a_torn_line_is_ended_before_the_next),
		cmocka_unit_test(test_repeats_are_limited_and_counted),
		cmocka_unit_test(test_each_failing_allocation_is_reported),
	};

	(void) signal(SIGPIPE, SIG_IGN); /* as main does */
	(void) signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
