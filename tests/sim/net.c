/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - the virtual network. Tests only. */
#include "tests/sim/net.h"

#include <string.h>

#include "proto/base/err.h"
#include "tests/sim/frps.h"

#define NET_BYTEWISE_MAX 64 /* bytes of the rest of a piece */

void net_init(struct net *n, struct env *env)
{
	*n = (struct net){ .env = env, .latency_ms = 5, .wire_max = 65536 };
	list_init(&n->conns);
}

void net_deinit(struct net *n)
{
	while (!list_is_empty(&n->conns))
		net_conn_free(container_of(n->conns.next, struct net_conn, link));
}

struct net_conn *net_open(struct net *n, struct frps *f, struct agent *a, size_t owner)
{
	struct net_conn *c = calloc(1, sizeof(*c));

	PROMISE(n->env, c != NULL);
	list_init(&c->wires[TAP_UP].chunks);
	list_init(&c->wires[TAP_DOWN].chunks);
	tap_init(&c->tap, n->env);
	c->owner = owner;
	c->agent = a;
	c->server = frps_accept(f, &c->harm);
	c->tap.is_off = !f->is_mux;
	list_add_tail(&n->conns, &c->link);
	if (n->is_deaf) {
		env_hit(n->env, FAULT_DEAF);
		net_go_black(c, true, true, /* is_for_ever= */ false);
	}
	return c;
}

static struct net_chunk *wire_first(const struct net_wire *w)
{
	return container_of(w->chunks.next, struct net_chunk, link);
}

static void wire_drop(struct net_wire *w)
{
	while (!list_is_empty(&w->chunks)) {
		struct net_chunk *k = wire_first(w);

		list_del(&k->link);
		free(k);
	}
	w->in_flight = 0;
}

void net_conn_free(struct net_conn *c)
{
	list_del(&c->link);
	wire_drop(&c->wires[TAP_UP]);
	wire_drop(&c->wires[TAP_DOWN]);
	tap_deinit(&c->tap);
	free(c);
}

/* -- bytes -- */

static uint32_t net_delay(struct net *n)
{
	uint32_t delay_ms = n->latency_ms;

	for (uint32_t again_ms = 200; again_ms <= 800 && env_chance(n->env, n->loss_pct);
	     again_ms *= 2) {
		env_hit(n->env, FAULT_LOSS);
		delay_ms += again_ms;
	}
	if (n->jitter_ms > 0) {
		env_hit(n->env, FAULT_DELAY);
		delay_ms += env_random(n->env, n->jitter_ms);
	}
	return delay_ms;
}

static void net_push(struct net *n, struct net_conn *c, enum tap_dir dir, struct span bytes,
		     bool is_end)
{
	struct net_wire *w = &c->wires[dir];
	struct net_chunk *k = malloc(sizeof(*k) + bytes.len);
	uint64_t due_ms = n->env->now_ms + net_delay(n);

	PROMISE(n->env, k != NULL);
	if (!list_is_empty(&w->chunks)) {
		struct net_chunk *last = container_of(w->chunks.prev, struct net_chunk, link);

		due_ms = due_ms < last->due_ms ? last->due_ms : due_ms;
	}
	k->due_ms = due_ms;
	k->len = bytes.len;
	k->is_end = is_end;
	if (bytes.len > 0)
		memcpy(k->bytes, bytes.p, bytes.len);
	w->in_flight += bytes.len;
	list_add_tail(&w->chunks, &k->link);
	c->next_ms = 0;
}

size_t net_room(const struct net *n, const struct net_conn *c, enum tap_dir dir)
{
	size_t in_flight = c->wires[dir].in_flight;

	return in_flight < n->wire_max ? n->wire_max - in_flight : 0;
}

void net_send(struct net *n, struct net_conn *c, enum tap_dir dir, struct span bytes)
{
	tap_sent(&c->tap, dir, bytes);
	net_push(n, c, dir, bytes, /* is_end= */ false);
	if (net_room(n, c, dir) == 0)
		env_hit(n->env, FAULT_NARROW);
}

struct net_chunk *net_first(const struct net_conn *c, enum tap_dir dir)
{
	const struct net_wire *w = &c->wires[dir];

	return list_is_empty(&w->chunks) || w->is_black ? NULL : wire_first(w);
}

void net_take(struct net_conn *c, enum tap_dir dir, struct net_chunk *k)
{
	list_del(&k->link);
	c->wires[dir].in_flight -= k->len;
}

size_t net_piece(struct net *n, size_t len)
{
	size_t piece = len;

	if (n->pieces == NET_BYTEWISE && len <= NET_BYTEWISE_MAX)
		piece = 1;
	else if (n->pieces != NET_WHOLE && env_chance(n->env, 50))
		piece = 1 + env_random(n->env, (uint32_t) len);
	if (piece < len)
		env_hit(n->env, piece == 1 ? FAULT_BYTEWISE : FAULT_SPLIT);
	return piece;
}

/* -- ends -- */

void net_close_server(struct net *n, struct net_conn *c, bool is_reset)
{
	if (c->server == NULL)
		return;
	frps_lost(c->server);
	c->server = NULL;
	wire_drop(&c->wires[TAP_UP]);
	if (is_reset)
		wire_drop(&c->wires[TAP_DOWN]);
	net_push(n, c, TAP_DOWN, span_of(NULL, 0), /* is_end= */ true);
}

void net_close_agent(struct net *n, struct net_conn *c)
{
	c->agent = NULL;
	wire_drop(&c->wires[TAP_DOWN]);
	net_push(n, c, TAP_UP, span_of(NULL, 0), /* is_end= */ true);
}

/* What is under way to the agent ends in the middle of the first piece. */
static void wire_cut(struct net *n, struct net_wire *w)
{
	struct net_chunk *k;

	if (list_is_empty(&w->chunks) || wire_first(w)->len == 0)
		return;
	k = wire_first(w);
	list_del(&k->link);
	wire_drop(w);
	k->len = env_random(n->env, (uint32_t) k->len);
	w->in_flight = k->len;
	list_add_tail(&w->chunks, &k->link);
}

void net_reset(struct net *n, struct net_conn *c, bool is_within)
{
	if (c->server == NULL)
		return;
	c->harm |= HARM_CUT;
	if (is_within)
		wire_cut(n, &c->wires[TAP_DOWN]);
	net_close_server(n, c, /* is_reset= */ !is_within);
}

void net_go_black(struct net_conn *c, bool is_up, bool is_down, bool is_for_ever)
{
	const bool is_black[2] = { [TAP_UP] = is_up, [TAP_DOWN] = is_down };

	c->harm |= HARM_SILENCE;
	for (int dir = TAP_UP; dir <= TAP_DOWN; dir++) {
		struct net_wire *w = &c->wires[dir];

		w->is_black = w->is_black || is_black[dir];
		w->is_dead = w->is_dead || (is_black[dir] && is_for_ever);
	}
}

void net_heal(struct net *n)
{
	for (struct list *i = n->conns.next; i != &n->conns; i = i->next) {
		struct net_conn *c = container_of(i, struct net_conn, link);

		for (int dir = TAP_UP; dir <= TAP_DOWN; dir++)
			c->wires[dir].is_black = c->wires[dir].is_dead;
	}
}

bool net_is_dead(const struct net_conn *c)
{
	return c->wires[TAP_UP].is_dead || c->wires[TAP_DOWN].is_dead;
}
