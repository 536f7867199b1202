/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - run a fuzz target over files and directories, for builds without libFuzzer. Tests
 * only. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define REPLAY_MAX (1 << 20) /* bytes of one input; longer files are refused */

static int replay_file(const char *path, size_t *n_inputs)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(REPLAY_MAX), *exact;
	size_t n;

	if (f == NULL || data == NULL) {
		perror(path);
		free(data);
		if (f != NULL)
			(void) fclose(f); /* read only */
		return 1;
	}
	n = fread(data, 1, REPLAY_MAX, f);
	(void) fclose(f); /* read only */
	/* Exactly as long as the input, so that a sanitizer sees a read beyond it. */
	exact = malloc(n > 0 ? n : 1);
	if (n == REPLAY_MAX || exact == NULL) {
		(void) fprintf(stderr, "%s: too long\n", path);
		free(data);
		free(exact);
		return 1;
	}
	memcpy(exact, data, n);
	free(data);
	(void) LLVMFuzzerTestOneInput(exact, n); /* always 0 */
	free(exact);
	(*n_inputs)++;
	return 0;
}

static int replay_path(const char *path, size_t *n_inputs);

static int replay_dir(const char *path, size_t *n_inputs)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char child[4096];
	int failed = 0;

	if (d == NULL) {
		perror(path);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void) snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		failed |= replay_path(child, n_inputs);
	}
	(void) closedir(d); /* read only */
	return failed;
}

static int replay_path(const char *path, size_t *n_inputs)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		perror(path);
		return 1;
	}
	return S_ISDIR(st.st_mode) ? replay_dir(path, n_inputs) : replay_file(path, n_inputs);
}

/* Exit status 0 when there was at least one input and all could be read. */
int main(int argc, char **argv)
{
	size_t n_inputs = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay_path(argv[i], &n_inputs);
	(void) printf("%zu inputs\n", n_inputs);
	return failed || n_inputs == 0;
}
