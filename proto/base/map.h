/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - hash map from a non-zero uint32_t to a pointer (open addressing). Floor 0. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct map {
	/* read-only */
	size_t n_items;
	/* private; invariant: cap is 0 or a power of two, n_items <= cap / 2 */
	struct map_slot *slots;
	size_t cap;
};

void map_init(struct map *m);
void map_deinit(struct map *m); /* the values are the caller's */
/* NULL when absent. */
void *map_get(const struct map *m, uint32_t key);
/* @key != 0 and absent, @value != NULL. 0 or -ENOMEM. */
int map_put(struct map *m, uint32_t key, void *value);
/* The removed value, or NULL. Never fails; the table may shrink. */
void *map_del(struct map *m, uint32_t key);
/* Iterate in no order: *it starts at 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *m, size_t *it);
