/* SPDX-License-Identifier: Apache-2.0 */
/* test_token.c - the token as configured, from a file, from programs that behave and that
 * do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/base/timer.h"
#include "agent/conf/schema.h"
#include "agent/tunnel/token.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"
#include "tests/loop/fail.h"

struct bench {
	struct loop *loop;
	struct conf *conf;
	struct token_fetch *fetch;
	char *token;
	char words[200], error[600], remedy[200];
	unsigned n_results;
	struct timer tick;
	unsigned n_ticks;
	char file[64];
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void) closedir(dir);
	return n;
}

static void bench_open(struct bench *b)
{
	int fd;

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_new(&b->loop, /* log= */ NULL), 0);
	b->conf = conf_new();
	assert_non_null(b->conf);
	(void) snprintf(b->file, sizeof(b->file), "/tmp/test_token.XXXXXX");
	fd = mkstemp(b->file);
	assert_true(fd >= 0);
	(void) close(fd);
}

static void bench_close(struct bench *b)
{
	(void) unlink(b->file);
	b->conf = conf_free(b->conf);
	b->token = secret_free(b->token);
	assert_null(loop_free(b->loop)); /* uv_loop_close() == 0, or it ends the program */
}

static void on_done(void *arg, const struct token_result *r)
{
	struct bench *b = arg;

	b->n_results++;
	b->fetch = NULL;
	b->token = r->token;
	b->words[0] = b->error[0] = b->remedy[0] = '\0';
	if (r->token != NULL)
		return;
	(void) snprintf(b->words, sizeof(b->words), "%s", r->words);
	(void) snprintf(b->error, sizeof(b->error), "%s", r->error);
	(void) snprintf(b->remedy, sizeof(b->remedy), "%s", r->remedy);
}

static int start(struct bench *b, uint64_t wait_ms)
{
	b->n_results = 0;
	b->token = secret_free(b->token);
	uv_update_time(&b->loop->uv);
	return token_fetch(b->loop, b->conf, loop_now_ms(b->loop) + wait_ms, on_done, b, &b->fetch);
}

static void fetch(struct bench *b, uint64_t wait_ms)
{
	assert_int_equal(start(b, wait_ms), 0);
	assert_int_equal(b->n_results, 0); /* never from inside */
	assert_int_equal(uv_run(&b->loop->uv, UV_RUN_DEFAULT), 0);
	assert_int_equal(b->n_results, 1);
}

static void set_program(struct bench *b, const char *command)
{
	free(b->conf->token_exec.command);
	b->conf->token_exec.command = text_dup(command, strlen(command));
	conf_strs_deinit(&b->conf->token_exec.args);
}

static void set_script(struct bench *b, const char *script)
{
	set_program(b, "/bin/sh");
	assert_int_equal(conf_strs_add(&b->conf->token_exec.args, "-c"), 0);
	assert_int_equal(conf_strs_add(&b->conf->token_exec.args, script), 0);
	assert_int_equal(conf_strs_add(&b->conf->token_exec.args, "script"), 0);
	assert_int_equal(conf_strs_add(&b->conf->token_exec.args, b->file), 0);
}

