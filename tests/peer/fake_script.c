/* SPDX-License-Identifier: Apache-2.0 */
/* fake_script.c - the script's words. */
#include "tests/peer/fake_script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/text.h"

static const char *const stage_names[FAKE_N_STAGES] = {
	"tcp", "mux", "login", "up", "proxy", "work"
};

static const struct {
	const char *name;
	enum fake_act act;
	bool is_hex, has_arg;
} acts[] = {
	{ "answer", FAKE_ACT_ANSWER, false, false }, { "silent", FAKE_ACT_SILENT, false, false },
	{ "freeze", FAKE_ACT_FREEZE, false, false }, { "fin", FAKE_ACT_FIN, false, false },
	{ "rst", FAKE_ACT_RST, false, false },	     { "raw", FAKE_ACT_RAW, true, true },
	{ "bytes", FAKE_ACT_BYTES, true, true },     { "frame", FAKE_ACT_FRAME, false, true },
	{ "refuse", FAKE_ACT_REFUSE, false, true },
};

char *fake_word(char **text)
{
	char *word = *text + strspn(*text, " ");
	char *end = word + strcspn(word, " ");

	*text = end;
	if (*end != '\0') {
		*end = '\0';
		*text = end + 1;
	}
	return word;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int) (at - digits) : -1;
}

static int decode_hex(const char *text, uint8_t *dst, size_t *ret_len)
{
	size_t n = 0;

	for (; text[0] != '\0'; text += 2) {
		int high = hex_digit(text[0]), low = text[0] != '\0' ? hex_digit(text[1]) : -1;

		if (high < 0 || low < 0)
			return SCRIPT_E_BAD;
		dst[n++] = (uint8_t) (high * 16 + low);
	}
	*ret_len = n;
	return 0;
}

int fake_step_parse(const char *text, struct fake_step *ret_step)
{
	char *copy = strdup(text);
	char *rest = copy, *name;

	if (copy == NULL)
		return -ENOMEM;
	name = fake_word(&rest);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct fake_step s = { .act = acts[i].act };

		if (strcmp(acts[i].name, name) != 0)
			continue;
		if (acts[i].has_arg != (*rest != '\0'))
			return SCRIPT_E_BAD;
		if (s.act == FAKE_ACT_FRAME)
			s.type = (uint8_t) *fake_word(&rest);
		s.bytes = malloc(strlen(rest) + 1);
		if (s.bytes == NULL)
			return -ENOMEM;
		s.len = strlen(rest);
		memcpy(s.bytes, rest, s.len + 1);
		if (acts[i].is_hex && decode_hex(rest, s.bytes, &s.len) != 0) {
			free(s.bytes);
			return SCRIPT_E_BAD;
		}
		*ret_step = s;
		return 0;
	}
	return SCRIPT_E_BAD;
}

void fake_step_deinit(struct fake_step *s)
{
	free(s->bytes);
	*s = (struct fake_step){ 0 };
}

int fake_stage_of_name(const char *name, enum fake_stage *ret_stage)
{
	for (size_t i = 0; i < FAKE_N_STAGES; i++) {
		if (strcmp(stage_names[i], name) == 0) {
			*ret_stage = (enum fake_stage) i;
			return 0;
		}
	}
	return SCRIPT_E_BAD;
}

void fake_script_deinit(struct fake_script *s)
{
	for (size_t i = 0; i < FAKE_N_STAGES; i++)
		fake_step_deinit(&s->at[i]);
	free(s->proxy);
	s->proxy = NULL;
}
