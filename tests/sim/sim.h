/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - an agent's machines against a model of frps over a virtual network on a virtual clock.
 * Tests only.
 *
 * The agent is retry, roster and client with a service that checks each byte. One run is a function
 * of its seed. Promises are checked all the time; a broken one prints the seed and aborts. */
#pragma once
#include "proto/session/client.h"
#include "proto/session/retry.h"
#include "tests/sim/frps.h"
#include "tests/sim/tap.h"
#include "tests/sim/wire.h"

#define SIM_N_PROXIES 2
#define SIM_N_CAUSES (CLIENT_CAUSE_LEFT + 1)

struct sim_conn { /* as the network knows it */
	struct list link;
	struct sim_wire wires[2];
	struct tap tap;
	struct frps_conn *server; /* NULL: closed there */
	bool is_black[2];	  /* what is sent vanishes, what was sent does not arrive */
	bool is_agents;		  /* false: the agent has closed it */
};

enum sim_fault {
	SIM_FAULT_FIN,
	SIM_FAULT_RST,
	SIM_FAULT_HALF_OPEN,
	SIM_FAULT_ONE_WAY,
	SIM_FAULT_RESTART,
	SIM_FAULT_PAUSE,
	SIM_FAULT_RULES,
	SIM_FAULT_LATENCY,
	SIM_FAULT_GARBAGE,
	SIM_FAULT_GOAWAY,
};
#define SIM_N_FAULTS (SIM_FAULT_GOAWAY + 1)

struct sim {
	struct env env;
	/* set by the test */
	uint32_t latency_ms;
	size_t wire_max; /* bytes under way in one direction */
	bool is_net_down;
	void (*on_agent)(struct sim *s,
			 bool is_entered); /* around calls of the agent's machines; NULL: none */
	void *user;
	bool keeps_run_id;
	/* read-only */
	struct frps frps;
	bool is_server_up;
	struct roster roster;
	struct retry retry;
	struct client *client; /* NULL: none */
	struct sim_conn *conn; /* the agent's */
	size_t n_tries, n_logins, n_deaths, n_starts, n_downs;
	size_t n_wakes; /* moments at which the session had something to do */
	size_t deaths[SIM_N_CAUSES], faults[SIM_N_FAULTS];
	enum client_cause last_cause;
	uint64_t login_ms, death_ms, up_ms; /* of the last one */
	bool is_left;
	uint64_t digest; /* of all that happened */
	/* private */
	struct msg_new_proxy proxies[SIM_N_PROXIES];
	char run_id[LIMIT_RUN_ID + 1];
	struct list conns, services;
	uint64_t dial_due_ms; /* UINT64_MAX: no dial */
	uint64_t paused_until_ms;
	uint64_t spin_ms;
	unsigned n_spins;
	uint64_t wake_ms;
};

/* Up after a short while; the server is there. */
struct sim *sim_new(uint64_t seed);
struct sim *sim_free(struct sim *s);
void sim_run_ms(struct sim *s, uint64_t ms);
/* Until @is_true or @max_ms; returns the ms it took, UINT64_MAX when it never was. */
uint64_t sim_run_until(struct sim *s, bool (*is_true)(const struct sim *s), uint64_t max_ms);
bool sim_is_up(
	const struct sim *s); /* all proxies, as the agent sees it, and the server has them */
bool sim_is_lost(const struct sim *s);	/* no session */
bool sim_is_quiet(const struct sim *s); /* no user waits or is served */

void sim_cut(struct sim *s, bool is_reset);
/* Bytes vanish: up, down. */
void sim_go_black(struct sim *s, bool is_up, bool is_down);
/* Bytes flow again where they were only held up. */
void sim_heal(struct sim *s);
void sim_stop_server(struct sim *s);
void sim_start_server(struct sim *s);
/* The agent's process does not run. */
void sim_pause(struct sim *s, uint64_t ms);
void sim_leave(struct sim *s);

/* A whole random run with faults, then peace, then a clean end. */
void sim_random_run(uint64_t seed, struct sim *ret_totals);
