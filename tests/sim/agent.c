/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - one agent: its life, its dials, its clock. Tests only. */
#include "tests/sim/agent.h"

#include <string.h>

#include "tests/sim/agentparts.h"
#include "tests/sim/frps.h"

#define AGENT_PORT 10001
#define AGENT_PROBE_MS \
	(WAIT_PROBE_MS + WAIT_LATE_MS + WAIT_CONFIRM_MS) /* after a pause, until a verdict */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* -- dialing -- */

static void agent_dial(struct agent *a)
{
	uint64_t *slot = &a->try_ms[a->n_tries_lived % AGENT_TRIES_MAX];

	PROMISE(a->env, a->client == NULL && a->conn == NULL && a->dial_due_ms == UINT64_MAX);
	PROMISE(a->env, a->env->now_ms >= a->rival_due_ms);
	PROMISE(a->env, retry_begin(&a->retry, a->env->now_ms) == 0);
	PROMISE(a->env,
		a->n_tries_lived < AGENT_TRIES_MAX || a->env->now_ms > *slot + AGENT_TRIES_MS);
	*slot = a->env->now_ms;
	a->n_tries_lived++;
	a->n_tries++;
	env_note(a->env, "dial", a->number, a->n_tries);
	a->dial_due_ms = a->env->now_ms + (a->net->is_down ? WAIT_DIAL_MS : a->net->latency_ms);
}

/* False: nobody is there. */
static bool agent_is_answered(struct agent *a)
{
	if (!a->net->is_down && !a->net->is_closed)
		return true;
	env_hit(a->env, a->net->is_down ? FAULT_NET_DOWN : FAULT_REFUSED_DIAL);
	return false;
}

static void agent_fill_login(struct agent *a, struct login_params *p)
{
	static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM };

	p->wire = a->wire;
	p->token = span_str(FRPS_TOKEN);
	p->login.version = "0.65.0";
	p->login.pool_count = 1;
	p->login.run_id = a->runid.at[0] != '\0' ? a->runid.at : NULL;
	p->hello = (struct hello_client){ .tcp_mux = a->frps->is_mux,
					  .kinds = kinds,
					  .n_kinds = 1 };
	for (size_t i = 0; i < sizeof(p->iv); i++)
		p->iv[i] = (uint8_t) env_random(a->env, 256);
	for (size_t i = 0; i < sizeof(p->nonce); i++)
		p->nonce[i] = (uint8_t) env_random(a->env, 256);
	for (size_t i = 0; i < sizeof(p->hello.random); i++)
		p->hello.random[i] = (uint8_t) env_random(a->env, 256);
}

static void agent_on_dialed(struct agent *a)
{
	struct client_params p = { .is_mux = a->frps->is_mux,
				   .wall_s = 1700000000,
				   .inflight_max = a->inflight_max,
				   .heartbeat_ms = WAIT_HEARTBEAT_MS };
	size_t n_failed = a->n_failed;
	int err;

	a->dial_due_ms = UINT64_MAX;
	if (!agent_is_answered(a)) {
		a->evicted_ms = 0;
		retry_lost(&a->retry, RETRY_NETWORK, a->env->now_ms);
		return;
	}
	agent_fill_login(a, &p.login);
	agent_enter_machines(a);
	err = client_new(&a->client, &p, &a->roster, a->env->now_ms);
	agent_leave_machines(a);
	if (err != 0) {
		PROMISE(a->env, err == -ENOMEM && a->n_failed > n_failed);
		a->evicted_ms = 0;
		retry_lost(&a->retry, RETRY_NETWORK, a->env->now_ms);
		return;
	}
	a->conn = net_open(a->net, a->frps, a, a->number);
	if (a->n_failed > n_failed)
		a->conn->harm |= HARM_MEMORY;
	a->heard_ms = a->env->now_ms;
}

/* -- time -- */

bool agent_is_paused(const struct agent *a)
{
	return a->env->now_ms < a->paused_until_ms;
}

/* A session lives on silence until then. */
static uint64_t agent_silent_ms(const struct agent *a)
{
	return later(a->heard_ms + AGENT_SILENCE_MS, a->resumed_ms + AGENT_PROBE_MS);
}

uint64_t agent_due(const struct agent *a)
{
	uint64_t due_ms = a->dial_due_ms;

	if (agent_is_paused(a))
		return a->paused_until_ms;
	if (a->retry.state == RETRY_STATE_WAITING && !a->is_left)
		due_ms = earlier(due_ms, a->retry.due_ms);
	if (a->client != NULL) {
		due_ms = earlier(due_ms, client_deadline(a->client));
		due_ms = earlier(due_ms, agent_silent_ms(a) + 1);
	}
	return earlier(due_ms, agent_services_due(a));
}

