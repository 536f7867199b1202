# SPDX-License-Identifier: Apache-2.0
# test_dialing.py - the ways to the server: proxies, local address, DNS server, timeouts; and where the token comes from.

import contextlib
import json
import re
import socket
import struct
import sys
import threading

import pytest

import network
import peers
from program import Program

PASSWORD = "p@ss/w%rd"  # what an URL has to escape
LOGIN = f"some one:{PASSWORD}"
URL_LOGIN = "some%20one:p%40ss%2Fw%25rd@"
NAME = "frps.invalid"  # only the proxy, or the DNS server, of the test knows it


class HopProxy(Program):
    """See tests/peer/hopproxy.py."""

    def __init__(self, lab, kind, port=0, login=None):
        program = peers.HOME / "tests/peer/hopproxy.py"
        argv = [sys.executable, "-B", program, kind, "--port", str(port), "--map", f"{NAME}=127.0.0.1"]
        argv += ["--login", login] if login else []
        super().__init__(f"{kind} proxy", argv, peers.clean_env(lab.directory))
        self.port = json.loads(self.wait_line(r'^\{"port"')[1])["port"]

    def opened(self):
        return [json.loads(line) for _, line in self.find('"ev": "open"')]


def start(lab, *lines, server="127.0.0.1", token=f'auth.token = "{peers.TOKEN}"', options=(), want_up=True):
    """An agent by TOML: both ports of the node, and further lines."""
    text = [f'serverAddr = "{server}"', f"serverPort = {lab.server_port}", "loginFailExit = false"]
    text += ['log.level = "debug"', token, *lines]
    for name, local, remote in (("one", lab.node.inference, lab.port1), ("two", lab.node.management, lab.port2)):
        text += ["[[proxies]]", f'name = "{name}"', 'type = "tcp"', f"localPort = {local}", f"remotePort = {remote}"]
    path = lab.directory / "dialing.toml"
    path.write_text("\n".join(text) + "\n")
    argv = [peers.agent_program(), *options, "-c", path]
    agent = lab.keep(peers.Agent(lab, argv, peers.clean_env(lab.directory)))
    if want_up:
        lab.wait_up()
    return agent


# ---- proxies


@pytest.mark.parametrize("tls", ("true", "false"))
@pytest.mark.parametrize("kind", ("http", "socks5"))
def test_through_a_proxy_that_knows_the_servers_name(lab, kind, tls):
    proxy = lab.keep(HopProxy(lab, kind, login=LOGIN))
    url = f"{kind}://{URL_LOGIN}127.0.0.1:{proxy.port}"
    start(lab, f'transport.proxyURL = "{url}"', f"transport.tls.enable = {tls}", server=NAME)
    assert [event["to"] for event in proxy.opened()] == [f"{NAME}:{lab.server_port}"], "one session, by name"
    lab.load("echo", size=8 << 20)


@pytest.mark.parametrize("kind", ("http", "socks5"))
def test_addresses_are_asked_for_as_such(lab, kind):
    proxy = lab.keep(HopProxy(lab, kind))
    start(lab, f'transport.proxyURL = "{kind}://127.0.0.1:{proxy.port}"')
    assert proxy.opened() == [{"ev": "open", "to": f"127.0.0.1:{lab.server_port}", "kind": "ipv4"}]


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
@pytest.mark.parametrize(
    "kind, login, server, words",
    (
        ("http", "me:other", "127.0.0.1", r"HTTP 407.*remedy=.*user and the password in proxyURL"),
        ("socks5", "me:other", "127.0.0.1", r"refused the user or the password.*remedy=.*proxyURL"),
        ("http", LOGIN, "nowhere.invalid", r"HTTP 502.*remedy=.*serverAddr"),
        ("socks5", LOGIN, "nowhere.invalid", r"SOCKS5 reply 5.*remedy=.*serverAddr"),
    ),
)
def test_refusal_is_told_once_without_the_password(lab, kind, login, server, words):
    proxy = lab.keep(HopProxy(lab, kind, login=login))
    url = f"{kind}://{URL_LOGIN}127.0.0.1:{proxy.port}"
    agent = start(lab, f'transport.proxyURL = "{url}"', server=server, want_up=False)
    agent.wait_line(rf"WARN.*no connection through the proxy.*{words}")
    agent.wait_line("DEBUG.*no connection through the proxy", timeout=15)  # again is no news
    assert len(agent.find("WARN.*no connection through the proxy")) == 1
    assert PASSWORD not in agent.text() and URL_LOGIN not in agent.text()


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_proxy_that_goes_and_comes_back(lab):
    proxy = lab.keep(HopProxy(lab, "http"))
    agent = start(lab, f'transport.proxyURL = "http://127.0.0.1:{proxy.port}"')
    proxy.kill()
    agent.wait_line("WARN.*session lost")
    agent.wait_line("WARN.*connect to the proxy of proxyURL error.*refused.*remedy=.*is the proxy running", timeout=15)
    lab.keep(HopProxy(lab, "http", port=proxy.port))
    lab.wait_up(timeout=20)


@pytest.mark.skipif(peers.IS_STOCK, reason="frpc takes the variable when proxyURL is not set")
def test_variables_name_no_proxy(lab, monkeypatch):
    real = peers.clean_env
    monkeypatch.setattr(peers, "clean_env", lambda home, **more: real(home, http_proxy="http://127.0.0.1:1", **more))
    start(lab)


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
@pytest.mark.parametrize("url", ("https://p:1", "ntlm://me:hunter2@p:1", "ftp://p:1", "http://p", "http://p:1/x"))
def test_url_that_cannot_be_used_ends_with_2(lab, url):
    agent = start(lab, f'transport.proxyURL = "{url}"', want_up=False)
    assert agent.wait() == 2
    assert "transport.proxyURL" in agent.text() and "hunter2" not in agent.text()


