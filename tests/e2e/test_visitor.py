# SPDX-License-Identifier: Apache-2.0
# test_visitor.py - stcp and sudp: our visitors and proxies with each other, and with those of stock clients.

import contextlib
import signal
import socket
import threading
import time

import pytest

import network
import peers
from program import Program

MIB = 1 << 20
SECRET = "the key of tests; not the token"
LAYERS = {"plain": (), "encrypted": ("useEncryption",), "compressed": ("useCompression",),
          "both": ("useEncryption", "useCompression")}  # fmt: skip
# Version of the server and the stock client, tcpMux, wire.
WAYS = [(peers.OLD, True, "v1"), (peers.OLD, False, "v1"), (peers.NEW, True, "v1"), (peers.NEW, False, "v1"),
        (peers.NEW, True, "v2"), (peers.NEW, False, "v2")]  # fmt: skip
PAIRS = [("ours", "ours"), ("stock", "ours"), ("ours", "stock")]  # whose proxy, whose visitor


class Pair:
    """A client that publishes as alice and one that visits as bob, at one server."""

    def __init__(self, lab, way=(peers.OLD, True, "v1")):
        self.lab = lab
        self.version, self.is_mux, self.wire = way
        lab.start_frps(version=self.version, extra=[f"transport.tcpMux = {str(self.is_mux).lower()}"])

    def write(self, user, lines):
        path = self.lab.directory / f"{user}.toml"
        head = [
            f'user = "{user}"',
            'serverAddr = "127.0.0.1"',
            f"serverPort = {self.lab.server_port}",
            "loginFailExit = false",
            f'auth.token = "{peers.TOKEN}"',
            'log.level = "debug"',
            f"transport.tcpMux = {str(self.is_mux).lower()}",
            f'transport.wireProtocol = "{self.wire}"' if self.wire == "v2" else "",
        ]
        path.write_text("\n".join([*head, *lines]) + "\n")
        return path

    def start(self, user, lines, whose="ours"):
        path = self.write(user, lines)
        env = peers.clean_env(self.lab.directory)
        if whose == "ours":
            return self.lab.keep(peers.Agent(self.lab, [peers.agent_program(), "-c", path], env, user))
        return self.lab.keep(Program(user, [peers.peer_dir() / f"frpc-{self.version}", "-c", path], env))

    def publish(self, *lines, whose="ours"):
        """When the server knows all of it."""
        client = self.start("alice", lines, whose)
        for _ in range(sum(line == "[[proxies]]" for line in lines)):
            client.wait_line("start proxy success", count=_ + 1)
        return client

    def visit(self, *lines, whose="ours"):
        client = self.start("bob", lines, whose)
        client.wait_line("login to server success")
        return client


def proxy(name, port, kind="stcp", layers=(), secret=SECRET, allow=("*",)):
    return [
        "[[proxies]]",
        f'name = "{name}"',
        f'type = "{kind}"',
        f'secretKey = "{secret}"',
        f"localPort = {port}",
        f"allowUsers = {list(allow)}",
        *(f"transport.{layer} = true" for layer in layers),
    ]


def visitor(name, port, kind="stcp", layers=(), secret=SECRET, label=None):
    return [
        "[[visitors]]",
        f'name = "{label or "to-" + name}"',
        f'type = "{kind}"',
        'serverUser = "alice"',
        f'serverName = "{name}"',
        f'secretKey = "{secret}"',
        f"bindPort = {port}",
        *(f"transport.{layer} = true" for layer in layers),
    ]


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def udp_echo(own_network):
    """Answers every datagram with itself; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))

        def serve():
            while True:
                payload, user = s.recvfrom(65536)
                if payload == b"the end":
                    return
                s.sendto(payload, user)

        thread = threading.Thread(target=serve)
        thread.start()
        yield s.getsockname()[1]
        s.sendto(b"the end", s.getsockname())
        thread.join()


class UdpUser:
    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))

    def ask(self, payload, timeout=2.0):
        """The answer, or None: it is lost, as UDP may."""
        self.socket.settimeout(timeout)
        with contextlib.suppress(TimeoutError, ConnectionRefusedError):
            self.socket.send(payload)
            return self.socket.recv(65536)
        return None

    def wait_through(self):
        network.wait_until(lambda: self.ask(b"hello", timeout=0.5) == b"hello", "a datagram comes back", timeout=20)
        # late answers to the first ones
        self.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                self.socket.recv(65536)


class Stream:
    """A user in the middle of N_EVENTS events."""

    N_EVENTS = 60

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.sendall(f"GET /sse?events={self.N_EVENTS}&rate=20&size=100 HTTP/1.0\r\n\r\n".encode())
        self.text = self.socket.recv(4096)
        assert self.text.startswith(b"HTTP/1.")

    def is_whole(self):
        """To its end."""
        while piece := self.socket.recv(65536):
            self.text += piece
        self.socket.close()
        return self.text.count(b"\ndata:") == self.N_EVENTS


def is_closed_at_once(port):
    """What a user sees of a visitor that has nothing for him."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        try:
            return s.recv(1) == b""
        except ConnectionResetError:
            return True


