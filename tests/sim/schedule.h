/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - one random run: faults of every kind, then peace, then a clean end. Tests only. */
#pragma once
#include "tests/sim/sim.h"

struct schedule_facts {
	uint64_t digest; /* of all that happened */
	size_t n_events, n_users, n_whole, n_tries, n_logins;
	size_t hits[N_FAULTS], deaths[AGENT_N_CAUSES];
	uint64_t back_ms; /* from the end of the last fault until all proxies were up */
};

/* Aborts when a promise is broken, after a line that has the seed. @is_told: each event is
 * printed. */
void schedule_run(uint64_t seed, bool is_told, struct schedule_facts *ret_f);
