#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# nameserver.py - a DNS server that can be made slow, silent or wrong while it runs.
"""nameserver.py [--listen ADDRESS]

Prints {"port":N,"control":N}, then each question, one JSON object a line: {"ev":"question","name":"a.test","type":"A"}
The control port takes commands, one a line, and answers "ok" when it is in force, else "bad: ...".

  set NAME A,... [AAAA,...]   its addresses; "-" for none of a family
  delay MS                    each answer comes that much later
  fail | silent | answer      SERVFAIL, no answer at all, or an answer
A name that was not set does not exist."""

import argparse
import asyncio
import ipaddress
import json
import struct

TYPES = {1: "A", 28: "AAAA"}
SERVFAIL, NXDOMAIN = 2, 3
TTL_S = 1


class NameServer(asyncio.DatagramProtocol):
    def __init__(self):
        self.names = {}
        self.delay_s, self.mode = 0.0, "answer"
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        name, kind, question = parse_question(data)
        say("question", name=name, type=TYPES.get(kind, str(kind)))
        if self.mode == "silent":
            return
        answer = self.answer(data, name, kind, question)
        asyncio.get_running_loop().call_later(self.delay_s, self.transport.sendto, answer, addr)

    def answer(self, data, name, kind, question):
        records, code = [], 0
        if self.mode == "fail":
            code = SERVFAIL
        elif name not in self.names:
            code = NXDOMAIN
        else:
            records = [address.packed for address in self.names[name].get(kind, ())]
        head = struct.pack(">2sHHHHH", data[:2], 0x8180 | code, 1, len(records), 0, 0)
        return head + question + b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, TTL_S, len(record)) + record for record in records
        )

    # ---- commands

    def obey(self, words):
        command, *args = words
        if command == "set":
            name, *lists = args
            self.names[name] = {
                kind: [ipaddress.ip_address(word) for word in text.split(",") if word != "-"]
                for kind, text in zip(TYPES, lists)
            }
        elif command == "delay":
            self.delay_s = int(args[0]) / 1000
        elif command in ("fail", "silent", "answer"):
            self.mode = command
        else:
            raise ValueError(f"no such command: {command}")

    async def control(self, reader, writer):
        async for line in reader:
            try:
                self.obey(line.decode().split())
                writer.write(b"ok\n")
            except (ValueError, IndexError) as error:
                writer.write(f"bad: {error}\n".encode())
            await writer.drain()
        writer.close()


def parse_question(data):
    """Name, type and bytes of the one question."""
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "backslashreplace").lower())
        at += 1 + data[at]
    at += 1
    return ".".join(labels), struct.unpack_from(">H", data, at)[0], data[12 : at + 4]


def say(what, **fields):
    print(json.dumps({"ev": what, **fields}), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1")
    loop, server = asyncio.get_running_loop(), NameServer()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=(parser.parse_args().listen, 0))
    control = await asyncio.start_server(server.control, "127.0.0.1", 0)
    ports = {"port": transport.get_extra_info("sockname")[1], "control": control.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
