# SPDX-License-Identifier: Apache-2.0
# test_flags.py - a proxy or visitor by options: every flag that frpc's own help names is taken, in each way of writing
# it, and what it does is seen by the server, the service, or in the log. A flag without a row here is a failure.

import hashlib
import os
import queue
import re
import socket
import subprocess
import threading
import time

import pytest

import network
import peers
from test_dialing import NAME, dns_server
from test_keys import USER_AT, join, listener

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="these are its own flags")

TYPES = ("tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp")
VISITORS = ("stcp", "sudp")
OF_FILES = {"config", "config-dir", "strict-config", "allow-unsafe", "help", "version"}  # see test_cli.py, test_conf.py
OF_NAMES = {"server-addr", "dns-server", "tls-server-name"}  # see test_names
DAY_S = 86400

# Flag -> its value, and what it makes true of the Login or the message of the proxy or visitor.
LOGIN = {
    "user": ("me", lambda m: m["user"] == "me"),
    "client-id": ("id-1", lambda m: m["client_id"] == "id-1"),
    "token": (
        peers.TOKEN,
        lambda m: m["privilege_key"] == hashlib.md5(f"{peers.TOKEN}{m['timestamp']}".encode()).hexdigest(),
    ),
    "tls-enable": ("false", lambda m: True),  # fakefrps speaks no TLS
    "protocol": ("tcp", lambda m: True),
    "server-port": (None, lambda m: True),
}
PROXY = {
    "proxy-name": ("one", lambda m: m["proxy_name"] == "me.one"),
    "metadatas": ("k=v,l=w", lambda m: m["metas"] == {"k": "v", "l": "w"}),
    "annotations": ("a=1,b.c/d=2", lambda m: m["annotations"] == {"a": "1", "b.c/d": "2"}),
    "ue": (True, lambda m: m["use_encryption"] is True),
    "uc": (True, lambda m: m["use_compression"] is True),
    "bandwidth-limit": ("10MB", lambda m: m["bandwidth_limit"] == "10MB"),
    "bandwidth-limit-mode": ("server", lambda m: m["bandwidth_limit_mode"] == "server"),
    "remote-port": ("10007", lambda m: m["remote_port"] == 10007),
    "custom-domain": ("a.example,b.example", lambda m: m["custom_domains"] == ["a.example", "b.example"]),
    "sd": ("sub", lambda m: m["subdomain"] == "sub"),
    "locations": ("/x,/y", lambda m: m["locations"] == ["/x", "/y"]),
    "http-user": ("hu", lambda m: m["http_user"] == "hu"),
    "http-pwd": ("hp", lambda m: m["http_pwd"] == "hp"),
    "host-header-rewrite": ("h.example", lambda m: m["host_header_rewrite"] == "h.example"),
    "mux": ("httpconnect", lambda m: m["multiplexer"] == "httpconnect"),
    "sk": ("key", lambda m: m["sk"] == "key"),
    "allow-users": ("them,us", lambda m: m["allow_users"] == ["them", "us"]),
}
VISITOR = {
    "visitor-name": ("near", lambda m: True),
    "server-name": ("far", lambda m: m["proxy_name"].endswith(".far")),
    "server-user": ("them", lambda m: m["proxy_name"].startswith("them.")),
    "sk": ("key", lambda m: m["sign_key"] == hashlib.md5(f"key{m['timestamp']}".encode()).hexdigest()),
    "ue": (True, lambda m: m["use_encryption"] is True),
    "uc": (True, lambda m: m["use_compression"] is True),
    "bind-addr": ("127.0.0.4", lambda m: True),  # somebody got through there
    "bind-port": (None, lambda m: True),
}
LOCAL = {"local-ip", "local-port"}  # the service sees them
LOG = {"log-file", "log-level", "log-max-days", "disable-log-color"}

FORMS = ("long", "short", "apart", "underscores")


def flags_of(*command):
    """{flag: (its letter or "", has a value)} in the help of the stock client."""
    argv = [peers.peer_dir() / f"frpc-{peers.NEW}", *command, "--help"]
    text = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    rows = re.findall(r"^ +(?:-(\w), )?( *)--([\w-]+)( \w+)? {2,}", text, re.MULTILINE)
    return {name: (letter, bool(value)) for letter, _, name, value in rows if name not in OF_FILES}


def words_of(flags, values, form):
    """argv: every one of the flags, written so."""
    words = []
    for name, (letter, has_value) in flags.items():
        if name not in values:
            continue
        value = values[name]
        option = f"--{name.replace('-', '_')}" if form == "underscores" else f"--{name}"
        if not has_value:
            words.append(option if value is True else f"{option}={value}")
        elif form == "short" and letter:
            words.append(f"-{letter}{value}")
        elif form == "apart":
            words += [f"-{letter}" if letter else option, value]
        else:
            words.append(f"{option}={value}")
    return words


