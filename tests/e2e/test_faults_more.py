# SPDX-License-Identifier: Apache-2.0
# test_faults_more.py - the second half of the fault matrix, F11 to F30.

import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time

import pytest

import network
import peers
from faults import BOTH, FAKE, LIMIT_S, SETTLED_S, back, refusal_in, row, seconds_of, start, start_behind_relay
from test_causes import full_listener
from test_hostile import REQUEST, is_up
from test_shutdown import Stream

pytestmark = pytest.mark.alone

MIB = 1 << 20
NO_STATE = "/nowhere"
LOCKING = "0.69.1"  # 0.69.0 to 0.70.0 park a login for ever
SSE = b"GET /sse?events=100000&rate=2&size=100&stream=1 HTTP/1.1\r\nHost: a\r\n\r\n"


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# ---- F11 descriptors, F13 and F14 the log


def is_served(s):
    s.settimeout(5)
    try:
        return s.recv(1) == b"H"
    except OSError:
        return False


@row("F11", {"back": 1.0}, servers=BOTH)
def test_f11_no_descriptors(lab):
    """64 are all it has: 200 users come, most are refused; the tunnel itself goes on, also through a loss."""
    lab.start_frps()
    relay = lab.start_relay()
    agent = lab.start_agent(before=["prlimit", "--nofile=64:64"])
    time.sleep(SETTLED_S)
    stream = Stream(lab.port2, seconds=6)
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(socket.create_connection(("127.0.0.1", lab.port1), 5)) for _ in range(200)]
        for user in users:
            with contextlib.suppress(OSError):
                user.sendall(SSE)
        served = [user for user in users if is_served(user)]
        assert 20 <= len(served) <= 48, len(served)
        busy, began = cpu_s(agent.pid), time.monotonic()
        time.sleep(3)  # nothing is free: is that a reason to work?
        share = (cpu_s(agent.pid) - busy) / (time.monotonic() - began)
        assert share < 0.05, share
        assert len(agent.find("no file descriptor is left")) in (1, 2)
        assert len(relay.events("open")) == 1
    seconds = seconds_of(network.wait_answers, lab.port1)
    assert stream.rest() == stream.n_events - 1
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", lab.port1), 5)).sendall(SSE)
        mark = agent.mark()
        relay.tell("rst")
        agent.wait_line("login to server success", since=mark)
    lab.wait_up()
    return {"back": seconds}


def p95_of_requests(lab, count=100):
    seconds = sorted(seconds_of(network.get, lab.port1) for _ in range(count))
    return seconds[int(0.95 * count)] * 1000


LOGS = {"disk full": 'exec "$0" 2>/dev/full', "reader gone": 'exec 2> >(:); exec "$0"',
        "reader stopped": 'exec 2> >(kill -STOP $BASHPID); exec "$0"'}  # fmt: skip


@row("F13", {**dict.fromkeys(LOGS, 10.0)}, servers=(peers.NEW,), unit="ms")
def test_f13_f14_log(lab):
    """95 of 100 requests, while every line of the log is lost."""
    lab.start_frps()
    figures = {}
    for case, script in LOGS.items():
        agent = lab.start_agent(MLTUNNEL_LOG_LEVEL="trace", before=["bash", "-c", script])
        lab.load("churn", count=1000)  # more lines than a pipe holds
        figures[case] = p95_of_requests(lab)
        agent.close()
        network.wait_closed(lab.port1)
    return figures


# ---- F15 the service, F16 those who do not read, F17 ends


@row("F15", {"refused": 0.1, "no answer": 10.6}, servers=BOTH, is_long=True, is_for_stock=True)
def test_f15_service_is_away(lab):
    lab.node.inference = network.free_port()
    start(lab, want_up=False)
    network.wait_answers(lab.port2)
    refused = statistics.median(user_is_closed(lab.port1) for _ in range(20))
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(peers.Lab(lab.directory / "silent", lab.version))
        other.node.inference = full_listener(stack)
        start(other, want_up=False)
        network.wait_answers(other.port2)
        return {"refused": refused, "no answer": user_is_closed(other.port1)}


