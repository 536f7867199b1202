/* SPDX-License-Identifier: Apache-2.0 */
/* wallclock.c - LD_PRELOAD: the wall clock is off by as many days as the file $WALLCLOCK says;
 * the monotonic clock is not touched. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* "-86400" or "3600"; what is not a digit ends it. */
static time_t seconds_of(const char *text)
{
	bool is_negative = *text == '-';
	time_t s = 0;

	for (text += is_negative; *text >= '0' && *text <= '9'; text++)
		s = s * 10 + (*text - '0');
	return is_negative ? -s : s;
}

/* The file has a digit of days, or '-' before it. */
static time_t offset_s(void)
{
	const char *path = getenv("WALLCLOCK");
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	char text[4] = "";
	const char *digit = text;

	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	(void) fclose(f); /* only read */
	if (*digit == '-')
		digit++;
	return (*digit - '0') * (text[0] == '-' ? -86400 : 86400);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int) syscall(SYS_clock_gettime, id, ts);

	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += offset_s();
	return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	(void) zone;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return r;
}

time_t time(time_t *ret_t)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	if (ret_t != NULL)
		*ret_t = ts.tv_sec;
	return ts.tv_sec;
}
