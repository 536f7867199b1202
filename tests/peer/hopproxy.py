#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# hopproxy.py - a forward proxy: HTTP CONNECT or SOCKS5, with or without a login.
"""hopproxy.py http|socks5 [--port N] [--login USER:PASSWORD] [--map NAME=ADDRESS]...

Prints {"port":N}, then events, one JSON object a line:
  {"ev":"open","to":"HOST:PORT","kind":"name"}   connected, and by which form of address it was asked for
  {"ev":"refused","why":"login"}                 why: login, target or request
Names are resolved by --map, then as this machine does."""

import argparse
import asyncio
import base64
import json
import socket

PIECE = 65536
HEAD_MAX = 16384


class Refused(Exception):
    """Tell the client no; args: why, what to say."""


def tell(**event):
    print(json.dumps(event), flush=True)


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("http", "socks5"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", help="USER:PASSWORD; both may hold anything but a colon")
    parser.add_argument("--map", action="append", default=[], metavar="NAME=ADDRESS")
    return parser.parse_args()


async def ask_http(args, reader, writer):
    """What a CONNECT request asks for: host, port, kind of address, and what to say when it is done."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    method, target, version = head[0].split(" ")
    if method != "CONNECT" or version != "HTTP/1.1" or fields.get("host") != target.lower():
        raise Refused("request", b"HTTP/1.1 400 Bad Request\r\n\r\n")
    if args.login:
        code = base64.b64encode(args.login.encode()).decode()
        if f"Proxy-Authorization: Basic {code}" not in head:
            raise Refused("login", b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
    host, port = target.rsplit(":", 1)
    kind = "ipv6" if host[0] == "[" else "ipv4" if host.replace(".", "").isdigit() else "name"
    refusal = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
    return host.strip("[]"), int(port), kind, b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n", refusal


async def ask_socks5(args, reader, writer):
    """The same of SOCKS5 (RFC 1928, RFC 1929)."""
    version, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    method = 2 if args.login else 0
    if version != 5 or method not in methods:
        raise Refused("login", b"\5\xff")
    writer.write(bytes((5, method)))
    if args.login:
        words = []
        version = (await reader.readexactly(1))[0]
        for _ in range(2):
            words.append(await reader.readexactly((await reader.readexactly(1))[0]))
        if version != 1 or b":".join(words) != args.login.encode():
            raise Refused("login", b"\1\1")
        writer.write(b"\1\0")
    version, command, _, kind = await reader.readexactly(4)
    if version != 5 or command != 1:
        raise Refused("request", b"\5\7\0\1\0\0\0\0\0\0")
    if kind == 3:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    else:
        family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, await reader.readexactly(size))
    port = int.from_bytes(await reader.readexactly(2), "big")
    names = {1: "ipv4", 3: "name", 4: "ipv6"}
    return host, port, names[kind], b"\5\0\0\3\4here\0\1", b"\5\5\0\1\0\0\0\0\0\0"


async def pump(reader, writer):
    """Bytes one way; an end of the stream is passed on."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def serve(args, maps, reader, writer):
    ask = ask_http if args.kind == "http" else ask_socks5
    server_writer = None
    try:
        host, port, kind, answer, refusal = await ask(args, reader, writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(maps.get(host, host), port)
        except OSError:
            raise Refused("target", refusal) from None
        tell(ev="open", to=f"{host}:{port}", kind=kind)
        writer.write(answer)
        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))
    except Refused as refused:
        tell(ev="refused", why=refused.args[0])
        writer.write(refused.args[1])
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass  # one side has gone: the other one follows
    finally:
        for w in (writer, server_writer):
            if w is not None:
                w.close()


async def main():
    args = parse_args()
    maps = dict(pair.split("=", 1) for pair in args.map)
    server = await asyncio.start_server(
        lambda reader, writer: serve(args, maps, reader, writer), "127.0.0.1", args.port, limit=HEAD_MAX
    )
    tell(port=server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


asyncio.run(main())