@pytest.mark.parametrize("command", [(kind,) for kind in TYPES] + [(kind, "visitor") for kind in VISITORS], ids=" ".join)
def test_every_flag_of_frpc_has_a_row(command):
    flags = flags_of(*command)
    assert len(flags) > 15
    rows = {*LOGIN, *LOG, *OF_NAMES, *(VISITOR if "visitor" in command else {*PROXY, *LOCAL})}
    assert set(flags) <= rows


def log_values(folder):
    """A file of yesterday, to be rotated at the start, and rotated ones, of which one is too old."""
    folder.mkdir()
    (folder / "agent.log").write_text("of another day\n")
    os.utime(folder / "agent.log", (time.time() - DAY_S,) * 2)
    for days in (8, 10):
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time() - days * DAY_S))
        (folder / f"agent.{stamp}.log.gz").write_bytes(b"")
    return {"log-file": folder / "agent.log", "log-level": "debug", "log-max-days": "9", "disable-log-color": True}


def check_log(agent, fake, folder):
    fake.kill()  # that it is tried again is told at this level only
    network.wait_until(lambda: " DEBUG " in (folder / "agent.log").read_text(), "a line of that level")
    network.wait_until(lambda: len(list(folder.glob("*.gz"))) == 2, "yesterday's is kept, the oldest is gone")
    assert agent.text() == ""


def start(lab, *argv):
    return lab.keep(peers.Agent(lab, [peers.agent_program(), *argv], peers.clean_env(lab.directory)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TYPES)
def test_proxy(new_lab, kind, form):
    lab = new_lab()
    fake = lab.start_fake()
    flags = flags_of(kind)
    folder = lab.directory / "log"
    with socket.socket(type=socket.SOCK_DGRAM if kind in ("udp", "sudp") else socket.SOCK_STREAM) as service:
        service.bind(("127.0.0.2", 0))
        values = {name: value for name, (value, _) in {**LOGIN, **PROXY}.items()}
        values.update(log_values(folder))
        values.update({"server-port": fake.port, "local-ip": "127.0.0.2", "local-port": service.getsockname()[1]})
        if kind not in ("udp", "sudp"):
            service.listen()
        agent = start(lab, kind, *words_of(flags, values, form))
        login, new = fake.wait_message("Login")[1]["body"], fake.wait_message("NewProxy")[1]["body"]
        assert new["proxy_type"] == kind
        for name in flags:
            rows, body = (LOGIN, login) if name in LOGIN else (PROXY, new)
            assert name not in rows or rows[name][1](body), (name, body)
        if kind not in ("udp", "sudp"):
            join(fake, "me.one", USER_AT)
            service.settimeout(10)
            service.accept()[0].close()
        check_log(agent, fake, folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", VISITORS)
def test_visitor(new_lab, kind, form):
    lab = new_lab()
    fake = lab.start_fake()
    folder, port = lab.directory / "log", network.free_port()
    flags = flags_of(kind, "visitor")
    values = {name: value for name, (value, _) in {**LOGIN, **VISITOR}.items()}
    values.update({"server-port": fake.port, "bind-port": port, **log_values(folder)})
    agent = start(lab, kind, "visitor", *words_of(flags, values, form))
    login = fake.wait_message("Login")[1]["body"]
    network.wait_until(lambda: "login to server success" in (folder / "agent.log").read_text(), "it is logged in")
    with socket.socket(type=socket.SOCK_DGRAM if kind == "sudp" else socket.SOCK_STREAM) as user:
        user.connect(("127.0.0.4", port))
        user.send(b"hello")
        visit = fake.wait_message("NewVisitorConn")[1]["body"]
    for name in flags:
        rows, body = (LOGIN, login) if name in LOGIN else (VISITOR, visit)
        assert name not in rows or rows[name][1](body), (name, body)
    check_log(agent, fake, folder)


@pytest.mark.parametrize("form", FORMS)
def test_names(new_lab, form):
    """The server by a name that the given name server knows, asked for by another name in TLS."""
    heads = queue.Queue()

    def serve(connection):
        heads.put(connection.recv(4096))
        threading.Event().wait(0.2)

    flags = flags_of("tcp")
    with dns_server() as (address, asked), listener(serve) as port:
        values = {"server-addr": NAME, "server-port": port, "dns-server": address, "tls-server-name": "tls.example",
                  "proxy-name": "x", "local-port": 1}  # fmt: skip
        start(new_lab(), "tcp", *words_of(flags, values, form))
        head = heads.get(timeout=10)
        assert head[0] == 0x16 and b"tls.example" in head
        assert NAME in asked
