/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - the templates of frp's files, {{ ... }}, before any format is looked at. Floor 4.
 *
 * Of Go's text/template what frp documents: {{ .Envs.NAME }} (a variable that is not set is an
 * error), {{ range $i, $v := parseNumberRange "1-3,5" }}, the same with parseNumberRangePair and
 * two arguments, the elements {{ $v }}, {{ $v.First }}, {{ $v.Second }}, the index {{ $i }}, {{ end
 * }}, comments, and the trim markers. Everything else is an error that quotes the action. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "agent/conf/problems.h"

struct template_out {
	char *text; /* terminated; may hold secrets */
	size_t len;
	/* Line i of the text (from 0) is this line of the file; NULL: nothing was replaced. */
	unsigned *lines;
	size_t n_lines;
};

/* Replace what is in @text, a file called @name (escaped), of variables in @envp. What is wrong
 * goes to @p, one line each. 0 (also with problems: @ret_out is set anyway) or -ENOMEM. */
int template_run(const char *name, const char *text, size_t len, char *const *envp,
		 struct problems *p, struct template_out *ret_out);
void template_out_deinit(struct template_out *out); /* wipes */
/* The line of the file that line @line of the text comes from; *ret_is_same: its columns are the
 * file's as well. */
unsigned template_line(const struct template_out *out, unsigned line, bool *ret_is_same);

/* Numbers as frp writes them, "1-3,5": at most @cap. 0, or TEMPLATE_E_BAD. */
enum { TEMPLATE_E_BAD = 1 };
int template_numbers(const char *s, size_t len, unsigned *numbers, size_t cap, size_t *ret_n);
