/* SPDX-License-Identifier: Apache-2.0 */
/* hopurl.h - the URL of a proxy to the server: "http://user:password@host:port", "socks5://...".
 * Floor 1. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/text.h"

enum hop_kind { HOP_KIND_HTTP, HOP_KIND_SOCKS5 };

struct hopurl {
	enum hop_kind kind;
	struct text_hostport at; /* where it listens */
	bool has_user;
	char user[256];	     /* RFC 1929: at most 255 bytes */
	char password[1024]; /* a secret; of SOCKS5 at most 255 bytes, of HTTP tokens of any kind */
};

/* Read @url; user and password are percent-decoded, a port must be given, nothing may follow it but
 * "/". 0, or HOPURL_E_BAD: *ret_why is a static text for a person, without anything of the URL. */
enum { HOPURL_E_BAD = 1 };
int hopurl_parse(const char *url, struct hopurl *ret_u, const char **ret_why);
void hopurl_wipe(struct hopurl *u);