def user_is_closed(port):
    """Seconds from the request until the connection has ended."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        began = time.monotonic()
        s.settimeout(30)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while s.recv(4096):
                pass
        return time.monotonic() - began


@row("F16", {"memory": 64.0, "memory after it": 16.0}, servers=BOTH, unit="MiB")
def test_f16_stalled_streams(lab):
    agent = start(lab)
    lab.load("download", size=64 * MIB)
    before = agent.rss_mib()
    downloads = lab.start_load("noread", count=20, size=50_000_000, seconds=6)
    uploads = lab.start_load("stuck-upload", count=20, size=50_000_000, seconds=6)
    for program in (downloads, uploads):
        program.wait_ready()
    lab.load("echo", size=10 * MIB)
    more = agent.peak_mib() - before
    downloads.exact()
    uploads.exact()
    assert network.answers(lab.port2)
    return {"memory": more, "memory after it": agent.rss_mib() - before}


def upload(lab, i):
    """Bytes that the service did not get of 1 MB and an end."""
    with socket.create_connection(("127.0.0.1", lab.port1), 10) as s:
        s.sendall(f"sink up{i}\n".encode() + bytes(1_000_000))
    return 1_000_000 - lab.node.events(f"up{i}", 1)[0]["bytes"]


def download(lab, i):
    with socket.create_connection(("127.0.0.1", lab.port1), 10) as s:
        s.sendall(f"source down{i} 1000000 7\n".encode())
        count = 0
        while data := s.recv(1 << 16):
            count += len(data)
    return 1_000_000 - count


@row("F17", {"up": 0, "down": 0}, servers=BOTH, unit="bytes lost", is_for_stock=True)
def test_f17_end_after_data(lab):
    lab.node.inference = lab.node.raw
    lab.start_frps()
    lab.start_agent(want_up=False)
    network.wait_answers(lab.port2)
    return {"up": sum(upload(lab, i) for i in range(15)), "down": sum(download(lab, i) for i in range(15))}


@row("F17", {"RST": 5.0, "FIN": 5.0}, servers=BOTH, unit="ms", is_for_stock=True)
def test_f17_abort(lab):
    """From the user through server and agent to the service."""
    start(lab)
    log = f"127.0.0.1:{lab.node.management}"
    return {how: statistics.median(lab.load("abort", how=how.lower(), what="sse", log=log)["seen_after_ms"]
                                   for _ in range(15)) for how in ("RST", "FIN")}  # fmt: skip


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


# Of a login without TLS and its first answers; with TLS the same falls into the handshake.
CUTS = [(at, direction, how) for direction, end in (("up", 700), ("down", 260))
        for at in range(0, end, 1 if peers.IS_FULL else 16) for how in ("fin", "rst")[at // 16 % 2 :][:1]]  # fmt: skip
N_LANES = 8


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


def cut_some(directory, version, lane):
    with peers.Lab(directory / str(lane), version) as lab:
        lab.start_frps()
        relay = lab.start_relay()
        lab.start_agent(tls="off" if lane % 2 else "on")
        return [cut(lab, relay, *one) for one in CUTS[lane::N_LANES]]


@row("F19", {"back": 3.0}, servers=BOTH, is_long=True)
def test_f19_login_cut_at_offsets(lab):
    lanes = peers.side_by_side(N_LANES, lambda lane: cut_some(lab.directory, lab.version, lane))
    return {"back": max(seconds for lane in lanes for seconds in lane)}


@row("F20", {"one byte a segment": 0}, servers=BOTH, unit="wrong", is_long=True)
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


@row("F21", {"with the state folder": {peers.OLD: 42.0, peers.NEW: 2.0}, "without": 42.0}, servers=BOTH, is_long=True,
     is_for_stock=True)  # fmt: skip
def test_f21_death_that_the_server_has_not_seen(lab):

    def one(i):
        with peers.Lab(lab.directory / f"case{i}", lab.version) as inner:
            return die_unseen(inner, **({"FRP_CONFIG_DIR": NO_STATE} if i else {}))

    return dict(zip(("with the state folder", "without"), peers.side_by_side(2, one)))


N_PARKED = 20 if peers.IS_FULL else 2


def park(directory, version):
    """The path is reset towards the agent and open towards the server; a clean one is there at once."""
    with peers.Lab(directory, version) as lab:
        relay, agent = start_behind_relay(lab)
        mark = agent.mark()
        relay.tell("orphan")
        return registered(lab, agent, mark)


@row("F22", {"worst": {peers.OLD: 42.0, LOCKING: 45.0, peers.NEW: 1.0, "0.71.0": 1.0}},
     servers=(peers.OLD, LOCKING, peers.NEW, "0.71.0"), is_long=True, is_for_stock=True)  # fmt: skip
def test_f22_parked_login(lab):
    return {"worst": max(peers.side_by_side(N_PARKED, lambda i: park(lab.directory / str(i), lab.version)))}


# ---- F23 token, F24 NAT, F26 interface


@row("F23", {"token file changed": 20.0, "server is right again": 20.0}, servers=BOTH, is_long=True)
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


@row("F24", {"mux": 0}, servers=BOTH, unit="failed first requests", is_long=True)
def test_f24_nat_forgets_after_60_s(lab):
    relay, _ = start_behind_relay(lab)
    relay.tell("forget 60")
    time.sleep(IDLE_S)
    n_failed = sum(not network.answers(port, timeout=2) for port in (lab.port1, lab.port2))
    assert len(lab.frps.logins()) == 1
    return {"mux": n_failed}


@contextlib.contextmanager
def house_behind_a_wire(lab):
    """A network namespace with a wire to this one; the words that run a command in it."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "600"], stdin=subprocess.DEVNULL)
    try:
        ours = os.stat("/proc/thread-self/ns/net").st_ino
        network.wait_until(lambda: os.stat(f"/proc/{holder.pid}/ns/net").st_ino != ours, "a namespace")
        inside = ["nsenter", "-t", str(holder.pid), "-n"]
        network.command(*"ip link add wire type veth peer name eth netns".split(), holder.pid)
        network.command(*"ip addr add 10.9.0.1/24 dev wire".split())
        network.command(*"ip link set wire up".split())
        network.command(*inside, *"ip addr add 10.9.0.2/24 dev eth".split())
        network.command(*inside, *"ip link set eth up".split())
        network.command(*inside, *"ip link set lo up".split())
        yield inside
    finally:
        holder.kill()
        holder.wait()


