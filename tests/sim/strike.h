/* SPDX-License-Identifier: Apache-2.0 */
/* strike.h - one fault, chosen at random, strikes a simulated world. Tests only. */
#pragma once
#include "tests/sim/sim.h"

/* Takes as long as the fault does (the clock goes on). What it has changed in the network and in
 * the rules of the server may stay: strike_heal() ends it. */
void strike(struct sim *s);
/* The network is good, the server is there and honest; only what is dead for ever stays so. */
void strike_heal(struct sim *s);
