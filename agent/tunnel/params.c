/* SPDX-License-Identifier: Apache-2.0 */
/* params.c - what we tell the server of ourselves. Floor 5. */
#include "agent/tunnel/params.h"

#include <time.h>

#include "agent/base/cgroup.h"
#include "agent/base/loop.h"
#include "proto/base/limits.h"

#define PARAMS_PONG_MS 10000 /* how long frp waits for the answer to a yamux ping */
/* What Login.version says: frps shows it, nothing depends on it. */
#define PARAMS_FRP_VERSION "0.65.0"

/* Silence that ends the session: frp's own two clocks, when they are set; ours is at most
 * WAIT_DEAD_MS. */
static uint64_t dead_after(const struct conf *conf)
{
	uint64_t by_mux = conf->mux_keepalive_ms != 0 ? conf->mux_keepalive_ms + PARAMS_PONG_MS : 0;
	uint64_t by_beat = conf->heartbeat_timeout_ms;

	if (by_mux == 0 || !conf->is_mux)
		return by_beat;
	return by_beat != 0 && by_beat < by_mux ? by_beat : by_mux;
}

size_t params_budget(uint64_t memory_limit)
{
	uint64_t budget = memory_limit > LIMIT_STALLED ? memory_limit - LIMIT_STALLED : 0;

	if (budget > memory_limit / 4)
		budget = memory_limit / 4;
	if (budget < memory_limit / 16)
		budget = memory_limit / 16;
	if (budget >= LIMIT_BUDGET)
		return LIMIT_BUDGET;
	return budget > 0 ? (size_t) budget : 1; /* 0 would be LIMIT_BUDGET */
}

size_t params_held(uint64_t memory_limit)
{
	uint64_t rest = memory_limit / 8 + (6 << 20); /* what holds it, and the agent */
	uint64_t held = memory_limit > rest ? memory_limit - rest : 0;

	if (held < LIMIT_WINDOW_MIN)
		return LIMIT_WINDOW_MIN;
	return held < LIMIT_HELD ? (size_t) held : LIMIT_HELD;
}

int params_fill(struct client_params *p, const struct conf *conf, const struct machine *m,
		const char *token, const char *run_id)
{
	uint64_t memory_limit = cgroup_memory_limit(CGROUP_MOUNT, CGROUP_MEMBERSHIP);
	static const enum prim_aead_kind kinds[] = { PRIM_AEAD_AES_256_GCM };
	int err;

	*p = (struct client_params){
		.login.wire = conf->wire,
		.login.token = span_str(token),
		.login.login = {
			.version = PARAMS_FRP_VERSION,
			.hostname = m->host,
			.os = m->os,
			.arch = m->arch,
			.user = conf->user,
			.run_id = run_id,
			.client_id = conf->client_id,
			.metas = { .at = conf->metas.at, .n = conf->metas.n },
			.pool_count = conf->pool_count,
		},
		.login.hello = {
			.tls = conf->tls.is_on,
			.tcp_mux = conf->is_mux,
			.kinds = kinds,
			.n_kinds = 1,
		},
		.wall_s = (int64_t) time(NULL),
		.is_mux = conf->is_mux,
		.n_streams_max = conf->n_streams_max,
		.budget = params_budget(memory_limit),
		.held_max = params_held(memory_limit),
		.heartbeat_ms = conf->heartbeat_ms,
		.ping_ms = conf->mux_keepalive_ms,
		.dead_ms = dead_after(conf),
	};
	err = loop_random(p->login.iv, sizeof(p->login.iv));
	if (err == 0)
		err = loop_random(p->login.hello.random, sizeof(p->login.hello.random));
	return err == 0 ? loop_random(p->login.nonce, sizeof(p->login.nonce)) : err;
}
