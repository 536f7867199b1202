/* SPDX-License-Identifier: Apache-2.0 */
/* jitter.h - a small seeded generator (SplitMix64) that spreads waits; no secret ever comes from
 * it. Floor 0. */
#pragma once
#include <stdint.h>

/* Every value of *state is a good one; it is the seed at first. */
static inline uint64_t jitter_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Uniform in @min..@max, both included; @min <= @max, @max - @min < UINT32_MAX. */
static inline uint64_t jitter_between(uint64_t *state, uint64_t min, uint64_t max)
{
	uint64_t r = jitter_next(state) >> 32;

	return min + ((r * (max - min + 1)) >> 32);
}
