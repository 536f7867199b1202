# SPDX-License-Identifier: Apache-2.0
# test_faults_server.py - F18 to F24, F29: what the server says and remembers. See faults.py.

import contextlib
import statistics
import time

import pytest

import network
import peers
from faults import BOTH, FAKE, LIMIT_S, SETTLED_S, back, row, seconds_of, start, start_behind_relay
from test_hostile import REQUEST, is_up

NO_STATE = "/nowhere"
LOCKING = "0.69.1"  # 0.69.0 to 0.70.0 park a login for ever

pytestmark = pytest.mark.faults

# ---- F18 GoAway, F19 cuts, F20 single bytes


@row("F18", {"GoAway 0": 5.0}, servers=FAKE)
def test_f18_goaway(lab):
    fake = lab.start_fake()
    lab.start_agent(tls="off", want_up=False)
    is_up(fake, 0)
    time.sleep(SETTLED_S)
    mark = fake.mark()
    fake.tell("goaway 0")
    began = time.monotonic()
    at, _ = fake.wait_message("Login", since=mark)
    is_up(fake, mark)
    return {"GoAway 0": at - began}


@row("F18", {"one byte is wrong": 12.0}, servers=BOTH, waits_s=40)
def test_f18_corrupt_login(lab):
    """In a record of TLS, its head or the handshake; a length that is wrong is waited for, 10 s."""
    relay, _ = start_behind_relay(lab)
    worst = 0.0
    for at, direction in ((2, "up"), (4, "up"), (100, "up"), (900, "up"), (4, "down"), (60, "down"), (1500, "down")):
        mark = relay.mark()
        relay.tell(f"corrupt {at} {direction}")
        relay.tell("rst")
        relay.wait_event("cut", since=mark)
        relay.tell("pass")
        worst = max(worst, seconds_of(back, lab))
        time.sleep(SETTLED_S)
    return {"one byte is wrong": worst}


# How many bytes a login without TLS and its first answers have; with TLS the same falls into the handshake.
LENGTHS = {"up": 700, "down": 260}
STEP = 4 if peers.IS_FULL else 16
N_LANES = 8


