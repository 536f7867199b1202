# SPDX-License-Identifier: Apache-2.0
# test_status.py - mltunnel status: what it shows, its exit status, who may ask, and that nothing listens on TCP for it.

import json
import os
import shutil
import socket
import subprocess
import tempfile

import pytest

import network
import peers

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="ours alone")


def status(lab, *options, user=None, **env):
    done = subprocess.run([peers.agent_program(), "status", *options], env=lab.env(**env), capture_output=True, text=True,
                          timeout=20, user=user)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


NO_CONFIGURATION = {"FRP_SERVER": None, "SECRET_FRP_TOKEN": None, "CLIENT_ID": None, "MLTUNNEL_INFERENCE_PORT": None,
                    "MLTUNNEL_POC_PORT": None}  # fmt: skip


def test_without_an_agent(lab):
    for options in ((), ("--ready",), ("--json",)):
        assert status(lab, *options) == (1, "", "mltunnel: no agent runs here for this configuration\n")
    assert status(lab, **NO_CONFIGURATION) == (1, "", "mltunnel: no agent runs here\n")


def test_all_is_well(lab):
    agent = lab.start_agent()
    code, out, err = status(lab)
    assert code == 0 and not err
    assert f"process {agent.pid}" in out and out.splitlines()[0].endswith(": ready")
    assert f"server 127.0.0.1:{lab.server_port}: logged in" in out
    assert f"client-mlnode-{lab.client_id}: running, 127.0.0.1:{lab.port2} -> 127.0.0.1:{lab.node.management}" in out
    assert status(lab, "--ready")[0] == 0
    # In a shell that does not know the container's environment.
    assert status(lab, **NO_CONFIGURATION)[1].splitlines()[0].endswith(": ready")


def test_json_is_the_whole_document(lab):
    agent = lab.start_agent()
    assert network.get(lab.port1)[0] == 200
    code, out, _ = status(lab, "--json")
    document = json.loads(out)
    assert code == 0 and document["ready"] and document["node"] == "ready"
    assert document["pid"] == agent.pid
    assert document["server"]["logged_in"] and document["server"]["logins"] == 1
    first, second = document["proxies"]
    assert first["name"] == f"client-mlnode-port5000-{lab.client_id}" and first["status"] == "running"
    assert first["users_ever"] >= 1 and first["bytes_up"] > 0
    assert second["local"] == f"127.0.0.1:{lab.node.management}"
    assert peers.TOKEN not in out


def test_not_ready_before_the_node_is(lab):
    agent = lab.start_agent(want_up=False, MLTUNNEL_POC_PORT=str(network.free_port()))
    agent.wait_line("login to server success")
    code, out, _ = status(lab, "--ready")
    assert code == 1
    assert ": not ready" in out and "node: not ready, the proxies wait for it" in out
    assert status(lab)[0] == 0, "without --ready it only tells"


def test_not_ready_while_the_server_is_gone(lab):
    agent = lab.start_agent()
    lab.frps.kill()
    agent.wait_line("connect to server error")
    code, out, _ = status(lab, "--ready")
    assert code == 1
    assert "refused" in out and "next try in" in out
    lab.start_frps()
    lab.wait_up()
    assert status(lab, "--ready")[0] == 0


def test_the_server_s_words_are_shown(new_lab):
    lab = new_lab()
    lab.start_frps(extra=["allowPorts = [{ single = 1 }]"])
    agent = lab.start_agent(want_up=False)
    agent.wait_line("port not allowed")
    code, out, _ = status(lab, "--ready")
    assert code == 1
    assert "start error" in out and "port not allowed" in out


def test_by_file(lab):
    path = lab.ini()
    lab.start_by_ini(path)
    env = {"MLTUNNEL_INFERENCE_PORT": None, "MLTUNNEL_POC_PORT": None}
    assert status(lab, "-c", path, "--ready", **env)[0] == 0
    other = lab.ini("other.ini", prefix="other")
    assert status(lab, "-c", other, **env)[0] == 1


def test_several_agents_on_one_machine(new_lab):
    one, two = new_lab(), new_lab()
    one.start_frps()
    two.start_frps()
    one.start_agent()
    two.start_agent(want_up=False, MLTUNNEL_POC_PORT=str(network.free_port()))
    assert status(one, "--ready")[0] == 0
    code, out, _ = status(one, "--json", "--ready", **NO_CONFIGURATION)
    assert code == 1 and sorted(json.loads(line)["ready"] for line in out.splitlines()) == [False, True]


def test_no_tcp_listener_no_file(lab):
    def files():  # but for the run id, which is no matter of the status
        names = os.listdir(lab.directory), os.listdir(lab.directory / "etc")
        return [{name for name in group if not name.endswith(".run")} for group in names]

    before = files()
    agent = lab.start_agent()
    status(lab)
    links = {os.readlink(f"/proc/{agent.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{agent.pid}/fd")}
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{agent.pid}/net/{table}") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        assert not [row for row in rows if row[9] in inodes and (row[3] == "0A" or table.startswith("udp"))]
    assert files() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_is_told_nothing(lab):
    lab.start_agent()
    with tempfile.TemporaryDirectory() as directory:  # where that user gets to
        os.chmod(directory, 0o755)
        program = shutil.copy(peers.agent_program(), directory)
        done = subprocess.run([program, "status"], env=lab.env(), capture_output=True, text=True, timeout=20, user=65532)
    assert done.returncode == 1 and not done.stdout
    assert "its own user and to root only" in done.stderr


def asker(lab):
    """A connection to the agent that asks and does not read."""
    with open("/proc/thread-self/net/unix") as file:
        (name,) = {line.split()[-1] for line in file if " @mltunnel-" in line}
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect("\0" + name[1:])  # waits while the agent has not taken those before
    return s


def test_askers_that_do_not_read_block_nobody(lab):
    agent = lab.start_agent()
    idle = [asker(lab) for _ in range(20)]
    assert network.answers(lab.port1)
    assert status(lab, "--ready")[0] == 0
    for s in idle:
        s.close()
    assert status(lab, "--ready")[0] == 0
    agent.signal(15)
    assert agent.wait(timeout=1) == 0


def test_watch_shows_it_again_until_the_agent_ends(lab):
    agent = lab.start_agent()
    watch = lab.keep(peers.Program("status", [peers.agent_program(), "status", "--watch"], lab.env(), lab.directory))
    watch.wait_line(": ready", count=2)
    agent.signal(15)
    agent.wait()
    assert watch.wait(timeout=5) == 1
