# SPDX-License-Identifier: Apache-2.0
# test_payload.py - what arrives of what users send: encrypted, compressed, limited, in datagrams.

import contextlib
import hashlib
import os
import random
import selectors
import socket
import threading
import time

import pytest

import network
import peers
from program import Program

MIB = 1 << 20
SIZE = 64 * MIB
MARKER = b"the quick brown fox is not to be seen on the way "
WRAPS = {
    "encryption": ["transport.useEncryption = true"],
    "compression": ["transport.useCompression = true"],
    "both": ["transport.useEncryption = true", "transport.useCompression = true"],
}
N_DATAGRAMS = 10000
ROUND = 1000  # datagrams through one client, then as many through the other
RATE = 1000  # a second
USERS = 4
SETTLE_S = 2.0  # for the last datagrams of a round
LIMIT = 2 * MIB  # a second


def toml(lab, name, *proxies, server_port=None, is_tls=True):
    """A file for mltunnel or frpc; each proxy is a list of lines."""
    lines = [
        'serverAddr = "127.0.0.1"', f"serverPort = {server_port or lab.server_port}", f'auth.token = "{peers.TOKEN}"',
        "loginFailExit = false", f"transport.tls.enable = {str(is_tls).lower()}",
    ]  # fmt: skip
    for proxy in proxies:
        lines += ["[[proxies]]", *proxy]
    path = lab.directory / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def start(lab, path, program=None):
    client = Program(path.stem, [program or peers.agent_program(), "-c", path], peers.clean_env(lab.directory))
    return lab.keep(client)


def tcp_proxy(local_port, remote_port, *lines):
    return ['name = "payload"', 'type = "tcp"', f"localPort = {local_port}", f"remotePort = {remote_port}", *lines]


def wait_open(client, port):
    client.wait_line("start proxy success", timeout=20)
    network.wait_listening(port)


# ---- byte by byte


