/* SPDX-License-Identifier: Apache-2.0 */
/* key.c - one setting by name: how it is parsed, where it goes, what to say when it is wrong.
 * Floor 4. */
#include "agent/conf/key.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "proto/base/err.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define KEY_QUOTE 256 /* room for a quoted value; longer ones are cut */
#define KEY_NAME 64   /* characters of a name that count for its neighbours */

int key_store(char **at, const char *value)
{
	char *copy = NULL;

	if (value != NULL) {
		copy = text_dup(value, strlen(value));
		if (copy == NULL)
			return -ENOMEM;
	}
	*at = secret_free(*at);
	*at = copy;
	return 0;
}

static bool key_is_printable(const char *value)
{
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			return false;
	return text_is_utf8(span_str(value));
}

int key_text(const struct key *k, void *at, const char *value)
{
	(void) k;
	if (!key_is_printable(value))
		return KEY_E_BAD;
	return key_store(at, *value != '\0' ? value : NULL);
}

int key_token(const struct key *k, void *at, const char *value)
{
	(void) k;
	return key_store(at, value);
}

int key_host(const struct key *k, void *at, const char *value)
{
	struct text_hostport hp;

	(void) k;
	if (text_is_ip(value))
		return key_store(at, value);
	if (*value == '[' ? value[strlen(value) - 1] != ']' : strchr(value, ':') != NULL)
		return KEY_E_BAD; /* it has a port */
	if (text_parse_hostport(value, /* default_port= */ 1, &hp) != 0)
		return KEY_E_BAD;
	return key_store(at, hp.host);
}

int key_file(const struct key *k, void *at, const char *value)
{
	struct stat st;

	(void) k;
	if (stat(value, &st) != 0 || S_ISDIR(st.st_mode) || access(value, R_OK) != 0)
		return KEY_E_BAD;
	return key_store(at, value);
}

int key_log_file(const struct key *k, void *at, const char *value)
{
	bool is_console = value[0] == '\0' || strcmp(value, "console") == 0;
	bool is_folder = !is_console && value[strlen(value) - 1] == '/';

	(void) k;
	return is_folder ? KEY_E_BAD : key_store(at, is_console ? NULL : value);
}

int key_pin(const struct key *k, void *at, const char *value)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char prefix[] = "sha256/";
	size_t n_prefix = sizeof(prefix) - 1;
	bool is_pin;

	(void) k;
	/* 32 bytes are 43 characters and one "=" */
	if (strncmp(value, prefix, n_prefix) == 0)
		is_pin = strspn(value + n_prefix, base64) == 43 &&
			 strcmp(value + n_prefix + 43, "=") == 0;
	else
		is_pin = strlen(value) == 64 && strspn(value, hex) == 64;
	return is_pin ? key_store(at, value) : KEY_E_BAD;
}

int key_bool(const struct key *k, void *at, const char *value)
{
	(void) k;
	return text_parse_bool(value, at) != 0 ? KEY_E_BAD : 0;
}

int key_not(const struct key *k, void *at, const char *value)
{
	bool *place = at, is_on;

	(void) k;
	if (text_parse_bool(value, &is_on) != 0)
		return KEY_E_BAD;
	*place = !is_on;
	return 0;
}

int key_port(const struct key *k, void *at, const char *value)
{
	uint16_t *place = at;
	uint64_t port;

	if (text_parse_u64(value, k->max > 0 ? k->min : 1, UINT16_MAX, &port) != 0)
		return KEY_E_BAD;
	*place = (uint16_t) port;
	return 0;
}

int key_count(const struct key *k, void *at, const char *value)
{
	unsigned *place = at;
	uint64_t v;

	if (text_parse_u64(value, k->min, k->max, &v) != 0)
		return KEY_E_BAD;
	*place = (unsigned) v;
	return 0;
}

int key_wait(const struct key *k, void *at, const char *value)
{
	return text_parse_duration(value, k->max, at) != 0 ? KEY_E_BAD : 0;
}

