/* SPDX-License-Identifier: Apache-2.0 */
/* problems.c - what is wrong with a configuration, one line each. Floor 4. */
#include "agent/conf/problems.h"

#include <stdarg.h>
#include <stdio.h>

/* Bytes of text: a file of another format has a problem in each line. */
#define PROBLEMS_MAX (64 * 1024)
#define PROBLEMS_LINE 1024

void problems_init(struct problems *p)
{
	*p = (struct problems){ 0 };
	buf_init(&p->text, PROBLEMS_MAX);
}

void problems_deinit(struct problems *p)
{
	buf_deinit(&p->text);
	problems_init(p);
}

void problems_add(struct problems *p, const char *format, ...)
{
	char line[PROBLEMS_LINE];
	va_list args;
	int n;

	p->n_lines++;
	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n < 0 || (size_t) n > sizeof(line) - 2)
		n = (int) sizeof(line) - 2;
	line[n] = '\n';
	if (buf_add(&p->text, span_of(line, (size_t) n + 1)) != 0)
		p->n_dropped++;
}
