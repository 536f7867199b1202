/* SPDX-License-Identifier: Apache-2.0 */
/* ident.h - which server and which proxies a configuration is for, as a name that tells nothing.
 * Floor 4. */
#pragma once
#include "agent/conf/schema.h"
#include "proto/wire/prim.h"

#define IDENT_CAP (2 * PRIM_SHA256_LEN + 1)

/* In hex; the order of the proxies is of no account. Without proxies the ports of its visitors
 * count. 0 or negated errno. */
int conf_ident(const struct conf *c, char ret_hex[static IDENT_CAP]);
