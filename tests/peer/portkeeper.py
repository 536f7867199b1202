#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# portkeeper.py - a server plugin of frps (httpPlugins, op NewProxy) that gives each proxy name a port of its own.
"""portkeeper.py --ports N,N,... [--refuse NAME=REASON]... [--rename PREFIX]

Prints {"port":N}, then one JSON object for each request: {"ev":"new_proxy","user":U,"name":NAME,"asked":PORT,"given":PORT}
(given 0: refused). A name has the same port for as long as this runs. --rename puts PREFIX before each name."""

import argparse
import http.server
import json
import urllib.parse


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", required=True, type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--refuse", action="append", default=[], metavar="NAME=REASON")
    parser.add_argument("--rename", default="", metavar="PREFIX")
    return parser.parse_args()


class Keeper:
    def __init__(self, args):
        self.free = list(args.ports)
        self.kept = {}  # name: port
        self.refused = dict(rule.split("=", 1) for rule in args.refuse)
        self.prefix = args.rename

    def port_of(self, name):
        """None: no port is left."""
        if name not in self.kept and self.free:
            self.kept[name] = self.free.pop(0)
        return self.kept.get(name)

    def answer(self, content):
        """What frps goes on with (pkg/plugin/server/types.go Response)."""
        name, asked = content["proxy_name"], content.get("remote_port", 0)
        reason = self.refused.get(name)
        port = None if reason else self.port_of(name)
        tell(ev="new_proxy", user=content["user"]["user"], name=name, asked=asked, given=port or 0)
        if port is None:
            return {"reject": True, "reject_reason": reason or "no port is left to keep"}
        changed = {**content, "remote_port": port, "proxy_name": self.prefix + name}
        return {"reject": False, "unchange": False, "content": changed}


def tell(**event):
    print(json.dumps(event), flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if query.get("op") != ["NewProxy"] or request["op"] != "NewProxy":
            self.send_error(400, "not a NewProxy")
            return
        body = json.dumps(self.server.keeper.answer(request["content"])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Events say enough."""


def main():
    args = parse_args()
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.keeper = Keeper(args)
    tell(port=server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
