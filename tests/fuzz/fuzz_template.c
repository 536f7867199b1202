/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_template.c - the templates of a file: what comes out is bounded, and each of its lines leads
 * back to one of the file. */
#include "agent/conf/node.h"
#include "agent/conf/template.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

#define NUMBERS_MAX 100

static void check_numbers(const char *text, size_t len)
{
	unsigned numbers[NUMBERS_MAX];
	size_t n = 0;

	if (template_numbers(text, len, numbers, NUMBERS_MAX, &n) == 0)
		MUST(n >= 1 && n <= NUMBERS_MAX);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 1;

	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "NAME=value", empty[] = "EMPTY=", lines[] = "LINES=a\nb";
	static char *const env[] = { name, empty, lines, NULL };
	struct template_out out;
	struct problems p;
	bool is_same;
	char *text;

	if (size > 1024 || memchr(data, '\0', size) != NULL)
		return 0; /* a file with NUL is refused before */
	text = text_dup((const char *) data, size);
	MUST(text != NULL);
	check_numbers(text, size);
	problems_init(&p);
	MUST(template_run("f", text, size, env, &p, &out) == 0);
	MUST(strlen(out.text) == out.len && out.len <= NODE_FILE_MAX);
	MUST(p.n_lines > 0 || strstr(text, "{{") != NULL || strcmp(text, out.text) == 0);
	fuzz_check_lines(&p);
	for (unsigned line = 1, n = count_lines(out.text); line <= n; line++) {
		unsigned of = template_line(&out, line, &is_same);

		MUST(of >= 1 && of <= count_lines(text));
	}
	template_out_deinit(&out);
	problems_deinit(&p);
	free(text);
	return 0;
}
