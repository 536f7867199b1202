/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - the world: who acts when, and what arrives where. Tests only. */
#include "tests/sim/sim.h"

#include <string.h>

#include "proto/base/err.h"

#define SIM_SPINS_MAX 10000 /* steps in which the clock stands */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* -- arrivals -- */

/* What arrives next in a direction, and whose process runs. */
static struct net_chunk *conn_first(const struct net_conn *c, enum tap_dir dir)
{
	if (dir == TAP_DOWN && c->agent != NULL && agent_is_paused(c->agent))
		return NULL;
	return net_first(c, dir);
}

static void arrive_down(struct net_conn *c, const struct net_chunk *k)
{
	if (c->agent == NULL)
		return;
	if (k->is_end)
		agent_on_end(c->agent);
	else
		agent_receive(c->agent, span_of(k->bytes, k->len));
}

static void server_receive(struct sim *s, struct net_conn *c, struct span bytes)
{
	while (bytes.len > 0 && !frps_is_dead(c->server)) {
		size_t n = net_piece(&s->net, bytes.len);

		tap_arrived(&c->tap, TAP_UP, span_head(bytes, n));
		frps_feed(c->server, span_head(bytes, n));
		bytes = span_skip(bytes, n);
	}
}

static void arrive_up(struct sim *s, struct net_conn *c, const struct net_chunk *k)
{
	if (c->server == NULL)
		return;
	if (k->is_end)
		net_close_server(&s->net, c, /* is_reset= */ false);
	else
		server_receive(s, c, span_of(k->bytes, k->len));
}

/* True: something has arrived. */
static bool conn_arrivals(struct sim *s, struct net_conn *c)
{
	bool has_any = false;

	for (int dir = TAP_UP; dir <= TAP_DOWN; dir++) {
		struct net_chunk *k;

		while ((k = conn_first(c, (enum tap_dir) dir)) != NULL &&
		       k->due_ms <= s->env.now_ms) {
			net_take(c, (enum tap_dir) dir, k);
			env_note(&s->env, dir == TAP_UP ? "arrives up" : "arrives down", c->owner,
				 k->len);
			if (dir == TAP_UP)
				arrive_up(s, c, k);
			else
				arrive_down(c, k);
			free(k);
			has_any = true;
		}
	}
	return has_any;
}

static void conn_serve(struct sim *s, struct net_conn *c)
{
	struct span out;
	size_t room;

	if (c->server == NULL)
		return;
	if (frps_deadline(c->server) <= s->env.now_ms)
		frps_act(c->server);
	while (!frps_is_dead(c->server) && (room = net_room(&s->net, c, TAP_DOWN)) > 0 &&
	       (out = frps_drain(c->server)).len > 0) {
		room = room < out.len ? room : out.len;
		out = span_head(out, 1 + env_random(&s->env, (uint32_t) room));
		net_send(&s->net, c, TAP_DOWN, out);
		frps_drained(c->server, out.len);
	}
	if (!frps_is_dead(c->server))
		return;
	net_close_server(&s->net, c, /* is_reset= */ env_chance(&s->env, 50));
}

/* -- the clock -- */

static uint64_t conn_due(const struct net_conn *c)
{
	uint64_t due_ms = c->server != NULL ? frps_deadline(c->server) : UINT64_MAX;

	for (int dir = TAP_UP; dir <= TAP_DOWN; dir++) {
		struct net_chunk *k = conn_first(c, (enum tap_dir) dir);

		if (k != NULL)
			due_ms = earlier(due_ms, k->due_ms);
	}
	return due_ms;
}

static void conn_act(struct sim *s, struct net_conn *c)
{
	struct agent *a = c->agent;
	bool has_any = conn_arrivals(s, c);

	conn_serve(s, c);
	c->next_ms = 0;
	if (has_any && a != NULL) {
		agent_pump(a);
		a->next_ms = 0;
	}
	if (c->server == NULL && c->agent == NULL)
		net_conn_free(c);
}

static void sim_step(struct sim *s)
{
	struct list *i, *next;

	for (size_t n = 0; n < s->n_agents; n++) {
		struct agent *a = &s->agents[n];

		if (a->next_ms > s->env.now_ms)
			continue;
		agent_act(a);
		a->next_ms = 0;
		if (a->conn != NULL)
			a->conn->next_ms = 0;
	}
	for (i = s->net.conns.next; i != &s->net.conns; i = next) {
		struct net_conn *c = container_of(i, struct net_conn, link);

		next = i->next;
		if (c->next_ms <= s->env.now_ms)
			conn_act(s, c);
	}
}

