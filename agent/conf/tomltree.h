/* SPDX-License-Identifier: Apache-2.0 */
/* tomltree.h - TOML text to a tree. Floor 4. */
#pragma once
#include "agent/conf/node.h"
#include "agent/conf/parse.h"

parse_fn tomltree_parse;
