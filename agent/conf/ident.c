/* SPDX-License-Identifier: Apache-2.0 */
/* ident.c - which server and which proxies. Floor 4. */
#include "agent/conf/ident.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

static int compare_names(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return strcmp((const char *) x->p, (const char *) y->p);
}

int conf_ident(const struct conf *c, char ret_hex[static IDENT_CAP])
{
	uint8_t hash[PRIM_SHA256_LEN];
	struct span *parts = calloc(c->n_proxies + 2, sizeof(*parts));
	char port[8];
	int r;

	if (parts == NULL)
		return -ENOMEM;
	(void) snprintf(port, sizeof(port), "%u", c->server_port);
	/* Each with its NUL, so that "a" "bc" is not "ab" "c". */
	parts[0] = span_of(c->server_host, strlen(c->server_host) + 1);
	parts[1] = span_of(port, strlen(port) + 1);
	for (size_t i = 0; i < c->n_proxies; i++)
		parts[i + 2] = span_of(c->proxies[i].wire_name,
				       strlen(c->proxies[i].wire_name) + 1);
	qsort(parts + 2, c->n_proxies, sizeof(*parts), compare_names);
	r = prim_sha256(parts, c->n_proxies + 2, hash);
	free(parts);
	if (r == 0)
		text_hex(span_of(hash, sizeof(hash)), ret_hex, IDENT_CAP);
	return r;
}
