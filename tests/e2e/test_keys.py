# SPDX-License-Identifier: Apache-2.0
# test_keys.py - every key of a configuration file: what the server or the service sees of it, or how it is refused. A
# key of agent/conf/keys.c without a row here is a failure.

import ast
import base64
import contextlib
import hashlib
import http.client
import json
import os
import queue
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

import network
import peers

AGENT_CONF = peers.HOME / "agent" / "conf"
TESTS = peers.HOME / "tests" / "e2e"
DEAD_PORT = 1  # nothing listens there
USER_AT = "192.0.2.7 4711 192.0.2.8 80"  # whom fakefrps names as user and server

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="some keys are ours, some of frpc's we refuse")

# ---- keys that a message shows: a value that is not the default, and what it makes true of the message

LOGIN = {
    "user": ('"me"', lambda m: m["user"] == "me"),
    "clientID": ('"id-1"', lambda m: m["client_id"] == "id-1"),
    "metadatas": ('{ region = "north" }', lambda m: m["metas"] == {"region": "north"}),
    "transport.poolCount": ("4", lambda m: m["pool_count"] == 4),
    "auth.token": (
        f'"{peers.TOKEN}"',
        lambda m: m["privilege_key"] == hashlib.md5(f"{peers.TOKEN}{m['timestamp']}".encode()).hexdigest(),
    ),
    "transport.tls.enable": ("false", lambda m: True),  # fakefrps speaks no TLS
}

# Of a proxy of that type.
PROXY = {
    "name": ("http", None, lambda m: m["proxy_name"] == "me.http"),
    "type": ("http", None, lambda m: m["proxy_type"] == "http"),
    "annotations": ("http", '{ a = "1" }', lambda m: m["annotations"] == {"a": "1"}),
    "metadatas": ("http", '{ k = "v" }', lambda m: m["metas"] == {"k": "v"}),
    "customDomains": ("http", '["a.example", "b.example"]', lambda m: m["custom_domains"] == ["a.example", "b.example"]),
    "subdomain": ("http", '"sub"', lambda m: m["subdomain"] == "sub"),
    "locations": ("http", '["/x", "/y"]', lambda m: m["locations"] == ["/x", "/y"]),
    "httpUser": ("http", '"hu"', lambda m: m["http_user"] == "hu"),
    "httpPassword": ("http", '"hp"', lambda m: m["http_pwd"] == "hp"),
    "hostHeaderRewrite": ("http", '"host.example"', lambda m: m["host_header_rewrite"] == "host.example"),
    "requestHeaders.set": ("http", '{ X-From = "tunnel" }', lambda m: m["headers"] == {"X-From": "tunnel"}),
    "responseHeaders.set": ("http", '{ X-Via = "here" }', lambda m: m["response_headers"] == {"X-Via": "here"}),
    "routeByHTTPUser": ("http", '"ru"', lambda m: m["route_by_http_user"] == "ru"),
    "transport.useEncryption": ("http", "true", lambda m: m["use_encryption"] is True),
    "transport.useCompression": ("http", "true", lambda m: m["use_compression"] is True),
    "transport.bandwidthLimit": ("http", '"1.5MB"', lambda m: m["bandwidth_limit"] == "1.5MB"),
    "transport.bandwidthLimitMode": ("http", '"server"', lambda m: m["bandwidth_limit_mode"] == "server"),
    "remotePort": ("tcp", "10007", lambda m: m["remote_port"] == 10007),
    "loadBalancer.group": ("tcp", '"g"', lambda m: m["group"] == "g"),
    "loadBalancer.groupKey": ("tcp", '"gk"', lambda m: m["group_key"] == "gk"),
    "multiplexer": ("tcpmux", '"httpconnect"', lambda m: m["multiplexer"] == "httpconnect"),
    "secretKey": ("stcp", '"sk"', lambda m: m["sk"] == "sk"),
    "allowUsers": ("stcp", '["them", "me"]', lambda m: m["allow_users"] == ["them", "me"]),
}

# ---- keys of behaviour: the test that shows them, of this file or of another

