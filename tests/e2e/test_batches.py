# SPDX-License-Identifier: Apache-2.0
# test_batches.py - how long the frames of bulk are: short, until the server has taken a MiB at once; then one write is one frame.

import socket
import struct
import threading
import time

import peers

MIB = 1 << 20
SHORT = 16384 - 128 - 2 * 12  # LIMIT_RECORD without its header and the mark's
LONG = 8 * (16384 - 128) - 2 * 12  # LIMIT_BATCH, the same
HEADER = struct.Struct(">BBHII")  # version, type, flags, stream, length (yamux spec.md)
THIN = 2 * MIB  # a second
GIVE_UP_S = 30


class Tap:
    """Between an agent without TLS and its server: knows the length of each data frame on the way to the server."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.rate = None  # bytes a second to the server; None: as they come
        self.frames = []
        self.sockets = [socket.create_server(("127.0.0.1", 0))]
        # What waits here was taken at once: not much, so that a thin line is seen to be one.
        self.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB // 2)
        self.port = self.sockets[0].getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                agent = self.sockets[0].accept()[0]
                server = socket.create_connection(("127.0.0.1", self.to_port))
                self.sockets += [agent, server]
                threading.Thread(target=self.carry, args=(agent, server, self.read_frames()), daemon=True).start()
                threading.Thread(target=self.carry, args=(server, agent, None), daemon=True).start()
        except OSError:
            pass  # closed

    def carry(self, source, target, reader):
        if reader:
            next(reader)
        try:
            while data := source.recv(65536):
                target.sendall(data)
                if reader:
                    reader.send(data)
                    if self.rate:
                        time.sleep(len(data) / self.rate)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of them is gone, and so will be the other

    def read_frames(self):
        """Is sent what has arrived."""
        data = b""
        while True:
            while len(data) < HEADER.size:
                data += yield
            _, kind, _, _, length = HEADER.unpack_from(data)
            data = data[HEADER.size :]
            if kind == 0:
                self.frames.append(length)
                while len(data) < length:
                    length -= len(data)
                    data = yield
                data = data[length:]

    def close(self):
        for one in self.sockets:
            one.close()


def download(lab, size):
    """The frames of it."""
    before = len(lab.tap.frames)
    assert peers.load("download", lab.port1, size=size)["bytes"] == size
    deadline = time.monotonic() + GIVE_UP_S
    while sum(lab.tap.frames[before:]) < size and time.monotonic() < deadline:
        time.sleep(0.01)
    return lab.tap.frames[before:]


def test_bulk_in_long_frames_while_the_server_takes_all(tmp_path):
    with peers.Lab(tmp_path) as lab:
        lab.start_frps()
        lab.tap = lab.keep(Tap(lab.server_port))
        lab.server_port = lab.tap.port
        lab.start_agent(tls="off")

        frames = download(lab, MIB // 2)
        assert max(frames) <= SHORT, "the server has not shown yet that it takes a MiB"
        assert max(download(lab, 32 * MIB)) == LONG

        lab.tap.rate = THIN
        frames = download(lab, 6 * MIB)
        seen, late = 0, []
        for length in frames:
            late += [length] if seen >= 3 * MIB else []
            seen += length
        assert max(late) <= SHORT, "nothing can overtake a long frame on a thin line"

        lab.tap.rate = None
        assert max(download(lab, 32 * MIB)) == LONG
