/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - intrusive doubly linked list with a head. Floor 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A head, or a link embedded in a member. A link outside any list points to itself. */
struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l;
	l->next = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *link)
{
	return link->next != link;
}

static inline void list_add_tail(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Also legal on a link that is in no list. */
static inline void list_del(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}
