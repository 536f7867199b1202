/* SPDX-License-Identifier: Apache-2.0 */
/* test_chaos.c - random runs: test_chaos [FIRST_SEED [RUNS]]. A failure prints its seed, which
 * replays it exactly. */
#include "tests/sim/sim.h"

#include <string.h>

#include "proto/base/text.h"

#define RUNS 2000

static uint64_t argument(const char *text, uint64_t otherwise)
{
	uint64_t v = otherwise;

	if (text != NULL && text_parse_u64(text, 0, UINT64_MAX, &v) != 0)
		abort();
	return v;
}

int main(int argc, char **argv)
{
	static const char *const faults[SIM_N_FAULTS] = { "fin",     "rst",	"half open",
							  "one way", "restart", "pause",
							  "rules",   "latency", "garbage",
							  "goaway" };
	uint64_t first = argument(argc > 1 ? argv[1] : NULL, 1);
	uint64_t n_runs = argument(argc > 2 ? argv[2] : NULL, RUNS);
	size_t n_events = 0, n_users = 0, n_whole = 0, n_tries = 0, n_logins = 0;
	size_t hits[SIM_N_FAULTS] = { 0 }, deaths[SIM_N_CAUSES] = { 0 };
	static struct sim t, again;

	for (uint64_t seed = first; seed < first + n_runs; seed++) {
		sim_random_run(seed, &t);
		n_events += t.env.n_events;
		n_users += t.frps.n_users;
		n_whole += t.frps.n_whole;
		n_tries += t.n_tries;
		n_logins += t.n_logins;
		for (size_t i = 0; i < SIM_N_FAULTS; i++)
			hits[i] += t.faults[i];
		for (size_t i = 0; i < SIM_N_CAUSES; i++)
			deaths[i] += t.deaths[i];
		if (seed % 100 == 0) { /* the same seed is the same run */
			sim_random_run(seed, &again);
			if (again.digest != t.digest) {
				(void) fprintf(stderr, "seed %llu does not replay\n",
					       (unsigned long long) seed);
				return 1;
			}
		}
	}
	(void) printf("TAP version 13\n1..1\n");
	(void) printf(
		"# seeds %llu..%llu: %zu events, %zu tries, %zu logins, %zu users, %zu of them served whole\n",
		(unsigned long long) first, (unsigned long long) (first + n_runs - 1), n_events,
		n_tries, n_logins, n_users, n_whole);
	for (size_t i = 0; i < SIM_N_FAULTS; i++)
		(void) printf("# fault %s: %zu\n", faults[i], hits[i]);
	for (size_t i = 0; i < SIM_N_CAUSES; i++)
		(void) printf("# ended by \"%s\": %zu\n", client_cause_name((enum client_cause) i),
			      deaths[i]);
	(void) printf("ok 1 random_runs\n");
	return 0;
}
