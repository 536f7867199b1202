# SPDX-License-Identifier: Apache-2.0
# test_rival.py - two agents with one run id: a state folder that was copied.

import shutil
import time

import pytest

import network
import peers
from faults import SETTLED_S, refusal_in

@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_two_agents_with_one_run_id_are_told(new_lab):
    """The second eviction within a minute is explained, and ends it."""
    lab = new_lab(version=peers.NEW)
    try:
        peers.side_by_side(1, lambda _: evict_each_other(lab))
    except AssertionError as error:
        if refusal_in(error):
            pytest.skip(f"the kernel refuses: {refusal_in(error)}")
        raise


def evict_each_other(lab):
    with network.house_behind_a_wire() as inside:
        lab.start_frps(bind="0.0.0.0")
        env = {"FRP_SERVER": f"10.9.0.1:{lab.server_port}", "MLTUNNEL_READY_PATH": "off"}
        agent = lab.start_agent(want_up=False, **env)
        agent.wait_line("start proxy success", count=2)
        kept = list((lab.directory / "etc").glob("mltunnel-*.run"))
        assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
        run_id = kept[0].read_text().strip()
        copy = lab.directory / "copy"
        shutil.copytree(kept[0].parent, copy)
        time.sleep(SETTLED_S)
        # The other one does not see that there is one: it is on another machine.
        other = lab.start_agent(want_up=False, before=inside, FRP_CONFIG_DIR=str(copy), **env)
        pattern = "another agent has taken its place.*remedy=.*another agent uses this CLIENT_ID.*retry_in=\"?[45]"
        network.wait_until(lambda: agent.find(pattern) or other.find(pattern), "it is told", 20)
        mark = lab.frps.mark()
        time.sleep(8)  # four times what lies between two logins
        assert len(lab.frps.logins(mark)) <= 1, "they go on"
        assert len(agent.find(pattern) + other.find(pattern)) == 1
        for program in (agent, other):
            assert run_id not in program.text()
            assert program.is_running()
