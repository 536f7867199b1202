# SPDX-License-Identifier: Apache-2.0
# test_faults.py - what happens to containers: restarts, networks that go. Both kinds of MLNode at the same time; what
# takes a minute is in files of its own.

import concurrent.futures
import os
import signal
import time

import pytest
from engine import BACK_S, BACK_SILENT_S, IDS, Exec, all_silent, call, comeback, docker, inspect


@pytest.mark.alone
@pytest.mark.parametrize("ident", IDS)
def test_container_restart(project, ident):
    agent = project.agent(ident)
    docker("stop", "-t", "30", agent)
    assert inspect(agent, "{{.State.ExitCode}}") == "0"
    assert project.curl(f"http://frps:1{ident}/health", check=False).returncode != 0, "the ports are still there"
    with comeback(project, BACK_S, [ident]):
        docker("start", agent)


@pytest.mark.alone
@pytest.mark.parametrize("ident", IDS)
def test_killed_agent_comes_back_by_its_restart_policy(project, ident):
    """From outside, as the kernel would do it: the engine then keeps its promise to start it again."""
    agent = project.agent(ident)
    pid = int(inspect(agent, "{{.State.Pid}}"))
    count = int(inspect(agent, "{{.RestartCount}}"))
    began = time.time()
    os.kill(pid, signal.SIGKILL)
    # The engine waits 100 ms first, longer after each further time.
    assert project.wait_answer(ident, 90) - began <= BACK_S + 3
    assert int(inspect(agent, "{{.RestartCount}}")) == count + 1


def test_network_goes_and_comes(project):
    nodes = {"uplink-1": project.node("0001"), "uplink-2": project.node("0002")}
    for network, node in nodes.items():
        docker("network", "disconnect", project.network(network), node)
    all_silent(project)
    time.sleep(5)
    with comeback(project, BACK_SILENT_S):
        for network, node in nodes.items():
            docker("network", "connect", project.network(network), node)


def test_server_restart(project):
    docker("restart", "-t", "5", project.container("frps"))
    began = time.time()
    assert max(project.wait_answer(ident, 60) for ident in IDS) - began <= BACK_SILENT_S


@pytest.mark.parametrize("ident", IDS)
def test_stop_lets_a_live_stream_end(project, ident):
    """docker stop in the middle of an answer of about 4 s: complete, exit 0, the ports free at once."""
    agent = project.agent(ident)
    argv = ["curl", "-sSN", "--fail", f"http://frps:1{ident}/sse?events=80&rate=20&size=400&stream=1"]
    stream = Exec(project.container("api"), *argv)
    try:
        stream.wait_lines(5)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            stopped = pool.submit(docker, "stop", "-t", "30", agent)
            assert stream.finish() == 0, stream.child.stderr.read()
            stopped.result()
        assert sum(line.startswith("data:") for line in stream.lines) == 80
        assert inspect(agent, "{{.State.ExitCode}}") == "0"
        done = project.curl(f"http://frps:1{ident}/health", check=False)
        assert "refused" in done.stderr.lower() or "connect" in done.stderr.lower(), done.stderr
    finally:
        stream.close()
        docker("start", agent)
        project.wait_answer(ident, 30)


def test_second_copy_in_the_container_says_so(project):
    """Some platforms run the start command again at each start."""
    # An image from scratch has no shell; the program itself is there.
    argv = ["docker", "exec", "-e", "FRP_SERVER=frps:7200", "-e", "CLIENT_ID=0002", "-e", "SECRET_FRP_TOKEN=" + project.token]
    done = call(*argv, project.container("agent-2"), "/usr/bin/mltunnel", check=False, timeout=40)
    assert done.returncode == 0, done.stderr
    project.wait_answer("0002", 2)
