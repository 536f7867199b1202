/* SPDX-License-Identifier: Apache-2.0 */
/* joined.c - the list of users of joined work connections. Floor 5. */
#include "agent/tunnel/joined.h"

#include <errno.h>
#include <stdio.h>

#include "agent/base/loop.h"
#include "agent/tunnel/advice.h"
#include "proto/base/err.h"

#define JOINED_SCARCE_MS 10000 /* between lines about descriptors: users come by the hundred */

void joined_host_init(struct joined_host *h, struct loop *l)
{
	h->loop = l;
	list_init(&h->all);
	h->scarce.every_ms = JOINED_SCARCE_MS;
}

size_t joined_count(const struct joined_host *h)
{
	const struct list *l;
	size_t n = 0;

	for (l = h->all.next; l != &h->all; l = l->next)
		n++;
	return n;
}

void joined_add(struct joined *j, struct joined_host *h, struct proxy *proxy, struct end up,
		struct end_user *u, void (*end)(struct joined *j, bool want_reset))
{
	j->host = h;
	j->proxy = proxy != NULL ? proxy_share(proxy) : NULL;
	j->up = up;
	j->has_up = true;
	j->end = end;
	list_init(&j->link);
	list_add_tail(&h->all, &j->link);
	if (proxy != NULL) {
		proxy->n_users++;
		proxy->n_users_ever++;
	}
	h->n_ever++;
	end_set_user(up, u);
}

void joined_count_up(struct joined *j, size_t n)
{
	if (j->proxy != NULL)
		j->proxy->n_bytes_up += n;
	j->host->n_bytes_up += n;
}

void joined_count_down(struct joined *j, size_t n)
{
	if (j->proxy != NULL)
		j->proxy->n_bytes_down += n;
	j->host->n_bytes_down += n;
}

void joined_leave(struct joined *j, bool want_reset)
{
	if (!j->has_up)
		return;
	j->has_up = false;
	if (want_reset)
		end_rst(j->up);
	else
		end_fin(j->up);
	end_forget(j->up);
}

void joined_on_local_error(struct joined *j, int err, const char *why)
{
	struct joined_host *h = j->host;
	uint64_t n_others;
	char others[24];

	if (err != -EMFILE && err != -ENFILE) {
		proxy_on_local_error(j->proxy, err, why);
		return;
	}
	if (!log_limit_allows(&h->scarce, loop_now_ms(h->loop), &n_others))
		return;
	(void) snprintf(others, sizeof(others), "%llu", (unsigned long long) n_others);
	log_warn(h->loop->log, "user connection refused: no file descriptor is left for it",
		 "proxy", j->proxy->conf->name, "refused_before", others, "remedy",
		 advice_for_local(err));
}

void joined_drop(struct joined *j)
{
	if (!j->has_up)
		return;
	j->has_up = false;
	end_forget(j->up);
}

void joined_remove(struct joined *j)
{
	list_del(&j->link);
	if (j->proxy == NULL)
		return;
	j->proxy->n_users--;
	(void) proxy_free(j->proxy); /* our share */
}

void joined_reset_carried(struct joined_host *h, const void *carrier)
{
	struct list *l, *next;
	struct joined *j;

	for (l = h->all.next; l != &h->all; l = next) {
		next = l->next;
		j = container_of(l, struct joined, link);
		if (!j->has_up || j->up.carrier != carrier)
			continue; /* carried by others, or delivers what came before a FIN */
		j->has_up = false;
		j->end(j, /* want_reset= */ true);
	}
}

void joined_end_all(struct joined_host *h)
{
	struct list *l, *next;

	for (l = h->all.next; l != &h->all; l = next) {
		next = l->next;
		container_of(l, struct joined, link)
			->end(container_of(l, struct joined, link), true);
	}
}
