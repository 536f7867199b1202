# SPDX-License-Identifier: Apache-2.0
# test_port_keeper.py - a user, no remotePort, and a plugin of the server that keeps one port for each name; and the file
# that tells which.

import http.client
import json
import os
import signal
import socket
import stat
import sys
import threading

import pytest

import network
import peers
from program import Program

USER = "office"
REASON = "no port for you: ask keeper@example.net"


class Keeper(Program):
    """See tests/peer/portkeeper.py."""

    def __init__(self, lab, ports, *options):
        program = peers.HOME / "tests/peer/portkeeper.py"
        argv = [sys.executable, "-B", program, "--ports", ",".join(map(str, ports)), *options]
        super().__init__("port keeper", argv, peers.clean_env(lab.directory))
        self.port = json.loads(self.wait_line(r'^\{"port"')[1])["port"]

    def given(self):
        """(name, port) in the order of the asks."""
        events = [json.loads(line) for _, line in self.find('"ev": "new_proxy"')]
        return [(event["name"], event["given"]) for event in events]


class Echo:
    """A local service on a UDP port: sends back what it hears."""

    def __init__(self):
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.udp_port = self._udp.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            data, peer = self._udp.recvfrom(65536)
            if data == b"end":
                return
            self._udp.sendto(b"echo " + data, peer)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", ("127.0.0.1", self.udp_port))
        self._thread.join(5)
        self._udp.close()


def udp_answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(b"hello", ("127.0.0.1", port))
        try:
            return s.recv(100) == b"echo hello"
        except OSError:
            return False


