/* SPDX-License-Identifier: Apache-2.0 */
/* clash.c - proxies and visitors are sorted, so that each is compared with its likes alone.
 * Floor 4. */
#include "agent/conf/clash.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/text.h"

#define CLASH_QUOTE 160 /* room for a quoted name; longer ones are cut */

struct clash_entry {
	const char *name;
	const struct conf_proxy *proxy; /* NULL: a visitor */
	size_t at;			/* its place in the configuration */
	size_t first;			/* that of the first it clashes with; SIZE_MAX: none */
};

static int clash_compare_places(const void *a, const void *b)
{
	const struct clash_entry *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static int clash_compare_names(const void *a, const void *b)
{
	const struct clash_entry *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : clash_compare_places(x, y);
}

static int clash_compare_ports(const void *a, const void *b)
{
	const struct clash_entry *x = a, *y = b;
	int r = (int) x->proxy->kind - (int) y->proxy->kind;

	if (r == 0)
		r = (int) x->proxy->remote_port - (int) y->proxy->remote_port;
	return r != 0 ? r : clash_compare_places(x, y);
}

/* A server gives a port to one proxy of a kind only, or to one group; 0 asks for any. */
static bool clash_is_port(const struct conf_proxy *a, const struct conf_proxy *b)
{
	return a->remote_port != 0 && a->remote_port == b->remote_port && a->kind == b->kind &&
	       (a->group == NULL || b->group == NULL || strcmp(a->group, b->group) != 0);
}

static void clash_note(struct clash_entry *late, const struct clash_entry *early)
{
	if (early->at < late->first)
		late->first = early->at;
}

static void clash_find_names(struct clash_entry *e, size_t n)
{
	size_t head = 0; /* of a run of one name */

	qsort(e, n, sizeof(*e), clash_compare_names);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(e[i].name, e[head].name) == 0)
			clash_note(&e[i], &e[head]);
		else
			head = i;
	}
}

/* In a run of one port each clashes with the head of the run; or, when they are of one group, with
 * the first that is not. */
static void clash_find_ports(struct clash_entry *e, size_t n)
{
	size_t head = 0, other = 0; /* the same: all of the run so far are of one group */

	qsort(e, n, sizeof(*e), clash_compare_ports);
	for (size_t i = 1; i < n; i++) {
		const struct conf_proxy *a = e[head].proxy, *b = e[i].proxy;

		if (a->kind != b->kind || a->remote_port != b->remote_port) {
			head = i;
			other = i;
		} else if (clash_is_port(a, b)) {
			clash_note(&e[i], &e[head]);
			if (other == head)
				other = i;
		} else if (other != head) {
			clash_note(&e[i], &e[other]);
		}
	}
}

static void clash_tell_proxy(const struct conf *c, const struct clash_entry *e, struct problems *p)
{
	const struct conf_proxy *other = &c->proxies[e->first];
	const char *place = e->proxy->place != NULL ? e->proxy->place : c->source;
	char quote[CLASH_QUOTE], quote_other[CLASH_QUOTE];

	(void) text_escape(span_str(e->name), quote, sizeof(quote));
	(void) text_escape(span_str(other->name), quote_other, sizeof(quote_other));
	if (strcmp(e->name, other->name) == 0)
		problems_add(p, "%s: a proxy called \"%s\" is there already", place, quote);
	else
		problems_add(p, "%s: the proxies \"%s\" and \"%s\" both ask for remote port %u",
			     c->source, quote_other, quote, e->proxy->remote_port);
}

static void clash_tell_visitor(const struct conf *c, const struct clash_entry *e,
			       struct problems *p)
{
	const char *place = c->visitors[e->at].place;
	char quote[CLASH_QUOTE];

	problems_add(p, "%s: a visitor called \"%s\" is there already",
		     place != NULL ? place : c->source,
		     text_escape(span_str(e->name), quote, sizeof(quote)));
}

static void clash_check_proxies(const struct conf *c, struct clash_entry *e, struct problems *p)
{
	for (size_t i = 0; i < c->n_proxies; i++)
		e[i] = (struct clash_entry){ .name = c->proxies[i].name,
					     .proxy = &c->proxies[i],
					     .at = i,
					     .first = SIZE_MAX };
	clash_find_names(e, c->n_proxies);
	clash_find_ports(e, c->n_proxies);
	qsort(e, c->n_proxies, sizeof(*e), clash_compare_places);
	for (size_t i = 0; i < c->n_proxies; i++)
		if (e[i].first != SIZE_MAX)
			clash_tell_proxy(c, &e[i], p);
}

static void clash_check_visitors(const struct conf *c, struct clash_entry *e, struct problems *p)
{
	for (size_t i = 0; i < c->n_visitors; i++)
		e[i] = (struct clash_entry){ .name = c->visitors[i].name,
					     .at = i,
					     .first = SIZE_MAX };
	clash_find_names(e, c->n_visitors);
	qsort(e, c->n_visitors, sizeof(*e), clash_compare_places);
	for (size_t i = 0; i < c->n_visitors; i++)
		if (e[i].first != SIZE_MAX)
			clash_tell_visitor(c, &e[i], p);
}

int clash_check(const struct conf *c, struct problems *p)
{
	size_t n_max = c->n_proxies > c->n_visitors ? c->n_proxies : c->n_visitors;
	struct clash_entry *e = calloc(n_max + 1, sizeof(*e)); /* + 1: of no size is undefined */

	if (e == NULL)
		return -ENOMEM;
	clash_check_proxies(c, e, p);
	clash_check_visitors(c, e, p);
	free(e);
	return 0;
}
