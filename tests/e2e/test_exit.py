# SPDX-License-Identifier: Apache-2.0
# test_exit.py - when the agent ends by itself: almost never.

import signal
import time

import pytest

import network
import peers


@pytest.mark.parametrize("why", ("no-server", "wrong-token"))
def test_login_fail_exit_ends_with_1(lab, why):
    if why == "no-server":
        lab.frps.kill()
    path = lab.ini(common=["login_fail_exit = true"], token="wrong" if why == "wrong-token" else peers.TOKEN)
    agent = lab.start_by_ini(path, want_up=False)
    assert agent.wait(timeout=15) == 1


def test_login_fail_exit_counts_for_the_first_login_only(lab):
    agent = lab.start_by_ini(lab.ini(common=["login_fail_exit = true"]))
    lab.frps.kill()
    agent.wait_line("refused")
    lab.start_frps()
    lab.wait_up()
    assert agent.is_running()


@pytest.mark.parametrize("how", ("environment", "ini"))
def test_agent_never_exits_by_default(lab, how):
    lab.frps.kill()
    start = (lambda: lab.start_agent(want_up=False)) if how == "environment" else (
        lambda: lab.start_by_ini(lab.ini(), want_up=False)
    )  # fmt: skip
    agent = start()
    agent.wait_line("refused")
    lab.start_frps(token="another")
    agent.wait_line("token", timeout=15)
    lab.frps.kill()
    lab.start_frps()
    lab.wait_up(timeout=20)
    assert agent.is_running()


def test_second_agent_waits_and_leaves_with_0(lab):
    first = lab.start_agent()
    began = time.monotonic()
    second = lab.start_agent(want_up=False)
    second.wait_line("another agent")
    assert second.wait(timeout=20) == 0
    assert 14 <= time.monotonic() - began <= 16
    assert first.is_running()
    assert network.answers(lab.port1) and network.answers(lab.port2)
    assert len(lab.frps.logins()) == 1, "the second one never logged in"


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGKILL), ids=("SIGTERM", "SIGKILL"))
def test_second_agent_takes_over_when_the_first_ends(lab, number):
    first = lab.start_agent()
    second = lab.start_agent(want_up=False)
    second.wait_line("another agent")
    first.signal(number)
    first.wait()
    second.wait_line("start proxy success", count=2, timeout=5)
    lab.wait_up(timeout=2)


def test_agents_of_other_servers_or_ids_do_not_wait(lab):
    lab.start_agent()
    other = peers.Lab(lab.directory / "other")
    with other:
        other.server_port = lab.server_port
        other.start_agent()
        assert network.answers(lab.port1)


def test_limit_of_descriptors_is_raised(lab):
    agent = lab.keep(
        peers.Agent(lab, ["bash", "-c", 'ulimit -Sn 256; exec "$0"', peers.agent_program()], lab.env())
    )
    lab.wait_up()
    with open(f"/proc/{agent.pid}/limits") as file:
        soft, hard = next(line.split()[3:5] for line in file if line.startswith("Max open files"))
    assert soft == hard != "256"
