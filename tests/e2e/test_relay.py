# SPDX-License-Identifier: Apache-2.0
# test_relay.py - the relay does to a path what the tests believe it does.

import socket
import threading
import time

import pytest

import network
import peers

BYTES = bytes(range(256)) * 40


@pytest.fixture
def received():
    """What the server got, piece by piece."""
    return []


@pytest.fixture
def echo(received):
    """A server that sends all back; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(s):
        with s:
            try:
                while data := s.recv(65536):
                    received.append(data)
                    s.sendall(data)
            except OSError:
                pass

    def accept():
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(s,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def relay(tmp_path, echo):
    relay = peers.Relay(tmp_path, echo)
    yield relay
    relay.close()


def connect(relay, timeout=10):
    return socket.create_connection(("127.0.0.1", relay.port), timeout)


def receive(s, count):
    data = b""
    while len(data) < count:
        piece = s.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def is_silent(s):
    s.settimeout(0.3)
    try:
        s.recv(1)
    except TimeoutError:
        return True
    finally:
        s.settimeout(10)
    return False


def test_passes_bytes_and_ends(relay):
    s = connect(relay)
    s.sendall(BYTES)
    assert receive(s, len(BYTES)) == BYTES
    s.close()
    assert relay.wait_event("end")[1]["by"] == "client"


def test_half_open_forwards_nothing_and_thaws(relay):
    s = connect(relay)
    s.sendall(b"a")
    assert receive(s, 1) == b"a"
    relay.tell("halfopen")
    s.sendall(b"b")
    assert is_silent(s)
    with connect(relay) as other:
        other.sendall(b"c")
        assert receive(other, 1) == b"c"
    relay.tell("thaw")
    assert receive(s, 1) == b"b"


def test_half_open_one_way_lets_the_other_pass(relay, received):
    s = connect(relay)
    relay.wait_event("open")
    relay.tell("delay 300 down")
    s.sendall(b"a")
    network.wait_until(lambda: received == [b"a"], "the byte has arrived")
    relay.tell("halfopen up")
    assert receive(s, 1) == b"a", "what was on its way back comes"
    s.sendall(b"b")
    assert is_silent(s)
    assert received == [b"a"]


def test_half_open_swallows_an_end(relay):
    s = connect(relay)
    s.sendall(b"a")
    assert receive(s, 1) == b"a"
    relay.tell("halfopen")
    s.close()
    with connect(relay) as other:
        other.sendall(b"c")
        assert receive(other, 1) == b"c"
    assert relay.events("end") == [] or relay.events("end")[0][1]["id"] == 2


def test_delay_and_rate(relay):
    relay.tell("delay 100")
    s = connect(relay)
    began = time.monotonic()
    s.sendall(b"a")
    assert receive(s, 1) == b"a"
    assert 0.2 <= time.monotonic() - began < 1
    relay.tell("pass")
    relay.tell("rate 20000 up")
    began = time.monotonic()
    s.sendall(BYTES)
    assert receive(s, len(BYTES)) == BYTES
    assert 0.45 <= time.monotonic() - began < 2


def test_bytewise(relay):
    relay.tell("bytewise down")
    s = connect(relay)
    s.sendall(BYTES)
    assert receive(s, len(BYTES)) == BYTES


@pytest.mark.parametrize("how", ("fin", "rst"))
def test_end_of_all(relay, how):
    s = connect(relay)
    relay.wait_event("open")
    relay.tell(how)
    if how == "fin":
        assert s.recv(1) == b""
    else:
        with pytest.raises(ConnectionResetError):
            s.recv(1)


def test_truncate(relay):
    relay.tell("truncate 100 fin down")
    s = connect(relay)
    s.sendall(BYTES)
    assert receive(s, len(BYTES)) == BYTES[:100]
    assert relay.wait_event("cut")[1]["at"] == 100


def test_corrupt(relay):
    relay.tell("corrupt 5 down")
    s = connect(relay)
    s.sendall(b"0123456789")
    assert receive(s, 10) == b"01234" + bytes([ord("5") ^ 0xFF]) + b"6789"


def test_new_ones(relay):
    relay.tell("new refuse")
    with pytest.raises(ConnectionRefusedError):
        connect(relay)
    relay.tell("new silent")
    s = connect(relay)
    s.sendall(b"a")
    assert is_silent(s)
    relay.tell("new rst")
    with pytest.raises(ConnectionResetError), connect(relay) as s:
        s.recv(1)
    relay.tell("pass")
    with connect(relay) as s:
        s.sendall(b"b")
        assert receive(s, 1) == b"b"