void agent_act(struct agent *a)
{
	if (agent_is_paused(a))
		return;
	PROMISE(a->env, a->client == NULL || a->env->now_ms <= agent_silent_ms(a));
	if (a->dial_due_ms <= a->env->now_ms)
		agent_on_dialed(a);
	if (a->retry.state == RETRY_STATE_WAITING && !a->is_left &&
	    a->retry.due_ms <= a->env->now_ms)
		agent_dial(a);
	agent_serve(a);
	agent_pump(a);
}

/* -- life -- */

/* What a process has at its start: what it was configured with, and what its file tells. */
static void agent_start(struct agent *a)
{
	uint64_t seed = jitter_next(&a->env->rng);
	size_t at;

	roster_init(&a->roster, seed);
	retry_init(&a->retry, seed);
	for (size_t i = 0; i < AGENT_N_PROXIES; i++)
		PROMISE(a->env, roster_add(&a->roster, &a->proxies[i], NULL, &at) == 0);
	a->dial_due_ms = UINT64_MAX;
	a->n_tries_lived = 0;
	a->login_ms = a->evicted_ms = a->rival_due_ms = 0;
	retry_lost(&a->retry, RETRY_NETWORK, a->env->now_ms);
}

void agent_init(struct agent *a)
{
	list_init(&a->services);
	a->fails_in = SIZE_MAX;
	a->wire = a->wire != 0 ? a->wire : WIRE_V1;
	runid_init(&a->runid, "");
	for (size_t i = 0; i < AGENT_N_PROXIES; i++) {
		(void) snprintf(a->names[i], sizeof(a->names[i]), "node-%zu-%zu", a->number, i);
		a->proxies[i] = (struct msg_new_proxy){
			.name = a->names[i],
			.type = "tcp",
			.remote_port = AGENT_PORT + (int) i,
		};
	}
	agent_start(a);
}

void agent_deinit(struct agent *a)
{
	agent_hang_up(a);
	roster_deinit(&a->roster);
	runid_deinit(&a->runid);
}

void agent_kill(struct agent *a)
{
	bool is_all_or_none = a->roster.all_or_none;
	struct runid old = a->runid;

	agent_hang_up(a);
	roster_deinit(&a->roster);
	runid_init(&a->runid, a->keeps_run_id ? old.at : "");
	agent_start(a);
	a->roster.all_or_none = is_all_or_none;
}

bool agent_is_up(const struct agent *a)
{
	if (a->client == NULL || !client_is_up(a->client) || !roster_is_all_up(&a->roster))
		return false;
	for (size_t i = 0; i < AGENT_N_PROXIES; i++)
		if (a->conn->server == NULL || !frps_holds(a->conn->server, a->names[i]))
			return false;
	return true;
}

bool agent_is_quiet(const struct agent *a)
{
	return a->client == NULL || client_n_joined(a->client) == 0;
}

const char *agent_proxy(const struct agent *a, size_t i)
{
	return a->names[i];
}

/* -- what is done to it -- */

void agent_pause(struct agent *a, uint64_t ms)
{
	a->paused_until_ms = later(a->paused_until_ms, a->env->now_ms + ms);
	a->resumed_ms = a->paused_until_ms;
	if (a->conn != NULL)
		a->conn->harm |= HARM_PAUSE;
}

static void agent_sync(struct agent *a)
{
	if (a->client != NULL)
		client_sync(a->client, a->env->now_ms);
	agent_pump(a);
}

void agent_want(struct agent *a, bool is_wanted)
{
	for (size_t i = 0; i < AGENT_N_PROXIES; i++)
		roster_want(&a->roster, i, is_wanted, a->env->now_ms);
	agent_sync(a);
}

void agent_reload(struct agent *a)
{
	size_t i = env_random(a->env, AGENT_N_PROXIES);

	a->proxies[i].remote_port++;
	roster_replace(&a->roster, i, &a->proxies[i], NULL, a->env->now_ms);
	agent_sync(a);
}

void agent_leave(struct agent *a)
{
	agent_enter_machines(a);
	client_leave(a->client, a->env->now_ms);
	agent_leave_machines(a);
	agent_pump(a);
}

void agent_bye(struct agent *a)
{
	if (a->client == NULL)
		return;
	a->conn->harm |= HARM_FAREWELL;
	agent_enter_machines(a);
	client_bye(a->client);
	agent_leave_machines(a);
	agent_pump(a);
}
