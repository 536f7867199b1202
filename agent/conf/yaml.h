/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h - YAML text to a tree, by libyaml. Floor 4. */
#pragma once
#include "agent/conf/node.h"
#include "agent/conf/parse.h"

/* Scalars as Go's decoder takes them (YAML 1.1), anchors, aliases and merge keys; names that start
 * with a dot hold anchors at the top and are left out, as in frp. One document. Returns as
 * parse_fn. */
parse_fn yaml_parse;
