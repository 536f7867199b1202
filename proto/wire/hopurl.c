/* SPDX-License-Identifier: Apache-2.0 */
/* hopurl.c - the URL of a proxy to the server. Floor 1. */
#include "proto/wire/hopurl.h"

#include <string.h>
#include <strings.h>

#include "proto/base/secret.h"

#define HOPURL_PLACE 300	  /* "[v6]:port" or "name:port" */
#define HOPURL_SOCKS_PASSWORD 255 /* RFC 1929: its length is one byte */

static const struct {
	const char *prefix;
	enum hop_kind kind;
	const char *why; /* not NULL: refused, and why */
} schemes[] = {
	{ "http://", HOP_KIND_HTTP, NULL },
	{ "socks5://", HOP_KIND_SOCKS5, NULL },
	{ "socks5h://", HOP_KIND_SOCKS5, NULL }, /* curl's word for it: the proxy resolves names */
	{ "https://", HOP_KIND_HTTP,
	  "TLS to the proxy is not supported: use http:// (the tunnel has its own TLS inside)" },
	{ "ntlm://", HOP_KIND_HTTP, "NTLM is not supported: use http:// or socks5://" },
};

static int hopurl_set_kind(struct hopurl *u, const char **at, const char **ret_why)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (strncasecmp(*at, schemes[i].prefix, n) != 0)
			continue;
		*ret_why = schemes[i].why;
		*at += n;
		u->kind = schemes[i].kind;
		return schemes[i].why != NULL ? HOPURL_E_BAD : 0;
	}
	*ret_why = "it must begin with http:// or socks5://";
	return HOPURL_E_BAD;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) (c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode @in into the string @dst. False: a bad escape, a NUL byte, or too long. */
static bool hopurl_decode(struct span in, char *dst, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int c = in.p[i];

		if (c == '%') {
			int high = i + 2 < in.len ? digit_of((char) in.p[i + 1]) : -1;
			int low = high >= 0 ? digit_of((char) in.p[i + 2]) : -1;

			if (low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		if (c == '\0' || n + 1 >= cap)
			return false;
		dst[n++] = (char) c;
	}
	dst[n] = '\0';
	return true;
}

static int hopurl_set_user(struct hopurl *u, struct span info, const char **ret_why)
{
	const uint8_t *colon = info.len > 0 ? memchr(info.p, ':', info.len) : NULL;
	size_t n_user = colon != NULL ? (size_t) (colon - info.p) : info.len;
	struct span password = span_of(NULL, 0);

	if (colon != NULL)
		password = span_skip(info, n_user + 1);
	*ret_why = "its user or password is too long or has a bad %-escape";
	if (!hopurl_decode(span_head(info, n_user), u->user, sizeof(u->user)) ||
	    !hopurl_decode(password, u->password, sizeof(u->password)))
		return HOPURL_E_BAD;
	if (u->kind == HOP_KIND_SOCKS5 && strlen(u->password) > HOPURL_SOCKS_PASSWORD)
		return HOPURL_E_BAD;
	*ret_why = "it has a password, but no user";
	if (u->user[0] == '\0' && u->password[0] != '\0')
		return HOPURL_E_BAD;
	*ret_why = "its user has a colon, which a proxy would take for the password's start";
	if (u->kind == HOP_KIND_HTTP && strchr(u->user, ':') != NULL)
		return HOPURL_E_BAD;
	u->has_user = u->user[0] != '\0';
	return 0;
}

/* @at: behind the scheme. */
static int hopurl_read(struct hopurl *u, const char *at, const char **ret_why)
{
	size_t len = strcspn(at, "/?#");
	char place[HOPURL_PLACE];
	const char *sign = memrchr(at, '@', len);
	int r;

	*ret_why =
		"nothing may follow the port (a \"/\" or \"@\" in a password is written %2F, %40)";
	if (at[len] != '\0' && strcmp(at + len, "/") != 0)
		return HOPURL_E_BAD;
	if (sign != NULL) {
		r = hopurl_set_user(u, span_of(at, (size_t) (sign - at)), ret_why);
		if (r != 0)
			return r;
		len -= (size_t) (sign + 1 - at);
		at = sign + 1;
	}
	*ret_why = "host:port must follow";
	if (len >= sizeof(place))
		return HOPURL_E_BAD;
	memcpy(place, at, len);
	place[len] = '\0';
	return text_parse_hostport(place, /* default_port= */ 0, &u->at) == 0 ? 0 : HOPURL_E_BAD;
}

int hopurl_parse(const char *url, struct hopurl *ret_u, const char **ret_why)
{
	struct hopurl u = { .has_user = false };
	int r;

	r = hopurl_set_kind(&u, &url, ret_why);
	if (r == 0)
		r = hopurl_read(&u, url, ret_why);
	if (r == 0)
		*ret_u = u;
	hopurl_wipe(&u);
	return r;
}

void hopurl_wipe(struct hopurl *u)
{
	secret_wipe(u, sizeof(*u));
}
