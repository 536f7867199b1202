/* SPDX-License-Identifier: Apache-2.0 */
/* test_template.c - the templates of frp's files: what they become, and ranges of numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf/template.h"
#include "tests/unit/failmalloc.h"

struct example {
	const char *text, *want;
};

/* As Go's text/template renders them. */
static const struct example examples[] = {
	{ "no action } { }}", "no action } { }}" },
	{ "a {{ .Envs.A }} b", "a one b" },
	{ "{{.Envs.A}}{{.Envs.EMPTY}}{{.Envs.B}}", "onetwo" },
	{ "a \n\t{{- .Envs.A -}} \n\n b", "aoneb" },
	{ "a {{/* a }} comment */}} b", "a  b" },
	{ "a {{- /* x */ -}} b", "ab" },
	{ "{{ range $i, $v := parseNumberRange \"5-7,9\" }}{{ $i }}={{ $v }} {{ end }}.",
	  "0=5 1=6 2=7 3=9 ." },
	{ "{{ range $v := parseNumberRange ` 5 - 6 , 8 ` }}<{{ $v }}>{{ end }}", "<5><6><8>" },
	{ "{{- range $_, $v := parseNumberRangePair \"1-2\" \"8,10\" }}\n{{ $v.First }}:{{ $v.Second }}\n{{- end }}\nx",
	  "\n1:8\n2:10\nx" },
	{ "{{ range parseNumberRange \"1-3\" }}x{{ end }}", "xxx" },
	{ "{{ range $a := parseNumberRange \"1-2\" }}{{ range $b := parseNumberRange \"3-4\" }}{{ $a }}{{ $b }} {{ end -}} | {{ end }}",
	  "13 14 | 23 24 | " },
	{ "{{ range $v := parseNumberRange .Envs.PORTS }}{{ $v }},{{ end }}", "7,8," },
	{ "{{ range $v := parseNumberRange \"1-2\" }}{{ range $v := parseNumberRange \"3\" }}{{ $v }}{{ end }}{{ $v }}{{ end }}",
	  "3132" },
};

static char env_a[] = "A=one", env_b[] = "B=two", env_empty[] = "EMPTY=", env_ports[] = "PORTS=7-8",
	    env_near[] = "AB=wrong";
static char *const envp[] = { env_near, env_a, env_b, env_empty, env_ports, NULL };

static void test_examples(void **state)
{
	(void) state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct template_out out;
		struct problems p;

		problems_init(&p);
		assert_int_equal(template_run("f", examples[i].text, strlen(examples[i].text), envp,
					      &p, &out),
				 0);
		assert_int_equal(p.n_lines, 0);
		assert_string_equal(out.text, examples[i].want);
		assert_int_equal(out.len, strlen(examples[i].want));
		template_out_deinit(&out);
		problems_deinit(&p);
	}
}

static void test_lines_lead_back_to_the_file(void **state)
{
	static const char text[] =
		"1\n{{ range $v := parseNumberRange \"1-2\" }}\n3\n{{ $v }}\n{{- end }}\n6\n";
	static const unsigned want[] = { 1, 2, 3, 4, 3, 4, 6, 7 };
	struct template_out out;
	struct problems p;
	bool is_same;

	(void) state;
	problems_init(&p);
	assert_int_equal(template_run("f", text, strlen(text), envp, &p, &out), 0);
	assert_string_equal(out.text, "1\n\n3\n1\n3\n2\n6\n");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		unsigned line = template_line(&out, i + 1, &is_same);

		assert_int_equal(line, want[i]);
		assert_int_equal(is_same, want[i] != 2 && want[i] != 4);
	}
	template_out_deinit(&out);
	problems_deinit(&p);
}

static void test_output_is_bounded(void **state)
{
	static const char *const texts[] = {
		"{{ range parseNumberRange \"1-60000\" }}01234567890123456789{{ end }}",
		"{{ range parseNumberRange \"1-60000\" }}{{ range parseNumberRange \"1-60000\" }}{{ end }}{{ end }}",
		"{{ range parseNumberRange \"1-65537\" }}{{ end }}",
		"{{ range parseNumberRange \"1-99999999999999999999\" }}{{ end }}",
	};
	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct template_out out;
		struct problems p;

		problems_init(&p);
		assert_int_equal(template_run("f", texts[i], strlen(texts[i]), envp, &p, &out), 0);
		assert_int_equal(p.n_lines, 1);
		assert_true(out.len <= 1024 * 1024);
		template_out_deinit(&out);
		problems_deinit(&p);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "",	",",   "1,",  ",1",  "1-",	   "-1",  "1-2-3",
					   "a", "1 2", "2-1", "1;2", "4294967296", "1-11" };
	unsigned n[10];
	size_t count = 77;

	(void) state;
	assert_int_equal(template_numbers("1-3, 7", 6, n, 10, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(n[3], 7);
	assert_int_equal(template_numbers("1-10", 4, n, 10, &count), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		count = 77;
		assert_int_equal(template_numbers(bad[i], strlen(bad[i]), n, 10, &count),
				 TEMPLATE_E_BAD);
		assert_int_equal(count, 77);
	}
}

static void test_each_allocation_fails(void **state)
{
	static const char text[] =
		"{{ range $v := parseNumberRangePair \"1-2\" \"3-4\" }}{{ $v.First }}\n{{ end }}{{ .Envs.A }}";
	bool is_over = false;

	(void) state;
	for (size_t i = 0; !is_over; i++) {
		struct template_out out;
		struct problems p;
		int r;

		problems_init(&p);
		failmalloc_at(i);
		r = template_run("f", text, strlen(text), envp, &p, &out);
		is_over = !failmalloc_stop();
		assert_int_equal(r, is_over ? 0 : -ENOMEM);
		if (r == 0)
			template_out_deinit(&out);
		problems_deinit(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_lines_lead_back_to_the_file),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
