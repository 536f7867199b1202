# SPDX-License-Identifier: Apache-2.0
# test_memory.py - of an agent in a container of its own: at rest, and with a limit and users or a node that do not read.

import pytest
from engine import HARDENED, IDS, Memory, Project, inspect, memory_kib, wait_log

MIB = 1024 * 1024
IDLE_MAX_KIB = 6 * 1024
LIMIT = 64 * MIB
PORTS = ["-e", "MLTUNNEL_INFERENCE_PORT=5000", "-e", "MLTUNNEL_POC_PORT=8080"]
# Long answers that 200 users do not read for a while, then do; long prompts that the node does not read.
STALLS = {
    "noread": {"count": 200, "size": 2 * MIB, "seconds": 15, "drain": True},
    "stuck-upload": {"count": 200, "size": 50_000_000, "seconds": 10},
}


def test_idle(images, tmp_path, compose_v2):
    """Both ports up and nobody who uses them. The project is brought up by the other compose."""
    project = Project(tmp_path, compose=[compose_v2])
    try:
        project.up()
        project.wait_ready()
        for ident in IDS:
            assert memory_kib(project.agent(ident)) <= IDLE_MAX_KIB
    finally:
        project.down()


@pytest.mark.alone
@pytest.mark.parametrize("what", STALLS)
def test_limit_is_never_reached_under_200_stalled_streams(site, what):
    """The agent beside the node, without a web server in between that would take what users do not."""
    site.start_server()
    node = site.start_node()
    limited = [*HARDENED, "--memory", str(LIMIT), "--memory-swap", str(LIMIT)]
    agent = site.run("mltunnel", options=[*limited, *site.settings("0051"), *PORTS], beside=node)
    wait_log(agent, "start proxy success")
    memory = Memory(agent)
    assert memory.limit() == LIMIT
    report = site.load(what, 10051, timeout=240, **STALLS[what])
    print(f"{what}: {report}, at most {memory.peak() / MIB:.1f} MiB, {memory_kib(agent)} KiB resident now")
    assert memory.n_refused() == 0, "the limit was reached"
    assert inspect(agent, "{{.State.OOMKilled}} {{.State.Running}} {{.RestartCount}}") == "false true 0"