/* Nothing that was known of the future holds any more. */
static void sim_forget_dues(struct sim *s)
{
	for (size_t n = 0; n < s->n_agents; n++)
		s->agents[n].next_ms = 0;
	for (struct list *i = s->net.conns.next; i != &s->net.conns; i = i->next)
		container_of(i, struct net_conn, link)->next_ms = 0;
	s->frps.is_touched = false;
}

static uint64_t sim_due(struct sim *s)
{
	uint64_t due_ms = UINT64_MAX;

	if (s->frps.is_touched) {
		sim_forget_dues(s);
		return s->env.now_ms;
	}
	for (size_t n = 0; n < s->n_agents; n++) {
		struct agent *a = &s->agents[n];

		if (a->next_ms == 0)
			a->next_ms = agent_due(a);
		due_ms = earlier(due_ms, a->next_ms);
	}
	for (struct list *i = s->net.conns.next; i != &s->net.conns; i = i->next) {
		struct net_conn *c = container_of(i, struct net_conn, link);

		if (c->next_ms == 0)
			c->next_ms = conn_due(c);
		due_ms = earlier(due_ms, c->next_ms);
	}
	return due_ms;
}

static bool never(const struct sim *s)
{
	(void) s;
	return false;
}

uint64_t sim_run_until(struct sim *s, bool (*is_true)(const struct sim *s), uint64_t max_ms)
{
	uint64_t from_ms = s->env.now_ms, end_ms = from_ms + max_ms, due_ms;

	sim_forget_dues(s); /* the caller may have changed anything */
	for (;;) {
		sim_step(s);
		if (is_true(s))
			return s->env.now_ms - from_ms;
		due_ms = sim_due(s);
		if (due_ms <= s->env.now_ms) {
			PROMISE(&s->env, s->n_spins++ < SIM_SPINS_MAX);
			continue;
		}
		s->n_spins = 0;
		if (due_ms > end_ms) {
			s->env.now_ms = end_ms;
			return UINT64_MAX;
		}
		s->env.now_ms = due_ms;
	}
}

void sim_run_ms(struct sim *s, uint64_t ms)
{
	(void) sim_run_until(s, never, ms);
}

/* -- life -- */

struct sim *sim_new(uint64_t seed, size_t n_agents)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	env_init(&s->env, seed);
	net_init(&s->net, &s->env);
	frps_init(&s->frps, &s->env);
	s->n_agents = n_agents;
	s->agents = calloc(n_agents, sizeof(*s->agents));
	PROMISE(&s->env, s->agents != NULL);
	s->a = s->agents;
	for (size_t i = 0; i < n_agents; i++) {
		struct agent *a = &s->agents[i];

		*a = (struct agent){ .env = &s->env, .net = &s->net, .frps = &s->frps };
		a->number = i;
		a->keeps_run_id = true;
		agent_init(a);
		a->roster.all_or_none = true;
	}
	return s;
}

struct sim *sim_free(struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		agent_deinit(&s->agents[i]);
	frps_deinit(&s->frps);
	net_deinit(&s->net);
	env_deinit(&s->env);
	free(s->agents);
	free(s);
	return NULL;
}

/* -- what a test looks at, and does -- */

bool sim_is_up(const struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		if (!agent_is_up(&s->agents[i]))
			return false;
	return true;
}

bool sim_is_lost(const struct sim *s)
{
	return s->a->client == NULL;
}

bool sim_is_quiet(const struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		if (!agent_is_quiet(&s->agents[i]))
			return false;
	return frps_n_busy(&s->frps) == 0;
}

void sim_cut(struct sim *s, bool is_reset)
{
	struct net_conn *c = s->a->conn;

	if (c == NULL)
		return;
	c->harm |= HARM_CUT;
	net_close_server(&s->net, c, is_reset);
}

void sim_go_black(struct sim *s, bool is_up, bool is_down)
{
	if (s->a->conn != NULL)
		net_go_black(s->a->conn, is_up, is_down, /* is_for_ever= */ false);
}

void sim_stop_server(struct sim *s)
{
	s->net.is_closed = true;
	for (struct list *i = s->net.conns.next; i != &s->net.conns; i = i->next)
		net_reset(&s->net, container_of(i, struct net_conn, link), /* is_within= */ false);
	frps_restart(&s->frps);
}

void sim_start_server(struct sim *s)
{
	s->net.is_closed = false;
}

bool sim_provoke(const struct agent *a, bool (*what)(struct frps_conn *c))
{
	return a->conn != NULL && a->conn->server != NULL && what(a->conn->server);
}
