/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - agents' machines against a model of frps over a virtual network on a virtual clock.
 * Tests only.
 *
 * One run is a function of its seed. Promises are checked all the time; a broken one prints the
 * seed and aborts. */
#pragma once
#include "tests/sim/agent.h"
#include "tests/sim/frps.h"
#include "tests/sim/net.h"

struct sim {
	struct env env;
	struct net net;
	struct frps frps;
	size_t n_agents;
	unsigned n_spins;
	struct agent *agents; /* owned */
	struct agent *a;      /* the first of them */
};

/* Each dials after a short while; the server is there. */
struct sim *sim_new(uint64_t seed, size_t n_agents);
struct sim *sim_free(struct sim *s);
void sim_run_ms(struct sim *s, uint64_t ms);
/* Until @is_true or @max_ms; returns the ms it took, UINT64_MAX when it never was. */
uint64_t sim_run_until(struct sim *s, bool (*is_true)(const struct sim *s), uint64_t max_ms);
bool sim_is_up(const struct sim *s);	/* all agents are */
bool sim_is_lost(const struct sim *s);	/* the first has no session */
bool sim_is_quiet(const struct sim *s); /* no user waits or is served */

/* Faults on the first agent's connection, if it has one. */
void sim_cut(struct sim *s, bool is_reset);
void sim_go_black(struct sim *s, bool is_up, bool is_down);
/* All connections are reset, and dials refused. */
void sim_stop_server(struct sim *s);
void sim_start_server(struct sim *s);
/* Let the server do something to the session of an agent. False: it could not, or there is none. */
bool sim_provoke(const struct agent *a, bool (*what)(struct frps_conn *c));
