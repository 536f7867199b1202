/* SPDX-License-Identifier: Apache-2.0 */
/* ident.c - which server and which proxies, or visitors. Floor 4. */
#include "agent/conf/ident.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

#define IDENT_PORT 80 /* "stcp", the longest IPv6 address with a zone, a port */

static int compare_names(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return strcmp((const char *) x->p, (const char *) y->p);
}

/* Each part with its NUL, so that "a" "bc" is not "ab" "c". */
static struct span part_of(const char *text)
{
	return span_of(text, strlen(text) + 1);
}

/* What it publishes; or, when that is nothing, the ports of its visitors, which no other
 * can have. */
static size_t fill_parts(const struct conf *c, struct span *parts, char (*ports)[IDENT_PORT])
{
	if (c->n_proxies > 0) {
		for (size_t i = 0; i < c->n_proxies; i++)
			parts[i] = part_of(c->proxies[i].wire_name);
		qsort(parts, c->n_proxies, sizeof(*parts), compare_names);
		return c->n_proxies;
	}
	for (size_t i = 0; i < c->n_visitors; i++) {
		(void) snprintf(ports[i], IDENT_PORT, "%s %s %u", c->visitors[i].type,
				c->visitors[i].bind_host, (unsigned) c->visitors[i].bind_port);
		parts[i] = part_of(ports[i]);
	}
	qsort(parts, c->n_visitors, sizeof(*parts), compare_names);
	return c->n_visitors;
}

int conf_ident(const struct conf *c, char ret_hex[static IDENT_CAP])
{
	uint8_t hash[PRIM_SHA256_LEN];
	struct span *parts = calloc(c->n_proxies + c->n_visitors + 2, sizeof(*parts));
	char(*ports)[IDENT_PORT] = calloc(c->n_visitors + 1, sizeof(*ports));
	char port[8];
	int r = -ENOMEM;
	size_t n;

	if (parts != NULL && ports != NULL) {
		(void) snprintf(port, sizeof(port), "%u", c->server_port);
		parts[0] = part_of(c->server_host);
		parts[1] = part_of(port);
		n = 2 + fill_parts(c, parts + 2, ports);
		r = prim_sha256(parts, n, hash);
	}
	free(parts);
	free(ports);
	if (r == 0)
		text_hex(span_of(hash, sizeof(hash)), ret_hex, IDENT_CAP);
	return r;
}
