# SPDX-License-Identifier: Apache-2.0
# test_ready.py - the node pair: registered when the node is ready, kept while a model loads, withdrawn after silence.

import http.server
import socket
import threading
import time

import pytest

import network
import peers

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="the stock client looks at nothing")

WAITING = "waiting for the node to be ready"
READY = "the node is ready, registering the proxies"
SILENT = "the node is silent, withdrawing the proxies"


class Management(http.server.ThreadingHTTPServer):
    """A management port that answers as it is told: path -> status; None: it does not answer at all."""

    allow_reuse_address = True

    def __init__(self, answers, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.answers = dict(answers)
        self.asked = []
        self.port = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = self.server.answers.get(self.path, 404)
        self.server.asked.append(self.path)
        if status is None:
            self.rfile.read(1)  # until the peer gives up
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def management(lab):
    """Makes them; they end with the test."""
    made = []

    def make(port=0, **answers):
        made.append(Management({f"/{path}": status for path, status in answers.items()}, port))
        return made[-1]

    yield make
    for server in made:
        server.close()


def start(lab, port, **env):
    return lab.start_agent(want_up=False, MLTUNNEL_POC_PORT=str(port), **env)


def stays_closed(lab, agent, seconds=1.0):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        assert not network.is_listening(lab.port1) and not network.is_listening(lab.port2), agent.text()
        time.sleep(network.POLL_S)


def asked(server, path, count):
    network.wait_until(lambda: server.asked.count(path) >= count, f"{count} questions for {path}")


def wait_both(lab, timeout=5.0):
    network.wait_listening(lab.port1, timeout)
    network.wait_listening(lab.port2, timeout)


def test_registered_when_the_node_answers(lab, management):
    port = network.free_port()
    agent = start(lab, port)
    agent.wait_line("login to server success")
    agent.wait_line(WAITING + ".*refused")
    stays_closed(lab, agent)
    management(port, readyz=200)
    wait_both(lab, timeout=2.5)
    assert len(agent.find(WAITING)) == 1 and len(agent.find(READY)) == 1


def test_a_node_that_starts_beside_is_found_in_a_moment(lab, management):
    port = network.free_port()
    agent = start(lab, port)
    agent.wait_line("login to server success")
    agent.wait_line(WAITING)
    management(port, readyz=200)
    wait_both(lab, timeout=0.6)


def test_server_errors_are_not_ready(lab, management):
    server = management(readyz=503)
    agent = start(lab, server.port)
    agent.wait_line("login to server success")
    asked(server, "/readyz", 2)
    stays_closed(lab, agent, 0.3)
    assert len(agent.find(WAITING)) == 1, "one line per change"
    server.answers["/readyz"] = 204
    wait_both(lab)
    assert set(server.asked) == {"/readyz"}


def test_an_older_node_is_asked_for_its_state(lab, management):
    server = management(**{"api/v1/state": 200})
    agent = start(lab, server.port)
    wait_both(lab)
    assert server.asked[:2] == ["/readyz", "/api/v1/state"]
    agent.wait_line(READY + ".*/api/v1/state")


def test_an_older_node_that_is_not_ready(lab, management):
    server = management(**{"api/v1/state": 500})
    agent = start(lab, server.port)
    agent.wait_line("login to server success")
    asked(server, "/api/v1/state", 2)
    stays_closed(lab, agent, 0.3)
    server.answers["/readyz"] = 200  # it was updated
    server.answers["/api/v1/state"] = 404
    wait_both(lab)


def test_a_path_of_one_s_own_has_no_second(lab, management):
    server = management(**{"api/v1/state": 200, "readyz": 200})
    agent = start(lab, server.port, MLTUNNEL_READY_PATH="/my/ready?x=1")
    asked(server, "/my/ready?x=1", 2)
    stays_closed(lab, agent, 0.3)
    server.answers["/my/ready?x=1"] = 200
    wait_both(lab)
    assert set(server.asked) == {"/my/ready?x=1"}


def test_off_asks_nothing(lab, management):
    server = management(readyz=500)
    agent = start(lab, server.port, MLTUNNEL_READY_PATH="off")
    wait_both(lab)
    assert server.asked == [] and not agent.find(WAITING)


def test_kept_while_a_model_loads(lab):
    lab.node.inference = network.free_port()  # nothing listens there
    agent = lab.start_agent(want_up=False)
    wait_both(lab)
    for _ in range(5):
        assert not network.answers(lab.port1)
    assert len(agent.find("connect to local service error")) == 1, "one line per change, not per request"
    assert network.answers(lab.port2)
    assert network.is_listening(lab.port1)


def test_by_default_a_node_that_falls_silent_keeps_its_ports(lab, management):
    server = management(readyz=200)
    agent = start(lab, server.port)
    wait_both(lab)
    server.close()
    server.close = lambda: None
    assert not network.answers(lab.port2)
    assert network.is_listening(lab.port1) and network.is_listening(lab.port2)
    assert server.asked == ["/readyz"], "it is asked no more"
    assert not agent.find(SILENT)


@pytest.mark.parametrize("how", ("refused", "hanging"))
def test_withdrawn_together_after_silence_and_back(lab, management, how):
    server = management(readyz=200)
    agent = start(lab, server.port, MLTUNNEL_DOWN_AFTER="2s")
    wait_both(lab)
    if how == "refused":
        server.close()
        server.close = lambda: None
    else:
        server.answers["/readyz"] = None
    began = time.monotonic()
    network.wait_closed(lab.port1, timeout=5)
    network.wait_closed(lab.port2, timeout=0.3)
    assert time.monotonic() - began >= 1.4, "two seconds since the last answer, which may be half a second ago"
    assert len(agent.find(SILENT)) == 1
    assert len(lab.frps.logins()) == 1, "the session stays"
    if how == "refused":
        management(server.port, readyz=200)
    else:
        server.answers["/readyz"] = 200
    wait_both(lab, timeout=7)
    assert len(agent.find(READY)) == 2


def test_errors_are_no_silence(lab, management):
    server = management(readyz=200)
    start(lab, server.port, MLTUNNEL_DOWN_AFTER="1s")
    wait_both(lab)
    server.answers["/readyz"] = 503
    before = len(server.asked)
    network.wait_until(lambda: len(server.asked) >= before + 8, "two seconds of questions")
    assert network.is_listening(lab.port1) and network.is_listening(lab.port2)


def test_a_pause_of_the_machine_is_no_silence(lab, management):
    server = management(readyz=200)
    agent = start(lab, server.port, MLTUNNEL_DOWN_AFTER="1s")
    wait_both(lab)
    peers.freeze(agent)
    time.sleep(2)  # the pause itself
    mark = agent.mark()
    before = len(server.asked)
    agent.signal(18)
    network.wait_until(lambda: len(server.asked) >= before + 4, "questions go on")
    assert not agent.find(SILENT, mark)


def test_silence_withdraws_and_live_streams_go_on(lab, management):
    server = management(readyz=200)
    agent = start(lab, server.port, MLTUNNEL_DOWN_AFTER="1s")
    wait_both(lab)
    with socket.create_connection(("127.0.0.1", lab.port1), timeout=10) as s:
        s.sendall(b"GET /sse?events=90&rate=30&size=300&stream=1 HTTP/1.0\r\n\r\n")
        first = s.recv(4096)
        server.answers["/readyz"] = None
        agent.wait_line(SILENT)
        rest = b"".join(iter(lambda: s.recv(65536), b""))
    assert (first + rest).count(b"\n\n") >= 90


def test_stop_while_waiting(lab):
    agent = start(lab, network.free_port())
    agent.wait_line("login to server success")
    agent.signal(15)
    assert agent.wait(timeout=1) == 0


@pytest.mark.parametrize(
    "name, value, what",
    (
        ("MLTUNNEL_READY_PATH", "readyz", "is not the path of a URL"),
        ("MLTUNNEL_READY_PATH", "/a b", "is not the path of a URL"),
        ("MLTUNNEL_DOWN_AFTER", "500ms", "is not a time of 1s to 24h"),
        ("MLTUNNEL_DOWN_AFTER", "soon", "is not a time of 1s to 24h"),
    ),
)
def test_bad_values_are_refused(lab, name, value, what):
    agent = lab.start_agent(want_up=False, **{name: value})
    assert agent.wait() == 2
    assert agent.find(f"{name}: .*{what}")


def test_silence_needs_questions(lab):
    agent = lab.start_agent(want_up=False, MLTUNNEL_READY_PATH="off", MLTUNNEL_DOWN_AFTER="30s")
    assert agent.wait() == 2
    assert agent.find("MLTUNNEL_DOWN_AFTER: has no effect while MLTUNNEL_READY_PATH is off")
