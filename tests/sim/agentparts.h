/* SPDX-License-Identifier: Apache-2.0 */
/* agentparts.h - what the files of an agent know of each other. Tests only. */
#pragma once
#include "tests/sim/agent.h"

/* From here on the agent's machines run, and an allocation may fail; and no more. */
void agent_enter_machines(struct agent *a);
void agent_leave_machines(struct agent *a);
/* The session is over, or the process: its services are, too, and the connection is closed. */
void agent_hang_up(struct agent *a);
uint64_t agent_services_due(const struct agent *a);
void agent_serve(struct agent *a);