static void write_file(struct bench *b, const char *text)
{
	FILE *f = fopen(b->file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void set_secret(char **at, const char *value)
{
	*at = secret_free(*at);
	*at = text_dup(value, strlen(value));
	assert_non_null(*at);
}

/* The number of a process that a script has written into the file. */
static int read_pid(struct bench *b)
{
	FILE *f = fopen(b->file, "r");
	char line[64];
	uint64_t pid;

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	(void) fclose(f);
	line[strcspn(line, "\n")] = '\0';
	assert_int_equal(text_parse_u64(line, 2, INT32_MAX, &pid), 0);
	return (int) pid;
}

/* Is the process whose number stands in the file gone, or a zombie of somebody else's? */
static bool is_program_gone(struct bench *b)
{
	char path[64], line[200];
	FILE *f;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", read_pid(b));
	f = fopen(path, "r");
	if (f == NULL)
		return true;
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	(void) fclose(f);
	return line[0] == '\0' || strstr(line, ") Z") != NULL || strstr(line, ") X") != NULL;
}

/* Killed together with its parent, it may end a moment after it. */
static void wait_program_gone(struct bench *b)
{
	uint64_t due_ms = uv_hrtime() / 1000000 + 5000;

	while (!is_program_gone(b))
		assert_true(uv_hrtime() / 1000000 < due_ms);
}

static void wait_for_file(struct bench *b)
{
	char c;
	FILE *f;

	do {
		(void) uv_run(&b->loop->uv, UV_RUN_NOWAIT);
		f = fopen(b->file, "r");
		assert_non_null(f);
		c = (char) fgetc(f);
		(void) fclose(f);
	} while (c < '0' || c > '9');
}

static void test_as_configured(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	fetch(&b, 5000);
	assert_string_equal(b.token, "");
	set_secret(&b.conf->token, "given");
	fetch(&b, 5000);
	assert_string_equal(b.token, "given");
	bench_close(&b);
}

static void test_a_file_is_read_each_time(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	b.conf->token_file = text_dup(b.file, strlen(b.file));
	set_secret(&b.conf->token, "its last content");
	write_file(&b, "first\n");
	fetch(&b, 5000);
	assert_string_equal(b.token, "first");
	write_file(&b, " \tsecond one\r\n\n");
	fetch(&b, 5000);
	assert_string_equal(b.token, "second one");
	write_file(&b, "\n");
	fetch(&b, 5000);
	assert_null(b.token);
	assert_string_equal(b.error, "it is empty");
	assert_int_equal(unlink(b.file), 0);
	fetch(&b, 5000);
	assert_null(b.token);
	assert_string_equal(b.words, "the token file cannot be read");
	assert_string_equal(b.error, "No such file or directory");
	assert_string_equal(b.remedy, b.file);
	bench_close(&b);
}

static void test_what_a_program_prints_is_the_token(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	set_script(&b, "cat; echo \" $WORD\"'\t'; echo to-stderr >&2; echo once >> \"$1\"");
	assert_int_equal(conf_pairs_add(&b.conf->token_exec.env, "WORD", "of its own"), 0);
	assert_int_equal(setenv("WORD", "of ours", 1), 0);
	fetch(&b, 5000);
	assert_string_equal(b.token, "of its own");
	fetch(&b, 5000); /* it runs again */
	set_script(&b, "tr -d '\\n' < \"$1\"");
	fetch(&b, 5000);
	assert_string_equal(b.token, "onceonce");
	assert_int_equal(unsetenv("WORD"), 0);
	bench_close(&b);
}

static void test_a_program_gets_no_secret_and_all_else(void **state)
{
	struct conf_proxy *p;
	struct bench b;

	(void) state;
	bench_open(&b);
	assert_int_equal(conf_add_proxy(b.conf, "p", &p), 0);
	set_secret(&p->secret_key, "hunter2-of-the-proxy");
	set_secret(&b.conf->proxy_url, "http://me:hunter2-of-the-url@h:1");
	assert_int_equal(setenv("SECRET_FRP_TOKEN", "hunter2", 1), 0);
	assert_int_equal(setenv("A_KEY", "hunter2-of-the-proxy", 1), 0);
	assert_int_equal(setenv("A_PART", "hunter2-of-the-url", 1), 0);
	assert_int_equal(setenv("A_WORD", "me", 1), 0);
	set_script(&b, "env");
	fetch(&b, 5000);
	assert_non_null(b.token);
	assert_null(strstr(b.token, "hunter2"));
	assert_non_null(strstr(b.token, "A_WORD=me"));
	assert_non_null(strstr(b.token, "PATH="));
	assert_int_equal(unsetenv("SECRET_FRP_TOKEN"), 0);
	assert_int_equal(unsetenv("A_KEY"), 0);
	assert_int_equal(unsetenv("A_PART"), 0);
	assert_int_equal(unsetenv("A_WORD"), 0);
	bench_close(&b);
}

static void test_failures_are_told_without_what_was_printed(void **state)
{
	static const struct {
		const char *script, *error;
	} cases[] = {
		{ "echo hunter2; exit 3", "/bin/sh: exit status 3" },
		{ "echo hunter2; kill -TERM $$", "/bin/sh: ended by signal 15" },
		{ "exit 0", "/bin/sh: what it prints is no token: it is empty" },
		{ "printf 'hunter2\\0x'",
		  "/bin/sh: what it prints is no token: it has a NUL byte inside" },
		{ "yes hunter2", "/bin/sh: it prints more than 65536 bytes" },
	};
	struct bench b;
	unsigned n_fds;

	(void) state;
	bench_open(&b);
	set_script(&b, "echo token");
	fetch(&b, 5000); /* descriptors that libuv opens once */
	n_fds = count_fds();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_script(&b, cases[i].script);
		fetch(&b, 5000);
		assert_null(b.token);
		assert_string_equal(b.words, "the program for the token has failed");
		assert_string_equal(b.error, cases[i].error);
		assert_null(strstr(b.remedy, "hunter2"));
		assert_int_equal(count_fds(), n_fds);
	}
	set_program(&b, "/nowhere/program");
	fetch(&b, 5000);
	assert_null(b.token);
	assert_string_equal(b.error,
			    "/nowhere/program: it cannot be started: no such file or directory");
	assert_int_equal(count_fds(), n_fds);
	bench_close(&b);
}

static void test_64_kib_and_not_a_byte_more(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	set_script(&b, "head -c 65536 /dev/zero | tr '\\0' x");
	fetch(&b, 5000);
	assert_non_null(b.token);
	assert_int_equal(strlen(b.token), LIMIT_TOKEN_OUT);
	set_script(&b, "head -c 65537 /dev/zero | tr '\\0' x");
	fetch(&b, 5000);
	assert_null(b.token);
	bench_close(&b);
}

static void on_tick(struct timer *t)
{
	struct bench *b = container_of(t, struct bench, tick);

	b->n_ticks++;
	if (b->n_results == 0)
		timer_set(t, loop_now_ms(b->loop) + 5);
}

static void test_the_loop_goes_on_until_the_deadline_kills(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	timer_init(&b.tick, b.loop, on_tick);
	timer_set(&b.tick, loop_now_ms(b.loop));
	set_script(&b, "echo hunter2; sleep 1000 & echo $! > \"$1\"; wait");
	fetch(&b, 500);
	assert_null(b.token);
	assert_string_equal(b.error, "/bin/sh: it did not end in time, and was killed");
	assert_in_range(b.n_ticks, 10, 101);
	wait_program_gone(&b);
	bench_close(&b);
}

/* A helper that it leaves behind holds its output open: nobody waits for that. */
static void test_what_it_leaves_behind_is_not_waited_for(void **state)
{
	uint64_t start_ms = uv_hrtime() / 1000000;
	struct bench b;

	(void) state;
	bench_open(&b);
	set_script(&b, "sleep 1000 & echo $! > \"$1\"; echo token");
	fetch(&b, 8000);
	assert_string_equal(b.token, "token");
	assert_in_range(uv_hrtime() / 1000000 - start_ms, 0, 4000);
	assert_false(is_program_gone(&b)); /* it is none of ours */
	assert_int_equal(kill(read_pid(&b), SIGKILL), 0);
	bench_close(&b);
}

static void test_cancelling_kills_the_program_and_tells_nothing(void **state)
{
	struct bench b;
	unsigned n_fds;

	(void) state;
	bench_open(&b);
	set_script(&b, "echo token");
	fetch(&b, 5000); /* descriptors that libuv opens once */
	n_fds = count_fds();
	assert_int_equal(start(&b, 5000), 0);
	b.fetch = token_cancel(b.fetch); /* perhaps before its first instruction */
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	assert_int_equal(count_fds(), n_fds);
	set_script(&b, "sleep 1000 & echo $! > \"$1\"; wait");
	assert_int_equal(start(&b, 5000), 0);
	wait_for_file(&b);
	b.fetch = token_cancel(b.fetch);
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	assert_int_equal(b.n_results, 0);
	wait_program_gone(&b);
	assert_int_equal(count_fds(), n_fds);
	set_program(&b, "/nowhere/program");
	assert_int_equal(start(&b, 5000), 0);
	b.fetch = token_cancel(b.fetch);
	free(b.conf->token_exec.command);
	b.conf->token_exec.command = NULL;
	assert_int_equal(start(&b, 5000), 0);
	b.fetch = token_cancel(b.fetch);
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	assert_int_equal(b.n_results, 0);
	assert_null(token_cancel(NULL));
	bench_close(&b);
}

/* The configuration may be replaced while a program runs. */
static void test_it_keeps_the_configuration_it_has_begun_with(void **state)
{
	struct bench b;

	(void) state;
	bench_open(&b);
	set_script(&b, "echo $$ > \"$1\"; sleep 0.1; exit 3");
	assert_int_equal(start(&b, 5000), 0);
	b.conf = conf_free(b.conf);
	(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
	assert_string_equal(b.error, "/bin/sh: exit status 3");
	bench_close(&b);
}

static void test_each_failing_allocation_ends_the_fetch_cleanly(void **state)
{
	unsigned n = 0, n_fds;
	bool was_reached;
	struct bench b;

	(void) state;
	bench_open(&b);
	set_script(&b, "echo token");
	assert_int_equal(conf_pairs_add(&b.conf->token_exec.env, "A", "b"), 0);
	fetch(&b, 5000);
	n_fds = count_fds();
	do {
		int r;

		fail_at = ++n;
		r = start(&b, 5000);
		assert_true(r == 0 || r == -ENOMEM);
		(void) uv_run(&b.loop->uv, UV_RUN_DEFAULT);
		was_reached = fail_at == 0;
		fail_at = 0;
		assert_int_equal(b.n_results, r == 0);
		assert_true(r != 0 || b.token != NULL || strstr(b.error, "memory") != NULL);
		assert_int_equal(count_fds(), n_fds);
	} while (was_reached);
	assert_string_equal(b.token, "token");
	print_message("%u allocations failed\n", n - 1);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_configured),
		cmocka_unit_test(test_a_file_is_read_each_time),
		cmocka_unit_test(test_what_a_program_prints_is_the_token),
		cmocka_unit_test(test_a_program_gets_no_secret_and_all_else),
		cmocka_unit_test(test_failures_are_told_without_what_was_printed),
		cmocka_unit_test(test_64_kib_and_not_a_byte_more),
		cmocka_unit_test(test_the_loop_goes_on_until_the_deadline_kills),
		cmocka_unit_test(test_what_it_leaves_behind_is_not_waited_for),
		cmocka_unit_test(test_cancelling_kills_the_program_and_tells_nothing),
		cmocka_unit_test(test_it_keeps_the_configuration_it_has_begun_with),
		cmocka_unit_test(test_each_failing_allocation_ends_the_fetch_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
