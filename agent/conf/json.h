/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON text to a tree. Floor 4.
 *
 * The reader is ours: jansson has no places for values, quotes the text (perhaps the token) in its
 * messages, and reads past a string when it runs out of memory. */
#pragma once
#include "agent/conf/node.h"
#include "agent/conf/parse.h"

parse_fn json_parse;
