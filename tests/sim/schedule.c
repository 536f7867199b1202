/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - a random run. Tests only. */
#include "tests/sim/schedule.h"

#include <string.h>

#include "tests/sim/frpsconn.h"
#include "tests/sim/strike.h"
#include "tests/unit/failmalloc.h"

/* After the last fault, each in the worst case. */
#define BACK_MS 12000	     /* one more session lost by what was under way: dial, login, spacing */
#define BACK_SILENT_MS 15000 /* a dead path is found (faults F3) */
#define BACK_NAMES_MS 42000  /* the server finds it, and frees names and run id (F21, F22) */
#define BACK_NETWORK_MS 20000 /* between two tries */
#define BACK_REFUSED_MS 60000 /* between two tries that are refused, or against a rival */
#define BACK_PROXY_MS 15000   /* between two asks for a proxy that is refused */
#define SETTLE_MS 45000	      /* what was under way ends, and what is half dead is found by all */
#define TRAFFIC_MS 1000000
#define HEARTBEAT_SLACK_MS 1000

/* -- war -- */

static void schedule_users(struct sim *s, uint32_t n, uint32_t apart_ms)
{
	for (; n > 0; n--) {
		struct agent *a = &s->agents[env_random(&s->env, (uint32_t) s->n_agents)];

		if (!env_chance(&s->env, 15) || !agent_visit(a, s->frps.rules.big_pct))
			frps_user(&s->frps);
		if (apart_ms > 0)
			sim_run_ms(s, env_random(&s->env, apart_ms));
	}
}

static void schedule_war(struct sim *s)
{
	struct env *e = &s->env;
	uint32_t n = 2 + env_random(e, 6);

	while (n-- > 0) {
		schedule_users(s, env_random(e, 8), 300);
		sim_run_ms(s, env_random(e, 1u << env_random(e, 15)));
		if (env_chance(e, 80))
			strike(s);
	}
}

/* -- peace -- */

static uint64_t left_ms(const struct sim *s, uint64_t due_ms)
{
	return due_ms > s->env.now_ms ? due_ms - s->env.now_ms : 0;
}

/* Does a session of @a that it has given up still live at the server? */
static bool has_ghost(const struct sim *s, const struct agent *a)
{
	for (struct list *i = s->net.conns.next; i != &s->net.conns; i = i->next) {
		const struct net_conn *c = container_of(i, struct net_conn, link);

		if (c->owner == a->number && c->agent == NULL && c->server != NULL)
			return true;
	}
	return false;
}

/* How often may a proxy have to be asked for again? Once when it was refused; twice when an answer
 * is due that may never come: the next one is taken for that, and the ask it belongs to is late,
 * too. */
static unsigned n_asks_left(const struct agent *a)
{
	unsigned n = 0;

	for (size_t i = 0; i < AGENT_N_PROXIES && n < 2; i++) {
		const struct roster_entry *e = &a->roster.entries[i];

		if (e->n_stale > 0 || e->state == ROSTER_STATE_ASKED)
			n = 2;
		else if (e->n_refused > 0)
			n = 1;
	}
	return n;
}

