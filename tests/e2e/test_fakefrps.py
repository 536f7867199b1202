# SPDX-License-Identifier: Apache-2.0
# test_fakefrps.py - fakefrps speaks as a frps does: stock clients work with it, so a test may believe what it sees.

import pytest

import peers
from program import Program

REQUEST = b"GET /health HTTP/1.0\r\n\r\n".hex()
# Version of the stock client, mux, wire.
WAYS = [("0.65.0", True, "v1"), ("0.65.0", False, "v1"), ("0.70.1", True, "v1"), ("0.70.1", True, "v2"),
        ("0.70.1", False, "v2")]  # fmt: skip


def start_client(lab, version, is_mux, wire):
    path = lab.directory / "frpc.toml"
    lines = [
        'serverAddr = "127.0.0.1"',
        f"serverPort = {lab.server_port}",
        f'auth.token = "{peers.TOKEN}"',
        "transport.tls.enable = false",
        f"transport.tcpMux = {str(is_mux).lower()}",
        f'transport.wireProtocol = "{wire}"' if wire == "v2" else "",
        'log.level = "trace"',
        "[[proxies]]",
        'name = "nut"',
        'type = "tcp"',
        f"localPort = {lab.node.inference}",
        "remotePort = 10001",
    ]
    path.write_text("\n".join(lines) + "\n")
    return lab.keep(Program("frpc", [peers.peer_dir() / f"frpc-{version}", "-c", path], peers.clean_env(lab.directory)))


@pytest.mark.parametrize("version, is_mux, wire", WAYS, ids=lambda value: str(value))
def test_stock_client_is_served(new_lab, version, is_mux, wire):
    lab = new_lab()
    fake = lab.start_fake(is_mux=is_mux)
    client = start_client(lab, version, is_mux, wire)
    assert fake.wait_message("Login")[1]["wire"] == int(wire[1])
    assert fake.wait_message("NewProxy")[1]["body"]["proxy_name"] == "nut"
    client.wait_line("start proxy success")
    fake.tell("reqwork 1")
    fake.wait_message("NewWorkConn")
    fake.tell("start nut 1.2.3.4 5 6.7.8.9 10")
    joined = fake.wait_event("joined")[1]
    fake.tell(f"send {joined['stream']} {REQUEST}")
    head = fake.wait_event("data", conn=joined["conn"], stream=joined["stream"])[1]["head"]
    assert bytes.fromhex(head).startswith(b"HTTP/1.0 200")


def test_stock_client_sees_refusals(new_lab):
    lab = new_lab()
    fake = lab.start_fake()
    fake.tell("on proxy refuse no room for you")
    client = start_client(lab, "0.65.0", True, "v1")
    client.wait_line("no room for you")
    fake.tell("on login refuse not today")
    fake.tell("rst")
    client.wait_line("not today")


def test_freeze_and_thaw(new_lab):
    lab = new_lab()
    fake = lab.start_fake()
    start_client(lab, "0.65.0", True, "v1")
    fake.wait_message("NewProxy")
    fake.tell("freeze")
    fake.tell("reqwork 1")
    fake.tell("thaw")
    fake.wait_message("NewWorkConn")


@pytest.mark.parametrize("command", ("no-such-act", "on nowhere fin", "on login raw 0g", "reqwork", "start a b c"))
def test_bad_command_is_told(new_lab, command):
    fake = new_lab().start_fake()
    with pytest.raises(AssertionError, match="bad: "):
        fake.tell(command)
