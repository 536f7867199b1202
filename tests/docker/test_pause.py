# SPDX-License-Identifier: Apache-2.0
# test_pause.py - containers that stand still for a minute.

import time

from engine import BACK_S, IDS, all_silent, call, comeback, docker

LONG_S = 60.0


def test_pause(project):
    agents = [project.agent(ident) for ident in IDS]
    docker("pause", *agents)
    try:
        all_silent(project)
        time.sleep(LONG_S)  # the fault itself, no synchronisation
        with comeback(project, BACK_S):
            docker("unpause", *agents)
    finally:
        for agent in agents:
            call("docker", "unpause", agent, check=False)
