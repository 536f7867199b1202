/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - a small file as one string: configuration files and files with a secret inside.
 * Floor 4. */
#include "agent/conf/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define FILE_STEP 4096

static int file_refuse(char *why, const char *words)
{
	(void) snprintf(why, FILE_WHY, "%s", words); /* cut when too long */
	return FILE_E_BAD;
}

static int file_open(const char *path, bool want_regular, char *why, int *ret_fd)
{
	/* Opening a FIFO must not wait for its writer where a regular file is asked for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (want_regular ? O_NONBLOCK : 0));
	struct stat st;

	if (fd < 0)
		return file_refuse(why, strerror(errno));
	if (fstat(fd, &st) == 0 &&
	    (S_ISDIR(st.st_mode) || (want_regular && !S_ISREG(st.st_mode)))) {
		(void) close(fd);
		return file_refuse(why, S_ISDIR(st.st_mode) ? "it is a directory"
							    : "it is not a regular file");
	}
	*ret_fd = fd;
	return 0;
}

/* Make room for FILE_STEP more bytes and a NUL. Not realloc: the old block may hold a secret. */
static int file_grow(char **text, size_t len, size_t *cap)
{
	size_t new_cap = *cap > 0 ? *cap * 2 : 2 * FILE_STEP;
	char *p;

	if (*cap - len > FILE_STEP)
		return 0;
	p = malloc(new_cap);
	if (p == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(p, *text, len);
	secret_wipe(*text, len);
	free(*text);
	*text = p;
	*cap = new_cap;
	return 0;
}

static int file_read_fd(int fd, size_t max, char **text, size_t *len, char *why)
{
	size_t cap = 0;
	ssize_t n;
	int r;

	for (;;) {
		r = file_grow(text, *len, &cap);
		if (r < 0)
			return r;
		n = read(fd, *text + *len, FILE_STEP);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_refuse(why, strerror(errno));
		*len += (size_t) n;
		if (*len > max) {
			(void) snprintf(why, FILE_WHY, "it is longer than %zu bytes", max);
			return FILE_E_BAD;
		}
	}
	(*text)[*len] = '\0';
	return 0;
}

int file_read(const char *path, size_t max, bool want_regular, char **ret_text, size_t *ret_len,
	      char why[static FILE_WHY])
{
	char *text = NULL;
	size_t len = 0;
	int fd, r;

	r = file_open(path, want_regular, why, &fd);
	if (r != 0)
		return r;
	r = file_read_fd(fd, max, &text, &len, why);
	(void) close(fd); /* only read from */
	if (r != 0) {
		secret_wipe(text, len);
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static bool file_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int file_token_of(const char *text, size_t len, char **ret_token, char why[static FILE_WHY])
{
	size_t start = 0, end = len;
	char *token;

	while (start < end && file_is_space(text[start]))
		start++;
	while (end > start && file_is_space(text[end - 1]))
		end--;
	if (start == end)
		return file_refuse(why, "it is empty");
	if (memchr(text + start, '\0', end - start) != NULL)
		return file_refuse(why, "it has a NUL byte inside");
	token = text_dup(text + start, end - start);
	if (token == NULL)
		return -ENOMEM;
	*ret_token = token;
	return 0;
}

int file_read_token(const char *path, char **ret_token, char why[static FILE_WHY])
{
	size_t len;
	char *text;
	int r;

	r = file_read(path, LIMIT_TOKEN_OUT, /* want_regular= */ true, &text, &len, why);
	if (r != 0)
		return r;
	r = file_token_of(text, len, ret_token, why);
	secret_wipe(text, len);
	free(text);
	return r;
}
