/* SPDX-License-Identifier: Apache-2.0 */
/* legacy.h - the keys of frp's INI files: which there are, and what becomes of each. Floor 4. */
#pragma once
#include <stddef.h>

#include "agent/conf/key.h"

struct legacy_keys {
	const struct key *at;
	size_t n;
	/* Families like "plugin_": each row refuses all names that start with its own. */
	const struct key *families;
	size_t n_families;
};
extern const struct legacy_keys legacy_common; /* of a struct conf */
extern const struct legacy_keys legacy_proxy;  /* of a struct conf_proxy */

/* The row of @name or of its family; NULL when frp has no such key. */
const struct key *legacy_find(const struct legacy_keys *keys, const char *name);
