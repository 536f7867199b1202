# SPDX-License-Identifier: Apache-2.0
# test_restart.py - server or agent dies and is back: so is the tunnel, soon, every time.

import statistics
import time

import pytest

import network
import peers

DOWN_S = 2  # how long the server stays away
SESSION_S = 2.5  # a session older than the time that lies between two logins


@pytest.fixture(scope="module")
def outages(tmp_path_factory):
    """Version -> 20 times from the moment the server listens again until both ports answer."""
    directory = tmp_path_factory.mktemp("restart")
    keys = [(version, i) for version in (peers.OLD, peers.NEW) for i in range(4)]

    def five_rounds(at):
        version, i = keys[at]
        with peers.Lab(directory / f"{version}-{i}", version) as lab:
            lab.start_frps()
            agent = lab.start_agent()
            # One agent is hit again and again right after its login, the others later.
            return [outage(lab, agent, SESSION_S if i else 0) for _ in range(5)]

    seconds = {version: [] for version, _ in keys}
    for (version, _), rounds in zip(keys, peers.side_by_side(len(keys), five_rounds)):
        seconds[version] += rounds
    return seconds


def outage(lab, agent, age):
    time.sleep(age)  # the session's, when the server dies
    lab.frps.kill()
    time.sleep(DOWN_S)  # the fault itself
    lab.start_frps()
    took = lab.wait_up(timeout=30)
    assert agent.is_running()
    return took


@pytest.mark.alone
def test_killed_server_is_back_within_a_second_20_of_20(outages, version):
    print("both ports answer after", sorted(round(took, 2) for took in outages[version]))
    assert len(outages[version]) == 20
    assert max(outages[version]) <= 1.0


def test_server_away_at_start_is_found(lab):
    lab.frps.kill()
    agent = lab.start_agent(want_up=False)
    agent.wait_line("refused")
    lab.start_frps()
    assert lab.wait_up() <= 1.5
    assert agent.is_running()


@pytest.mark.alone
def test_killed_agent_is_replaced_at_once_50_times(new_lab, version):
    lab = new_lab(version=version)
    lab.start_frps()
    agent = lab.start_agent()
    seconds = []
    for _ in range(50):
        agent.kill()
        began = time.monotonic()
        agent = lab.start_agent(want_up=False)
        up_at = agent.wait_line("start proxy success", count=2)[0]
        seconds.append(up_at - began)
        assert network.answers(lab.port1) and network.answers(lab.port2)
    print("median", statistics.median(seconds), "worst", max(seconds))
    assert statistics.median(seconds) <= 0.1
    assert max(seconds) <= 2.0