# ---- streams


@pytest.mark.parametrize("whose_proxy, whose_visitor", PAIRS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{'mux' if way[1] else 'nomux'}-{way[2]}")
def test_10_mib_come_back_the_same(new_lab, way, whose_proxy, whose_visitor):
    lab = new_lab()
    pair = Pair(lab, way)
    ports = {name: network.free_port() for name in LAYERS}
    pair.publish(*(line for name, layers in LAYERS.items() for line in proxy(name, lab.node.inference, layers=layers)),
                 whose=whose_proxy)  # fmt: skip
    pair.visit(*(line for name, layers in LAYERS.items() for line in visitor(name, ports[name], layers=layers)),
               whose=whose_visitor)  # fmt: skip
    for name, port in ports.items():
        network.wait_answers(port)
        report = peers.load("echo", port, size=10 * MIB)
        assert report["bytes"] == 10 * MIB, name


@pytest.mark.parametrize("other", peers.OTHERS)
def test_other_servers(new_lab, udp_echo, other):
    lab = new_lab()
    pair = Pair(lab, (other, True, "v1"))
    port, udp_port = network.free_port(), free_udp_port()
    pair.publish(*proxy("one", lab.node.inference, layers=LAYERS["both"]), *proxy("two", udp_echo, "sudp"))
    pair.visit(*visitor("one", port, layers=LAYERS["both"]), *visitor("two", udp_port, "sudp"))
    network.wait_answers(port)
    assert peers.load("echo", port, size=MIB)["bytes"] == MIB
    UdpUser(udp_port).wait_through()


@pytest.mark.skipif(peers.IS_STOCK, reason="a stock client does as well; this is about ours")
def test_a_visitor_by_options(new_lab):
    lab = new_lab()
    pair = Pair(lab)
    port = network.free_port()
    pair.publish(*proxy("one", lab.node.inference))
    argv = [peers.agent_program(), "stcp", "visitor", "-s", "127.0.0.1", "-P", lab.server_port, "-t", peers.TOKEN,
            "-u", "bob", "-n", "v", "--server-user", "alice", "--server-name", "one", "--sk", SECRET,
            "--bind-port", port]  # fmt: skip
    lab.keep(peers.Agent(lab, argv, peers.clean_env(lab.directory), "visitor"))
    network.wait_answers(port)


def test_two_agents_that_only_visit(new_lab):
    lab = new_lab()
    pair = Pair(lab)
    ports = network.free_port(), network.free_port()
    pair.publish(*proxy("one", lab.node.inference))
    for user, port in zip(("bob", "carol"), ports, strict=True):
        pair.start(user, visitor("one", port))
    network.wait_answers(*ports)


@pytest.mark.parametrize("is_mux", (True, False))
def test_layers_of_the_two_sides_are_their_own(new_lab, is_mux):
    lab = new_lab()
    pair = Pair(lab, (peers.OLD, is_mux, "v1"))
    port = network.free_port()
    pair.publish(*proxy("one", lab.node.inference, layers=LAYERS["compressed"]))
    pair.visit(*visitor("one", port, layers=LAYERS["encrypted"]))
    network.wait_answers(port)
    assert peers.load("echo", port, size=MIB)["bytes"] == MIB


@pytest.mark.parametrize("is_mux", (True, False))
def test_300_users_at_once_all_get_through(new_lab, is_mux):
    lab = new_lab()
    pair = Pair(lab, (peers.OLD, is_mux, "v1"))
    port = network.free_port()
    pair.publish(*proxy("one", lab.node.inference))
    agent = pair.visit(*visitor("one", port))
    network.wait_answers(port)
    report = peers.Load("connect", port, count=300, within="2s").report()
    assert report["wrong"] == int(report["opened_within_ms"] > 2000), report  # a busy machine: the users were late
    assert not agent.find("user connection refused")


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
@pytest.mark.parametrize("is_mux", (True, False))
@pytest.mark.parametrize(
    "publish, visit, words",
    (
        ({}, {"secret": "another"}, r"auth failed.*remedy=.*secretKey"),
        ({"allow": ("carol",)}, {}, r"not allowed.*remedy=.*allowUsers"),
        ({}, {"name": "other"}, r"doesn't exist.*remedy=.*serverName"),
    ),
    ids=("secret", "user", "name"),
)
def test_refusals_are_told_once_and_mended(new_lab, version, is_mux, publish, visit, words):
    lab = new_lab()
    pair = Pair(lab, (version, is_mux, "v1"))
    port = network.free_port()
    pair.publish(*proxy("one", lab.node.inference, **publish), *proxy("two", lab.node.inference))
    agent = pair.visit(*visitor(**{"name": "one", "port": port, "label": "v", **visit}))
    network.wait_listening(port)
    for _ in range(3):
        assert is_closed_at_once(port)
    agent.wait_line(r"DEBUG \[v\] user connection refused", count=2)
    assert len(agent.find(r" WARN \[v\] user connection refused.*" + words)) == 1, agent.text()
    assert SECRET not in agent.text()
    pair.write("bob", visitor("two", port, label="v"))
    agent.signal(signal.SIGHUP)
    network.wait_answers(port)


def test_users_are_closed_while_there_is_no_session(new_lab):
    lab = new_lab()
    pair = Pair(lab)
    port = network.free_port()
    lab.frps.kill()
    agent = pair.start("bob", visitor("one", port))
    network.wait_listening(port)
    assert is_closed_at_once(port)
    lab.start_frps()
    pair.publish(*proxy("one", lab.node.inference))
    network.wait_answers(port, timeout=30)
    stream = Stream(port)
    lab.frps.kill()
    with pytest.raises(ConnectionResetError):
        stream.is_whole()
    network.wait_until(lambda: is_closed_at_once(port), "the loss is noticed")
    assert agent.is_running()


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
@pytest.mark.parametrize("kind", ("stcp", "sudp"))
def test_a_port_that_is_taken_is_tried_again(new_lab, kind):
    lab = new_lab()
    pair = Pair(lab)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "stcp" else socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == "stcp":
            taken.listen()
        port = taken.getsockname()[1]
        agent = pair.visit(*visitor("one", port, kind=kind))
        agent.wait_line(rf"ERROR \[to-one\] visitor cannot listen.*127.0.0.1:{port}.*in use.*remedy=.*bindPort")
    agent.wait_line(r"\[to-one\] start visitor success", timeout=10)
    assert len(agent.find("visitor cannot listen")) == 1


def test_reload_follows_the_file(new_lab):
    lab = new_lab()
    pair = Pair(lab)
    same, moved, moved_to, gone, new = (network.free_port() for _ in range(5))
    pair.publish(*proxy("one", lab.node.inference))
    before = [*visitor("one", same, label="same"), *visitor("one", moved, label="moved"), *visitor("one", gone, label="gone")]
    agent = pair.visit(*before)
    network.wait_answers(same, moved, gone)
    streams = [Stream(port) for port in (same, moved, gone)]
    pair.write("bob", [*visitor("one", new, label="new"), *visitor("one", same, label="same"),
                       *visitor("one", moved_to, label="moved")])  # fmt: skip
    agent.signal(signal.SIGHUP)
    network.wait_closed(moved)
    network.wait_closed(gone)
    network.wait_answers(same, new, moved_to)
    assert all([stream.is_whole() for stream in streams])
    assert len(agent.find("login to server success")) == 1


def test_a_stream_is_drained_at_the_end(new_lab):
    lab = new_lab()
    pair = Pair(lab)
    port = network.free_port()
    pair.publish(*proxy("one", lab.node.inference))
    agent = pair.visit(*visitor("one", port))
    network.wait_answers(port)
    stream = Stream(port)
    agent.signal(signal.SIGTERM)
    network.wait_closed(port)
    assert stream.is_whole()
    assert agent.wait() == 0


# ---- datagrams


@pytest.mark.parametrize("whose_proxy, whose_visitor", PAIRS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{'mux' if way[1] else 'nomux'}-{way[2]}")
def test_datagrams_come_back_the_same(new_lab, udp_echo, way, whose_proxy, whose_visitor):
    lab = new_lab()
    pair = Pair(lab, way)
    ports = {name: free_udp_port() for name in LAYERS}
    pair.publish(*(line for name, layers in LAYERS.items() for line in proxy(name, udp_echo, "sudp", layers)),
                 whose=whose_proxy)  # fmt: skip
    pair.visit(*(line for name, layers in LAYERS.items() for line in visitor(name, ports[name], "sudp", layers)),
               whose=whose_visitor)  # fmt: skip
    for name, port in ports.items():
        users = [UdpUser(port) for _ in range(3)]
        users[0].wait_through()
        for i, user in enumerate(users):
            for size in (0, 1, 700, 1400):
                payload = bytes([65 + i]) * size
                assert user.ask(payload) == payload, (name, i, size)


@pytest.mark.parametrize("is_mux", (True, False))
def test_datagrams_before_the_answer_wait(new_lab, udp_echo, is_mux):
    lab = new_lab()
    pair = Pair(lab, (peers.OLD, is_mux, "v1"))
    port = free_udp_port()
    pair.publish(*proxy("one", udp_echo, "sudp"))
    pair.visit(*visitor("one", port, "sudp")).wait_line("start visitor success")
    user = UdpUser(port)
    for i in range(20):
        user.socket.send(b"%d" % i)
    user.socket.settimeout(5)
    assert {user.socket.recv(100) for _ in range(20)} == {b"%d" % i for i in range(20)}


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
@pytest.mark.parametrize("is_mux", (True, False))
def test_refused_datagrams_are_told_once(new_lab, udp_echo, is_mux):
    lab = new_lab()
    pair = Pair(lab, (peers.OLD, is_mux, "v1"))
    port = free_udp_port()
    pair.publish(*proxy("one", udp_echo, "sudp"))
    agent = pair.visit(*visitor("one", port, "sudp", secret="another", label="v"))
    agent.wait_line("start visitor success")
    user = UdpUser(port)
    user.socket.send(b"hello")
    agent.wait_line(r"WARN \[v\] user connection refused.*auth failed.*remedy=.*secretKey")
    for _ in range(3):
        assert user.ask(b"hello", timeout=0.5) is None
    assert len(agent.find("WARN.*user connection refused")) == 1
    pair.write("bob", visitor("one", port, "sudp", label="v"))
    agent.signal(signal.SIGHUP)
    user.wait_through()


@pytest.mark.full
@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_a_silent_visit_is_closed_and_opened_again(new_lab, udp_echo):
    lab = new_lab()
    pair = Pair(lab, (peers.OLD, False, "v1"))  # with mux the server ends a frozen client sooner
    port = free_udp_port()
    publisher = pair.publish(*proxy("one", udp_echo, "sudp"))
    agent = pair.visit(*visitor("one", port, "sudp"))
    user = UdpUser(port)
    user.wait_through()
    assert not agent.find("visit closed")
    began = time.monotonic()
    peers.freeze(publisher)
    at, _ = agent.wait_line("visit closed, nothing was received", timeout=70)
    assert 58 < at - began < 62
    publisher.signal(signal.SIGCONT)
    user.wait_through()


def test_datagrams_again_after_the_server_was_gone(new_lab, udp_echo):
    lab = new_lab()
    pair = Pair(lab)
    port = free_udp_port()
    pair.publish(*proxy("one", udp_echo, "sudp"))
    pair.visit(*visitor("one", port, "sudp"))
    user = UdpUser(port)
    user.wait_through()
    lab.frps.kill()
    lab.start_frps()
    user.wait_through()
