# SPDX-License-Identifier: Apache-2.0
# test_field.py - the binary as `frpc`, run as the image's start script runs it, on the INI that this writes.

import os
import pathlib
import signal

import pytest

import network
import peers
from program import Program

MIB = 1 << 20
# What counts of the start script: INI at mode 0644, the program in the background of a shell without job
# control (so stdin is /dev/null and SIGINT, SIGQUIT are ignored), the token in the environment, no look at it after.
SCRIPT = """
mkdir -p "$FRP_CONFIG_DIR"
cat >"$FRP_CONFIG_DIR/frpc.ini" <<END
[common]
server_addr = ${FRP_SERVER%:*}
server_port = ${FRP_SERVER##*:}
token = $SECRET_FRP_TOKEN

[client-mlnode-$NODE_ID]
type = tcp
local_ip = 127.0.0.1
local_port = $MANAGEMENT_PORT
remote_port = 2$CLIENT_ID

[client-mlnode-port5000-$NODE_ID]
type = tcp
local_ip = 127.0.0.1
local_port = $INFERENCE_PORT
remote_port = 1$CLIENT_ID
END
chmod 0644 "$FRP_CONFIG_DIR/frpc.ini"
"$FRPC" -c "$FRP_CONFIG_DIR/frpc.ini" &
echo "frpc is $!"
wait
"""


class Field(Program):
    def __init__(self, lab):
        env = peers.clean_env(
            lab.directory,
            FRP_SERVER=f"127.0.0.1:{lab.server_port}",
            SECRET_FRP_TOKEN=peers.TOKEN,
            CLIENT_ID=lab.client_id,
            NODE_ID=lab.client_id,
            FRP_CONFIG_DIR=str(lab.directory / "field"),
            INFERENCE_PORT=str(lab.node.inference),
            MANAGEMENT_PORT=str(lab.node.management),
            FRPC=str(lab.install("frpc")),
            MODEL_NAME="some/model",
            API_NODES="api:9100",
            HF_HOME="/data",
        )
        super().__init__("start script", ["bash", "-c", SCRIPT], env, lab.directory)
        self.agent_pid = int(self.wait_line("frpc is")[1].split()[-1])

    def close(self):
        if network.is_alive(self.agent_pid):
            os.kill(self.agent_pid, signal.SIGKILL)
        super().close()


@pytest.fixture(params=[(version, tls) for version in (peers.OLD, peers.NEW) for tls in ("forced", "plain-too")],
                ids=lambda way: f"{way[0]}-{way[1]}")  # fmt: skip
def field(new_lab, request):
    version, tls = request.param
    lab = new_lab(version=version)
    lab.start_frps(is_tls_forced=tls == "forced")
    lab.field = lab.keep(Field(lab))
    lab.wait_up()
    return lab


def test_same_traffic_as_by_environment(field):
    assert network.get(field.port2, "/api/v1/state")[0] == 200
    field.load("echo", size=10 * MIB)
    field.load("download", size=64 * MIB)
    report = field.load("sse", streams=100, rate=30, seconds=3)
    assert report["received"] == report["events"]
    field.load("connect", count=300, within="1s")
    assert len(field.frps.logins()) == 1


def test_ignored_signals_are_handled_all_the_same(new_lab):
    lab = new_lab()
    lab.start_frps()
    field = lab.keep(Field(lab))
    lab.wait_up()
    assert pathlib.Path(f"/proc/{field.agent_pid}/fd/0").readlink() == pathlib.Path("/dev/null")
    os.kill(field.agent_pid, signal.SIGINT)
    assert field.wait(timeout=2) == 0, "bash waits for its child, so the agent is gone too"
    assert not network.is_alive(field.agent_pid)
    network.wait_closed(lab.port1, timeout=0.5)


def test_server_that_is_not_up_yet_is_waited_for(new_lab):
    lab = new_lab()
    lab.server_port = network.free_port()
    field = lab.keep(Field(lab))
    field.wait_line("refused")
    lab.start_frps()
    lab.wait_up()
    assert network.is_alive(field.agent_pid)
