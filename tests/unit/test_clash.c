/* SPDX-License-Identifier: Apache-2.0 */
/* test_clash.c - the sorted search for clashes finds what comparing all with all finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf/clash.h"
#include "proto/base/jitter.h"

#define N_MAX 12

static char source[] = "test";

/* Each with each before it, in the order of the file. */
static bool is_port_clash(const struct conf_proxy *a, const struct conf_proxy *b)
{
	return a->remote_port != 0 && a->remote_port == b->remote_port && a->kind == b->kind &&
	       (a->group == NULL || b->group == NULL || strcmp(a->group, b->group) != 0);
}

static void tell_first(const struct conf *c, size_t i, char *dst, size_t cap)
{
	const struct conf_proxy *mine = &c->proxies[i];
	size_t len = strlen(dst);

	for (size_t j = 0; j < i; j++) {
		const struct conf_proxy *other = &c->proxies[j];

		if (strcmp(mine->name, other->name) == 0) {
			(void) snprintf(dst + len, cap - len,
					"test: a proxy called \"%s\" is there already\n",
					mine->name);
			return;
		}
		if (is_port_clash(mine, other)) {
			(void) snprintf(
				dst + len, cap - len,
				"test: the proxies \"%s\" and \"%s\" both ask for remote port %u\n",
				other->name, mine->name, mine->remote_port);
			return;
		}
	}
}

static void test_proxies(void **state)
{
	static char names[16][2], one[] = "one", two[] = "two";
	static char *const groups[] = { NULL, NULL, one, one, two };
	uint64_t rng = 1;
	size_t n_clashes = 0;

	(void) state;
	for (int i = 0; i < 16; i++)
		names[i][0] = (char) ('a' + i);
	for (int round = 0; round < 5000; round++) {
		struct conf_proxy proxies[N_MAX];
		struct conf c = { .source = source, .proxies = proxies };
		struct problems p;
		char want[4096] = "";

		c.n_proxies = jitter_between(&rng, 0, N_MAX);
		for (size_t i = 0; i < c.n_proxies; i++) {
			proxies[i] = (struct conf_proxy){
				.name = names[jitter_between(&rng, 0, 15)],
				.kind = jitter_between(&rng, 0, 3) == 0 ? CONF_TYPE_UDP
									: CONF_TYPE_TCP,
				.remote_port = (uint16_t) jitter_between(&rng, 0, 3),
				.group = groups[jitter_between(&rng, 0, 4)],
			};
			tell_first(&c, i, want, sizeof(want));
		}
		problems_init(&p);
		assert_int_equal(clash_check(&c, &p), 0);
		assert_int_equal(buf_len(&p.text), strlen(want));
		assert_memory_equal(buf_span(&p.text).p, want, strlen(want));
		n_clashes += p.n_lines;
		problems_deinit(&p);
	}
	assert_in_range(n_clashes, 5000, 5000 * N_MAX);
}

static void test_visitors(void **state)
{
	static const char want[] = "test: a visitor called \"b\" is there already\n"
				   "line 4: a visitor called \"a\" is there already\n"
				   "test: a visitor called \"b\" is there already\n";
	char a[] = "a", b[] = "b", other[] = "c", place[] = "line 4";
	struct conf_visitor visitors[] = {
		{ .name = b },	   { .name = a }, { .name = b }, { .name = a, .place = place },
		{ .name = other }, { .name = b },
	};
	struct conf c = { .source = source, .visitors = visitors, .n_visitors = 6 };
	struct problems p;

	(void) state;
	problems_init(&p);
	assert_int_equal(clash_check(&c, &p), 0);
	assert_int_equal(buf_len(&p.text), strlen(want));
	assert_memory_equal(buf_span(&p.text).p, want, strlen(want));
	problems_deinit(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_visitors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
