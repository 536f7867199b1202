/* SPDX-License-Identifier: Apache-2.0 */
/* env.h - the world of one simulated run: its clock, its randomness, and how a broken promise ends
 * it. Tests only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/jitter.h"

struct env {
	uint64_t seed; /* names the run: the same seed is the same run */
	uint64_t rng, now_ms;
	size_t n_events;
};

/* What the machines promise; a failure prints the seed that replays it. */
#define PROMISE(env, x) ((x) ? (void) 0 : promise_broken(env, #x, __FILE__, __LINE__))

static inline _Noreturn void promise_broken(const struct env *e, const char *what, const char *file,
					    int line)
{
	(void) fprintf(stderr, "seed %llu, %llu ms, event %zu: %s:%d: not %s\n",
		       (unsigned long long) e->seed, (unsigned long long) e->now_ms, e->n_events,
		       file, line, what);
	abort();
}

/* Uniform in 0..n-1. */
static inline uint32_t env_random(struct env *e, uint32_t n)
{
	return (uint32_t) jitter_between(&e->rng, 0, n - 1);
}

static inline bool env_chance(struct env *e, uint32_t percent)
{
	return env_random(e, 100) < percent;
}
