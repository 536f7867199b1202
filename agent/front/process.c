/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - what a process inherits and should not keep so: descriptors, limits, signals.
 * Floor 6. */
#include "agent/front/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

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

int process_prepare(void)
{
	struct rlimit none = { 0 };
	sigset_t empty;
	int r;

	r = process_open_standard();
	if (r < 0)
		return r;
	(void) setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
	process_raise_descriptors();
	(void) sigemptyset(&empty);
	(void) sigprocmask(SIG_SETMASK, &empty, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	return 0;
}
