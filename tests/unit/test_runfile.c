/* SPDX-License-Identifier: Apache-2.0 */
/* test_runfile.c - the run id outlives the process where it can. */
#include <dirent.h>
#include <limits.h>
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

#include "agent/tunnel/runfile.h"

#define ID "0123456789abcdef"

struct place {
	char folder[64];
	struct conf *conf;
};

static struct conf *new_conf(const char *folder, const char *host)
{
	struct conf *c = conf_new();
	struct conf_proxy *p;

	assert_non_null(c);
	c->server_host = strdup(host);
	c->state_dir = folder != NULL ? strdup(folder) : NULL;
	assert_int_equal(conf_add_proxy(c, "a", &p), 0);
	p->wire_name = strdup("a");
	return c;
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void) snprintf(p->folder, sizeof(p->folder), "/tmp/test_runfile.XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	p->conf = new_conf(p->folder, "host");
	*state = p;
	return 0;
}

/* Path of the one file there is; "" without one. More than one fails. */
static const char *find_file(const struct place *p, char path[static PATH_MAX])
{
	DIR *d = opendir(p->folder);
	struct dirent *e;

	path[0] = '\0';
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		assert_int_equal(path[0], '\0');
		(void) snprintf(path, PATH_MAX, "%s/%s", p->folder, e->d_name);
	}
	(void) closedir(d);
	return path;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char path[PATH_MAX];

	if (find_file(p, path)[0] != '\0')
		(void) unlink(path);
	(void) rmdir(p->folder);
	p->conf = conf_free(p->conf);
	free(p);
	return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_next_start_has(const struct conf *conf, const char *id)
{
	struct runfile f;

	runfile_init(&f, conf, /* log= */ NULL);
	assert_string_equal(f.kept, id);
	runfile_deinit(&f);
	assert_string_equal(f.kept, "");
}

static void test_kept_from_start_to_start(void **state)
{
	struct place *p = *state;
	struct conf *other = new_conf(p->folder, "another-host");
	char path[PATH_MAX];
	struct stat st;
	struct runfile f;

	runfile_init(&f, p->conf, NULL);
	assert_string_equal(f.kept, "");
	runfile_keep(&f, p->conf, ID);
	assert_string_equal(f.kept, ID);
	assert_int_equal(stat(find_file(p, path), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(strstr(path, ID));
	assert_next_start_has(p->conf, ID);
	assert_next_start_has(other, "");
	other = conf_free(other);
	/* written when it changes only */
	assert_int_equal(unlink(path), 0);
	runfile_keep(&f, p->conf, ID);
	assert_string_equal(find_file(p, path), "");
	runfile_keep(&f, p->conf, "fedc");
	assert_next_start_has(p->conf, "fedc");
	runfile_keep(&f, p->conf, "");
	assert_string_equal(f.kept, "");
	assert_string_equal(find_file(p, path), "");
	assert_next_start_has(p->conf, "");
}

static void test_file_that_cannot_be_believed(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"0123",
		"01 23\n",
		"01\n23\n",
		"\x1b[31m\n",
		"01234567890123456789012345678901234567890123456789012345678901234\n",
	};
	struct place *p = *state;
	char path[PATH_MAX], target[PATH_MAX + 8];
	struct runfile f;
	FILE *f_with_nul;

	runfile_init(&f, p->conf, NULL);
	runfile_keep(&f, p->conf, ID);
	runfile_deinit(&f);
	(void) find_file(p, path);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file(path, texts[i], 0600);
		assert_next_start_has(p->conf, "");
	}
	f_with_nul = fopen(path, "w");
	assert_non_null(f_with_nul);
	assert_int_equal(fwrite("01\0"
				"23\n",
				1, 6, f_with_nul),
			 6);
	assert_int_equal(fclose(f_with_nul), 0);
	assert_next_start_has(p->conf, "");
	write_file(path, ID "\n", 0600);
	assert_next_start_has(p->conf, ID);
	write_file(path, ID "\n", 0640);
	assert_next_start_has(p->conf, "");
	(void) snprintf(target, sizeof(target), "%s.target", p->folder);
	write_file(target, ID "\n", 0600);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_next_start_has(p->conf, "");
	assert_int_equal(unlink(target), 0);
}

static void test_all_works_without_a_folder(void **state)
{
	struct conf *confs[] = { new_conf(NULL, "host"), new_conf("/no/such/folder", "host"),
				 new_conf("/proc/self", "host") };
	struct runfile f;

	(void) state;
	for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		runfile_init(&f, confs[i], NULL);
		runfile_keep(&f, confs[i], ID);
		assert_string_equal(f.kept, "");
		runfile_keep(&f, confs[i], "");
		assert_string_equal(f.kept, "");
		confs[i] = conf_free(confs[i]);
	}
}

static void test_id_that_is_no_line_is_not_kept(void **state)
{
	struct place *p = *state;
	char path[PATH_MAX];
	struct runfile f;

	runfile_init(&f, p->conf, NULL);
	runfile_keep(&f, p->conf, "a\nb");
	assert_string_equal(f.kept, "");
	assert_string_equal(find_file(p, path), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_from_start_to_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_that_cannot_be_believed, set_up,
						tear_down),
		cmocka_unit_test(test_all_works_without_a_folder),
		cmocka_unit_test_setup_teardown(test_id_that_is_no_line_is_not_kept, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