# ---- the connection


def test_server_sees_the_local_address(lab):
    start(lab, 'transport.connectServerLocalIP = "127.0.0.2"')
    lab.frps.wait_line(r"client login info: ip \[127\.0\.0\.2:")


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_local_address_that_is_not_ours_is_told(lab):
    agent = start(lab, 'transport.connectServerLocalIP = "192.0.2.1"', want_up=False)
    agent.wait_line("WARN.*does not have the local address.*remedy=.*connectServerLocalIP")


def keepalive_s(port):
    """What is left of the keepalive timers of connections to the port, from the kernel's table."""
    left = []
    with open("/proc/thread-self/net/tcp") as file:
        for line in file.readlines()[1:]:
            words = line.split()
            kind, when = words[5].split(":")
            if words[3] == "01" and int(words[2].rsplit(":", 1)[1], 16) == port and kind == "02":
                left.append(int(when, 16) / 100)  # USER_HZ is 100 on every machine with Linux
    return left


def test_keepalive_is_as_configured(lab):
    start(lab, "transport.dialServerKeepalive = 500")
    left = network.wait_until(lambda: keepalive_s(lab.server_port), "a keepalive timer of the session")
    assert all(400 < seconds <= 500 for seconds in left), left


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_dial_timeout_is_as_configured(lab):
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        lab.server_port = listener.getsockname()[1]
        for _ in range(2):  # its queue is full: the kernel drops what comes, as a firewall does
            s = stack.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", lab.server_port))
        agent = start(lab, "transport.dialServerTimeout = 1", want_up=False)
        agent.wait_line("WARN.*timed out.*remedy=.*firewall", timeout=5)


@contextlib.contextmanager
def dns_server():
    """Answers for NAME; its address, and the names it was asked for."""
    asked = []

    def answer(query):
        end = 12
        labels = []
        while query[end]:
            labels.append(query[end + 1 : end + 1 + query[end]].decode())
            end += 1 + query[end]
        asked.append(".".join(labels))
        question = query[12 : end + 5]
        is_known = asked[-1] == NAME and question[-4:-2] == b"\0\1"
        head = query[:2] + struct.pack("!HHHHH", 0x8180 if asked[-1] == NAME else 0x8183, 1, is_known, 0, 0)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\4" + socket.inet_aton("127.0.0.1")
        return head + question + (record if is_known else b"")

    def serve():
        while True:
            query, client = s.recvfrom(1500)
            if not query:
                return
            s.sendto(answer(query), client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "127.0.0.1:%d" % s.getsockname()[1], asked
        s.sendto(b"", s.getsockname())
        thread.join()


def test_names_by_the_dns_server_that_is_configured(lab):
    with dns_server() as (address, asked):
        agent = start(lab, f'dnsServer = "{address}"', server=NAME)
        assert NAME in asked
        agent.close()


# ---- the token


def source_of(lab, kind, path):
    if kind == "file":
        return f'auth.tokenSource = {{ type = "file", file = {{ path = "{path}" }} }}', ()
    exec_ = f'command = "/bin/sh", args = ["-c", "cat $PLACE"], env = [{{ name = "PLACE", value = "{path}" }}]'
    return f'auth.tokenSource = {{ type = "exec", exec = {{ {exec_} }} }}', ("--allow-unsafe=TokenSourceExec",)


@pytest.mark.skipif(peers.IS_STOCK, reason="frpc asks for it once, at the start")
@pytest.mark.parametrize("kind", ("file", "exec"))
def test_token_that_is_rotated(lab, kind):
    path = lab.directory / "token"
    path.write_text(peers.TOKEN + "\n")
    token, options = source_of(lab, kind, path)
    agent = start(lab, token=token, options=options)
    lab.frps.kill()
    lab.start_frps(token="an0ther-t0ken-of-the-tests")
    agent.wait_line("token in login doesn't match", timeout=20)
    path.write_text("an0ther-t0ken-of-the-tests\n")
    lab.wait_up(timeout=70)


@pytest.mark.skipif(peers.IS_STOCK, reason="frpc asks for it once, at the start")
def test_program_for_the_token_that_fails_is_told_without_its_words(lab):
    path = lab.directory / "token"
    path.write_text(peers.TOKEN + "\n")
    token, options = source_of(lab, "exec", path)
    token = token.replace("cat $PLACE", "cat $PLACE; test ! -e $PLACE.bad")
    agent = start(lab, token=token, options=options)
    (lab.directory / "token.bad").touch()
    lab.frps.kill()
    lab.start_frps()
    agent.wait_line("WARN.*the program for the token has failed.*/bin/sh: exit status 1.*remedy=", timeout=20)
    assert peers.TOKEN not in agent.text()
    (lab.directory / "token.bad").unlink()
    lab.wait_up(timeout=70)


def test_server_that_checks_the_token_everywhere(new_lab):
    lab = new_lab(version=peers.NEW)
    frps = lab.start_frps(extra=['auth.additionalScopes = ["HeartBeats", "NewWorkConns"]'])
    agent = start(lab, 'auth.additionalScopes = ["HeartBeats", "NewWorkConns"]', "transport.heartbeatInterval = 1")
    frps.wait_line("receive heartbeat", count=3)
    lab.load("echo", size=1 << 20)
    assert not re.search("invalid|refused a ping", frps.text() + agent.text())
