/* SPDX-License-Identifier: Apache-2.0 */
/* notyet.c - what the configuration can ask for and the tunnel cannot do. Floor 4.
 *
 * A row goes when the tunnel can; with the last one the file goes. */
#include "agent/conf/notyet.h"

static bool wants_visitors(const struct conf *c)
{
	return c->n_visitors > 0;
}

static const struct {
	bool (*is_wanted)(const struct conf *c);
	const char *what;
} of_all[] = {
	{ wants_visitors, "visitors are" },
};

void notyet_check(const struct conf *c, struct problems *p)
{
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++)
		if (of_all[i].is_wanted(c))
			problems_add(p, "%s: %s not supported by this version", c->source,
				     of_all[i].what);
}