class Office:
    """A server with a keeper, and agents that are given ports by it."""

    def __init__(self, lab, *options):
        self.lab = lab
        self.echo = Echo()
        self.tcp_port, self.udp_port = network.free_port(), network.free_port()
        self.keeper = lab.keep(Keeper(lab, (self.tcp_port, self.udp_port), *options))
        self.file = lab.directory / "addresses"
        self.start_server()
        self.admin = network.free_port()
        self.path = lab.directory / "office.toml"
        self.write(self.proxy("web", "tcp", lab.node.management), self.proxy("voice", "udp", self.echo.udp_port))

    def proxy(self, name, kind, port):
        return f'[[proxies]]\nname = "{name}"\ntype = "{kind}"\nlocalPort = {port}\n'

    def write(self, *proxies):
        head = f"""
serverAddr = "127.0.0.1"
serverPort = {self.lab.server_port}
auth.token = "{peers.TOKEN}"
user = "{USER}"
loginFailExit = false
webServer.port = {self.admin}
"""
        self.path.write_text(head + "".join(proxies))

    def start_server(self):
        plugin = f'[[httpPlugins]]\nname = "keeper"\naddr = "127.0.0.1:{self.keeper.port}"\npath = "/keep"\nops = ["NewProxy"]'
        return self.lab.start_frps(extra=[plugin])

    def start(self, file=None, **options):
        env = {} if peers.IS_STOCK else {"MLTUNNEL_REMOTE_ADDR_FILE": str(file or self.file)}
        argv = [peers.agent_program(), "-c", self.path]
        return self.lab.keep(peers.Agent(self.lab, argv, peers.clean_env(self.lab.directory, **env), **options))

    def wait_up(self):
        network.wait_answers(self.tcp_port)
        network.wait_until(lambda: udp_answers(self.udp_port), "an answer by UDP")

    def status(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            connection.request("GET", "/api/status")
            listed = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return {proxy["name"].removeprefix(f"{USER}."): proxy for proxies in listed.values() for proxy in proxies}

    def lines(self):
        return sorted(self.file.read_text().splitlines())

    def wait_lines(self, *lines):
        network.wait_until(lambda: self.file.exists() and self.lines() == sorted(lines), f"the file says {lines}")

    def all_lines(self):
        return f"web 127.0.0.1:{self.tcp_port}", f"voice 127.0.0.1:{self.udp_port}"


@pytest.fixture
def new_office(new_lab, version):
    offices = []

    def make(*options):
        lab = new_lab(version=version)
        offices.append(Office(lab, *options))
        return offices[-1]

    yield make
    for office in offices:
        office.echo.close()


ours = pytest.mark.skipif(peers.IS_STOCK, reason="frpc has no such file, log line or renamed proxies")


def test_ports_are_the_keepers_also_after_restarts(new_office):
    office = new_office()
    agent = office.start()
    office.wait_up()
    assert dict(office.keeper.given()) == {f"{USER}.web": office.tcp_port, f"{USER}.voice": office.udp_port}
    if not peers.IS_STOCK:
        agent.wait_line(rf"\[web\] start proxy success remote=:{office.tcp_port}$")
        agent.wait_line(rf"\[voice\] start proxy success remote=:{office.udp_port}$")
    assert office.status()["web"]["remote_addr"] == f"127.0.0.1:{office.tcp_port}"
    assert office.status()["voice"]["remote_addr"] == f"127.0.0.1:{office.udp_port}"

    agent.close()
    network.wait_closed(office.tcp_port)
    agent = office.start()
    office.wait_up()

    mark = agent.mark()
    office.lab.frps.kill()
    office.start_server()
    agent.wait_line("login to server success", timeout=30, since=mark)
    office.wait_up()
    assert set(office.keeper.given()) == {(f"{USER}.web", office.tcp_port), (f"{USER}.voice", office.udp_port)}
    assert len(office.keeper.given()) >= 6, "it was asked each time"


@ours
def test_the_file_says_what_is_registered(new_office):
    office = new_office()
    office.file.write_text("web 192.0.2.1:1\n")  # of a run that was killed
    agent = office.start()
    office.wait_lines(*office.all_lines())
    assert stat.S_IMODE(office.file.stat().st_mode) == 0o644
    office.write(office.proxy("voice", "udp", office.echo.udp_port))
    agent.signal(signal.SIGHUP)
    office.wait_lines(office.all_lines()[1])
    office.write(office.proxy("web", "tcp", office.lab.node.management), office.proxy("voice", "udp", office.echo.udp_port))
    agent.signal(signal.SIGHUP)
    office.wait_lines(*office.all_lines())
    office.lab.frps.kill()
    office.wait_lines()
    office.start_server()
    network.wait_until(lambda: len(office.lines()) == 2, "both are back", timeout=30)
    office.wait_lines(*office.all_lines())
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert office.lines() == [], "nothing is registered any more"
    assert [path.name for path in office.lab.directory.glob("addresses*")] == ["addresses"], "no draft is left"


@ours
def test_the_file_is_never_seen_half_written(new_office):
    office = new_office()
    agent = office.start()
    office.wait_lines(*office.all_lines())
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            seen.add(office.file.read_text())

    watcher = threading.Thread(target=look)
    watcher.start()
    both = "".join(f"{line}\n" for line in office.all_lines())
    web, voice = (f"{line}\n" for line in office.all_lines())
    try:
        for _ in range(10):
            office.write(office.proxy("voice", "udp", office.echo.udp_port))
            agent.signal(signal.SIGHUP)
            office.wait_lines(office.all_lines()[1])
            office.write(office.proxy("web", "tcp", office.lab.node.management), office.proxy("voice", "udp", office.echo.udp_port))
            agent.signal(signal.SIGHUP)
            office.wait_lines(*office.all_lines())
    finally:
        stop.set()
        watcher.join()
    assert seen <= {both, voice, web}
    assert {both, voice} <= seen


@ours
def test_a_file_that_cannot_be_written_is_one_warning(new_office):
    office = new_office()
    missing = office.lab.directory / "missing"
    agent = office.start(file=missing / "addresses")
    office.wait_up()
    agent.wait_line("start proxy success", count=2)
    office.write(office.proxy("web", "tcp", office.lab.node.management))
    agent.signal(signal.SIGHUP)
    agent.wait_line("reload success")
    found = agent.find("WARN .*file of remote addresses cannot be written")
    assert len(found) == 1
    assert "No such file" in found[0][1] and 'remedy="make the folder' in found[0][1]
    missing.mkdir()
    office.file = missing / "addresses"
    office.write(office.proxy("web", "tcp", office.lab.node.management), office.proxy("voice", "udp", office.echo.udp_port))
    agent.signal(signal.SIGHUP)
    office.wait_lines(*office.all_lines())


@ours
def test_agents_of_a_folder_cannot_share_the_file(new_office):
    office = new_office()
    folder = office.lab.directory / "many"
    folder.mkdir()
    os.rename(office.path, folder / "office.toml")
    env = peers.clean_env(office.lab.directory, MLTUNNEL_REMOTE_ADDR_FILE=str(office.file))
    agent = office.lab.keep(Program("agent", [peers.agent_program(), "--config_dir", folder], env))
    assert agent.wait() == 2
    assert "MLTUNNEL_REMOTE_ADDR_FILE: cannot be used with --config_dir" in agent.text()


def test_a_refusal_is_told_with_the_keepers_words(new_office):
    office = new_office("--refuse", f"{USER}.voice={REASON}")
    agent = office.start()
    network.wait_answers(office.tcp_port)
    agent.wait_line(rf"\[(office\.)?voice\] start error.*{REASON}" + ("" if peers.IS_STOCK else ".*remedy="))
    assert office.status()["voice"]["status"] == "start error"
    assert REASON in office.status()["voice"]["err"]
    if not peers.IS_STOCK:
        office.wait_lines(office.all_lines()[0])


@ours
def test_a_keeper_that_is_gone_is_told(new_office):
    office = new_office()
    office.keeper.kill()
    agent = office.start()
    agent.wait_line(r"\[web\] start error.*error=\"send NewProxy request to plugin error\".*remedy=.*plugin does not answer")


@ours
def test_names_that_the_keeper_changes(new_office):
    office = new_office("--rename", "kept.")
    agent = office.start()
    office.wait_up()
    agent.wait_line(rf"\[web\] the server has changed the name of the proxy to=kept\.{USER}\.web$")
    # CloseProxy has to be about the changed name, or the port stays taken.
    office.write(office.proxy("voice", "udp", office.echo.udp_port))
    agent.signal(signal.SIGHUP)
    network.wait_closed(office.tcp_port)
    office.write(office.proxy("web", "tcp", office.lab.node.management), office.proxy("voice", "udp", office.echo.udp_port))
    agent.signal(signal.SIGHUP)
    office.wait_up()
