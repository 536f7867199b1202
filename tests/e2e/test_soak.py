# SPDX-License-Identifier: Apache-2.0
# test_soak.py - what happens a million times leaves nothing behind: no descriptor, no memory, no wrong byte.
"""By count, not by time. MLTUNNEL_FULL has the counts that mean something; else the same is done by the hundred, which shows
that it works.

An agent starts a session every 2 s at the most (WAIT_LOGIN_SPACING_MS) and needs up to 15 s to find a path half open, so that
ten thousand of the one and a thousand of the other are shared out among agents side by side. What all of them together have
grown by then is what one would have: the bound of 1 MiB is for their sum."""

import concurrent.futures
import contextlib
import http.client
import socket
import time

import pytest

import network
import peers

N_CONNECTIONS, N_RECONNECTS, N_HALF_OPEN = (1_000_000, 10_000, 1_000) if peers.IS_FULL else (20_000, 50, 20)
N_AGENTS = 50 if peers.IS_FULL else 10
WARM_PERCENT = 5  # so much of it is done before anything is measured,
WARM_ROUNDS = 5 if peers.IS_FULL else 1  # but so many of each agent at least: the heap of one settles in a few
PARALLEL = 16  # users at once
GROWTH_MIB = 1.0
REST_S = 3  # after the last user
BODY = "/bytes?n=5000&seed=7"
STREAM = b"GET /sse?events=100000&rate=2&size=100&stream=1 HTTP/1.1\r\nHost: a\r\n\r\n"
BACK_S, ANSWER_S = 60, 10

pytestmark = [pytest.mark.alone] if peers.IS_FULL else []


class Member:
    """An agent among many at one server, each with its ports and a folder of its own."""

    def __init__(self, lab, ident):
        folder = lab.directory / f"etc-{ident}"
        folder.mkdir()
        self.port = int(f"1{ident}")
        self.agent = lab.start_agent(want_up=False, CLIENT_ID=ident, FRP_CONFIG_DIR=str(folder))
        self.user = None

    def use(self, body):
        """A user is answered right, another one stays and is served for ever."""
        self.end_user()
        network.wait_until(lambda: self.is_used(body), f"port {self.port} answers", BACK_S)

    def is_used(self, body):
        """False while nobody is there, or the session that just ends."""
        try:
            answer = network.get(self.port, BODY, timeout=ANSWER_S)
            self.user = socket.create_connection(("127.0.0.1", self.port), ANSWER_S)
            self.user.sendall(STREAM)
            first = self.user.recv(1)
        except (OSError, http.client.HTTPException):
            self.end_user()
            return False
        assert answer == (200, body)
        return first == b"H"

    def end_user(self):
        if self.user is not None:
            self.user.close()
            self.user = None


def alive(relay):
    """Ids of the connections through it."""
    opened, ended = ({event["id"] for _, event in relay.events(what)} for what in ("open", "end"))
    return opened - ended


def measure(agents, n_descriptors):
    """RSS of each in MiB when it is at rest, which it shows by its descriptors."""
    for agent, count in zip(agents, n_descriptors, strict=True):
        network.wait_until(lambda agent=agent, count=count: agent.n_descriptors() <= count, "descriptors are given back", 75)
    time.sleep(REST_S)
    assert [agent.n_descriptors() for agent in agents] == n_descriptors
    return [agent.rss_mib() for agent in agents]


def check_growth(warm, end, what):
    growth = [after - before for before, after in zip(warm, end, strict=True)]
    print(f"{what}: RSS of {len(warm)} agents {sum(warm):.2f} MiB warm, {sum(growth):+.2f} MiB at the end,"
          f" the worst of one {max(growth):+.2f} MiB")  # fmt: skip
    assert sum(growth) <= GROWTH_MIB


def test_short_connections(lab):
    """One agent, and one session for all of them."""
    lab.frps.kill()
    lab.start_frps(level="warn")
    agent = lab.start_agent()
    rest = [agent.n_descriptors()]
    lab.load("churn", count=max(1000, N_CONNECTIONS * WARM_PERCENT // 100), parallel=PARALLEL)
    warm = measure([agent], rest)
    report = lab.start_load("churn", count=N_CONNECTIONS, parallel=PARALLEL).exact(timeout=3000)
    check_growth(warm, measure([agent], rest), f"{N_CONNECTIONS} connections, {report['per_s']:.0f} a second")
    assert len(agent.find("login to server success")) == 1


@pytest.fixture
def crowd(new_lab):
    """Members behind one relay, at one server."""
    lab = new_lab(version=peers.NEW)
    lab.start_frps()
    lab.relay = lab.start_relay()
    idents = set()
    while len(idents) < N_AGENTS:
        idents.add(network.free_client_id())
    lab.members = [Member(lab, ident) for ident in sorted(idents)]
    lab.body = network.get(lab.node.inference, BODY)[1]
    yield lab
    for member in lab.members:
        member.end_user()


def soak(lab, fault, count, what):
    """count times an agent loses its session, with a user on it, to a fault that hits all; each loss is a new login."""
    agents = [member.agent for member in lab.members]

    def rounds(n):
        worst = 0.0
        for _ in range(n):
            use_all()
            mark, began, paths = lab.frps.mark(), time.monotonic(), alive(lab.relay)
            lab.relay.tell(fault)
            at, _ = lab.frps.wait_line("client login info", BACK_S, since=mark, count=N_AGENTS)
            worst = max(worst, at - began)
            for ident in paths & alive(lab.relay):  # of a half-open one: the other half
                with contextlib.suppress(AssertionError):  # it has ended, we have not read so yet
                    lab.relay.tell(f"rst {ident}")
        rest_all()
        return worst

    def use_all():
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda member: member.use(lab.body), lab.members))

    def rest_all():
        use_all()
        for member in lab.members:
            member.end_user()

    rest_all()
    time.sleep(REST_S)
    rest = [agent.n_descriptors() for agent in agents]
    rounds(max(WARM_ROUNDS, count * WARM_PERCENT // 100 // N_AGENTS))
    warm, n_before = measure(agents, rest), len(lab.frps.logins())
    worst = rounds(count // N_AGENTS)
    n_logins = len(lab.frps.logins()) - n_before
    check_growth(warm, measure(agents, rest), f"{n_logins} {what}, {worst:.1f} s at the worst")
    assert n_logins >= count


def test_reconnects(crowd):
    soak(crowd, "rst", N_RECONNECTS, "reconnects")


def test_half_open(crowd):
    soak(crowd, "halfopen", N_HALF_OPEN, "half-open paths")
