/* SPDX-License-Identifier: Apache-2.0 */
/* test_cgroup.c - memory limits of both versions, seen from inside and outside of a container. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cgroup.h"

#define MIB (1024ULL * 1024)

/* Up to two files below a root of its own. */
static const struct {
	const char *membership;
	const char *files[4]; /* name, text, name, text */
	uint64_t want;
} cases[] = {
	{ "0::/\n", { "memory.max", "67108864\n" }, 64 * MIB },
	{ "0::/\n", { "memory.max", "max\n" }, UINT64_MAX },
	{ "0::/\n", { NULL }, UINT64_MAX },
	{ "", { "memory.max", "67108864\n" }, UINT64_MAX },
	/* the path is the host's, the mount ours */
	{ "0::/docker/0123\n", { "memory.max", "67108864\n" }, 64 * MIB },
	{ "0::/a/b\n", { "a/memory.max", "33554432\n", "a/b/memory.max", "max\n" }, 32 * MIB },
	{ "0::/a/b\n", { "a/memory.max", "33554432\n", "a/b/memory.max", "1048576\n" }, MIB },
	{ "5:cpu,cpuacct:/x\n4:memory:/a\n0::/\n",
	  { "memory/a/memory.limit_in_bytes", "8388608\n", "memory/memory.limit_in_bytes",
	    "9223372036854771712\n" },
	  8 * MIB },
	{ "4:memory:/docker/0123\n", { "memory/memory.limit_in_bytes", "8388608\n" }, 8 * MIB },
	{ "nonsense\n0::\n::/\n", { "memory.max", "1\n" }, UINT64_MAX },
	{ "0::/\n", { "memory.max", "12x\n" }, UINT64_MAX },
};

static void write_file(const char *root, const char *name, const char *text)
{
	char path[256], *slash;
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void) mkdir(path, 0700); /* or it is there */
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_limits(void **state)
{
	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char root[] = "/tmp/test_cgroup.XXXXXX", membership[64], line[128];

		assert_non_null(mkdtemp(root));
		write_file(root, "membership", cases[i].membership);
		for (size_t k = 0; k < 4 && cases[i].files[k] != NULL; k += 2)
			write_file(root, cases[i].files[k], cases[i].files[k + 1]);
		(void) snprintf(membership, sizeof(membership), "%s/membership", root);
		assert_int_equal(cgroup_memory_limit(root, membership), cases[i].want);
		(void) snprintf(line, sizeof(line), "rm -r %s", root);
		assert_int_equal(system(line), 0);
	}
}

static void test_this_machine_is_read_without_harm(void **state)
{
	(void) state;
	assert_true(cgroup_memory_limit(CGROUP_MOUNT, CGROUP_MEMBERSHIP) > 0);
	assert_true(cgroup_memory_limit("/no/such", "/no/such") == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_this_machine_is_read_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
