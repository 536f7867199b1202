/* SPDX-License-Identifier: Apache-2.0 */
/* chaos.c - one random run: faults of every kind, then peace, then a clean end. Tests only. */
#include "tests/sim/sim.h"

#include <string.h>

#define CHAOS_PEACE_MS                                                                           \
	200000 /* a refused login waits up to 60 s, a silent one is held 60 s, a name is blocked \
		  42 s */

static void chaos_rules(struct sim *s)
{
	struct frps_rules *r = &s->frps.rules;
	struct env *e = &s->env;

	*r = (struct frps_rules){ .big_pct = r->big_pct };
	r->refuse_login_pct = env_chance(e, 20) ? 50 : 0;
	r->refuse_proxy_pct = env_chance(e, 30) ? 40 : 0;
	r->is_parking = env_chance(e, 30);
	r->closes_after_login = env_chance(e, 10);
	r->goes_silent = env_chance(e, 5);
	r->forgets_answers = env_chance(e, 10);
	r->slow_ms = env_chance(e, 30) ? 1 + env_random(e, 3000) : 0;
}

static void chaos_strike(struct sim *s, enum sim_fault fault)
{
	struct env *e = &s->env;

	s->faults[fault]++;
	switch (fault) {
	case SIM_FAULT_FIN: sim_cut(s, false); break;
	case SIM_FAULT_RST: sim_cut(s, true); break;
	case SIM_FAULT_HALF_OPEN:
		sim_go_black(s, true, true);
		sim_run_ms(s, env_random(e, 30000));
		if (env_chance(e, 50))
			sim_heal(s);
		break;
	case SIM_FAULT_ONE_WAY:
		sim_go_black(s, env_chance(e, 50), env_chance(e, 50));
		sim_run_ms(s, env_random(e, 20000));
		sim_heal(s);
		break;
	case SIM_FAULT_RESTART:
		sim_stop_server(s);
		s->is_net_down = env_chance(e, 20);
		sim_run_ms(s, env_random(e, 8000));
		s->is_net_down = false;
		sim_start_server(s);
		break;
	case SIM_FAULT_PAUSE: sim_pause(s, env_random(e, 40000)); break;
	case SIM_FAULT_RULES: chaos_rules(s); break;
	case SIM_FAULT_LATENCY:
		s->latency_ms = env_random(e, 400);
		s->wire_max = 1000 + env_random(e, 200000);
		break;
	case SIM_FAULT_GARBAGE: frps_spoil(&s->frps); break;
	case SIM_FAULT_GOAWAY: frps_goaway(&s->frps); break;
	}
}

static void chaos_storm(struct sim *s)
{
	struct env *e = &s->env;
	uint32_t n = 3 + env_random(e, 8);

	while (n-- > 0) {
		for (uint32_t users = env_random(e, 12); users > 0; users--) {
			frps_user(&s->frps);
			sim_run_ms(s, env_random(e, 300));
		}
		sim_run_ms(s, env_random(e, 1u << env_random(e, 15)));
		if (env_chance(e, 70))
			chaos_strike(s, (enum sim_fault) env_random(e, SIM_N_FAULTS));
	}
}

/* After the last fault everything comes up again, and users are served without a flaw. */
static void chaos_peace(struct sim *s)
{
	size_t n_cut, n_whole, n_timeouts, n_deaths;

	s->frps.rules = (struct frps_rules){ .big_pct = s->frps.rules.big_pct, .is_gentle = true };
	s->latency_ms %= 100;
	sim_heal(s);
	PROMISE(&s->env, sim_run_until(s, sim_is_up, CHAOS_PEACE_MS) != UINT64_MAX);
	sim_run_ms(s, 45000); /* what was under way ends, and what was half dead is found */
	PROMISE(&s->env, sim_is_up(s));
	PROMISE(&s->env, sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
	n_cut = s->frps.n_cut;
	n_whole = s->frps.n_whole;
	n_timeouts = s->frps.n_timeouts;
	n_deaths = s->n_deaths;
	for (int i = 0; i < 10; i++)
		frps_user(&s->frps);
	PROMISE(&s->env, sim_run_until(s, sim_is_quiet, 1000000) != UINT64_MAX);
	PROMISE(&s->env, s->frps.n_cut == n_cut && s->frps.n_timeouts == n_timeouts);
	PROMISE(&s->env, s->frps.n_whole == n_whole + 10 && s->n_deaths == n_deaths);
}

/* Nothing is left of streams that ended, on either side. */
static void chaos_remains(struct sim *s)
{
	sim_run_ms(s, 5000); /* nothing has to linger: each FIN was answered */
	PROMISE(&s->env, client_n_joined(s->client) == 0);
	PROMISE(&s->env, frps_n_streams(s->conn->server) <= 1 + FRPS_POOL_MAX);
	PROMISE(&s->env, s->conn->tap.n_open == frps_n_streams(s->conn->server));
	PROMISE(&s->env, s->conn->tap.n_unacked == 0);
	PROMISE(&s->env, s->frps.n_open == 1);
}

static bool has_left(const struct sim *s)
{
	return s->is_left;
}

void sim_random_run(uint64_t seed, struct sim *ret_totals)
{
	struct sim *s = sim_new(seed);

	s->frps.rules.big_pct = env_chance(&s->env, 20) ? 10 : 0;
	s->latency_ms = env_random(&s->env, 100);
	s->keeps_run_id = env_chance(&s->env, 80);
	s->roster.all_or_none = env_chance(&s->env, 70);
	chaos_storm(s);
	chaos_peace(s);
	chaos_remains(s);
	sim_leave(s);
	sim_run_ms(s, 1000);
	PROMISE(&s->env,
		!frps_has_proxy(&s->frps, "node-1") && !frps_has_proxy(&s->frps, "node-2"));
	client_bye(s->client);
	PROMISE(&s->env, sim_run_until(s, has_left, 2000) != UINT64_MAX);
	PROMISE(&s->env, s->last_cause == CLIENT_CAUSE_LEFT);
	*ret_totals = *s;
	(void) sim_free(s);
}
