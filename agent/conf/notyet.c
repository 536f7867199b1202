/* SPDX-License-Identifier: Apache-2.0 */
/* notyet.c - what the configuration can ask for and the tunnel cannot do. Floor 4.
 *
 * A row goes when the tunnel can; with the last one the file goes. */
#include "agent/conf/notyet.h"

static bool wants_encryption(const struct conf_proxy *p)
{
	return p->use_encryption;
}

static bool wants_compression(const struct conf_proxy *p)
{
	return p->use_compression;
}

static bool wants_limit(const struct conf_proxy *p)
{
	return p->bandwidth_bytes > 0 && !p->is_bandwidth_of_server;
}

static const struct {
	bool (*is_wanted)(const struct conf_proxy *p);
	const char *what;
} of_proxies[] = {
	{ wants_encryption, "transport.useEncryption is" },
	{ wants_compression, "transport.useCompression is" },
	{ wants_limit, "transport.bandwidthLimit in client mode is" },
};

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
	for (size_t k = 0; k < c->n_proxies; k++)
		for (size_t i = 0; i < sizeof(of_proxies) / sizeof(of_proxies[0]); i++)
			if (of_proxies[i].is_wanted(&c->proxies[k]))
				problems_add(p, "%s: %s not supported by this version",
					     c->proxies[k].place != NULL ? c->proxies[k].place
									 : c->source,
					     of_proxies[i].what);
}
