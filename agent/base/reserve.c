/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.c - which descriptors are kept back. Floor 3. */
#include "agent/base/reserve.h"

#include <stdint.h>
#include <sys/resource.h>

#include "proto/base/limits.h"

bool reserve_has(int fd)
{
	struct rlimit limit;

	/* Asked for each time: prlimit(1) may have changed it. */
	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	return (uint64_t) fd + LIMIT_DESCRIPTORS_KEPT >= limit.rlim_cur;
}