def mixed(size):
    """Blocks that compress well, blocks that do not, and the edges of both at odd places."""
    rng = random.Random(4)
    blocks = []
    while sum(map(len, blocks)) < MIB:
        length = rng.randrange(1, 70000)
        blocks.append(rng.randbytes(length) if rng.random() < 0.5 else (MARKER * (length // len(MARKER) + 1))[:length])
    block = b"".join(blocks)[: MIB - 7]
    whole, rest = divmod(size, len(block))
    return [block] * whole + [block[:rest]]


def echo(port, pieces):
    """Send all to the node's echo while reading it back: SHA-256 of either way, count of what came.

    Our end comes last: frps ends both ways at the first FIN."""
    sent, received, count, size = hashlib.sha256(), hashlib.sha256(), 0, sum(map(len, pieces))
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        s.sendall(b"echo payload\n")

        def send():
            with contextlib.suppress(OSError):  # what is missing is seen below
                for piece in pieces:
                    sent.update(piece)
                    s.sendall(piece)

        sender = threading.Thread(target=send)
        sender.start()
        while count < size and (data := s.recv(MIB)):
            received.update(data)
            count += len(data)
        sender.join()
    return sent.hexdigest(), received.hexdigest(), count


@pytest.mark.parametrize("wrap", WRAPS)
def test_64_mib_both_ways_byte_exact(new_lab, version, wrap):
    lab = new_lab(version=version, has_raw_node=True)
    lab.start_frps()
    wait_open(start(lab, toml(lab, "payload", tcp_proxy(lab.node.raw, lab.port1, *WRAPS[wrap]))), lab.port1)
    sent, received, count = echo(lab.port1, mixed(SIZE))
    assert count == SIZE
    assert sent == received


class Tap:
    """A TCP path to a port that keeps what passes."""

    def __init__(self, to_port):
        self._to = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen = bytearray()
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        for s in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


@pytest.mark.parametrize("wrap", ("none", *WRAPS))
def test_what_the_path_sees(new_lab, version, wrap):
    lab = new_lab(version=version, has_raw_node=True)
    lab.start_frps()
    with contextlib.closing(Tap(lab.server_port)) as tap:
        path = toml(lab, "payload", tcp_proxy(lab.node.raw, lab.port1, *WRAPS.get(wrap, [])), server_port=tap.port, is_tls=False)
        wait_open(start(lab, path), lab.port1)
        before = len(tap.seen)
        sent, received, count = echo(lab.port1, [MARKER * 20000])
        assert (sent, count) == (received, 20000 * len(MARKER))
        seen = bytes(tap.seen[before:])
    assert (MARKER in seen) == (wrap == "none"), "snappy cuts it, a cipher hides it"
    if wrap in ("none", "encryption"):
        assert len(seen) >= 2 * count
    else:
        assert len(seen) < count / 2


# ---- a limit


@pytest.mark.alone
@pytest.mark.parametrize("mode", ("client", "server"))
@pytest.mark.parametrize("way", ("upload", "download"))
def test_a_limit_takes_its_time(new_lab, version, mode, way):
    lab = new_lab(version=version)
    lab.start_frps()
    lines = [f'transport.bandwidthLimit = "{LIMIT // MIB}MB"', f'transport.bandwidthLimitMode = "{mode}"']
    wait_open(start(lab, toml(lab, "payload", tcp_proxy(lab.node.inference, lab.port1, *lines))), lab.port1)
    began = time.monotonic()
    lab.load(way, size=5 * LIMIT)
    took = time.monotonic() - began
    # One second's worth is free, as in stock frp. frps and what lies between may hold a little more.
    assert 3.5 <= took <= 6.0, f"{5 * LIMIT} bytes took {took:.2f} s"


# ---- datagrams


class Echo:
    """Sends datagrams back, fast enough that what is lost is lost on the way."""

    def __init__(self):
        self._s = big_socket()
        self._s.bind(("127.0.0.1", 0))
        self.port = self._s.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            data, peer = self._s.recvfrom(65536)
            if data == b"end":
                return
            self._s.sendto(data, peer)

    def close(self):
        self._s.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._s.close()


def big_socket():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MIB)
    return s


class Users:
    """Some users of one UDP port, and what came back to the right one, unharmed."""

    def __init__(self, port):
        self.port = port
        self.sockets = [big_socket() for _ in range(USERS)]
        self.expected = [{} for _ in range(USERS)]  # by number: the rest of the datagram
        self.n_sent = self.n_back = 0
        self._selector = selectors.DefaultSelector()
        for user, s in enumerate(self.sockets):
            s.connect(("127.0.0.1", port))
            s.setblocking(False)
            self._selector.register(s, selectors.EVENT_READ, user)

    def _take(self, wait_s):
        for key, _ in self._selector.select(wait_s):
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    data = key.fileobj.recv(65536)
                    body = self.expected[key.data].pop(data[:8], None)
                    assert body == data[8:], "a datagram that this user has not sent, or twice, or changed"
                    self.n_back += 1

    def round(self, rng):
        """Send ROUND datagrams, each at its time; wait for the last."""
        began = time.monotonic()
        for i in range(ROUND):
            user = i % USERS
            number = self.n_sent.to_bytes(8, "big")
            self.expected[user][number] = body = rng.randbytes(rng.choice((0, 10, 100, 1000, 1400)))
            with contextlib.suppress(ConnectionRefusedError):
                self.sockets[user].send(number + body)
            self.n_sent += 1
            while (left := began + (i + 1) / RATE - time.monotonic()) > 0:
                self._take(left)
            self._take(0)
        limit = time.monotonic() + SETTLE_S
        while self.n_back < self.n_sent and time.monotonic() < limit:
            self._take(0.05)

    def close(self):
        self._selector.close()
        for s in self.sockets:
            s.close()


def udp_proxy(name, local_port, remote_port):
    return [f'name = "{name}"', 'type = "udp"', f"localPort = {local_port}", f"remotePort = {remote_port}"]


@pytest.mark.alone
@pytest.mark.skipif(peers.IS_STOCK, reason="it is compared with itself")
def test_no_more_datagrams_are_lost_than_by_frpc(new_lab, version):
    lab = new_lab(version=version)
    lab.start_frps()
    rng = random.Random(os.getpid())
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(contextlib.closing(Echo()))
        users = {}
        for name, program in (("agent", None), ("frpc", peers.peer_dir() / f"frpc-{version}")):
            port = network.free_port()
            client = start(lab, toml(lab, name, udp_proxy(name, service.port, port)), program)
            client.wait_line("start proxy success", timeout=20)
            users[name] = stack.enter_context(contextlib.closing(Users(port)))
        for turn in range(N_DATAGRAMS // ROUND):
            for name in sorted(users, reverse=turn % 2 == 1):  # neither is always the first
                users[name].round(rng)
        lost = {name: one.n_sent - one.n_back for name, one in users.items()}
    print(f"lost of {N_DATAGRAMS}: {lost}")
    assert users["agent"].n_sent == N_DATAGRAMS
    assert lost["agent"] <= lost["frpc"], lost
    assert lost["agent"] < N_DATAGRAMS / 100
