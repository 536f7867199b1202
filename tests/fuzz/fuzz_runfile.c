/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_runfile.c - the file of the run id: what is taken from it is the one line of printable ASCII
 * that it is, else nothing; and what is kept is found again. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/tunnel/runfile.h"
#include "tests/fuzz/fuzz.h"

static struct conf conf;
static char folder[] = "/tmp/fuzz_runfile.XXXXXX", server[] = "h", path[512];

static void remove_all(void)
{
	(void) unlink(path); /* if it is there */
	(void) rmdir(folder);
}

/* What the file is called is the agent's matter: it is made once, and found. */
static void begin(void)
{
	struct runfile f;
	struct dirent *e;
	DIR *d;

	MUST(mkdtemp(folder) != NULL && atexit(remove_all) == 0);
	conf.state_dir = folder;
	conf.server_host = server;
	runfile_init(&f, &conf, /* log= */ NULL);
	runfile_keep(&f, &conf, "id");
	MUST(strcmp(f.kept, "id") == 0);
	runfile_deinit(&f);
	d = opendir(folder);
	MUST(d != NULL);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void) snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
	(void) closedir(d); /* read only */
	MUST(path[0] != '\0');
}

static bool is_line(struct span in)
{
	if (in.len < 2 || in.len > LIMIT_RUN_ID + 1 || in.p[in.len - 1] != '\n')
		return false;
	for (size_t i = 0; i + 1 < in.len; i++)
		if (in.p[i] <= ' ' || in.p[i] > '~')
			return false;
	return true;
}

static void check(struct span in)
{
	struct runfile f, again;

	runfile_init(&f, &conf, /* log= */ NULL);
	MUST((f.kept[0] != '\0') == is_line(in));
	MUST(f.kept[0] == '\0' || memcmp(f.kept, in.p, in.len - 1) == 0);
	runfile_keep(&f, &conf, "another");
	runfile_init(&again, &conf, /* log= */ NULL);
	MUST(strcmp(again.kept, "another") == 0);
	runfile_keep(&f, &conf, "");
	MUST(access(path, F_OK) != 0);
	runfile_deinit(&again);
	runfile_deinit(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (path[0] == '\0')
		begin();
	if (size > 4096)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t) size && close(fd) == 0);
	check(span_of(data, size));
	return 0;
}
