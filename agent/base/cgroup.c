/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - memory limits of control groups, version 2 and 1. Floor 3.
 *
 * Membership has a line a hierarchy: "0::/a/b" of version 2, "N:memory:/a/b" of version 1. In a
 * container the path may be the host's, while the mount shows our own group as its root: each
 * folder from the path up to the root is looked at, and what is not there does not count. */
#include "agent/base/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/text.h"

#define CGROUP_TEXT 4096 /* of membership: 14 lines, and a path is short */

/* What fits of the file's text, without the end of its last line; "" when there is none. */
static void file_text(const char *path, char *ret_text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_text, cap - 1);

	if (fd >= 0)
		(void) close(fd); /* only read */
	if (n > 0 && ret_text[n - 1] == '\n')
		n--;
	ret_text[n > 0 ? n : 0] = '\0';
}

/* The limit in one folder; "max" is none, and what cannot be read neither. */
static uint64_t limit_in(const char *mount, const char *controller, const char *group,
			 const char *name)
{
	char path[PATH_MAX], text[32];
	uint64_t limit;

	if (snprintf(path, sizeof(path), "%s%s%s/%s", mount, controller, group, name) >=
	    (int) sizeof(path))
		return UINT64_MAX;
	file_text(path, text, sizeof(text));
	return text_parse_u64(text, 0, UINT64_MAX, &limit) == 0 ? limit : UINT64_MAX;
}

/* The lowest from @group up to the root. @group is used up. */
static uint64_t limit_above(const char *mount, const char *controller, char *group,
			    const char *name)
{
	uint64_t limit, lowest = UINT64_MAX;
	char *slash;

	for (;;) {
		limit = limit_in(mount, controller, group, name);
		if (limit < lowest)
			lowest = limit;
		slash = strrchr(group, '/');
		if (slash == NULL)
			return lowest;
		*slash = '\0';
	}
}

uint64_t cgroup_memory_limit(const char *mount, const char *membership)
{
	char text[CGROUP_TEXT], *rest = text, *line;
	uint64_t limit, lowest = UINT64_MAX;

	file_text(membership, text, sizeof(text));
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		char *group = strchr(line, '/');

		if (group == NULL)
			continue;
		if (strncmp(line, "0::", 3) == 0)
			limit = limit_above(mount, "", group, "memory.max");
		else if (strstr(line, ":memory:") != NULL)
			limit = limit_above(mount, "/memory", group, "memory.limit_in_bytes");
		else
			continue;
		if (limit < lowest)
			lowest = limit;
	}
	return lowest;
}
