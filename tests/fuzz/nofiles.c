/* SPDX-License-Identifier: Apache-2.0 */
/* nofiles.c - open() and scandir() that find nothing. Tests only. */
#include "tests/fuzz/nofiles.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>

bool nofiles_is_on;

typedef int want_fn(const struct dirent *e);
typedef int order_fn(const struct dirent **a, const struct dirent **b);

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_scandir(const char *path, struct dirent ***ret_list, want_fn *want, order_fn *order);
int __wrap_scandir(const char *path, struct dirent ***ret_list, want_fn *want, order_fn *order);

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	if (nofiles_is_on) {
		errno = ENOENT;
		return -1;
	}
	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	return __real_open(path, flags, mode);
}

int __wrap_scandir(const char *path, struct dirent ***ret_list, want_fn *want, order_fn *order)
{
	if (nofiles_is_on) {
		errno = ENOENT;
		return -1;
	}
	return __real_scandir(path, ret_list, want, order);
}
