/* SPDX-License-Identifier: Apache-2.0 */
/* turn.c - two lists of waiting streams. Floor 2. */
#include "proto/session/turn.h"

#include "proto/base/err.h"

void turn_init(struct turn *t)
{
	t->n_waiting = 0;
	t->holder = NULL;
	t->quantum = LIMIT_TURN;
	list_init(&t->fresh);
	list_init(&t->bulk);
}

void turn_want(struct turn *t, struct mux_stream *s)
{
	if (list_is_linked(&s->turn_link))
		return;
	list_add_tail(s->is_bulk ? &t->bulk : &t->fresh, &s->turn_link);
	t->n_waiting++;
}

void turn_unwant(struct turn *t, struct mux_stream *s)
{
	if (!list_is_linked(&s->turn_link))
		return;
	list_del(&s->turn_link);
	t->n_waiting--;
}

void turn_end(struct turn *t)
{
	if (t->holder != NULL && !list_is_linked(&t->holder->turn_link))
		t->holder->is_bulk = false;
	t->holder = NULL;
}

bool turn_has_fresh(const struct turn *t)
{
	return !list_is_empty(&t->fresh);
}

struct mux_stream *turn_pop(struct turn *t)
{
	struct list *from = turn_has_fresh(t) ? &t->fresh : &t->bulk;
	struct mux_stream *s;

	s = container_of(from->next, struct mux_stream, turn_link);
	turn_unwant(t, s);
	return s;
}

size_t turn_begin(struct turn *t, struct mux_stream *s)
{
	size_t quantum = s->is_bulk ? t->quantum : LIMIT_TURN_NEW;

	t->is_fresh = !s->is_bulk;
	s->is_bulk = true;
	t->holder = s;
	return quantum;
}
