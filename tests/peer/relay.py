#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# relay.py - a TCP relay that can be made a bad path while it runs.
"""relay.py --to HOST:PORT

Prints {"port":N,"control":N}, then events, one JSON object a line:
  {"ev":"open","id":1}                 somebody connected
  {"ev":"end","id":1,"by":"client","how":"fin"}   by client, server or relay; how fin or rst
  {"ev":"cut","id":1,"direction":"down","at":100} a truncate or corrupt has struck
The control port takes commands, one a line, and answers "ok" when it is in force, else "bad: ...".
DIR is up (from the client to the server), down or both; both when it is left out.

of all connections, those to come too:
  pass                  undo everything below
  delay MS [DIR]        each piece leaves that much later, order and rate untouched
  rate BYTES [DIR]      at most so many bytes a second; 0: any
  bytewise [DIR]        one byte a segment
  forget SECONDS        who was silent for so long is half-open when it speaks again, as behind a NAT; 0: never
of those that are open now:
  halfopen [DIR]        nothing is read or forwarded any more, nothing refuses; an end neither
  thaw                  the opposite
  fin | rst [ID]        end both sides
  orphan                reset the client's side; the server sees nothing any more, and no end
of those to come, counted on each from its start:
  truncate K fin|rst [DIR]   end it after K bytes
  corrupt K [DIR]       flip the bits of byte K
  new pass|refuse|silent|halfopen|fin|rst   what happens to them: silent ones are accepted and nothing is read
"""

import argparse
import asyncio
import json
import socket
import struct
import sys
import time

PIECE = 65536
DIRECTIONS = {"up": ("up",), "down": ("down",), "both": ("up", "down")}
QUEUE_BYTES = 16 << 20  # under way on a delayed path


class Way:
    """What a direction does to bytes."""

    def __init__(self):
        self.delay_s = 0.0
        self.rate = 0
        self.is_bytewise = False
        self.cut_at = self.corrupt_at = None
        self.cut_how = "fin"


