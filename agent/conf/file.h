/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - a small file as one string: configuration files and files with a secret inside.
 * Floor 4. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define FILE_WHY 96 /* room for a reason */

/* The whole of @path with a NUL behind it: wipe and free it (secret_free, when it has no NUL
 * inside). Blocks; opened close-on-exec. 0, -ENOMEM, or FILE_E_BAD: @why says what is wrong with
 * it, for a person, without the path. */
enum { FILE_E_BAD = 1 };
int file_read(const char *path, size_t max, bool want_regular, char **ret_text, size_t *ret_len,
	      char why[static FILE_WHY]);

/* The token in @text of @len bytes: what is there without white space around it, never empty. 0,
 * -ENOMEM, or FILE_E_BAD and @why; secret_free() the token. */
int file_token_of(const char *text, size_t len, char **ret_token, char why[static FILE_WHY]);
/* The token in the file @path, of at most LIMIT_TOKEN_OUT bytes, as file_token_of(); read it again
 * for a token that was changed. Returns as file_read(). */
int file_read_token(const char *path, char **ret_token, char why[static FILE_WHY]);
