/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_msg.c - the JSON of a message; the first byte is its v1 type. What we accept, jansson
 * accepts as well (but for what Go forgives), and what was decoded survives being written and read
 * again. */
#include "proto/base/text.h"
#include "proto/wire/jtext.h"
#include "proto/wire/msg.h"
#include "tests/fuzz/fuzz.h"

/* Where neither forgiveness nor Go's limits come into play, both readers agree. */
static void check_against_jansson(struct span body)
{
	const char *why = NULL;
	json_t *ours = NULL, *theirs;
	json_error_t e;
	int r;

	r = jtext_parse(body, &ours, &why);
	MUST(r == 0 || (r == JTEXT_E_BAD && why != NULL));
	theirs = json_loadb((const char *) body.p, body.len, JSON_ALLOW_NUL, &e);
	if (r == 0 && theirs == NULL)
		MUST(!text_is_utf8(body) || json_error_code(&e) != json_error_invalid_syntax ||
		     memmem(body.p, body.len, "\\u", 2) != NULL);
	/* jansson skips a NUL byte behind a number. */
	if (r != 0 && theirs != NULL)
		MUST(!json_is_object(theirs) || strcmp(why, "nested too deeply") == 0 ||
		     memchr(body.p, '\0', body.len) != NULL);
	json_decref(ours);
	json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = span_of(data, size);
	enum msg_type type = msg_type_of_byte(fuzz_take_byte(&body));
	struct buf out, out2;
	const char *why = NULL;
	struct msg m, m2;

	if (type == MSG_NONE)
		return 0;
	if (body.len > 0)
		check_against_jansson(body);
	if (msg_decode(type, body, &m, &why) != 0) {
		MUST(why != NULL);
		return 0;
	}
	buf_init(&out, 8 * size + 100);
	buf_init(&out2, 8 * size + 100);
	MUST(msg_encode(&m, &out) == 0);
	MUST(text_is_utf8(buf_span(&out)));
	MUST(msg_decode(type, buf_span(&out), &m2, &why) == 0);
	MUST(msg_encode(&m2, &out2) == 0);
	fuzz_must_be_equal(buf_span(&out), buf_span(&out2));
	msg_deinit(&m);
	msg_deinit(&m2);
	buf_deinit(&out);
	buf_deinit(&out2);
	return 0;
}