def cuts(number):
    """(offset, direction, how) in this round: four of the five have each offset."""
    return [(at, direction, ("fin", "rst")[at // STEP % 2])
            for direction, end in LENGTHS.items() for at in range(number % STEP, end, STEP)]  # fmt: skip


def cut(lab, relay, at, direction, how):
    """Seconds until the tunnel is back after a login that was cut there."""
    mark = relay.mark()
    relay.tell(f"truncate {at} {how} {direction}")
    relay.tell("rst")
    with contextlib.suppress(AssertionError):  # an offset that no login reaches
        relay.wait_event("cut", since=mark, timeout=4)
    relay.tell("pass")
    began = time.monotonic()
    network.wait_listening(lab.port1)
    back(lab)
    return time.monotonic() - began


def cut_some(outer, lane):
    with peers.Lab(outer.directory / str(lane), outer.version) as lab:
        lab.start_frps()
        relay = lab.start_relay()
        has_tls = outer.round == 4 if peers.IS_FULL else lane % 2 == 0
        lab.start_agent(tls="on" if has_tls else "off")
        return {one: cut(lab, relay, *one) for one in cuts(outer.round)[lane::N_LANES]}


@row("F19", {"not back within 5 s": 0}, servers=BOTH, unit="offsets", waits_s=60, n_labs=2 * N_LANES)  # busy ones
def test_f19_login_cut_at_offsets(lab):
    lanes = peers.side_by_side(N_LANES, lambda lane: cut_some(lab, lane))
    late = {one: seconds for lane in lanes for one, seconds in lane.items() if seconds > 5}
    print(f"F19 round {lab.round}, late: {late}")
    return {"not back within 5 s": len(late)}


@row("F20", {"one byte a segment": 0}, servers=BOTH, unit="wrong", waits_s=15)
def test_f20_bytewise(lab):
    relay, _ = start_behind_relay(lab)
    relay.tell("bytewise")
    mark = relay.mark()
    relay.tell("rst")
    relay.wait_event("open", since=mark)
    lab.wait_up(timeout=30)
    return {"one byte a segment": lab.start_load("echo", size=50_000, count=2).report()["wrong"]}


# ---- F21 names still used, F22 a parked login


@row("F21", {"seen by the server": 0.5}, servers=BOTH, is_for_stock=True)
def test_f21_killed(lab):
    agent = start(lab)
    seconds = []
    for _ in range(5):
        agent.kill()
        agent = lab.start_agent(want_up=False)
        seconds.append(back(lab))
        time.sleep(0.5)
    return {"seen by the server": statistics.median(seconds)}


def die_unseen(lab, **env):
    """Seconds until another agent is up, of whose forerunner's death the server knows nothing."""
    relay, agent = start_behind_relay(lab, **env)
    relay.tell("halfopen")
    agent.kill()
    return registered(lab, lab.start_agent(want_up=False, **env))


def registered(lab, agent, mark=0):
    """Seconds until the agent has registered both proxies, after that place in its log."""
    seconds = seconds_of(agent.wait_line, "start proxy success", since=mark, count=2, timeout=LIMIT_S)
    lab.wait_up()
    return seconds


@row("F21", {"with the state folder": {peers.OLD: 42.0, peers.NEW: 2.0}, "without": 42.0}, servers=BOTH, waits_s=45,
     n_labs=2, is_for_stock=True)  # fmt: skip
def test_f21_death_that_the_server_has_not_seen(lab):

    def one(i):
        with peers.Lab(lab.directory / f"case{i}", lab.version) as inner:
            return die_unseen(inner, **({"FRP_CONFIG_DIR": NO_STATE} if i else {}))

    return dict(zip(("with the state folder", "without"), peers.side_by_side(2, one)))


N_PARKED = 4 if peers.IS_FULL else 2  # at once: 20 in five rounds


def park(directory, version):
    """The path is reset towards the agent and open towards the server; a clean one is there at once."""
    with peers.Lab(directory, version) as lab:
        relay, agent = start_behind_relay(lab)
        mark = agent.mark()
        relay.tell("orphan")
        return registered(lab, agent, mark)


@row("F22", {"worst": {peers.OLD: 42.0, LOCKING: 45.0, peers.NEW: 1.0, "0.71.0": 1.0}},
     servers=(peers.OLD, LOCKING, peers.NEW, "0.71.0"), waits_s=50, n_labs=N_PARKED, is_for_stock=True)  # fmt: skip
def test_f22_parked_login(lab):
    return {"worst": max(peers.side_by_side(N_PARKED, lambda i: park(lab.directory / str(i), lab.version)))}


# ---- F23 token, F24 NAT, F26 interface


@row("F23", {"token file changed": 20.0, "server is right again": 20.0}, servers=BOTH, waits_s=55)
def test_f23_token_rotated(lab):
    path = lab.directory / "token"
    path.write_text(peers.TOKEN + "\n")
    lab.start_frps()
    agent = lab.start_agent(SECRET_FRP_TOKEN=None, SECRET_FRP_TOKEN_FILE=str(path))
    lab.frps.kill()
    lab.start_frps(token="the-next-one")
    agent.wait_line("doesn't match")
    time.sleep(10)  # the operator is slow
    path.write_text("the-next-one\n")
    changed = back(lab)
    lab.frps.kill()
    lab.start_frps(token="a-mistake")
    agent.wait_line("doesn't match", count=2)
    time.sleep(20)
    lab.frps.kill()
    lab.start_frps(token="the-next-one")
    return {"token file changed": changed, "server is right again": back(lab)}


IDLE_S = 600 if peers.IS_FULL else 75


def stay_idle(directory, version, is_mux):
    """How many first requests fail after that."""
    with peers.Lab(directory, version) as lab:
        lab.start_frps(extra=[f"transport.tcpMux = {str(is_mux).lower()}"])
        network.forget_idle(lab.server_port, 60)
        lab.start_by_ini(lab.ini(common=[f"tcp_mux = {str(is_mux).lower()}", "pool_count = 1"]))
        time.sleep(IDLE_S)
        n_failed = sum(not network.answers(port, timeout=2) for port in (lab.port1, lab.port2))
        assert len(lab.frps.logins()) == 1
        return n_failed


@row("F24", {"mux": 0, "no mux": 0}, servers=BOTH, unit="failed first requests", waits_s=IDLE_S, n_labs=2)
def test_f24_nat_forgets_after_60_s(lab):
    """Without mux a work connection lies in the server's pool."""
    cases = {"mux": True, "no mux": False}
    counts = peers.side_by_side(
        len(cases), lambda i: stay_idle(lab.directory / str(i), lab.version, list(cases.values())[i]))
    return dict(zip(cases, counts))


# ---- F29 floods, F30 what the kernel may answer

FLOODS = {"20,000 ReqWorkConn": "reqwork 20000", "20,000 streams": "syns 20000", "1,000,000 pings": "pings 1000000",
          "50,000 answers for a stranger": "strangers 50000", "24 MiB over the window": "overrun 25165824"}  # fmt: skip


def serve(fake, lab):
    """Seconds until a user of a session that is up was answered."""
    began, mark = time.monotonic(), fake.mark()
    fake.tell("reqwork 1")
    fake.wait_message("NewWorkConn", since=mark)
    fake.tell(f"start client-mlnode-{lab.client_id} 1.2.3.4 5 6.7.8.9 10")
    stream = fake.wait_event("joined", since=mark)[1]["stream"]
    fake.tell(f"send {stream} {REQUEST}")
    fake.wait_event("data", since=mark, stream=stream)
    return time.monotonic() - began


def flood(directory, command):
    with peers.Lab(directory) as lab:
        fake = lab.start_fake()
        agent = lab.start_agent(tls="off", want_up=False)
        is_up(fake, 0)
        serve(fake, lab)
        before, mark = agent.peak_mib(), fake.mark()
        fake.tell(command)
        time.sleep(10)  # what a flood costs in this time
        grown = agent.peak_mib() - before
        if fake.logins(mark):  # ended by the agent, and anew
            network.wait_until(lambda: is_idle(agent), "the agent rests")
        busy = agent.cpu_s()
        time.sleep(2)
        assert agent.cpu_s() - busy < 0.2, "it spins"
        mark = fake.mark()
        assert agent.is_running()
        assert len(agent.text()) <= 1_000_000
        fake.tell("rst")
        is_up(fake, mark)
        assert serve(fake, lab) <= 1.0
        return grown


def is_idle(program):
    before = program.cpu_s()
    time.sleep(0.2)
    return program.cpu_s() == before


@row("F29", {case: 1.0 if "pings" in case else 8.0 for case in FLOODS}, servers=FAKE, unit="MiB more", waits_s=15,
     n_labs=len(FLOODS))  # fmt: skip
def test_f29_floods(lab):
    commands = list(FLOODS.values())
    grown = peers.side_by_side(len(commands), lambda i: flood(lab.directory / str(i), commands[i]))
    return dict(zip(FLOODS, grown))
