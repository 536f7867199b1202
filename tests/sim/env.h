/* SPDX-License-Identifier: Apache-2.0 */
/* env.h - the world of one simulated run: its clock, its randomness, what happened in it, and how a
 * broken promise ends it. Tests only.
 *
 * All that happens follows from the seed alone. Never draw two random numbers in one argument list:
 * compilers differ in the order. */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/jitter.h"
#include "proto/base/map.h"
#include "tests/sim/fault.h"

struct env {
	uint64_t seed; /* names the run: the same seed is the same run */
	uint64_t rng, now_ms;
	/* read-only */
	uint64_t digest; /* of all events */
	size_t n_events;
	size_t hits[N_FAULTS];
	/* private */
	bool is_told;	   /* each event is printed */
	struct map aborts; /* ids of flows that one end has reset */
};

/* What the machines promise; a failure prints the seed, and how to see it again. */
#define PROMISE(env, x) ((x) ? (void) 0 : promise_broken(env, #x, __FILE__, __LINE__))

static inline _Noreturn void promise_broken(const struct env *e, const char *what, const char *file,
					    int line)
{
	(void) fflush(stdout);
	(void) fprintf(stderr, "seed %llu, %llu ms, event %zu: %s:%d: not %s\n",
		       (unsigned long long) e->seed, (unsigned long long) e->now_ms, e->n_events,
		       file, line, what);
	abort();
}

static inline void env_init(struct env *e, uint64_t seed)
{
	*e = (struct env){ .seed = seed, .rng = seed, .now_ms = 100000000 };
	map_init(&e->aborts);
}

static inline void env_deinit(struct env *e)
{
	map_deinit(&e->aborts);
}

/* @what of @how_much happens to @who. */
static inline void env_note(struct env *e, const char *what, size_t who, uint64_t how_much)
{
	uint64_t h = e->digest ^ e->now_ms ^ (how_much << 32) ^ (who << 56);

	for (const char *c = what; *c != '\0'; c++)
		h = (h ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
	e->digest = h;
	e->n_events++;
	if (e->is_told)
		(void) printf("%10llu ms %6zu  %zu %s %llu\n", (unsigned long long) e->now_ms,
			      e->n_events, who, what, (unsigned long long) how_much);
}

static inline void env_hit(struct env *e, enum fault fault)
{
	e->hits[fault]++;
	if (e->is_told)
		(void) printf("%10llu ms %6zu  fault %s\n", (unsigned long long) e->now_ms,
			      e->n_events, fault_name(fault));
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
