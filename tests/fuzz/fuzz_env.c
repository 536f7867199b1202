/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_env.c - the environment of the agent, one variable a line: the token is gone from it
 * afterwards, and what is wrong is told in lines that a terminal may be trusted with. */
#include "agent/conf/check.h"
#include "agent/front/env.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"
#include "tests/fuzz/nofiles.h"

#define VARIABLES_MAX 64
#define TOKEN_NAME "SECRET_FRP_TOKEN="

static void check_token_is_gone(char *const *envp)
{
	for (; *envp != NULL; envp++)
		MUST(strncmp(*envp, TOKEN_NAME, strlen(TOKEN_NAME)) != 0);
}

static void load(char **envp)
{
	struct conf *c = NULL;
	struct problems p;

	problems_init(&p);
	MUST(env_load(envp, &p, &c) == 0 && c != NULL);
	MUST(conf_check(c, &p) == 0);
	fuzz_check_lines(&p);
	check_token_is_gone(envp);
	c = conf_free(c);
	problems_deinit(&p);
}

static void apply(char **envp)
{
	struct conf *c = conf_new();
	struct problems p;

	MUST(c != NULL);
	problems_init(&p);
	MUST(env_apply(envp, &p, c) == 0);
	fuzz_check_lines(&p);
	check_token_is_gone(envp);
	c = conf_free(c);
	problems_deinit(&p);
}

/* Variables are wiped where they stand. */
static void with_env(struct span in, void (*run)(char **envp))
{
	char *envp[VARIABLES_MAX + 1] = { NULL }, **copy, *text, *at;
	size_t n = 0;

	text = text_dup((const char *) in.p, in.len);
	MUST(text != NULL);
	for (at = text; n < VARIABLES_MAX && *at != '\0'; n++) {
		envp[n] = at;
		at += strcspn(at, "\n");
		if (*at == '\n')
			*at++ = '\0';
	}
	copy = env_copy(envp);
	MUST(copy != NULL);
	run(envp);
	for (size_t i = 0; i < n; i++)
		MUST(copy[i] != NULL);
	env_copy_free(copy);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 4096)
		return 0;
	nofiles_is_on = true;
	with_env(span_of(data, size), apply);
	with_env(span_of(data, size), load);
	nofiles_is_on = false;
	return 0;
}
