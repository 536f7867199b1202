/* SPDX-License-Identifier: Apache-2.0 */
/* strike.c - the faults of a random schedule. Tests only. */
#include "tests/sim/strike.h"

typedef void strike_fn(struct sim *s, struct agent *a);

/* -- the path -- */

static void strike_close(struct sim *s, struct agent *a)
{
	static const enum fault faults[] = { FAULT_FIN, FAULT_RST, FAULT_CUT };
	enum fault fault = faults[env_random(&s->env, 3)];

	if (a->conn == NULL || a->conn->server == NULL)
		return;
	env_hit(&s->env, fault);
	if (fault == FAULT_FIN) {
		a->conn->harm |= HARM_CUT;
		net_close_server(&s->net, a->conn, /* is_reset= */ false);
	} else {
		net_reset(&s->net, a->conn, fault == FAULT_CUT);
	}
}

static void strike_dead_path(struct sim *s, struct agent *a)
{
	bool is_both = env_chance(&s->env, 50), is_up = env_chance(&s->env, 50);

	if (a->conn == NULL)
		return;
	env_hit(&s->env, is_both ? FAULT_HALF_OPEN : FAULT_ONE_WAY);
	net_go_black(a->conn, is_both || is_up, is_both || !is_up, /* is_for_ever= */ true);
	sim_run_ms(s, env_random(&s->env, 30000));
}

static void strike_stall(struct sim *s, struct agent *a)
{
	bool is_up = env_chance(&s->env, 75), is_down = env_chance(&s->env, 75);

	if (a->conn == NULL || !(is_up || is_down))
		return;
	env_hit(&s->env, FAULT_STALL);
	net_go_black(a->conn, is_up, is_down, /* is_for_ever= */ false);
	sim_run_ms(s, env_random(&s->env, 20000));
	net_heal(&s->net);
}

/* Whoever dials meanwhile is not answered. */
static void strike_outage(struct sim *s, struct agent *a)
{
	bool is_deaf = env_chance(&s->env, 50);

	if (env_chance(&s->env, 70))
		strike_close(s, a);
	s->net.is_deaf = is_deaf;
	s->net.is_down = !is_deaf;
	sim_run_ms(s, 1 + env_random(&s->env, 40000));
	s->net.is_deaf = s->net.is_down = false;
	if (env_chance(&s->env, 50))
		net_heal(&s->net);
}

static void strike_quality(struct sim *s, struct agent *a)
{
	(void) a;
	s->net.latency_ms = env_random(&s->env, 400);
	s->net.jitter_ms = env_chance(&s->env, 50) ? 1 + env_random(&s->env, 200) : 0;
	s->net.loss_pct = env_chance(&s->env, 50) ? 1 + env_random(&s->env, 10) : 0;
	s->net.wire_max = 16384 + env_random(&s->env, 200000);
	s->net.pieces = (enum net_pieces) env_random(&s->env, NET_BYTEWISE + 1);
}

/* -- the server -- */

static void strike_restart(struct sim *s, struct agent *a)
{
	(void) a;
	env_hit(&s->env, FAULT_RESTART);
	sim_stop_server(s);
	sim_run_ms(s, env_random(&s->env, 8000));
	if (env_chance(&s->env, 10))
		sim_run_ms(s, env_random(&s->env, 300000));
	sim_start_server(s);
}

static void strike_rules(struct sim *s, struct agent *a)
{
	struct frps_rules *r = &s->frps.rules;
	struct env *e = &s->env;

	(void) a;
	*r = (struct frps_rules){ .big_pct = r->big_pct };
	r->refuse_login_pct = env_chance(e, 20) ? 50 : 0;
	r->refuse_proxy_pct = env_chance(e, 30) ? 40 : 0;
	r->closes_after_login = env_chance(e, 10);
	r->goes_silent = env_chance(e, 5);
	r->forgets_answers = env_chance(e, 10);
	r->slow_ms = env_chance(e, 30) ? 1 + env_random(e, 3000) : 0;
}

