/* SPDX-License-Identifier: Apache-2.0 */
/* key.h - one setting by name: how it is parsed, where it goes, what to say when it is wrong.
 * Floor 4.
 *
 * A table of keys describes one kind of object (struct conf, struct conf_proxy); environment and
 * files differ in the names only. A message is "PLACE: "VALUE" is not RIGHT", so @right continues
 * such a sentence. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/conf/problems.h"

struct key;
/* Parse @value and store it at @at, the place in the object. 0, -ENOMEM or KEY_E_BAD (nothing
 * stored). */
typedef int key_set_fn(const struct key *k, void *at, const char *value);
enum { KEY_E_BAD = 1 };

/* What a value has to be in a file of a format with types. */
enum key_kind {
	KEY_STR,
	KEY_INT,
	KEY_BOOL,
	KEY_STRS,  /* a list of strings; set() takes each of them */
	KEY_PAIRS, /* a table of strings; set() is not called, the place is a struct conf_pairs */
	KEY_PAIR_LIST, /* the same as a list of tables with "name" and "value" */
};

struct key {
	const char *name;
	key_set_fn *set;   /* NULL: known, but refused whatever its value */
	size_t at;	   /* offset of the place in the object */
	const char *right; /* see above; of a refused key: the reason, or NULL for the usual one */
	uint64_t min, max; /* bounds, where set() has a use for them */
	const char *words; /* accepted words, "one|two", for key_words */
	/* of the keys of files */
	enum key_kind kind;
	bool is_secret; /* its value is in no message */
	unsigned types; /* of proxies that have it, 1 << enum conf_type; 0: all */
};
/* One row of a table; further members may follow. */
#define KEY(key_name, parser, place, what, ...)                                                  \
	{                                                                                        \
		.name = (key_name), .set = (parser), .at = (place), .right = (what), __VA_ARGS__ \
	}

/* Parsers. Types of the place: */
key_set_fn key_text;	   /* char *; printable UTF-8, may be empty (then NULL) */
key_set_fn key_token;	   /* char *; any bytes; the old one is wiped */
key_set_fn key_host;	   /* char *; DNS name or IP address, the latter perhaps in brackets; stored
			      without */
key_set_fn key_file;	   /* char *; a readable file */
key_set_fn key_log_file;   /* char *; a path, opened later; NULL for "console" and "" */
key_set_fn key_pin;	   /* char *; "sha256/BASE64" or 64 hex digits */
key_set_fn key_bool;	   /* bool */
key_set_fn key_not;	   /* bool; the opposite is stored */
key_set_fn key_port;	   /* uint16_t; 1-65535, or @min-65535 */
key_set_fn key_count;	   /* unsigned; min..max */
key_set_fn key_wait;	   /* uint64_t ms; a duration of at most @max ms */
key_set_fn key_beat;	   /* uint64_t ms; seconds min..max; negative: UINT64_MAX */
key_set_fn key_level;	   /* int; enum log_level */
key_set_fn key_format;	   /* int; enum log_format */
key_set_fn key_ip;	   /* char *; a numeric address */
key_set_fn key_dns;	   /* char *; a numeric address, perhaps with a port */
key_set_fn key_url;	   /* char *; http://, socks5:// or socks5h://, a secret */
key_set_fn key_size;	   /* size_t; min..max */
key_set_fn key_seconds;	   /* uint64_t ms; seconds min..max */
key_set_fn key_keepalive;  /* unsigned; seconds 1..max; negative: 0 */
key_set_fn key_wire;	   /* enum wire; v1 or v2 */
key_set_fn key_bandwidth;  /* struct conf_proxy; 10KB, 1.5MB */
key_set_fn key_limit_mode; /* struct conf_proxy; client or server */
key_set_fn key_proxy_protocol; /* unsigned; v1 or v2 */
key_set_fn key_health;	       /* enum conf_health_kind; tcp or http */
key_set_fn key_add;	       /* struct conf_strs; one more, as key_text and not empty */
key_set_fn key_any;	       /* nothing; whatever it is */
/* Keys without an effect here, accepted only where the value asks for nothing else: no place. */
key_set_fn key_true, key_false;
key_set_fn key_any_bool;
key_set_fn key_range; /* a number min..max */
key_set_fn key_words; /* one of @words; an empty word stands for an empty value */

/* Set @k in @object; what is wrong becomes a line that starts with @place. A value that is not
 * accepted is quoted, so a key with a secret has a parser that takes everything. 0 (also with a new
 * problem) or -ENOMEM. */
int key_apply(const struct key *k, void *object, const char *place, const char *value,
	      struct problems *p);

/* NULL when there is none. */
const struct key *key_find(const struct key *keys, size_t n_keys, const char *name);
/* The name in @keys that takes the fewest edits to come from @name; NULL for an empty table. */
const char *key_nearest(const struct key *keys, size_t n_keys, const char *name,
			size_t *ret_n_edits);

/* Replace the string at @at by a copy of @value, or by NULL. 0 or -ENOMEM. */
int key_store(char **at, const char *value);