COMMON_SHOWN = {
    "serverAddr": "test_dialing.py::test_names_by_the_dns_server_that_is_configured",
    "serverPort": "test_login_says",
    "loginFailExit": "test_login_fail_exit",
    "dnsServer": "test_dialing.py::test_names_by_the_dns_server_that_is_configured",
    "start": "test_what_is_registered",
    "includes": "test_what_is_registered",
    "proxies": "test_what_is_registered",
    "visitors": "test_visitor",
    "udpPacketSize": "test_long_datagrams_are_cut",
    "version": "test_key_without_effect",
    "auth.tokenSource.type": "test_dialing.py::test_token_that_is_rotated",
    "auth.tokenSource.file.path": "test_dialing.py::test_token_that_is_rotated",
    "auth.tokenSource.exec.command": "test_dialing.py::test_token_that_is_rotated",
    "auth.tokenSource.exec.args": "test_dialing.py::test_token_that_is_rotated",
    "auth.tokenSource.exec.env": "test_dialing.py::test_token_that_is_rotated",
    "auth.additionalScopes": "test_dialing.py::test_server_that_checks_the_token_everywhere",
    "log.to": "test_log",
    "log.level": "test_log",
    "log.format": "test_log",
    "log.maxDays": "test_log",
    "webServer.addr": "test_web_server",
    "webServer.port": "test_web_server",
    "webServer.user": "test_web_server",
    "webServer.password": "test_web_server",
    "transport.wireProtocol": "test_wire_and_mux",
    "transport.tcpMux": "test_wire_and_mux",
    "transport.tcpMuxKeepaliveInterval": "test_mux_is_probed",
    "transport.heartbeatInterval": "test_heartbeats",
    "transport.heartbeatTimeout": "test_heartbeat_timeout",
    "transport.dialServerTimeout": "test_dialing.py::test_dial_timeout_is_as_configured",
    "transport.dialServerKeepalive": "test_dialing.py::test_keepalive_is_as_configured",
    "transport.connectServerLocalIP": "test_dialing.py::test_server_sees_the_local_address",
    "transport.proxyURL": "test_dialing.py::test_through_a_proxy_that_knows_the_servers_name",
    "transport.tls.certFile": "test_tls_server_sees",
    "transport.tls.keyFile": "test_tls_server_sees",
    "transport.tls.serverName": "test_tls_server_sees",
    "transport.tls.disableCustomTLSFirstByte": "test_tls_server_sees",
    "transport.tls.trustedCaFile": "test_tls_trusts",
    "transport.tls.systemRoots": "test_tls_trusts",
    "transport.tls.pin": "test_tls_trusts",
}
PROXY_SHOWN = {
    "enabled": "test_what_is_registered",
    "localIP": "test_service_sees",
    "localPort": "test_service_sees",
    "transport.proxyProtocolVersion": "test_service_sees",
    "healthCheck.type": "test_health_check",
    "healthCheck.timeoutSeconds": "test_health_check",
    "healthCheck.maxFailed": "test_health_check",
    "healthCheck.intervalSeconds": "test_health_check",
    "healthCheck.path": "test_health_check",
    "healthCheck.httpHeaders": "test_health_check",
}
VISITOR_SHOWN = {
    key: "test_visitor"
    for key in (
        "name", "type", "enabled", "transport.useEncryption", "transport.useCompression", "secretKey", "serverUser",
        "serverName", "bindAddr", "bindPort",
    )
}  # fmt: skip

# ---- keys without an effect: a value that is accepted, and one that is not (None: there is none)

INERT = {
    "version": ('"1"', None),
    "natHoleStunServer": ('"stun.easyvoip.com:3478"', '"stun.example:3478"'),
    "auth.method": ('"token"', '"oidc"'),
    "log.disablePrintColor": ("true", None),
    "webServer.assetsDir": ('""', '"/srv"'),
    "webServer.pprofEnable": ("false", "true"),
    "transport.protocol": ('"tcp"', '"quic"'),
    "transport.quic.keepalivePeriod": ("10", "11"),
    "transport.quic.maxIdleTimeout": ("30", "31"),
    "transport.quic.maxIncomingStreams": ("100000", "7"),
}


def table(name):
    """The keys of one table of keys.c, and whether each is accepted."""
    text = (AGENT_CONF / "keys.c").read_text()
    rows = re.search(rf"^static const struct key {name}\[\] = \{{\n(.*?)^\}};", text, re.MULTILINE | re.DOTALL)[1]
    keys = {key: parser != "NULL" for key, parser in re.findall(r'\bKEY\(\s*"([^"]+)",\s*(\w+)', rows)}
    assert len(keys) == rows.count("KEY("), "every row is understood"
    return keys


