/* SPDX-License-Identifier: Apache-2.0 */
/* proxyset.c - the proxies of one server. Floor 5.
 *
 * A change of the configuration is worked out first, with everything it needs; then it is carried
 * out and cannot fail. */
#include "agent/tunnel/proxyset.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/loop.h"
#include "agent/conf/diff.h"
#include "proto/base/err.h"

/* -- health checks -- */

/* Why a proxy is not registered is told once, and again after each success: also when its service
 * has been down since the start, which is no change. */
static void proxyset_on_answer(void *arg, int status, const char *error)
{
	struct proxy *p = arg;

	(void) status; /* @error says it */
	if (error == NULL) {
		p->is_unwell = false;
	} else if (!p->health.is_healthy && !p->is_unwell) {
		p->is_unwell = true;
		log_warn(
			p->log, "health check failed", "proxy", p->conf->name, "error", error,
			"remedy",
			"the proxy is registered when its service answers: does it run, and are localIP, localPort and healthCheck right?");
	}
}

static void proxyset_on_health(void *arg, bool is_healthy)
{
	struct proxy *p = arg;
	struct proxyset *s = p->owner;

	if (is_healthy)
		log_info(p->log, "health check success", "proxy", p->conf->name);
	if (p->is_leaving)
		return;
	p->is_up = p->is_up && is_healthy;
	roster_want(s->roster, p->roster_index, is_healthy, loop_now_ms(s->loop));
	s->on_change(s->arg);
}

static void proxyset_on_health_gone(void *arg)
{
	struct proxy *p = arg;
	struct proxyset *s = p->owner;

	s->n_healths--;
	p->is_asking = false;
	(void) proxy_free(p);
	s->on_gone(s->arg);
}

static void proxy_start_health(struct proxyset *s, struct proxy *p)
{
	if (!p->has_health || p->is_asking)
		return;
	p->is_asking = true;
	(void) proxy_share(p); /* until it is gone */
	s->n_healths++;
	health_start(&p->health);
}

static void proxy_stop_health(struct proxy *p)
{
	if (p->is_asking && !p->is_leaving)
		health_stop(&p->health);
}

/* -- the node behind them -- */

static void proxyset_on_watch(void *arg, bool is_ready)
{
	struct proxyset *s = arg;

	for (struct list *l = s->proxies.next; l != &s->proxies; l = l->next) {
		struct proxy *p = container_of(l, struct proxy, link);

		roster_want(s->roster, p->roster_index, is_ready, loop_now_ms(s->loop));
		p->is_up = p->is_up && is_ready;
	}
	s->on_change(s->arg);
}

static void proxyset_on_watch_gone(void *arg)
{
	struct proxyset *s = arg;

	s->is_watching = false;
	s->n_healths--;
	s->on_gone(s->arg);
}

/* Of the first configuration; no other mode than the environment's has it, and that is never read
 * again. */
static void proxyset_add_watch(struct proxyset *s, const struct conf *conf)
{
	if (s->has_watch || !conf->ready.is_on)
		return;
	s->has_watch = true;
	watch_init(&s->watch, s->loop, s->resolver, conf, proxyset_on_watch, proxyset_on_watch_gone,
		   s);
}

void proxyset_start(struct proxyset *s)
{
	s->is_started = true;
	if (s->has_watch) {
		s->is_watching = true;
		s->n_healths++;
		watch_start(&s->watch);
	}
	for (struct list *l = s->proxies.next; l != &s->proxies; l = l->next)
		proxy_start_health(s, container_of(l, struct proxy, link));
}

void proxyset_stop(struct proxyset *s)
{
	if (!s->is_started)
		return;
	s->is_started = false;
	if (s->is_watching)
		watch_stop(&s->watch);
	for (struct list *l = s->proxies.next; l != &s->proxies; l = l->next) {
		struct proxy *p = container_of(l, struct proxy, link);

		p->is_up = false;
		proxy_stop_health(p);
	}
}

/* -- one proxy -- */

/* It has its place in the roster. With a health check it is withdrawn until its service is well. */
static void proxyset_enter(struct proxyset *s, struct proxy *p)
{
	p->owner = s;
	if (s->has_watch && !s->watch.is_ready)
		roster_want(s->roster, p->roster_index, false, loop_now_ms(s->loop));
	if (p->conf->health.kind == CONF_HEALTH_NONE)
		return;
	p->has_health = true;
	roster_want(s->roster, p->roster_index, false, loop_now_ms(s->loop));
	health_init(&p->health, s->loop, s->resolver, p->conf, proxyset_on_health,
		    proxyset_on_health_gone, p);
	p->health.on_answer = proxyset_on_answer;
	if (s->is_started)
		proxy_start_health(s, p);
}

/* Out of the set; its users keep it alive. */
static void proxyset_drop(struct proxy *p)
{
	proxy_stop_health(p);
	p->is_leaving = true;
	p->is_up = false;
	list_del(&p->link);
}

static struct proxy *find_in(const struct list *list, const char *wire_name)
{
	for (struct list *l = list->next; l != list; l = l->next) {
		struct proxy *p = container_of(l, struct proxy, link);

		if (strcmp(p->conf->wire_name, wire_name) == 0)
			return p;
	}
	return NULL;
}

/* -- a new configuration -- */

/* What becomes of one proxy of the new configuration. */
struct change {
	struct proxy *old;   /* of that name; NULL: none */
	struct proxy *fresh; /* NULL: @old stays */
};

