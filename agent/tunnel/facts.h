/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - how an uplink and its proxies stand, for people and monitors. Floor 5. */
#pragma once
#include "agent/tunnel/service.h"

struct uplink;

void facts_read(const struct uplink *u, struct service_facts *ret_f);
void facts_each_proxy(const struct uplink *u, service_proxy_fn *fn, void *arg);
