/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - the token of the next login: as configured, from a file, or what a program prints.
 * Floor 5. */
#pragma once
#include <stdint.h>

struct conf;
struct loop;
struct token_fetch;

struct token_result {
	char *token; /* a secret, now the callee's: secret_free() it. NULL: there is none */
	/* then, for the log; valid in the call; never what a program has printed */
	const char *words, *error, *remedy;
};
typedef void token_fn(void *arg, const struct token_result *r);

/* Fetch it, anew each time: @conf->token_file is read, or @conf->token_exec is run (see token.c),
 * or
 * @conf->token is copied. The result always comes from the loop, exactly once, at @deadline_ms
 * (absolute) at the latest, unless cancelled; @on_done is called last: the fetch is gone then.
 * 0, -ENOMEM. */
int token_fetch(struct loop *l, const struct conf *conf, uint64_t deadline_ms, token_fn *on_done,
		void *arg, struct token_fetch **ret_f);
/* No result will come; a program that runs is killed. NULL is fine; returns NULL. */
struct token_fetch *token_cancel(struct token_fetch *f);
