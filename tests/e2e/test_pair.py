# SPDX-License-Identifier: Apache-2.0
# test_pair.py - both proxies or none: half a tunnel makes the network node reload the model.

import time

import pytest

import network
import peers


def taker_of(lab, port):
    """Another client of the server that holds this one of our ports."""
    ports = (port, None) if port == lab.port1 else (None, port)
    taker = lab.start_stock(prefix="taker", ports=ports)
    taker.wait_line("start proxy success")
    return taker


@pytest.mark.parametrize("which", ("inference", "management"))
def test_one_port_taken_closes_the_other(new_lab, version, which):
    lab = new_lab(version=version)
    lab.start_frps()
    taken, other = (lab.port1, lab.port2) if which == "inference" else (lab.port2, lab.port1)
    taker = taker_of(lab, taken)
    agent = lab.start_agent(want_up=False)
    agent.wait_line("port already used|port unavailable")
    # It is asked for again and again, with the other, and never is the other left up for longer than that takes.
    seen = longest_open(other, seconds=5)
    assert seen <= 0.25, f"the other port stayed open for {seen:.2f} s"
    taker.kill()
    network.wait_closed(taken)
    assert lab.wait_up() <= 2.0
    warnings = [line for _, line in agent.lines if "port already used" in line and "WARN" in line]
    assert len(warnings) == 1, "one line as long as the cause is the same"
    # One that is accepted and closed again and again tells that once; both tell when they are up for good.
    n_closed = int(which == "management")  # the first one has an answer before the second is refused
    agent.wait_line("start proxy success", count=2 + n_closed)
    assert len(agent.find("start proxy success")) == 2 + n_closed, agent.text()
    assert len(agent.find("closed until its partner is accepted")) == n_closed, agent.text()


def longest_open(port, seconds):
    longest, since = 0.0, None
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        now = time.monotonic()
        if not network.is_listening(port):
            since = None
        elif since is None:
            since = now
        else:
            longest = max(longest, now - since)
        time.sleep(0.005)  # a look at the kernel's table, often
    return longest


def test_port_lost_at_a_restart_takes_the_pair_down(lab):
    agent = lab.start_agent()
    lab.frps.kill()
    lab.start_frps(extra=[f"allowPorts = [{{ single = {lab.port1} }}]"])
    agent.wait_line("port not allowed|not allowed", timeout=15)
    assert longest_open(lab.port1, seconds=3) <= 0.25
    lab.frps.kill()
    lab.start_frps()
    lab.wait_up(timeout=15)


@pytest.mark.skipif(peers.IS_STOCK, reason="the stock client has no such mode")
def test_ini_keeps_frpc_s_way_each_proxy_for_itself(lab):
    taker_of(lab, lab.port2)
    lab.start_by_ini(lab.ini(), want_up=False)
    network.wait_answers(lab.port1)
