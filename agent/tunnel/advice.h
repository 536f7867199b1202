/* SPDX-License-Identifier: Apache-2.0 */
/* advice.h - what a person can do about each failure: the remedies of the log, in one place.
 * Floor 5. */
#pragma once
#include "agent/net/dial.h"
#include "agent/net/hop.h"
#include "proto/session/client.h"

/* Each returns a static text that completes a log line; never NULL. */
const char *advice_for_dial(enum dial_stage stage, int err);
const char *advice_for_hop(const struct hop_result *r); /* the one that has failed */
/* @error is the server's text (frp README 9.3 has the known ones; unknown text is retryable). */
const char *advice_for_login(const char *error);
const char *advice_for_proxy(const char *error);
const char *advice_for_visit(const char *error);
const char *advice_for_bind(int err);
const char *advice_for_cause(enum client_cause cause);
const char *advice_for_tls(const char *error);
const char *advice_for_limit(const char *which); /* of CLIENT_EV_LIMIT */
const char *advice_for_rival(void);		 /* two agents evict each other */
const char *advice_for_local(int err);
