/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - what a process inherits and should not keep so: descriptors, limits, signals, memory.
 * Floor 6. */
#include "agent/front/process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/limits.h"

static int process_open_standard(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int opened;

		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/* The lowest free number is @fd. Where there is no /dev, any descriptor that takes
		 * no bytes will do. */
		opened = open("/dev/null", O_RDWR | O_NOCTTY);
		if (opened < 0)
			opened = open("/", O_PATH);
		if (opened < 0)
			return -errno;
	}
	return 0;
}

static void process_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void) setrlimit(RLIMIT_NOFILE, &limit); /* then it stays as low as it was */
}

/* The hard limit stays, so that a program that we start can have its core dumps. */
static void process_refuse_core(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		limit.rlim_max = 0;
	limit.rlim_cur = 0;
	(void) setrlimit(RLIMIT_CORE, &limit); /* lowering is always allowed */
}

/* Pieces of this size and above go back to the kernel when they are freed. Between small ones that
 * live on, the heap would keep them all. */
static void process_give_memory_back(void)
{
	(void) mallopt(M_MMAP_THRESHOLD, LIMIT_CHUNK); /* refused: it is kept */
}

int process_prepare(struct process_limits *ret_inherited)
{
	sigset_t empty;
	int r;

	r = process_open_standard();
	if (r < 0)
		return r;
	*ret_inherited = (struct process_limits){ 0 };
	(void) getrlimit(RLIMIT_NOFILE, &ret_inherited->descriptors); /* cannot fail */
	(void) getrlimit(RLIMIT_CORE, &ret_inherited->core);
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* ends at the start of another program */
	process_refuse_core();
	process_raise_descriptors();
	process_give_memory_back();
	(void) sigemptyset(&empty);
	(void) sigprocmask(SIG_SETMASK, &empty, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	return 0;
}

void process_lend_limits(const struct process_limits *inherited)
{
	(void) setrlimit(RLIMIT_NOFILE, &inherited->descriptors); /* only the soft ones differ */
	(void) setrlimit(RLIMIT_CORE, &inherited->core);
}

void process_take_limits(void)
{
	process_refuse_core();
	process_raise_descriptors();
}

void process_harden(void)
{
	struct rlimit none = { 0 };

	(void) setrlimit(RLIMIT_CORE, &none);
	(void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* since Linux 3.5 */
}