TABLES = {
    "common_keys": {*LOGIN, *COMMON_SHOWN, *INERT},
    "proxy_keys": {*PROXY, *PROXY_SHOWN},
    "visitor_keys": {*VISITOR_SHOWN},
}


@pytest.mark.parametrize("name", TABLES)
def test_every_accepted_key_has_a_row(name):
    assert {key for key, is_accepted in table(name).items() if is_accepted} == TABLES[name]


def source_with_helpers(shown):
    """The test, and what of its own file it uses: functions, fixtures, tables."""
    file, _, test = shown.rpartition("::")
    text = (TESTS / (file or "test_keys.py")).read_text()
    known = {}
    for node in ast.parse(text).body:
        for target in node.targets if isinstance(node, ast.Assign) else [node]:
            known[getattr(target, "name", getattr(target, "id", None))] = node
    found, wanted = {}, [test]
    while wanted:
        name = wanted.pop()
        if name not in found and name in known:
            found[name] = ast.get_source_segment(text, known[name])
            wanted += [getattr(part, "id", getattr(part, "arg", None)) for part in ast.walk(known[name])]
    return found.get(test) and "\n".join(found.values())


SHOWN = [item for rows in (COMMON_SHOWN, PROXY_SHOWN, VISITOR_SHOWN) for item in rows.items()]


@pytest.mark.parametrize("key, shown", SHOWN)
def test_rows_name_tests_that_set_the_key(key, shown):
    source = source_with_helpers(shown)
    assert source, "there is such a test"
    assert re.search(rf"\b{key.rpartition('.')[2]}\b", source), source


# ---- refused, and without effect


