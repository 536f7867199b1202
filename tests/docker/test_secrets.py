# SPDX-License-Identifier: Apache-2.0
# test_secrets.py - where the token is not: cores, memory of children, files; each with a proof that the test would see it.

import pathlib
import re

import pytest
from engine import HARDENED, IDS, call, docker, inspect, wait_log

# Both are killed in the same way, and both were given the token; what is not protected leaves a core behind.
CRASH = """
cd /cores
mltunnel 2>/dev/null &
agent=$!
sleep 1000 &
other=$!
until mltunnel status >/dev/null 2>&1; do sleep 0.1; done
for pid in $agent $other; do
	kill -SEGV $pid
	wait $pid
	echo "$pid ended with $?; cores: $(ls /cores | wc -l), with the token: $(grep -lr t0ken-of-a-site /cores | wc -l)"
done
echo "the agent was $agent, the other one $other"
"""


def descendants(pid):
    """That process and all below it, seen from outside of the container."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def has_in_memory(pid, secret):
    """Whatever a core of it would hold."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if rights.startswith("r") and "[v" not in line:
                memory.seek(int(start, 16))
                if secret in memory.read(int(end, 16) - int(start, 16)):
                    return True
    return False


def test_agent_that_crashes_leaves_no_core(site, binary):
    """With a limit that allows cores and a directory that takes them."""
    site.start_server()
    options = [*HARDENED, "--ulimit", "core=-1", "--tmpfs", "/cores:mode=1777,size=64m", *site.settings("0031")]
    name = site.run("mltunnel-standin", "bash", "-c", CRASH, options=[*options, "-v", f"{binary}:/usr/bin/mltunnel:ro"])
    wait_log(name, "the agent was")
    said = call("docker", "logs", name)
    agent, other = re.search(r"the agent was (\d+), the other one (\d+)", said.stdout).groups()
    # What bash tells of them; this is also right where cores go to a program instead of a file.
    assert re.search(rf"{other} Segmentation fault +\(core dumped\)", said.stderr), said.stderr
    assert not re.search(rf"{agent} Segmentation fault +\(core dumped\)", said.stderr), said.stderr
    assert f"{agent} ended with 139; cores: 0, with the token: 0\n" in said.stdout
    if not pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        assert f"{other} ended with 139; cores: 1, with the token: 1\n" in said.stdout


@pytest.mark.parametrize("ident", IDS)
def test_no_other_process_has_the_token_in_its_memory(project, ident):
    """So no core of the node's server has it either."""
    agent, *below = descendants(int(inspect(project.agent(ident), "{{.State.Pid}}")))
    assert has_in_memory(agent, project.token.encode()), "the agent itself needs it, for the next login"
    if ident == "0001":
        assert len(below) >= 3, "nginx and the node"
    for pid in below:
        assert not has_in_memory(pid, project.token.encode()), pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize("ident", IDS)
def test_others_of_its_user_cannot_look_into_the_agent(project, ident):
    """A process of the same user, in the same container or one that shares its processes."""
    container = project.agent(ident)
    script = "for what in environ mem maps; do cat /proc/$1/$what >/dev/null 2>&1 && echo $what; done; true"
    argv = ["run", "--rm", "--pid", f"container:{container}", *HARDENED, "--entrypoint", "bash", "mltunnel-api", "-c", script, "x"]
    assert docker(*argv, "1") == ""
    assert set(docker(*argv, "self").split()) >= {"environ", "maps"}, "what is seen of one's own"


def test_agents_write_no_file(project):
    for service in project.agents.values():
        changed = docker("diff", project.container(service)).splitlines()
        # The engine makes the places where it mounts.
        assert [line for line in changed if not re.match(r"[AC] /(tmp|var|var/lib|var/lib/nginx|run|run/secrets)?$", line)] == []
    log = docker("exec", project.container("frps"), "cat", "/var/log/frps/frps.log")
    assert project.token not in log