def wire_fault(lab, fault):
    """Seconds from the end of the fault until the proxies are registered, or known to have stayed."""
    with house_behind_a_wire(lab) as inside:
        lab.start_frps(bind="0.0.0.0")
        agent = lab.start_agent(want_up=False, before=inside, FRP_SERVER=f"10.9.0.1:{lab.server_port}",
                                MLTUNNEL_READY_PATH="off")  # fmt: skip
        agent.wait_line("start proxy success", count=2)
        time.sleep(SETTLED_S)
        mark = agent.mark()
        began = fault(inside)
        agent.wait_line("start proxy success", since=mark, count=2, timeout=LIMIT_S)
        return time.monotonic() - began


def change_address(inside):
    network.command(*inside, *"ip addr add 10.9.0.3/24 dev eth".split())
    network.command(*inside, *"ip addr del 10.9.0.2/24 dev eth".split())
    network.command(*inside, *"ip addr replace 10.9.0.3/24 dev eth".split())
    return time.monotonic()


def pull_the_plug(inside):
    network.command(*inside, *"ip link set eth down".split())
    time.sleep(20)  # longer than the detector waits
    network.command(*inside, *"ip link set eth up".split())
    return time.monotonic()


@row("F26", {"address changed": 17.0, "link up again": 5.0}, servers=(peers.NEW,), is_long=True)
def test_f26_interface(lab):
    """Found by the detector of F3; what is tried while the link is down fails at once."""
    faults = (change_address, pull_the_plug)

    def one(i):
        with peers.Lab(lab.directory / str(i), lab.version) as inner:
            return wire_fault(inner, faults[i])

    return dict(zip(("address changed", "link up again"), peers.side_by_side(len(faults), one)))


# ---- F27 the end


@row("F27", {"live streams, grace 2 s": 3.0, "idle": 1.0, "second signal": 0.5}, servers=BOTH, is_for_stock=True)
def test_f27_sigterm(lab):
    agent = start(lab, MLTUNNEL_GRACE="2s")
    stream = Stream(lab.port1, seconds=60)
    agent.signal(signal.SIGTERM)
    figures = {"live streams, grace 2 s": seconds_of(agent.wait)}
    stream.close()
    agent = lab.start_agent()
    agent.signal(signal.SIGTERM)
    figures["idle"] = seconds_of(agent.wait)
    agent = lab.start_agent()
    stream = Stream(lab.port1, seconds=60)
    agent.signal(signal.SIGTERM)
    with contextlib.suppress(AssertionError):  # a stock one is gone before
        network.wait_closed(lab.port1, timeout=1)
    if agent.is_running():
        agent.signal(signal.SIGTERM)
    figures["second signal"] = seconds_of(agent.wait)
    stream.close()
    return figures


