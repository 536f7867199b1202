# SPDX-License-Identifier: Apache-2.0
# test_silent_drop.py - a firewall between agent and server that swallows packets for a minute.

import contextlib
import time

from engine import BACK_SILENT_S, IDS, all_silent, comeback, firewall

LONG_S = 60.0


def test_silent_drop(project):
    nodes = [project.node(ident) for ident in IDS]
    with contextlib.ExitStack() as mended:
        for node in nodes:
            firewall(node, "-A")
            mended.callback(firewall, node, "-D")
        all_silent(project)
        time.sleep(LONG_S)  # the fault itself, no synchronisation
        with comeback(project, BACK_SILENT_S):
            mended.close()
