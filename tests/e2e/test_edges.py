# SPDX-License-Identifier: Apache-2.0
# test_edges.py - single users who end in unusual ways: what they are owed arrives, and nobody else is hurt.

import contextlib
import fcntl
import os
import pathlib
import socket
import struct
import termios
import threading

import pytest

import network
import peers

GARBAGE = "ff" * 64  # no beginning of a compressed stream


class Service:
    """A local service that serves each connection by one function."""

    def __init__(self, serve):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(s,), daemon=True).start()

    def _one(self, s):
        try:
            with s:
                self._serve(s)
        except OSError:
            pass

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def start(lab, proxy_lines=(), common=(), port=None, remote=None):
    """An agent by TOML with one proxy."""
    lines = ['serverAddr = "127.0.0.1"', f"serverPort = {lab.server_port}", "loginFailExit = false"]
    lines += [f'auth.token = "{peers.TOKEN}"', 'log.level = "debug"', *common]
    lines += ["[[proxies]]", 'name = "one"', 'type = "tcp"', f"localPort = {port or lab.node.inference}"]
    lines += [f"remotePort = {remote or lab.port1}", *proxy_lines]
    path = lab.directory / "edges.toml"
    path.write_text("\n".join(lines) + "\n")
    return lab.keep(peers.Agent(lab, [peers.agent_program(), "-c", path], peers.clean_env(lab.directory)))


@pytest.mark.parametrize("is_mux", (True, False), ids=("mux", "no-mux"))
def test_garbage_in_a_compressed_stream_ends_that_user_only(new_lab, is_mux):
    lab = new_lab()
    fake = lab.start_fake(is_mux=is_mux)
    common = ["transport.tls.enable = false", f"transport.tcpMux = {str(is_mux).lower()}"]
    agent = start(lab, ["transport.useCompression = true"], common)
    agent.wait_line("start proxy success")
    for _ in range(3):
        mark = fake.mark()
        fake.tell("reqwork 1")
        fake.wait_message("NewWorkConn", since=mark)
        fake.tell("start one 1.2.3.4 5 6.7.8.9 10")
        joined = fake.wait_event("joined", since=mark)[1]
        ended = agent.mark()
        fake.tell(f"send {joined['stream']} {GARBAGE}")
        agent.wait_line("payload cannot be passed on", since=ended)
    assert len(fake.logins()) == 1
    agent.signal(15)
    assert agent.wait() == 0


ANSWER = bytes(range(256)) * 80
UPLOAD = 50000  # fits into all buffers on the way


def is_readable(s, count):
    return struct.unpack("i", fcntl.ioctl(s, termios.FIONREAD, bytes(4)))[0] >= count


def answer_early(is_clean):
    """A service that has its answer before it has read the request, and closes then."""

    def serve(s):
        s.recv(1024)
        network.wait_until(lambda: is_readable(s, UPLOAD - 1024), "the user has said all")
        s.sendall(ANSWER)
        if is_clean:
            s.shutdown(socket.SHUT_WR)
            s.recv(1 << 20, socket.MSG_WAITALL)

    return serve


# Without tcpMux a stock frpc loses some, too: the work connection is closed over what the user still says.
@pytest.mark.parametrize("is_clean", (False, True), ids=("reset", "fin"))
def test_an_early_answer_arrives_whole(lab, is_clean):
    service = Service(answer_early(is_clean))
    try:
        start(lab, port=service.port).wait_line("start proxy success")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", lab.port1), 10) as s:
                s.sendall(bytes(UPLOAD))
                got = b""
                while piece := s.recv(65536):
                    got += piece
                assert got == ANSWER
    finally:
        service.close()


def test_a_service_that_is_down_is_not_replaced_by_ourselves(lab, own_network):
    if not own_network:
        pytest.skip("the range of the machine's ports is not ours to change")
    agent = start(lab, port=40004)
    agent.wait_line("start proxy success")
    path = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
    before = path.read_text()
    # So few that the kernel soon chooses the one that is dialed, and the connection meets itself.
    path.write_text("40000 40015")
    try:
        for i in range(300):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", 61000 + i))  # above what the kernel hands out
                s.settimeout(10)
                s.connect(("127.0.0.1", lab.port1))
                with contextlib.suppress(ConnectionError):
                    s.sendall(b"hello")
                    assert s.recv(10) == b""
    finally:
        path.write_text(before)


@pytest.mark.full
def test_a_service_that_hangs_is_given_up_in_time_when_its_user_is_gone(lab):
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]  # from the second on the kernel leaves them unanswered
    try:
        for s in waiting:
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        agent = start(lab, port=listener.getsockname()[1])
        agent.wait_line("start proxy success")
        with socket.create_connection(("127.0.0.1", lab.port1), 10) as s:
            s.sendall(b"hello")
        agent.wait_line("connect to local service error.*timed out", timeout=13)
    finally:
        for s in (*waiting, listener):
            s.close()


@pytest.mark.parametrize("common", ((), ("transport.tcpMux = false",)), ids=("mux", "no-mux"))
def test_nothing_is_kept_for_a_service_that_is_gone(new_lab, common):
    lab = new_lab()
    lab.start_frps(extra=common)
    service = Service(lambda s: s.recv(1024))
    descriptors = lambda: len(os.listdir(f"/proc/{agent.pid}/fd"))  # noqa: E731
    try:
        agent = start(lab, ['transport.bandwidthLimit = "16KB"'], common, port=service.port)
        agent.wait_line("start proxy success")
        most = descriptors() + 6  # without tcpMux the server parks one for each
        users = [socket.create_connection(("127.0.0.1", lab.port1), 10) for _ in range(5)]
        for s in users:
            s.sendall(bytes(200000))  # of which the limit lets a second's worth through
        for s in users:
            s.settimeout(10)
            with contextlib.suppress(ConnectionError):
                while s.recv(65536):
                    pass
            s.close()
        network.wait_until(lambda: descriptors() <= most, "all is let go", timeout=5)
    finally:
        service.close()
