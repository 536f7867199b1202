/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what only the whole configuration can show, and what follows from it. Floor 4. */
#include "agent/conf/check.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "proto/base/text.h"

#define CHECK_QUOTE 160 /* room for a quoted name; longer ones are cut */

static int check_set_wire_name(struct conf_proxy *proxy, const char *user)
{
	size_t cap = strlen(proxy->name) + (user != NULL ? strlen(user) + 1 : 0) + 1;
	char *name = malloc(cap);

	if (name == NULL)
		return -ENOMEM;
	(void) snprintf(name, cap, "%s%s%s", user != NULL ? user : "", user != NULL ? "." : "",
			proxy->name);
	free(proxy->wire_name);
	proxy->wire_name = name;
	proxy->msg = (struct msg_new_proxy){
		.name = proxy->wire_name,
		.type = proxy->type,
		.remote_port = proxy->remote_port,
	};
	return 0;
}

/* A server gives a port to one proxy only; 0 asks for any. */
static void check_ports(const struct conf *c, struct problems *p)
{
	char a[CHECK_QUOTE], b[CHECK_QUOTE];

	for (size_t i = 1; i < c->n_proxies; i++) {
		const struct conf_proxy *mine = &c->proxies[i];

		for (size_t j = 0; j < i && mine->remote_port != 0; j++) {
			const struct conf_proxy *other = &c->proxies[j];

			if (mine->remote_port != other->remote_port)
				continue;
			problems_add(
				p, "%s: the proxies \"%s\" and \"%s\" both ask for remote port %u",
				c->source, text_escape(span_str(other->name), a, sizeof(a)),
				text_escape(span_str(mine->name), b, sizeof(b)), mine->remote_port);
			break;
		}
	}
}

static bool is_loopback(const char *addr)
{
	return addr == NULL || strcmp(addr, "localhost") == 0 || strcmp(addr, "::1") == 0 ||
	       (text_is_ip(addr) && strncmp(addr, "127.", 4) == 0);
}

/* Who reaches the admin API reads the token and writes the configuration. */
static void check_web(const struct conf *c, struct problems *p)
{
	char quote[CHECK_QUOTE];
	const char *addr = c->web.addr;

	if (c->web.port == 0)
		return;
	if (!is_loopback(addr) && !text_is_ip(addr))
		problems_add(p,
			     "%s: the address of the admin API, \"%s\", is not a numeric address",
			     c->source, text_escape(span_str(addr), quote, sizeof(quote)));
	else if (!is_loopback(addr) && (c->web.password == NULL || c->web.password[0] == '\0'))
		problems_add(
			p,
			"%s: the admin API at \"%s\" would be open to other machines: give it a "
			"password, or 127.0.0.1 as its address",
			c->source, text_escape(span_str(addr), quote, sizeof(quote)));
}

int conf_check(struct conf *c, struct problems *p)
{
	char quote[CHECK_QUOTE];
	int r;

	if ((c->tls.cert_file == NULL) != (c->tls.key_file == NULL))
		problems_add(
			p,
			"%s: a client certificate needs its file and the file of its key; only one of them is given",
			c->source);
	check_web(c, p);
	if (c->n_proxies > LIMIT_PROXIES)
		problems_add(p, "%s: %zu proxies; one agent takes at most %d", c->source,
			     c->n_proxies, LIMIT_PROXIES);
	else
		check_ports(c, p);
	for (size_t i = 0; i < c->n_proxies; i++) {
		struct conf_proxy *proxy = &c->proxies[i];

		r = check_set_wire_name(proxy, c->user);
		if (r < 0)
			return r;
		if (strlen(proxy->wire_name) > LIMIT_NAME)
			problems_add(
				p,
				"%s: the proxy name \"%s\" is longer than %d bytes, user name included",
				c->source,
				text_escape(span_str(proxy->wire_name), quote, sizeof(quote)),
				LIMIT_NAME);
	}
	return 0;
}