def verify(text, tmp_path):
    """Exit status and what it said."""
    path = tmp_path / "keys.toml"
    path.write_text(text)
    done = subprocess.run(
        [peers.agent_program(), "verify", "-c", path], env=peers.clean_env(tmp_path), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


HEADS = {
    "common_keys": "",
    "proxy_keys": '[[proxies]]\nname = "p"\ntype = "tcp"\nlocalPort = 1\n',
    "visitor_keys": '[[visitors]]\nname = "v"\ntype = "stcp"\nserverName = "s"\nbindPort = 1\n',
}
REFUSED = [(name, key) for name in TABLES for key, is_accepted in table(name).items() if not is_accepted]


@pytest.mark.parametrize("name, key", REFUSED)
def test_refused_key_is_told_by_name(name, key, tmp_path):
    line = HEADS[name].count("\n") + 1
    scope = {"common_keys": "", "proxy_keys": "proxies[0].", "visitor_keys": "visitors[0]."}[name]
    for value in ('"x"', '{ type = "x" }', "true", "3"):
        status, said = verify(f"{HEADS[name]}{key} = {value}\n", tmp_path)
        assert status == 2
        assert re.search(rf"^mltunnel: .*keys\.toml:{line}:\d+: {re.escape(scope + key)}: .*not supported", said, re.M), said
    # Where it asks for nothing it is no matter.
    assert verify(f"{HEADS[name]}{key} = {{}}\n", tmp_path)[0] == 0


@pytest.mark.parametrize("key", INERT)
def test_key_without_effect(key, tmp_path):
    good, bad = INERT[key]
    status, said = verify(f"{key} = {good}\n", tmp_path)
    assert (status, "syntax is ok" in said) == (0, True), said
    if bad is not None:
        status, said = verify(f"{key} = {bad}\n", tmp_path)
        assert status == 2 and re.search(rf"keys\.toml:1:\d+: {re.escape(key)}: .*is not ", said), said


@pytest.mark.parametrize("kind", ("xtcp", "nonsense"))
@pytest.mark.parametrize("name", ("proxy_keys", "visitor_keys"))
def test_type_that_is_not_supported(name, kind, tmp_path):
    status, said = verify(re.sub(r'type = "\w+"', f'type = "{kind}"', HEADS[name]), tmp_path)
    assert status == 2 and f'type: "{kind}" is not' in said and "all that this version supports" in said


# ---- what the server is told

PLAIN = ["transport.tls.enable = false", f'auth.token = "{peers.TOKEN}"']


def start(lab, *lines, port=None, name="keys.toml"):
    path = lab.directory / name
    path.write_text("\n".join(['serverAddr = "127.0.0.1"', f"serverPort = {port or lab.server_port}", *lines]) + "\n")
    return lab.keep(peers.Agent(lab, [peers.agent_program(), "-c", path], peers.clean_env(lab.directory)))


def proxy(name, *lines, kind="tcp", port=DEAD_PORT):
    return ["[[proxies]]", f'name = "{name}"', f'type = "{kind}"', f"localPort = {port}", *lines]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """An agent with all keys of LOGIN and PROXY at once: its Login, and NewProxy by type."""
    with peers.Lab(tmp_path_factory.mktemp("told")) as lab:
        fake = lab.start_fake()
        lines = [f"{key} = {value}" for key, (value, _) in LOGIN.items()]
        types = sorted({kind for kind, _, _ in PROXY.values()})
        for kind in types:
            own = [f"{key} = {value}" for key, (of, value, _) in PROXY.items() if of == kind and value]
            own += ['customDomains = ["m.example"]'] if kind == "tcpmux" else []
            lines += proxy(kind, *own, kind=kind)
        start(lab, *lines)
        fake.wait_message("NewProxy", count=len(types))
        proxies = [event["body"] for _, event in fake.events("message") if event["type"] == "NewProxy"]
        yield fake.wait_message("Login")[1]["body"], {body["proxy_type"]: body for body in proxies}


@pytest.mark.parametrize("key", LOGIN)
def test_login_says(told, key):
    assert LOGIN[key][1](told[0]), told[0]


@pytest.mark.parametrize("key", PROXY)
def test_new_proxy_says(told, key):
    kind, _, is_shown = PROXY[key]
    assert is_shown(told[1][kind]), told[1][kind]


def registered(fake):
    return [event["body"]["proxy_name"] for _, event in fake.events("message") if event["type"] == "NewProxy"]


def test_what_is_registered(new_lab):
    """start, enabled, includes and proxies."""
    lab = new_lab()
    fake = lab.start_fake()
    more = lab.directory / "more"
    more.mkdir()
    (more / "a.toml").write_text("\n".join(proxy("included") + proxy("not-started-either")))
    start(
        lab, *PLAIN, f'includes = ["{more}/*.toml"]', 'start = ["one", "off", "included", "last"]',
        *proxy("not-started"), *proxy("off", "enabled = false"), *proxy("one"), *proxy("last"),
    )  # fmt: skip
    fake.wait_message("NewProxy", count=3)
    fake.tell("reqwork 1")  # what would have been registered stands in front of the answer
    fake.wait_message("NewWorkConn")
    assert sorted(registered(fake)) == ["included", "last", "one"]


@pytest.mark.parametrize("wire", ("v1", "v2"))
@pytest.mark.parametrize("is_mux", (True, False))
def test_wire_and_mux(new_lab, wire, is_mux):
    lab = new_lab()
    fake = lab.start_fake(is_mux=is_mux)
    start(lab, *PLAIN, f'transport.wireProtocol = "{wire}"', f"transport.tcpMux = {str(is_mux).lower()}", *proxy("one"))
    event = fake.wait_message("NewProxy")[1]
    assert event["wire"] == int(wire[1])
    assert bool(fake.events("stream")) == is_mux


def test_heartbeats(new_lab):
    lab = new_lab()
    fake = lab.start_fake()
    start(lab, *PLAIN, "transport.heartbeatInterval = 1", *proxy("one"))
    first = fake.wait_message("Ping")[0]
    third = fake.wait_message("Ping", count=3)[0]
    assert 1.5 < third - first < 4


def test_heartbeat_timeout(new_lab):
    """A server that says nothing any more is given up earlier than the 14.5 s of before."""
    lab = new_lab()
    fake = lab.start_fake(is_mux=False)
    lines = ["transport.tcpMux = false", "transport.heartbeatInterval = 1", "transport.heartbeatTimeout = 10"]
    agent = start(lab, *PLAIN, *lines, *proxy("one"))
    fake.wait_message("Ping")
    began = time.monotonic()
    fake.tell("freeze")
    agent.wait_line("session lost", timeout=20)
    assert 8 < time.monotonic() - began < 13


def test_login_fail_exit(new_lab):
    assert start(new_lab(), "loginFailExit = true", port=DEAD_PORT).wait() == 1
    agent = start(new_lab(), 'log.level = "debug"', port=DEAD_PORT)
    agent.wait_line("refused", count=2)  # it tries again
    assert agent.is_running()


@contextlib.contextmanager
def listener(answer, host="127.0.0.1"):
    """A TCP service: answer(connection) in a thread of its own for each; yields the port."""
    with socket.create_server((host, 0)) as server:

        def serve():
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                connection.settimeout(20)
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection):
            with connection, contextlib.suppress(OSError):
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def take(connection, n):
    data = b""
    while len(data) < n:
        part = connection.recv(n - len(data))
        if not part:
            raise OSError("it ended")
        data += part
    return data


