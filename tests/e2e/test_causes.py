# SPDX-License-Identifier: Apache-2.0
# test_causes.py - what is wrong is told in one line with a remedy, and no two causes are told alike.

import contextlib
import re
import socket

import pytest

import network
import peers

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")

# Cause -> what its line says, and no line of another cause.
WORDS = {
    "wrong-token": r"token in login doesn't match.*remedy=.*(auth\.token|SECRET_FRP_TOKEN)",
    "port-in-use": r"port already used.*remedy=.*another client",
    "port-taken-by-a-program": r"port unavailable.*remedy=",
    "name-taken": r"already (exists|in use).*remedy=.*CLIENT_ID",
    "port-not-allowed": r"port not allowed.*remedy=.*allowPorts",
    "tls-to-a-plain-port": r"does not speak TLS.*remedy=.*is it frps that listens on this port.*TLS",
    "plain-to-a-tls-port": r"login failed.*(closed|reset).*remedy=.*do tls and tcpMux agree",
    "no-such-name": r"(?i)(DNS|no such name|name).*remedy=.*DNS",
    "refused": r"(?i)refused.*remedy=.*nothing listens",
    "timed-out": r"(?i)(timed out|timeout).*remedy=.*firewall",
    "silent-port": r"TLS handshake failed.*timed out.*remedy=",
}


def set_up(lab, cause, stack):
    """Make the cause; what the agent's environment needs for it."""
    if cause == "wrong-token":
        return {"SECRET_FRP_TOKEN": "wrong"}
    if cause == "port-in-use":
        lab.start_stock(prefix="taker", ports=(None, lab.port2)).wait_line("start proxy success")
    elif cause == "port-taken-by-a-program":
        stack.enter_context(socket.create_server(("127.0.0.1", lab.port2)))
    elif cause == "name-taken":
        elsewhere = (lab.port1 + 20000, lab.port2 + 20000)
        lab.start_stock(ports=elsewhere).wait_line("start proxy success", count=2)
    elif cause == "port-not-allowed":
        lab.frps.kill()
        lab.start_frps(extra=["allowPorts = [{ start = 40000, end = 40010 }]"])
    elif cause == "tls-to-a-plain-port":
        return {"FRP_SERVER": f"127.0.0.1:{lab.node.inference}"}
    elif cause == "plain-to-a-tls-port":
        lab.frps.kill()
        lab.start_frps(is_tls_forced=True)
        return {"tls": "off"}
    elif cause == "no-such-name":
        return {"FRP_SERVER": f"frps.invalid:{lab.server_port}"}
    elif cause == "refused":
        lab.frps.kill()
    elif cause == "timed-out":
        return {"FRP_SERVER": f"127.0.0.1:{full_listener(stack)}"}
    elif cause == "silent-port":
        lab.start_relay().tell("new silent")
    return {}


def full_listener(stack):
    """A port whose queue is full: the kernel drops what comes, as a firewall does."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    port = listener.getsockname()[1]
    for _ in range(2):
        s = stack.enter_context(socket.socket())
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
    return port


def is_slow(cause):
    """A try takes ten seconds."""
    return cause in ("timed-out", "silent-port", "no-such-name")


@pytest.mark.parametrize("cause", WORDS)
def test_cause_is_told_once_with_a_remedy(lab, cause):
    with contextlib.ExitStack() as stack:
        env = set_up(lab, cause, stack)
        agent = lab.start_agent(want_up=False, MLTUNNEL_LOG_LEVEL="debug", **env)
        _, line = agent.wait_line(r"WARN.*remedy=.*", timeout=20)
        while "certificate" in line:  # said once by every agent that has no CA
            _, line = agent.wait_line(r"WARN.*remedy=.*", timeout=20, count=2)
        assert re.search(WORDS[cause], line), line
        if cause != "name-taken":
            others = [name for name in WORDS if name != cause and re.search(WORDS[name], line)]
            assert others == [], line
        # The same cause again is no news.
        error = re.search(r'error=("[^"]*"|\S+)', line).group(0)
        n_again = 1 if is_slow(cause) else 3
        agent.wait_line(rf"DEBUG.*{re.escape(error)}", timeout=30, count=n_again)
        told = [line for _, line in agent.find(re.escape(error)) if "WARN" in line]
        assert len({*told}) == len(told), told
        assert all(re.search(WORDS[cause], line) for line in told), told
        assert len(told) <= (2 if cause in ("name-taken", "port-not-allowed") else 1), "one for each proxy at most"
        assert agent.is_running()


def test_change_of_cause_is_news(lab):
    lab.frps.kill()
    agent = lab.start_agent(want_up=False)
    agent.wait_line("WARN.*refused")
    lab.start_frps(token="another")
    agent.wait_line("WARN.*doesn't match", timeout=15)
    lab.frps.kill()
    agent.wait_line("WARN.*refused", count=2, timeout=20)
    lab.start_frps()
    agent.wait_line("start proxy success", count=2, timeout=20)
    assert network.answers(lab.port1)


def test_service_that_refuses_is_told_once_and_the_user_is_closed_at_once(lab):
    agent = lab.start_agent(want_up=False, MLTUNNEL_INFERENCE_PORT=str(network.free_port()))
    network.wait_answers(lab.port2)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", lab.port1), 5) as s:
            s.settimeout(1)
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(1) == b""
    assert len(agent.find("WARN.*local service.*remedy=")) == 1
