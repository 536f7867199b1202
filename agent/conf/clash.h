/* SPDX-License-Identifier: Apache-2.0 */
/* clash.h - proxies and visitors that cannot stand beside each other. Floor 4. */
#pragma once
#include "agent/conf/problems.h"
#include "agent/conf/schema.h"

/* Names are given once, and ports that a server gives once: a line in @p for each that comes too
 * late. In n log n, for there may be thousands. 0 (also with new problems) or -ENOMEM. */
int clash_check(const struct conf *c, struct problems *p);