def test_mux_is_probed(new_lab):
    """A path that counts the pings of yamux that go to the server."""
    lab = new_lab()
    fake = lab.start_fake()
    pings = queue.Queue()

    def copy_back(connection, server):
        with contextlib.suppress(OSError):
            while part := server.recv(65536):
                connection.sendall(part)

    def serve(connection):
        with socket.create_connection(("127.0.0.1", fake.port)) as server:
            threading.Thread(target=copy_back, args=(connection, server), daemon=True).start()
            while True:
                head = take(connection, 12)
                _, kind, flags, _, length = struct.unpack("!BBHII", head)
                if kind == 2 and flags == 1:
                    pings.put(time.monotonic())
                server.sendall(head + (take(connection, length) if kind == 0 else b""))

    with listener(serve) as port:
        start(lab, *PLAIN, "transport.tcpMuxKeepaliveInterval = 1", port=port)
        fake.wait_message("Login")
        times = [pings.get(timeout=5) for _ in range(5)]
    gaps = [later - earlier for earlier, later in zip(times[1:], times[2:])]  # the first ping comes with the login
    assert all(0.5 < gap < 1.9 for gap in gaps), gaps


# ---- TLS: the server's side


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Two authorities; a server's and a client's certificate of the first."""
    folder = tmp_path_factory.mktemp("certs")

    def openssl(*args):
        command = ["openssl", *args]
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True).stdout

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "other"):
        openssl("req", "-x509", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name in ("tls.example", "client"):
        (folder / "ext").write_text(f"subjectAltName = DNS:{name}\n")
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext",
            "-out", f"{name}.pem",
        )  # fmt: skip
    (folder / "pub.pem").write_bytes(openssl("x509", "-in", "tls.example.pem", "-pubkey", "-noout"))
    key = openssl("pkey", "-pubin", "-in", "pub.pem", "-outform", "DER")
    (folder / "pin").write_text("sha256/" + base64.b64encode(hashlib.sha256(key).digest()).decode())
    return folder


@contextlib.contextmanager
def tls_server(certs, wants_cert=False):
    """Port, and a queue of what each connection showed."""
    seen = queue.Queue()

    def serve(connection):
        found = {"first": connection.recv(1, socket.MSG_PEEK)[0], "name": None, "cert": None, "ok": False}
        if found["first"] == 0x17:
            connection.recv(1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "tls.example.pem", certs / "tls.example.key")
        context.sni_callback = lambda _, name, __: found.update(name=name)
        if wants_cert:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certs / "ca.pem")
        try:
            with context.wrap_socket(connection, server_side=True) as s:
                found["ok"] = bool(s.recv(1))  # the client goes on only with a server that it trusts
                if wants_cert:
                    found["cert"] = s.getpeercert()["subject"][0][0][1]
        except OSError:
            pass
        seen.put(found)

    with listener(serve) as port:
        yield port, seen


def test_tls_server_sees(new_lab, certs):
    with tls_server(certs, wants_cert=True) as (port, seen):
        start(
            new_lab(), f'transport.tls.trustedCaFile = "{certs}/ca.pem"', 'transport.tls.serverName = "tls.example"',
            f'transport.tls.certFile = "{certs}/client.pem"', f'transport.tls.keyFile = "{certs}/client.key"',
            "transport.tls.disableCustomTLSFirstByte = false", port=port,
        )  # fmt: skip
        assert seen.get(timeout=10) == {"first": 0x17, "name": "tls.example", "cert": "client", "ok": True}
    with tls_server(certs) as (port, seen):
        start(new_lab(), port=port)
        assert seen.get(timeout=10) == {"first": 0x16, "name": None, "cert": None, "ok": True}


NAMED = 'serverName = "tls.example"'
TRUST = {
    "its authority": ('trustedCaFile = "CERTS/ca.pem"', NAMED, True),
    "another authority": ('trustedCaFile = "CERTS/other.pem"', NAMED, False),
    "another name": ('trustedCaFile = "CERTS/ca.pem"', 'serverName = "tls.invalid"', False),
    "its key": ('pin = "PIN"', NAMED, True),
    "another key": (f'pin = "{"0" * 64}"', NAMED, False),
    "the system": ("systemRoots = true", NAMED, False),
    "not the system": ("systemRoots = false", NAMED, True),
}


@pytest.mark.parametrize("case", TRUST)
def test_tls_trusts(new_lab, certs, case):
    *lines, is_trusted = TRUST[case]
    pin = (certs / "pin").read_text()
    lines = [f"transport.tls.{line}".replace("CERTS", str(certs)).replace("PIN", pin) for line in lines]
    with tls_server(certs) as (port, seen):
        start(new_lab(), *lines, port=port)
        assert seen.get(timeout=10)["ok"] == is_trusted


# ---- what the local service sees


def join(fake, name, at):
    """A user of the proxy: the event of its work connection."""
    since = len(fake.lines)
    fake.tell("reqwork 1")
    fake.wait_message("NewWorkConn", since=since)
    fake.tell(f"start {name} {at}")
    return fake.wait_event("joined", since=since)[1]


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_service_sees(new_lab, version):
    """localIP, localPort, proxyProtocolVersion."""
    lab = new_lab()
    fake = lab.start_fake()
    heads = queue.Queue()
    v1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n"
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 8]) + struct.pack("!HH", 4711, 80)
    want = v1 if version == "v1" else v2
    with listener(lambda connection: heads.put(take(connection, len(want) + 3)), host="127.0.0.2") as port:
        head = f'transport.proxyProtocolVersion = "{version}"'
        start(lab, *PLAIN, *proxy("one", 'localIP = "127.0.0.2"', head, port=port))
        fake.wait_message("NewProxy")
        joined = join(fake, "one", USER_AT)
        fake.tell(f"send {joined['stream']} {b'abc'.hex()}")
        assert heads.get(timeout=10) == want + b"abc"


def test_long_datagrams_are_cut(new_lab):
    """udpPacketSize: of 300 bytes 100 come, in base64."""
    lab = new_lab()
    fake = lab.start_fake()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(10)
        start(lab, *PLAIN, "udpPacketSize = 100", *proxy("one", kind="udp", port=s.getsockname()[1]))
        fake.wait_message("NewProxy")
        joined = join(fake, "one", USER_AT)
        body = json.dumps({"c": base64.b64encode(b"hi").decode(), "r": {"IP": "192.0.2.7", "Port": 4711, "Zone": ""}})
        frame = b"u" + struct.pack("!Q", len(body)) + body.encode()
        fake.tell(f"send {joined['stream']} {frame.hex()}")
        data, client = s.recvfrom(1000)
        assert data == b"hi"
        s.sendto(b"x" * 300, client)
    total = fake.wait_event("data", stream=joined["stream"])[1]["total"]
    assert len(base64.b64encode(b"x" * 100)) < total < len(base64.b64encode(b"x" * 300))


@pytest.mark.parametrize("path", ("/well", "well"))
def test_health_check(new_lab, path):
    """Good once, then silent: two questions without an answer within their second withdraw it."""
    lab = new_lab()
    fake = lab.start_fake()
    asked = queue.Queue()

    def serve(connection):
        request = connection.recv(4096).decode()
        asked.put((time.monotonic(), request))
        if asked.qsize() == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        while connection.recv(4096):
            pass

    with listener(serve) as port:
        start(
            lab, *PLAIN,
            *proxy(
                "one", 'healthCheck.type = "http"', f'healthCheck.path = "{path}"', "healthCheck.timeoutSeconds = 1",
                "healthCheck.intervalSeconds = 1", "healthCheck.maxFailed = 2",
                'healthCheck.httpHeaders = [{ name = "X-Probe", value = "17" }]', port=port,
            ),
        )  # fmt: skip
        fake.wait_message("NewProxy")
        closed = fake.wait_message("CloseProxy")[0]
    times, requests = zip(*(asked.get() for _ in range(asked.qsize())))
    assert all(request.startswith("GET /well HTTP/1.") for request in requests)
    assert all("\r\nX-Probe: 17\r\n" in request for request in requests)
    assert len(times) == 3, "one that is answered and two that fail"
    assert 0.5 < times[1] - times[0] < 2 and 1.5 < times[2] - times[1] < 3 and 0.5 < closed - times[2] < 2


def test_health_check_that_fails_from_the_start_is_told_once(new_lab):
    lab = new_lab()
    lab.start_fake()
    port = network.free_port()
    options = ('healthCheck.type = "tcp"', "healthCheck.intervalSeconds = 1", "healthCheck.maxFailed = 5")
    agent = start(lab, *PLAIN, 'log.level = "debug"', *proxy("one", *options, port=port))
    agent.wait_line("one health check failed", count=3)
    assert len(agent.find(r"WARN .*\[one\] health check failed error=.*refused.* remedy=")) == 1, agent.text()
    with socket.create_server(("127.0.0.1", port)):
        agent.wait_line(r"INFO .*\[one\] health check success")


# ---- the log and the admin API


def test_log(new_lab):
    """to, level, format, maxDays."""
    lab = new_lab()
    folder = lab.directory / "log"
    folder.mkdir()
    path = folder / "agent.log"
    path.write_text("of another day\n")
    os.utime(path, (time.time() - 2 * 86400,) * 2)
    day = {n: time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time() - n * 86400)) for n in (4, 6)}
    for stamp in day.values():
        (folder / f"agent.{stamp}.log.gz").write_bytes(b"")
    lines = [f'log.to = "{path}"', 'log.level = "debug"', 'log.format = "json"', "log.maxDays = 5"]
    agent = start(lab, *lines, port=DEAD_PORT)
    network.wait_until(lambda: path.exists() and '"debug"' in path.read_text(), "a line of that level")
    agent.signal(15)
    assert agent.wait() == 0
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert any(str(entry.get("level")).lower() == "debug" for entry in entries), entries
    assert agent.text() == ""
    left = {file.name for file in folder.iterdir()}
    assert f"agent.{day[4]}.log.gz" in left and f"agent.{day[6]}.log.gz" not in left, left


def test_web_server(new_lab):
    lab = new_lab()
    port = network.free_port()
    start(
        lab, 'webServer.addr = "127.0.0.3"', f"webServer.port = {port}", 'webServer.user = "someone"',
        'webServer.password = "pass"', port=DEAD_PORT,
    )  # fmt: skip
    network.wait_listening(port)

    def ask(login):
        connection = http.client.HTTPConnection("127.0.0.3", port, timeout=10)
        with contextlib.closing(connection):
            head = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
            connection.request("GET", "/api/status", headers=head)
            return connection.getresponse().status

    assert [ask(login) for login in ("", "someone:else", "admin:pass", "someone:pass")] == [401, 401, 401, 200]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


# ---- visitors


def test_visitor(new_lab):
    """All of its keys show in the message that opens its way to the proxy."""
    lab = new_lab()
    fake = lab.start_fake()
    port, off_port = network.free_port(), network.free_port()
    start(
        lab, *PLAIN, 'user = "me"',
        "[[visitors]]", 'name = "near"', 'type = "stcp"', 'serverUser = "them"', 'serverName = "far"', 'secretKey = "sk"',
        'bindAddr = "127.0.0.4"', f"bindPort = {port}", "transport.useEncryption = true",
        "transport.useCompression = true",
        "[[visitors]]", 'name = "off"', 'type = "stcp"', 'serverName = "far"', f"bindPort = {off_port}",
        "enabled = false",
    )  # fmt: skip
    network.wait_listening(port)
    assert not network.is_listening(off_port)
    with socket.create_connection(("127.0.0.4", port)):
        body = fake.wait_message("NewVisitorConn")[1]["body"]
    assert body["proxy_name"] == "them.far"
    assert body["sign_key"] == hashlib.md5(f"sk{body['timestamp']}".encode()).hexdigest()
    assert body["use_encryption"] is True and body["use_compression"] is True
