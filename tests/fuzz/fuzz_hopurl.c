/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hopurl.c - the URL of a proxy: what is accepted, written with all of its user and password
 * percent-encoded, means the same. */
#include <stdarg.h>
#include <stdio.h>

#include "proto/wire/hopurl.h"
#include "tests/fuzz/fuzz.h"

#define PLAIN_MAX 5000 /* three digits for each byte of the longest user and password */

__attribute__((format(printf, 2, 3))) static void put(char *dst, const char *format, ...)
{
	size_t len = strlen(dst);
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(dst + len, PLAIN_MAX - len, format, args);
	va_end(args);
	MUST(n >= 0 && (size_t) n < PLAIN_MAX - len);
}

static void put_encoded(char *dst, const char *s)
{
	for (; *s != '\0'; s++)
		put(dst, "%%%02x", (unsigned) (uint8_t) *s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char plain[PLAIN_MAX] = "", *url;
	struct hopurl u, again;
	const char *why = NULL;

	url = text_dup((const char *) data, size);
	MUST(url != NULL);
	if (hopurl_parse(url, &u, &why) != 0) {
		MUST(why != NULL);
		free(url);
		return 0;
	}
	MUST(u.at.port != 0 && u.at.host[0] != '\0' && (u.has_user || u.user[0] == '\0'));
	put(plain, "%s://", u.kind == HOP_KIND_HTTP ? "http" : "socks5");
	if (u.has_user) {
		put_encoded(plain, u.user);
		put(plain, ":");
		put_encoded(plain, u.password);
		put(plain, "@");
	}
	put(plain, strchr(u.at.host, ':') != NULL ? "[%s]:%u" : "%s:%u", u.at.host,
	    (unsigned) u.at.port);
	MUST(hopurl_parse(plain, &again, &why) == 0);
	MUST(again.kind == u.kind && again.has_user == u.has_user && again.at.port == u.at.port);
	MUST(strcmp(again.user, u.user) == 0 && strcmp(again.password, u.password) == 0);
	MUST(strcmp(again.at.host, u.at.host) == 0);
	hopurl_wipe(&u);
	hopurl_wipe(&again);
	free(url);
	return 0;
}