static void strike_server(struct sim *s, struct agent *a)
{
	static const struct {
		enum fault fault;
		bool (*what)(struct frps_conn *c);
	} kinds[] = {
		{ FAULT_GARBAGE, frps_spoil },		 { FAULT_GOAWAY, frps_goaway },
		{ FAULT_PING_FLOOD, frps_ping_flood },	 { FAULT_WORK_FLOOD, frps_work_flood },
		{ FAULT_STREAM_RST, frps_reset_stream }, { FAULT_STREAM_RST, frps_reset_stream },
		{ FAULT_EVICTION, frps_evict },
	};
	size_t i = env_random(&s->env, sizeof(kinds) / sizeof(kinds[0]));

	if (sim_provoke(a, kinds[i].what))
		env_hit(&s->env, kinds[i].fault);
}

/* Another agent has the same run id, and takes each session soon after its login. */
static void strike_rival(struct sim *s, struct agent *a)
{
	uint32_t n = 2 + env_random(&s->env, 3);

	while (n-- > 0) {
		sim_run_ms(s, env_random(&s->env, 6000));
		if (sim_provoke(a, frps_evict))
			env_hit(&s->env, FAULT_EVICTION);
	}
}

/* -- the agent -- */

/* Also in the midst of a login. */
static void strike_pause(struct sim *s, struct agent *a)
{
	if (env_chance(&s->env, 40)) {
		strike_close(s, a);
		sim_run_ms(s, env_random(&s->env, 3000));
	}
	env_hit(&s->env, FAULT_PAUSE);
	agent_pause(a, 1 + env_random(&s->env, env_chance(&s->env, 50) ? 12000 : 40000));
}

static void strike_kill(struct sim *s, struct agent *a)
{
	bool is_seen = a->conn == NULL || env_chance(&s->env, 50);

	if (!is_seen)
		net_go_black(a->conn, true, true, /* is_for_ever= */ true);
	env_hit(&s->env, is_seen ? FAULT_KILL : FAULT_LOST_KILL);
	agent_kill(a);
}

static void strike_memory(struct sim *s, struct agent *a)
{
	a->fails_in = env_random(&s->env, 1u << env_random(&s->env, 8));
}

static void strike_proxies(struct sim *s, struct agent *a)
{
	if (agent_is_paused(a))
		return;
	if (env_chance(&s->env, 50)) {
		env_hit(&s->env, FAULT_RELOAD);
		agent_reload(a);
		return;
	}
	env_hit(&s->env, FAULT_WITHDRAWAL);
	agent_want(a, false);
	sim_run_ms(s, env_random(&s->env, 1u << env_random(&s->env, 15)));
	agent_want(a, true);
}

/* A link that flaps: each time the server seems to be back. */
static void strike_hurry(struct sim *s, struct agent *a)
{
	uint32_t n = 5 + env_random(&s->env, 20);

	if (env_chance(&s->env, 70))
		strike_close(s, a);
	s->net.is_closed = env_chance(&s->env, 70);
	while (n-- > 0) {
		env_hit(&s->env, FAULT_HURRY);
		a->rival_due_ms = 0;
		retry_hurry(&a->retry, s->env.now_ms);
		sim_run_ms(s, env_random(&s->env, 500));
	}
	s->net.is_closed = false;
}

/* -- all of them -- */

void strike(struct sim *s)
{
	static strike_fn *const kinds[] = {
		strike_close,  strike_close,  strike_dead_path, strike_dead_path, strike_stall,
		strike_outage, strike_outage, strike_quality,	strike_quality,	  strike_restart,
		strike_rules,  strike_rules,  strike_server,	strike_server,	  strike_server,
		strike_pause,  strike_kill,   strike_memory,	strike_memory,	  strike_proxies,
		strike_hurry,  strike_rival,
	};
	size_t i = env_random(&s->env, sizeof(kinds) / sizeof(kinds[0]));

	kinds[i](s, &s->agents[env_random(&s->env, (uint32_t) s->n_agents)]);
}

void strike_heal(struct sim *s)
{
	s->frps.rules = (struct frps_rules){ .big_pct = s->frps.rules.big_pct, .is_gentle = true };
	s->net.latency_ms %= 100;
	s->net.loss_pct = 0;
	net_heal(&s->net);
	for (size_t i = 0; i < s->n_agents; i++)
		s->agents[i].fails_in = SIZE_MAX;
}