/* Where to look for the next name: files keep their order. */
static struct proxy *find_old(const struct proxyset *s, const struct list **hint,
			      const char *wire_name)
{
	struct proxy *p;

	if (*hint != &s->proxies) {
		p = container_of(*hint, struct proxy, link);
		if (strcmp(p->conf->wire_name, wire_name) == 0) {
			*hint = (*hint)->next;
			return p;
		}
	}
	p = find_in(&s->proxies, wire_name);
	if (p != NULL)
		*hint = p->link.next;
	return p;
}

static int plan(const struct proxyset *s, const struct conf *conf, struct change *changes)
{
	const struct list *hint = s->proxies.next;
	int err;

	for (size_t i = 0; i < conf->n_proxies; i++) {
		const struct conf_proxy *want = &conf->proxies[i];

		changes[i].old = find_old(s, &hint, want->wire_name);
		if (changes[i].old != NULL && conf_proxy_is_same(changes[i].old->conf, want))
			continue;
		err = proxy_new(&changes[i].fresh, conf, want, s->loop);
		if (err != 0)
			return err;
	}
	return roster_reserve(s->roster, conf->n_proxies);
}

/* A name that is new in the set: at its old place in the roster, if that is not free yet. */
static void place(struct proxyset *s, struct proxy *p)
{
	struct proxy *before = find_in(&s->leaving, p->conf->wire_name);

	if (before != NULL) {
		p->roster_index = before->roster_index;
		roster_replace(s->roster, p->roster_index, &p->conf->msg, p, loop_now_ms(s->loop));
		list_del(&before->link);
		(void) proxy_free(before);
		return;
	}
	/* room was made */
	MUST(roster_add(s->roster, &p->conf->msg, p, &p->roster_index) == 0);
}

static void carry_out(struct proxyset *s, const struct conf *conf, size_t i, struct change *c)
{
	struct proxy *p = c->fresh;

	if (p == NULL) {
		p = c->old;
		proxy_set_conf(p, conf, &conf->proxies[i]);
		s->roster->entries[p->roster_index].msg = &p->conf->msg;
		list_del(&p->link);
	} else if (c->old != NULL) {
		p->roster_index = c->old->roster_index;
		proxyset_drop(c->old);
		roster_replace(s->roster, p->roster_index, &p->conf->msg, p, loop_now_ms(s->loop));
		(void) proxy_free(c->old);
		log_info(s->loop->log, "proxy changed, registering anew", "proxy", p->conf->name);
	} else {
		place(s, p);
		if (s->is_started)
			log_info(s->loop->log, "proxy added", "proxy", p->conf->name);
	}
	list_add_tail(&s->proxies, &p->link);
	if (c->fresh != NULL)
		proxyset_enter(s, p);
	c->fresh = NULL;
}

/* What stands in @rest is wanted no more. */
static void remove_rest(struct proxyset *s, struct list *rest)
{
	struct proxy *p;

	while (!list_is_empty(rest)) {
		p = container_of(rest->next, struct proxy, link);
		proxyset_drop(p);
		log_info(s->loop->log, "proxy removed", "proxy", p->conf->name);
		roster_remove(s->roster, p->roster_index, loop_now_ms(s->loop));
		list_add_tail(&s->leaving, &p->link);
	}
}

static void move_all(struct list *from, struct list *to)
{
	struct list *l;

	while (!list_is_empty(from)) {
		l = from->next;
		list_del(l);
		list_add_tail(to, l);
	}
}

int proxyset_apply(struct proxyset *s, const struct conf *conf)
{
	struct change *changes = calloc(conf->n_proxies + 1, sizeof(*changes));
	struct list rest;
	int err;

	if (changes == NULL)
		return -ENOMEM;
	proxyset_sweep(s);
	err = plan(s, conf, changes);
	if (err == 0) {
		proxyset_add_watch(s, conf);
		list_init(&rest);
		move_all(&s->proxies, &rest);
		/* first what goes, so that its place and its port are free */
		for (size_t i = 0; i < conf->n_proxies; i++) {
			if (changes[i].old == NULL)
				continue;
			list_del(&changes[i].old->link);
			list_add_tail(&s->proxies, &changes[i].old->link);
		}
		remove_rest(s, &rest);
		for (size_t i = 0; i < conf->n_proxies; i++)
			carry_out(s, conf, i, &changes[i]);
		s->n_proxies = conf->n_proxies;
		s->on_change(s->arg);
	}
	for (size_t i = 0; i < conf->n_proxies; i++)
		(void) proxy_free(changes[i].fresh);
	free(changes);
	return err;
}

/* -- life -- */

void proxyset_init(struct proxyset *s)
{
	list_init(&s->proxies);
	list_init(&s->leaving);
}

void proxyset_deinit(struct proxyset *s)
{
	struct proxy *p;

	MUST(s->n_healths == 0);
	if (s->has_watch)
		watch_deinit(&s->watch);
	move_all(&s->leaving, &s->proxies);
	while (!list_is_empty(&s->proxies)) {
		p = container_of(s->proxies.next, struct proxy, link);
		list_del(&p->link);
		(void) proxy_free(p);
	}
}

void proxyset_sweep(struct proxyset *s)
{
	struct list *next;
	struct proxy *p;

	for (struct list *l = s->leaving.next; l != &s->leaving; l = next) {
		next = l->next;
		p = container_of(l, struct proxy, link);
		if (roster_forget(s->roster, p->roster_index) != 0)
			continue;
		list_del(&p->link);
		(void) proxy_free(p);
	}
}

void proxyset_lost(struct proxyset *s)
{
	for (struct list *l = s->proxies.next; l != &s->proxies; l = l->next)
		proxy_on_lost(container_of(l, struct proxy, link));
	proxyset_sweep(s);
}