/* In what time must @a be up again, now that all is well but for what is dead already? */
static uint64_t agent_bound_ms(const struct sim *s, const struct agent *a)
{
	uint64_t bound_ms = BACK_MS + left_ms(s, a->paused_until_ms);
	bool is_up = a->client != NULL && client_is_up(a->client);

	bool is_haunted = has_ghost(s, a);

	if (is_haunted)
		bound_ms += BACK_NAMES_MS;
	if (s->frps.kind == FRPS_LOCKS && (s->frps.n_locked > 0 || is_haunted))
		bound_ms += WAIT_LOGIN_HELD_MS + BACK_NETWORK_MS;
	if (a->conn != NULL && net_is_dead(a->conn))
		bound_ms += BACK_SILENT_MS + BACK_NAMES_MS + BACK_NETWORK_MS;
	if (a->dial_due_ms != UINT64_MAX)
		bound_ms += left_ms(s, a->dial_due_ms) + BACK_NETWORK_MS;
	if (a->retry.state == RETRY_STATE_WAITING) {
		PROMISE(&s->env, left_ms(s, a->retry.due_ms) <= BACK_REFUSED_MS);
		bound_ms += left_ms(s, a->retry.due_ms);
	}
	if (a->conn != NULL && !is_up &&
	    a->conn->harm != 0) /* the login fails, late in an outage */
		bound_ms += BACK_NETWORK_MS;
	if (a->conn != NULL && !is_up && (a->conn->harm & HARM_REFUSAL) != 0)
		bound_ms += BACK_REFUSED_MS;
	if (a->conn != NULL && !is_up && (a->conn->harm & HARM_MUTE) != 0)
		bound_ms += WAIT_LOGIN_HELD_MS + BACK_NETWORK_MS;
	if (a->conn != NULL && (a->conn->harm & HARM_EVICTION) != 0)
		bound_ms += BACK_REFUSED_MS;
	bound_ms += n_asks_left(a) * (WAIT_PROXY_RESP_MS + BACK_PROXY_MS);
	return bound_ms;
}

/* All are up, and not on a path that is dead already. */
static bool all_well(const struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		if (agent_is_paused(&s->agents[i]) || !agent_is_up(&s->agents[i]) ||
		    net_is_dead(s->agents[i].conn))
			return false;
	return true;
}

/* After the last fault everything comes up again in time. */
static uint64_t schedule_recover(struct sim *s)
{
	uint64_t bound_ms = 0, back_ms;

	strike_heal(s);
	for (size_t i = 0; i < s->n_agents; i++) {
		uint64_t one_ms = agent_bound_ms(s, &s->agents[i]);

		bound_ms = one_ms > bound_ms ? one_ms : bound_ms;
	}
	env_note(&s->env, "peace, all to be up within", s->n_agents, bound_ms);
	back_ms = sim_run_until(s, all_well, bound_ms);
	PROMISE(&s->env, back_ms != UINT64_MAX);
	return back_ms;
}

/* Control channels are alive: a Ping each WAIT_HEARTBEAT_MS. */
static void check_heartbeats(struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++) {
		const struct agent *a = &s->agents[i];

		PROMISE(&s->env, s->env.now_ms <= frps_pinged_ms(a->conn->server) +
							  WAIT_HEARTBEAT_MS + HEARTBEAT_SLACK_MS);
	}
}

static size_t n_deaths(const struct sim *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_agents; i++)
		n += s->agents[i].n_deaths;
	return n;
}

/* Users are served without a flaw. */
static void schedule_peace(struct sim *s)
{
	struct frps was;
	size_t had_deaths;

	sim_run_ms(s, SETTLE_MS);
	PROMISE(&s->env, sim_is_up(s));
	check_heartbeats(s);
	PROMISE(&s->env, sim_run_until(s, sim_is_quiet, TRAFFIC_MS) != UINT64_MAX);
	was = s->frps;
	had_deaths = n_deaths(s);
	for (int i = 0; i < 5; i++)
		frps_user(&s->frps);
	PROMISE(&s->env, sim_run_until(s, sim_is_quiet, TRAFFIC_MS) != UINT64_MAX);
	PROMISE(&s->env, s->frps.n_cut == was.n_cut && s->frps.n_timeouts == was.n_timeouts);
	PROMISE(&s->env, s->frps.n_whole == was.n_whole + (s->frps.is_mux ? 5 : 0));
	PROMISE(&s->env, n_deaths(s) == had_deaths);
}

static bool is_each_loss_found(const struct sim *s)
{
	return s->frps.n_open == s->n_agents;
}

