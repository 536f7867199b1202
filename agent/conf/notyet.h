/* SPDX-License-Identifier: Apache-2.0 */
/* notyet.h - what the configuration can ask for and the tunnel cannot do. Floor 4. */
#pragma once
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

/* Each such wish becomes a line in @p, so that no key is accepted and then ignored. */
void notyet_check(const struct conf *c, struct problems *p);