class Connection:
    def __init__(self, relay, ident, client):
        self.relay, self.id, self.client, self.server = relay, ident, client, None
        self.is_over = False
        self.tasks = []
        self.count = {"up": 0, "down": 0}
        self.queued = {"up": 0, "down": 0}
        self.room = {direction: asyncio.Event() for direction in self.count}
        self.used_at = time.monotonic()
        self.gates = {direction: asyncio.Event() for direction in self.count}
        self.marks = {direction: (way.cut_at, way.cut_how, way.corrupt_at) for direction, way in relay.ways.items()}
        for gate in (*self.gates.values(), *self.room.values()):
            gate.set()

    async def run(self):
        mode = self.relay.new
        if mode in ("fin", "rst"):
            self.end("relay", mode)
            return
        if mode == "silent":
            return
        try:
            self.server = await self.relay.dial()
        except OSError:
            self.end("server", "rst")
            return
        if mode == "halfopen":
            self.freeze(DIRECTIONS["both"])
        loop = asyncio.get_running_loop()
        for direction, source, target in (("up", self.client, self.server), ("down", self.server, self.client)):
            pieces = asyncio.Queue()
            self.tasks.append(loop.create_task(self.read(direction, source, pieces)))
            self.tasks.append(loop.create_task(self.write(direction, target, pieces)))

    async def read(self, direction, source, pieces):
        loop, gate = asyncio.get_running_loop(), self.gates[direction]
        how = "fin"
        while not self.is_over:
            await gate.wait()
            try:
                data = await loop.sock_recv(source, PIECE)
            except OSError:
                data, how = b"", "rst"
            now = time.monotonic()
            if self.relay.forget_s and now - self.used_at > self.relay.forget_s:
                say("forgotten", id=self.id)
                self.freeze(DIRECTIONS["both"])
            self.used_at = now
            pieces.put_nowait((now, data, how))
            self.queued[direction] += len(data)
            if self.queued[direction] >= QUEUE_BYTES:
                self.room[direction].clear()
            await self.room[direction].wait()
            if not data:
                return

    async def write(self, direction, target, pieces):
        loop, gate, way = asyncio.get_running_loop(), self.gates[direction], self.relay.ways[direction]
        while not self.is_over:
            came, data, how = await pieces.get()
            self.queued[direction] -= len(data)
            self.room[direction].set()
            wait_s = came + way.delay_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await gate.wait()
            if not data:
                self.end("client" if direction == "up" else "server", how)
                return
            data, is_cut = self.damage(direction, data)
            try:
                for piece in self.split(way, data):
                    await loop.sock_sendall(target, piece)
                    if way.rate:
                        await asyncio.sleep(len(piece) / way.rate)
                    await gate.wait()
            except OSError:
                self.end("server" if direction == "up" else "client", "rst")
                return
            if is_cut:
                self.end("relay", self.marks[direction][1])
                return

    @staticmethod
    def split(way, data):
        size = 1 if way.is_bytewise else max(1, min(PIECE, way.rate // 50)) if way.rate else max(1, len(data))
        return (data[at : at + size] for at in range(0, len(data), size))

    def damage(self, direction, data):
        """The piece with what the marks ask for done to it, and whether the connection ends behind it."""
        start = self.count[direction]
        self.count[direction] = end = start + len(data)
        cut_at, _, corrupt_at = self.marks[direction]
        if corrupt_at is not None and start <= corrupt_at < end:
            data = bytearray(data)
            data[corrupt_at - start] ^= 0xFF
            say("cut", id=self.id, direction=direction, at=corrupt_at)
        if cut_at is None or cut_at >= end:
            return data, False
        say("cut", id=self.id, direction=direction, at=cut_at)
        return data[: max(0, cut_at - start)], True

    def freeze(self, directions):
        for direction in directions:
            self.gates[direction].clear()

    def thaw(self):
        for gate in self.gates.values():
            gate.set()

    def orphan(self):
        self.freeze(DIRECTIONS["both"])
        for task in self.tasks:
            task.cancel()
        self.relay.connections.discard(self)
        self.relay.orphans.append(self.server)
        self.server = None
        self.end("relay", "rst")

    def end(self, by, how):
        if self.is_over:
            return
        self.is_over = True
        self.relay.connections.discard(self)
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for s in (self.client, self.server):
            if s is not None:
                if how == "rst":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
        say("end", id=self.id, by=by, how=how)


class Relay:
    def __init__(self, to):
        self.to = to
        self.ways = {"up": Way(), "down": Way()}
        self.new = "pass"
        self.forget_s = 0
        self.connections = set()
        self.orphans = []  # sockets, open until we end
        self.n_connections = 0
        self.listener = None
        self.port = 0
        self.accepting = None

    async def dial(self):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(s, self.to)
        except OSError:
            s.close()
            raise
        return s

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.accepting = asyncio.get_running_loop().create_task(self.accept())

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self.listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.n_connections += 1
            connection = Connection(self, self.n_connections, client)
            self.connections.add(connection)
            say("open", id=connection.id)
            # The task is kept: the loop itself holds it but weakly.
            connection.tasks.append(loop.create_task(connection.run()))

    def refuse(self):
        self.accepting.cancel()
        self.listener.close()
        self.listener = None

    # ---- commands

    def obey(self, words):
        command, *args = words
        method = getattr(self, f"do_{command}", None)
        if method is None:
            raise ValueError(f"no such command: {command}")
        method(*args)

    def on_ways(self, direction, **fields):
        for name in DIRECTIONS[direction]:
            for field, value in fields.items():
                setattr(self.ways[name], field, value)

    def do_pass(self):
        self.ways["up"].__init__()
        self.ways["down"].__init__()
        self.forget_s = 0
        self.do_new("pass")
        self.do_thaw()

    def do_delay(self, milliseconds, direction="both"):
        self.on_ways(direction, delay_s=int(milliseconds) / 1000)

    def do_rate(self, rate, direction="both"):
        self.on_ways(direction, rate=int(rate))

    def do_bytewise(self, direction="both"):
        self.on_ways(direction, is_bytewise=True)

    def do_truncate(self, at, how, direction="both"):
        self.on_ways(direction, cut_at=int(at), cut_how=how)

    def do_corrupt(self, at, direction="both"):
        self.on_ways(direction, corrupt_at=int(at))

    def do_halfopen(self, direction="both"):
        for connection in self.connections:
            connection.freeze(DIRECTIONS[direction])

    def do_thaw(self):
        for connection in self.connections:
            connection.thaw()

    def do_forget(self, seconds):
        self.forget_s = float(seconds)

    def do_fin(self, ident=None):
        self.end_some("fin", ident)

    def do_rst(self, ident=None):
        self.end_some("rst", ident)

    def end_some(self, how, ident):
        chosen = [c for c in self.connections if ident is None or c.id == int(ident)]
        if ident is not None and not chosen:
            raise ValueError(f"{ident} is not open")
        for connection in chosen:
            connection.end("relay", how)

    def do_orphan(self):
        for connection in list(self.connections):
            connection.orphan()

    def do_new(self, mode):
        if mode not in ("pass", "refuse", "silent", "halfopen", "fin", "rst"):
            raise ValueError(f"no such mode: {mode}")
        if mode == "refuse" and self.listener is not None:
            self.refuse()
        elif mode != "refuse" and self.listener is None:
            self.listen()
        self.new = mode

    async def control(self, reader, writer):
        async for line in reader:
            words = line.decode().split()
            try:
                self.obey(words)
                writer.write(b"ok\n")
            except (KeyError, ValueError, TypeError) as error:
                writer.write(f"bad: {error}\n".encode())
            await writer.drain()
        writer.close()


def say(what, **fields):
    print(json.dumps({"ev": what, **fields}), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    host, port = parser.parse_args().to.rsplit(":", 1)
    relay = Relay((host, int(port)))
    relay.listen()
    control = await asyncio.start_server(relay.control, "127.0.0.1", 0)
    print(json.dumps({"port": relay.port, "control": control.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
