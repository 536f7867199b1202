/* SPDX-License-Identifier: Apache-2.0 */
/* test_schema.c - no allocation that fails costs more than the configuration it was for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/conf/check.h"
#include "agent/conf/load.h"
#include "agent/front/env.h"
#include "tests/unit/failmalloc.h"

#define ENTRY_CAP 64

/* Each allocation of @load fails once; it must answer -ENOMEM, or have done without. */
static void fail_each(int (*load)(void *arg, struct problems *p, struct conf **ret_c), void *arg)
{
	size_t n_failed = 0;
	bool is_over = false;

	for (size_t i = 0; !is_over; i++) {
		struct problems p;
		struct conf *c = NULL;
		int r;

		problems_init(&p);
		failmalloc_at(i);
		r = load(arg, &p, &c);
		if (r == 0)
			r = conf_check(c, &p);
		is_over = !failmalloc_stop();
		n_failed += !is_over;
		assert_true(r == -ENOMEM || (r == 0 && c != NULL));
		if (is_over) {
			assert_int_equal(r, 0);
			assert_int_equal(p.n_lines, 1); /* the one that is made on purpose */
		} else if (r == 0) {
			assert_int_equal(p.n_lines, 1);
		}
		c = conf_free(c);
		problems_deinit(&p);
	}
	assert_true(n_failed >= 12);
}

static int load_env(void *arg, struct problems *p, struct conf **ret_c)
{
	char text[][ENTRY_CAP] = { "FRP_SERVER=frps",	   "SECRET_FRP_TOKEN=x",
				   "CLIENT_ID=0001",	   "MLTUNNEL_TLS_CA=system",
				   "MLTUNNEL_POC_PORT=no", "MLTUNNEL_TLS_SERVER_NAME=y" };
	char *envp[] = { text[0], text[1], text[2], text[3], text[4], text[5], NULL };

	(void) arg;
	return env_load(envp, p, ret_c);
}

static int load_ini(void *arg, struct problems *p, struct conf **ret_c)
{
	static const struct load_options options = { 0 };

	return load_file(arg, &options, p, p, ret_c);
}

static void test_each_allocation_of_the_environment_fails(void **state)
{
	(void) state;
	fail_each(load_env, NULL);
}

static void test_each_allocation_of_a_file_fails(void **state)
{
	static const char text[] =
		"[common]\nserver_addr = frps\ntoken = t\nuser = u\npool_count = x\n"
		"[a]\nlocal_port = 1\n[b]\nlocal_ip = box\nlocal_port = 2\n";
	char path[] = "/tmp/test_schema.XXXXXX";
	int fd = mkstemp(path);

	(void) state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(close(fd), 0);
	fail_each(load_ini, path);
	assert_int_equal(unlink(path), 0);
}

static void test_too_many_proxies_and_too_long_names(void **state)
{
	struct conf *c = conf_new();
	struct conf_proxy *proxy;
	struct problems p;
	char name[600];

	(void) state;
	assert_non_null(c);
	c->source = strdup("test");
	c->user = strdup("user");
	problems_init(&p);
	memset(name, 'n', sizeof(name));
	name[507] = '\0';
	assert_int_equal(conf_add_proxy(c, name, &proxy), 0);
	assert_int_equal(conf_check(c, &p), 0);
	assert_int_equal(p.n_lines, 0); /* "user." and 507 are 512 */
	name[507] = 'n';
	name[508] = '\0';
	assert_int_equal(conf_add_proxy(c, name, &proxy), 0);
	assert_int_equal(conf_check(c, &p), 0);
	assert_int_equal(p.n_lines, 1);
	for (unsigned i = 0; i < 4095; i++) {
		(void) snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(conf_add_proxy(c, name, &proxy), 0);
	}
	assert_int_equal(conf_check(c, &p), 0);
	assert_int_equal(p.n_lines, 3); /* the name again, and the number */
	problems_deinit(&p);
	c = conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_of_the_environment_fails),
		cmocka_unit_test(test_each_allocation_of_a_file_fails),
		cmocka_unit_test(test_too_many_proxies_and_too_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
