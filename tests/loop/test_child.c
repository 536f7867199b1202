/* SPDX-License-Identifier: Apache-2.0 */
/* test_child.c - a program beside the tunnel: its end, its kill, and that the reaper leaves it to
 * libuv. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/loop.h"
#include "agent/front/child.h"
#include "agent/front/process.h"
#include "agent/front/reaper.h"
#include "proto/base/err.h"

struct home {
	struct loop *loop;
	struct child *child;
	struct process_limits limits;
	int status, n_ends;
};

static void on_ended(void *arg, int status)
{
	struct home *h = arg;

	h->status = status;
	h->n_ends++;
	uv_stop(&h->loop->uv);
}

static void open_home(struct home *h)
{
	*h = (struct home){ .status = -1 };
	assert_int_equal(loop_new(&h->loop, /* log= */ NULL), 0);
	(void) getrlimit(RLIMIT_NOFILE, &h->limits.descriptors);
	(void) getrlimit(RLIMIT_CORE, &h->limits.core);
}

static int start(struct home *h, const char *script)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *) (uintptr_t) script, NULL };

	return child_start(&h->child, h->loop, &h->limits, argv, on_ended, h);
}

static void close_home(struct home *h)
{
	h->child = child_free(h->child);
	h->loop = loop_free(h->loop);
}

static void run(struct home *h)
{
	(void) uv_run(&h->loop->uv, UV_RUN_DEFAULT); /* until uv_stop() */
	assert_int_equal(h->n_ends, 1);
}

static void test_status_is_a_shell_s(void **state)
{
	struct home h;

	(void) state;
	open_home(&h);
	assert_int_equal(start(&h, "exit 9"), 0);
	assert_true(child_pid(h.child) > 0);
	run(&h);
	assert_int_equal(h.status, 9);
	close_home(&h);
	open_home(&h);
	assert_int_equal(start(&h, "kill -INT $$"), 0);
	run(&h);
	assert_int_equal(h.status, 128 + SIGINT);
	close_home(&h);
}

static void test_not_startable(void **state)
{
	char *argv[] = { (char[]){ "/no/such/program" }, NULL };
	struct home h;
	int err;

	(void) state;
	open_home(&h);
	err = child_start(&h.child, h.loop, &h.limits, argv, on_ended, &h);
	assert_int_equal(err, -ENOENT);
	assert_int_equal(child_status_of_error(err), 127);
	assert_int_equal(child_status_of_error(-EACCES), 126);
	close_home(&h);
}

static void test_killed_when_the_grace_is_over(void **state)
{
	struct home h;

	(void) state;
	open_home(&h);
	assert_int_equal(start(&h, "trap '' TERM; while :; do sleep 1; done"), 0);
	child_ask(h.child, SIGTERM, /* grace_ms= */ 100);
	child_ask(h.child, SIGTERM, /* grace_ms= */ 3600000); /* once */
	run(&h);
	assert_true(h.status == 128 + SIGKILL ||
		    h.status == 128 + SIGTERM /* before the trap was set */);
	child_signal(h.child, SIGTERM); /* nobody is there: nothing happens */
	close_home(&h);
}

static void test_forgotten_while_it_runs(void **state)
{
	struct home h;
	int pid;

	(void) state;
	open_home(&h);
	assert_int_equal(start(&h, "exec sleep 60"), 0);
	pid = child_pid(h.child);
	close_home(&h);
	assert_int_equal(h.n_ends, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Orphans that become ours end before, with and after the child: its status arrives, and none of
 * them is left. */
static void test_reaper_leaves_the_child_to_libuv(void **state)
{
	struct home h;
	struct reaper *reaper;

	(void) state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	for (int round = 0; round < 10; round++) {
		open_home(&h);
		assert_int_equal(reaper_new(&reaper, h.loop), 0);
		assert_int_equal(start(&h, "for i in 1 2 3 4 5 6; do (sleep 0.0$i &); done; "
					   "sleep 0.03; exit 5"),
				 0);
		run(&h);
		assert_int_equal(h.status, 5);
		while (waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT) == 0)
			(void) uv_run(&h.loop->uv,
				      UV_RUN_ONCE); /* a signal for each that is left */
		assert_int_equal(errno, ECHILD);
		reaper = reaper_free(reaper);
		close_home(&h);
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void test_reaper_takes_what_ended_before(void **state)
{
	struct home h;
	struct reaper *reaper;
	siginfo_t info = { 0 };
	pid_t pid = fork();

	(void) state;
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
	open_home(&h);
	assert_int_equal(reaper_new(&reaper, h.loop), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	reaper = reaper_free(reaper);
	close_home(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_is_a_shell_s),
		cmocka_unit_test(test_not_startable),
		cmocka_unit_test(test_killed_when_the_grace_is_over),
		cmocka_unit_test(test_forgotten_while_it_runs),
		cmocka_unit_test(test_reaper_leaves_the_child_to_libuv),
		cmocka_unit_test(test_reaper_takes_what_ended_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