@row("F27", {"streams that end within the grace": 0}, servers=BOTH, unit="events lost", is_for_stock=True)
def test_f27_drain(lab):
    agent = start(lab)
    streams = [Stream(lab.port1, seconds=3) for _ in range(5)]
    agent.signal(signal.SIGTERM)
    n_lost = 0
    for stream in streams:
        with contextlib.suppress(Exception):
            n_lost -= stream.rest()
        n_lost += stream.n_events - 1
    status = agent.wait()
    assert status == 0 or peers.IS_STOCK
    return {"streams that end within the grace": n_lost}


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
            network.wait_until(lambda: is_idle(agent.pid), "the agent rests")
        busy = cpu_s(agent.pid)
        time.sleep(2)
        assert cpu_s(agent.pid) - busy < 0.2, "it spins"
        mark = fake.mark()
        assert agent.is_running()
        assert len(agent.text()) <= 1_000_000
        fake.tell("rst")
        is_up(fake, mark)
        assert serve(fake, lab) <= 1.0
        return grown


def is_idle(pid):
    before = cpu_s(pid)
    time.sleep(0.2)
    return cpu_s(pid) == before


@row("F29", {case: 1.0 if "pings" in case else 8.0 for case in FLOODS}, servers=FAKE, unit="MiB more")
def test_f29_floods(lab):
    commands = list(FLOODS.values())
    grown = peers.side_by_side(len(commands), lambda i: flood(lab.directory / str(i), commands[i]))
    return dict(zip(FLOODS, grown))


# Calls of the loop -> what the kernel answers to each third of them.
ANSWERS = {"EINTR": "read,write,writev,sendmsg,recvmsg,epoll_wait,epoll_pwait,accept4,connect",
           "EAGAIN": "read,write,writev,sendmsg"}  # fmt: skip


@row("F30", dict.fromkeys(ANSWERS, 0), servers=BOTH, unit="wrong")
def test_f30_interrupted_calls(lab):
    """strace answers in the kernel's place; a thin path makes short writes of all others."""
    lab.start_frps()
    relay = lab.start_relay()
    figures = {}
    for error, calls in ANSWERS.items():
        strace = ["strace", "-D", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                  f"inject={calls}:error={error}:when=20+3"]  # fmt: skip
        agent = lab.start_agent(before=strace)
        relay.tell("rate 3000000")
        figures[error] = lab.start_load("echo", size=300_000, count=4).report()["wrong"]
        relay.tell("pass")
        agent.close()
        network.wait_closed(lab.port1)
    return figures


@pytest.mark.skipif(peers.IS_STOCK, reason="these are our own words")
def test_two_agents_with_one_run_id_are_told(new_lab):
    """Not of the matrix: a state folder that was copied. The second eviction within a minute is explained, and ends it."""
    lab = new_lab(version=peers.NEW)
    try:
        peers.side_by_side(1, lambda _: evict_each_other(lab))
    except AssertionError as error:
        if refusal_in(error):
            pytest.skip(f"the kernel refuses: {refusal_in(error)}")
        raise


def evict_each_other(lab):
    with house_behind_a_wire(lab) as inside:
        lab.start_frps(bind="0.0.0.0")
        env = {"FRP_SERVER": f"10.9.0.1:{lab.server_port}", "MLTUNNEL_READY_PATH": "off"}
        agent = lab.start_agent(want_up=False, **env)
        agent.wait_line("start proxy success", count=2)
        kept = list((lab.directory / "etc").glob("mltunnel-*.run"))
        assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
        run_id = kept[0].read_text().strip()
        copy = lab.directory / "copy"
        shutil.copytree(kept[0].parent, copy)
        time.sleep(SETTLED_S)
        # The other one does not see that there is one: it is on another machine.
        other = lab.start_agent(want_up=False, before=inside, FRP_CONFIG_DIR=str(copy), **env)
        pattern = "another agent has taken its place.*remedy=.*another agent uses this CLIENT_ID.*retry_in=\"?[45]"
        network.wait_until(lambda: agent.find(pattern) or other.find(pattern), "it is told", 20)
        mark = lab.frps.mark()
        time.sleep(8)  # four times what lies between two logins
        assert len(lab.frps.logins(mark)) <= 1, "they go on"
        assert len(agent.find(pattern) + other.find(pattern)) == 1
        for program in (agent, other):
            assert run_id not in program.text()
            assert program.is_running()