/* Nothing is left of streams that ended, on either side. */
static void schedule_remains(struct sim *s)
{
	sim_run_ms(s, 5000); /* nothing has to linger: each FIN was answered */
	for (size_t i = 0; i < s->n_agents; i++) {
		struct agent *a = &s->agents[i];
		size_t n_streams = frps_n_streams(a->conn->server);

		PROMISE(&s->env, client_n_joined(a->client) == 0);
		PROMISE(&s->env, n_streams <= 1 + FRPS_POOL_MAX);
		PROMISE(&s->env, a->conn->tap.n_open == n_streams);
		PROMISE(&s->env, a->conn->tap.n_unacked == 0);
	}
	if (!s->frps.is_mux) /* a parked login whose client has gone is let in, and believed */
		(void) sim_run_until(s, is_each_loss_found, FRPS_BEAT_MS); /* judged below */
	PROMISE(&s->env, is_each_loss_found(s));
}

static bool have_left(const struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		if (!s->agents[i].is_left)
			return false;
	return true;
}

static void schedule_end(struct sim *s)
{
	for (size_t i = 0; i < s->n_agents; i++)
		agent_leave(&s->agents[i]);
	sim_run_ms(s, 1000);
	for (size_t i = 0; i < s->n_agents; i++)
		for (size_t k = 0; k < AGENT_N_PROXIES; k++)
			PROMISE(&s->env, !frps_has_proxy(&s->frps, agent_proxy(&s->agents[i], k)));
	for (size_t i = 0; i < s->n_agents; i++)
		agent_bye(&s->agents[i]);
	PROMISE(&s->env, sim_run_until(s, have_left, 2000) != UINT64_MAX);
	sim_run_ms(s, 2000);
	PROMISE(&s->env, s->frps.n_open == 0);
}

/* -- all of it -- */

static void schedule_draw(struct sim *s)
{
	struct env *e = &s->env;

	s->frps.kind = (enum frps_kind) env_random(e, FRPS_LOCKS + 1);
	s->frps.is_mux = env_chance(e, 88);
	s->frps.rules.big_pct = env_chance(e, 15) ? 10 : 0;
	s->net.latency_ms = env_random(e, 100);
	for (size_t i = 0; i < s->n_agents; i++) {
		s->agents[i].inflight_max = env_chance(e, 50) ? 100 + env_random(e, 2000) : 0;
		s->agents[i].keeps_run_id = env_chance(e, 80);
		s->agents[i].wire = env_chance(e, 30) ? WIRE_V2 : WIRE_V1;
		s->agents[i].roster.all_or_none = env_chance(e, 70);
	}
}

static void schedule_tell(const struct sim *s, struct schedule_facts *f)
{
	f->digest = s->env.digest;
	f->n_events = s->env.n_events;
	f->n_users = s->frps.n_users;
	f->n_whole = s->frps.n_whole;
	memcpy(f->hits, s->env.hits, sizeof(f->hits));
	for (size_t i = 0; i < s->n_agents; i++) {
		const struct agent *a = &s->agents[i];

		f->n_tries += a->n_tries;
		f->n_logins += a->n_logins;
		for (size_t k = 0; k < AGENT_N_CAUSES; k++)
			f->deaths[k] += a->deaths[k];
	}
}

void schedule_run(uint64_t seed, bool is_told, struct schedule_facts *ret_f)
{
	size_t n_live = failmalloc_n_live();
	struct env end;
	struct sim *s;

	s = sim_new(seed, jitter_next(&(uint64_t){ seed }) % 5 == 0 ? 3 : 1);
	s->env.is_told = is_told;
	*ret_f = (struct schedule_facts){ .digest = 0 };
	schedule_draw(s);
	schedule_war(s);
	ret_f->back_ms = schedule_recover(s);
	schedule_peace(s);
	schedule_remains(s);
	schedule_end(s);
	schedule_tell(s, ret_f);
	end = s->env;
	s = sim_free(s);
	PROMISE(&end, failmalloc_n_live() == n_live); /* nothing leaks */
}
