/* SPDX-License-Identifier: Apache-2.0 */
/* diff.h - what is different in a new configuration: which proxies, and whether the session has to
 * begin anew. Floor 4. */
#pragma once
#include <stdbool.h>

#include "agent/conf/schema.h"

/* Both after conf_check(). */
bool conf_proxy_is_same(const struct conf_proxy *a, const struct conf_proxy *b);
bool conf_visitor_is_same(const struct conf_visitor *a, const struct conf_visitor *b);

/* The first setting, by the name it has in files, that a session takes over at its start and that
 * differs; NULL: none. */
const char *conf_diff_session(const struct conf *a, const struct conf *b);
/* The same for settings that only a start of the program takes over. */
const char *conf_diff_start(const struct conf *a, const struct conf *b);
