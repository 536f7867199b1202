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


def start_v2(lab, is_mux=True, tls="on"):
    """An agent that is told to speak wire protocol v2."""
    path = lab.directory / "v2.toml"
    path.write_text(f"""serverAddr = "127.0.0.1"
serverPort = {lab.server_port}
auth.token = "{peers.TOKEN}"
log.level = "debug"
transport.wireProtocol = "v2"
transport.tcpMux = {str(is_mux).lower()}
transport.tls.enable = {str(tls == "on").lower()}
""")
    return lab.keep(peers.Agent(lab, [peers.agent_program(), "-c", path], peers.clean_env(lab.directory)))


@pytest.mark.parametrize("version", ("0.65.0", "0.61.2"))
@pytest.mark.parametrize("tls", ("on", "off"))
@pytest.mark.parametrize("is_mux", (True, False), ids=("mux", "no-mux"))
def test_server_that_does_not_speak_the_wire_protocol_ends_it_with_1(new_lab, is_mux, tls, version):
    lab = new_lab(version=version)
    lab.start_frps(extra=[f"transport.tcpMux = {str(is_mux).lower()}"])
    began = time.monotonic()
    agent = start_v2(lab, is_mux, tls)
    assert agent.wait(timeout=10) == 1
    assert time.monotonic() - began < 5
    agent.wait_line("does not speak the configured wire protocol: leaving.*frps 0.69")
    assert not lab.frps.logins(), "it never logs in by v1"


@pytest.mark.parametrize("what", ("fin", "rst", "silent", "mux", "tls", "hello"))
@pytest.mark.parametrize("is_mux", (True, False), ids=("mux", "no-mux"))
def test_no_other_failure_is_taken_for_it(new_lab, is_mux, what):
    """A path that is cut, settings that differ, a server that ends: it tries again, and gets through."""
    lab = new_lab(version=peers.NEW)
    lines = [f"transport.tcpMux = {str(is_mux if what != 'mux' else not is_mux).lower()}"]
    lab.start_frps(extra=lines, is_tls_forced=what == "tls")
    relay = lab.start_relay()
    if what in ("fin", "rst", "silent"):
        relay.tell(f"new {what}")
    elif what == "hello":  # each connection is cut in the middle of the first message
        relay.tell("truncate 10 fin up")
    agent = start_v2(lab, is_mux, "off")
    agent.wait_line("login failed", count=1 if what == "silent" else 4, timeout=25)
    assert agent.is_running()
    if what not in ("mux", "tls"):
        relay.tell("pass")
        agent.wait_line("login to server success", timeout=25)


def test_server_that_spoke_it_once_is_waited_for(new_lab):
    lab = new_lab(version=peers.NEW)
    lab.start_frps()
    agent = start_v2(lab)
    agent.wait_line("login to server success")
    lab.frps.kill()
    lab.start_frps(version=peers.OLD)
    agent.wait_line("login failed", count=5, timeout=25)
    assert agent.is_running()
    lab.frps.kill()
    lab.start_frps()
    agent.wait_line("login to server success", count=2, timeout=25)


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
