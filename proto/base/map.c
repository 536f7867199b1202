/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - hash map from a non-zero uint32_t to a pointer: linear probing, no tombstones.
 * Floor 0. */
#include "proto/base/map.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/err.h"

#define MAP_FIRST 16 /* slots of the first allocation; never fewer later */

struct map_slot {
	uint32_t key; /* 0: free */
	void *value;
};

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void map_deinit(struct map *m)
{
	free(m->slots);
	map_init(m);
}

/* Fibonacci hashing: stream ids are consecutive odd numbers, their low bits alone would use half of
 * the table. */
static size_t map_home(uint32_t key, size_t cap)
{
	return (size_t) ((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (cap - 1);
}

/* The slot of @key, or the free slot where it belongs. cap > 0. */
static size_t map_find(const struct map_slot *slots, size_t cap, uint32_t key)
{
	size_t i = map_home(key, cap);

	while (slots[i].key != 0 && slots[i].key != key)
		i = (i + 1) & (cap - 1);
	return i;
}

static int map_resize(struct map *m, size_t cap)
{
	struct map_slot *slots = calloc(cap, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key != 0)
			slots[map_find(slots, cap, m->slots[i].key)] = m->slots[i];
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

void *map_get(const struct map *m, uint32_t key)
{
	if (m->cap == 0 || key == 0)
		return NULL;
	return m->slots[map_find(m->slots, m->cap, key)].value;
}

int map_put(struct map *m, uint32_t key, void *value)
{
	struct map_slot *slot;
	int r;

	MUST(key != 0 && value != NULL);
	if (m->n_items + 1 > m->cap / 2) {
		r = map_resize(m, m->cap > 0 ? m->cap * 2 : MAP_FIRST);
		if (r < 0)
			return r;
	}
	slot = &m->slots[map_find(m->slots, m->cap, key)];
	MUST(slot->key == 0);
	*slot = (struct map_slot){ .key = key, .value = value };
	m->n_items++;
	return 0;
}

/* Close the gap at @gap: move back every follower whose probe path runs over it. */
static void map_close_gap(struct map *m, size_t gap)
{
	size_t mask = m->cap - 1;

	for (size_t i = (gap + 1) & mask; m->slots[i].key != 0; i = (i + 1) & mask) {
		size_t home = map_home(m->slots[i].key, m->cap);

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		m->slots[gap] = m->slots[i];
		gap = i;
	}
	m->slots[gap] = (struct map_slot){ 0 };
}

void *map_del(struct map *m, uint32_t key)
{
	void *value;
	size_t i;

	if (m->cap == 0 || key == 0)
		return NULL;
	i = map_find(m->slots, m->cap, key);
	value = m->slots[i].value;
	if (value == NULL)
		return NULL;
	map_close_gap(m, i);
	m->n_items--;
	/* Without memory the larger table serves as well. */
	if (m->cap > MAP_FIRST && m->n_items < m->cap / 8)
		(void) map_resize(m, m->cap / 2);
	return value;
}

void *map_next(const struct map *m, size_t *it)
{
	while (*it < m->cap) {
		const struct map_slot *slot = &m->slots[(*it)++];

		if (slot->key != 0)
			return slot->value;
	}
	return NULL;
}
