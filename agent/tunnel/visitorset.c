/* SPDX-License-Identifier: Apache-2.0 */
/* visitorset.c - the visitors of one uplink. Floor 5. */
#include "agent/tunnel/visitorset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/conf/diff.h"
#include "proto/base/err.h"

static struct visitor *find_in(const struct list *list, const char *name)
{
	for (struct list *l = list->next; l != list; l = l->next) {
		struct visitor *v = container_of(l, struct visitor, link);

		if (strcmp(v->conf->name, name) == 0)
			return v;
	}
	return NULL;
}

int visitorset_plan(struct visitorset *s, const struct conf *conf, struct visitor ***ret_plan)
{
	struct visitor **plan = calloc(conf->n_visitors + 1, sizeof(struct visitor *));
	const struct visitor *old;
	int err;

	if (plan == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_visitors; i++) {
		old = find_in(&s->visitors, conf->visitors[i].name);
		if (old != NULL && conf_visitor_is_same(old->conf, &conf->visitors[i]))
			continue;
		err = visitor_new(&plan[i], &s->host, conf, &conf->visitors[i]);
		if (err != 0) {
			visitorset_free_plan(plan, conf);
			return err;
		}
	}
	*ret_plan = plan;
	return 0;
}

void visitorset_free_plan(struct visitor **plan, const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_visitors; i++)
		(void) visitor_free(plan[i]);
	free(plan);
}

/* Those that stay move from the set to @plan. */
static void take_same(struct visitorset *s, const struct conf *conf, struct visitor **plan)
{
	for (size_t i = 0; i < conf->n_visitors; i++) {
		if (plan[i] != NULL)
			continue;
		plan[i] = find_in(&s->visitors, conf->visitors[i].name);
		MUST(plan[i] != NULL); /* visitorset_plan() has seen it */
		list_del(&plan[i]->link);
		visitor_set_conf(plan[i], conf, &conf->visitors[i]);
	}
}

/* What is left in the set is wanted no more; first, so that the ports are free. */
static void drop_rest(struct visitorset *s, const struct visitor *const *plan, size_t n)
{
	struct visitor *v;
	bool is_changed;

	while (!list_is_empty(&s->visitors)) {
		v = container_of(s->visitors.next, struct visitor, link);
		is_changed = false;
		for (size_t i = 0; i < n && !is_changed; i++)
			is_changed = strcmp(plan[i]->conf->name, v->conf->name) == 0;
		log_info(s->host.loop->log, is_changed ? "visitor changed" : "visitor removed",
			 "visitor", v->conf->name);
		list_del(&v->link);
		(void) visitor_free(v);
	}
}

void visitorset_apply(struct visitorset *s, const struct conf *conf, struct visitor **plan)
{
	take_same(s, conf, plan);
	drop_rest(s, (const struct visitor *const *) plan, conf->n_visitors);
	for (size_t i = 0; i < conf->n_visitors; i++) {
		list_add_tail(&s->visitors, &plan[i]->link);
		if (s->is_started)
			visitor_start(plan[i]);
	}
	free(plan);
}

void visitorset_start(struct visitorset *s)
{
	s->is_started = true;
	for (struct list *l = s->visitors.next; l != &s->visitors; l = l->next)
		visitor_start(container_of(l, struct visitor, link));
}

void visitorset_stop(struct visitorset *s)
{
	s->is_started = false;
	for (struct list *l = s->visitors.next; l != &s->visitors; l = l->next)
		visitor_stop(container_of(l, struct visitor, link));
}

void visitorset_init(struct visitorset *s)
{
	list_init(&s->visitors);
}

void visitorset_deinit(struct visitorset *s)
{
	struct visitor *v;

	while (!list_is_empty(&s->visitors)) {
		v = container_of(s->visitors.next, struct visitor, link);
		list_del(&v->link);
		(void) visitor_free(v);
	}
}
