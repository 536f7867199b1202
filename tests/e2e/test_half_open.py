# SPDX-License-Identifier: Apache-2.0
# test_half_open.py - a path that forwards nothing and refuses nothing is found dead, at any age of the session.

import time

import pytest

import peers

DETECTED_S = 15.0
# Name -> age of the session in seconds, direction, whether a stream is running.
CASES = {
    "1-s-old": (1, "both", False),
    "6-s-old": (6, "both", False),
    "11-s-old": (11, "both", False),
    "19-s-old": (19, "both", False),
    "31-s-old": (31, "both", False),
    "6-s-old-busy": (6, "both", True),
    "nothing-from-the-server": (8, "down", False),
}


def find_out(directory, version, age, direction, is_busy):
    """Seconds until the agent dials again."""
    with peers.Lab(directory, version) as lab:
        lab.start_frps()
        relay = lab.start_relay()
        agent = lab.start_agent()
        if is_busy:
            lab.start_load("sse", streams=5, rate=10, seconds=60)
        time.sleep(age)  # the session grows old
        assert len(relay.events("open")) == 1
        mark = relay.mark()
        began = time.monotonic()
        relay.tell(f"halfopen {direction}")
        at, _ = relay.wait_event("open", timeout=45, since=mark)
        # 0.65.0 parks a login with the run id of a session that it believes to be alive.
        if version == peers.NEW and not is_busy:
            lab.wait_up(timeout=10)
        assert agent.is_running()
        return at - began


@pytest.fixture(scope="module")
def detected(tmp_path_factory):
    directory = tmp_path_factory.mktemp("half-open")
    keys = [(version, name) for version in (peers.OLD, peers.NEW) for name in CASES]

    def one(i):
        version, name = keys[i]
        return find_out(directory / f"{version}-{name}", version, *CASES[name])

    return dict(zip(keys, peers.side_by_side(len(keys), one)))


@pytest.mark.parametrize("name", CASES)
def test_dead_path_is_found(detected, version, name):
    assert detected[version, name] <= DETECTED_S


def test_a_short_stall_costs_nothing(tmp_path):
    with peers.Lab(tmp_path) as lab:
        lab.start_frps()
        relay = lab.start_relay()
        lab.start_agent()
        mark = lab.frps.mark()
        stream = lab.start_load("sse", streams=5, rate=10, seconds=17)
        lab.frps.wait_line("join connections, ", since=mark, count=5)
        relay.tell("halfopen")
        time.sleep(12)  # the stall itself
        relay.tell("thaw")
        stream.exact()
        assert len(relay.events("open")) == 1
