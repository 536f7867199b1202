/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c - an observer of yamux frames. Written without a look at mux.c. Tests only. */
#include "tests/sim/tap.h"

#include <string.h>

#include "proto/base/bytes.h"

struct tap_stream {
	int64_t credit[2]; /* of the sender in this direction */
	bool has_fin[2], has_rst[2], is_acked, is_counted;
};

void tap_init(struct tap *t, struct env *env)
{
	*t = (struct tap){ .env = env };
	map_init(&t->streams);
}

void tap_deinit(struct tap *t)
{
	struct tap_stream *s;
	size_t it = 0;

	while ((s = map_next(&t->streams, &it)) != NULL)
		free(s);
	map_deinit(&t->streams);
}

static void tap_count(struct tap *t, struct tap_stream *s)
{
	bool is_open = !s->has_rst[0] && !s->has_rst[1] && !(s->has_fin[0] && s->has_fin[1]);

	t->n_open = t->n_open + (size_t) is_open - (size_t) s->is_counted;
	s->is_counted = is_open;
}

static struct tap_stream *tap_on_syn(struct tap *t, enum tap_dir dir, uint32_t id)
{
	struct tap_stream *s = calloc(1, sizeof(*s));

	PROMISE(t->env, s != NULL);
	PROMISE(t->env, dir == TAP_UP);
	PROMISE(t->env, id % 2 == 1 && id > t->last_id);
	t->last_id = id;
	s->credit[0] = s->credit[1] = 262144;
	PROMISE(t->env, map_put(&t->streams, id, s) == 0);
	t->n_unacked++;
	PROMISE(t->env, t->n_unacked <= 128);
	return s;
}

static void tap_on_ping(struct tap *t, enum tap_dir dir, uint16_t flags, uint32_t id)
{
	enum tap_dir other = dir == TAP_UP ? TAP_DOWN : TAP_UP;

	if ((flags & 1) != 0) {
		PROMISE(t->env, t->n_pings_due[dir] < TAP_PINGS);
		t->pings_due[dir][t->n_pings_due[dir]++] = id;
		return;
	}
	PROMISE(t->env, (flags & 2) != 0);
	PROMISE(t->env, t->n_pings_due[other] > 0 && t->pings_due[other][0] == id);
	t->n_pings_due[other]--;
	memmove(t->pings_due[other], t->pings_due[other] + 1,
		t->n_pings_due[other] * sizeof(uint32_t));
}

static void tap_on_stream(struct tap *t, enum tap_dir dir, struct tap_stream *s, uint16_t flags,
			  uint32_t data)
{
	if (dir == TAP_DOWN && !s->is_acked) {
		s->is_acked = true;
		t->n_unacked--;
	}
	if (!s->has_rst[dir]) {
		PROMISE(t->env, data == 0 || !s->has_fin[dir]);
		s->credit[dir] -= data;
		PROMISE(t->env, s->credit[dir] >= 0);
		PROMISE(t->env, (flags & 4) == 0 || !s->has_fin[dir]);
	}
	s->has_fin[dir] = s->has_fin[dir] || (flags & 4) != 0;
	PROMISE(t->env, (flags & 8) == 0 || !s->has_rst[dir]);
	s->has_rst[dir] = s->has_rst[dir] || (flags & 8) != 0;
	if (dir == TAP_UP && s->has_rst[dir] && !s->is_acked) {
		s->is_acked = true;
		t->n_unacked--;
	}
	tap_count(t, s);
}

static void tap_on_sent(struct tap *t, enum tap_dir dir, const uint8_t *h)
{
	uint16_t flags = bytes_get_u16(h + 2);
	uint32_t id = bytes_get_u32(h + 4), len = bytes_get_u32(h + 8);
	struct tap_stream *s;

	PROMISE(t->env, h[0] == 0 && h[1] <= 3);
	PROMISE(t->env, (flags & ~15) == 0);
	if (h[1] == 2)
		tap_on_ping(t, dir, flags, len);
	if (h[1] >= 2)
		return;
	s = (flags & 1) != 0 ? tap_on_syn(t, dir, id) : map_get(&t->streams, id);
	PROMISE(t->env, s != NULL);
	tap_on_stream(t, dir, s, flags, h[1] == 0 ? len : 0);
	if (h[1] == 0)
		t->n_data[dir] += len;
}

static void tap_on_arrived(struct tap *t, enum tap_dir dir, const uint8_t *h)
{
	struct tap_stream *s = map_get(&t->streams, bytes_get_u32(h + 4));

	if (h[1] == 1 && s != NULL)
		s->credit[dir == TAP_UP ? TAP_DOWN : TAP_UP] += bytes_get_u32(h + 8);
}

/* The next whole header in *in, or false. */
static bool tap_header(struct tap_side *side, struct span *in)
{
	size_t n = side->body_left < in->len ? side->body_left : in->len;

	side->body_left -= (uint32_t) n;
	*in = span_skip(*in, n);
	while (side->body_left == 0 && in->len > 0) {
		side->header[side->header_len++] = in->p[0];
		*in = span_skip(*in, 1);
		if (side->header_len < 12)
			continue;
		side->header_len = 0;
		if (side->header[1] == 0)
			side->body_left = bytes_get_u32(side->header + 8);
		return true;
	}
	return false;
}

void tap_sent(struct tap *t, enum tap_dir dir, struct span bytes)
{
	while (!t->is_off && tap_header(&t->sent[dir], &bytes))
		tap_on_sent(t, dir, t->sent[dir].header);
}

void tap_arrived(struct tap *t, enum tap_dir dir, struct span bytes)
{
	while (!t->is_off && tap_header(&t->arrived[dir], &bytes))
		tap_on_arrived(t, dir, t->arrived[dir].header);
}