int key_beat(const struct key *k, void *at, const char *value)
{
	bool is_never = value[0] == '-'; /* any negative number, as in frp */
	uint64_t *place = at, seconds;

	if (text_parse_u64(value + is_never, k->min, is_never ? INT64_MAX : k->max, &seconds) != 0)
		return KEY_E_BAD;
	*place = is_never ? UINT64_MAX : seconds * 1000;
	return 0;
}

int key_level(const struct key *k, void *at, const char *value)
{
	enum log_level level;
	int *place = at;

	(void) k;
	if (log_level_of_name(value, &level) != 0)
		return KEY_E_BAD;
	*place = (int) level;
	return 0;
}

int key_format(const struct key *k, void *at, const char *value)
{
	int *place = at;

	(void) k;
	if (strcmp(value, "text") == 0)
		*place = LOG_FORMAT_TEXT;
	else if (strcmp(value, "json") == 0)
		*place = LOG_FORMAT_JSON;
	else
		return KEY_E_BAD;
	return 0;
}

int key_any(const struct key *k, void *at, const char *value)
{
	(void) k;
	(void) at;
	(void) value;
	return 0;
}

int key_true(const struct key *k, void *at, const char *value)
{
	bool is_on;

	(void) k;
	(void) at;
	return text_parse_bool(value, &is_on) == 0 && is_on ? 0 : KEY_E_BAD;
}

int key_false(const struct key *k, void *at, const char *value)
{
	bool is_on;

	(void) k;
	(void) at;
	return text_parse_bool(value, &is_on) == 0 && !is_on ? 0 : KEY_E_BAD;
}

int key_any_bool(const struct key *k, void *at, const char *value)
{
	bool is_on;

	(void) k;
	(void) at;
	return text_parse_bool(value, &is_on) == 0 ? 0 : KEY_E_BAD;
}

int key_range(const struct key *k, void *at, const char *value)
{
	uint64_t v;

	(void) at;
	return text_parse_u64(value, k->min, k->max, &v) == 0 ? 0 : KEY_E_BAD;
}

int key_words(const struct key *k, void *at, const char *value)
{
	size_t len = strlen(value), n;

	(void) at;
	for (const char *word = k->words;; word += n + 1) {
		n = strcspn(word, "|");
		if (n == len && memcmp(word, value, n) == 0)
			return 0;
		if (word[n] == '\0')
			return KEY_E_BAD;
	}
}

int key_apply(const struct key *k, void *object, const char *place, const char *value,
	      struct problems *p)
{
	char quote[KEY_QUOTE];
	int r;

	if (k->set == NULL) {
		problems_add(p, "%s: %s", place,
			     k->right != NULL ? k->right : "not supported by this version");
		return 0;
	}
	/* a key that only accepts has no object */
	r = k->set(k, object != NULL ? (char *) object + k->at : NULL, value);
	if (r > 0 && k->is_secret)
		problems_add(p, "%s: its value (not shown) is not %s", place, k->right);
	else if (r > 0)
		problems_add(p, "%s: \"%s\" is not %s", place,
			     text_escape(span_str(value), quote, sizeof(quote)), k->right);
	return r < 0 ? r : 0;
}

const struct key *key_find(const struct key *keys, size_t n_keys, const char *name)
{
	for (size_t i = 0; i < n_keys; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static size_t key_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance: insertions, deletions and replacements that make @b of @a. */
static size_t key_count_edits(const char *a, const char *b)
{
	size_t a_len = key_min(strlen(a), KEY_NAME), b_len = key_min(strlen(b), KEY_NAME);
	size_t row[KEY_NAME + 1]; /* of a[0..i] against each b[0..j] */

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = key_min(replaced, key_min(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

const char *key_nearest(const struct key *keys, size_t n_keys, const char *name,
			size_t *ret_n_edits)
{
	const char *best = NULL;
	size_t n_best = SIZE_MAX, n;

	for (size_t i = 0; i < n_keys; i++) {
		n = key_count_edits(name, keys[i].name);
		if (n < n_best) {
			n_best = n;
			best = keys[i].name;
		}
	}
	*ret_n_edits = n_best;
	return best;
}
