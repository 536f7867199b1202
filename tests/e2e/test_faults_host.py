# SPDX-License-Identifier: Apache-2.0
# test_faults_host.py - F8 to F14, F25, F26, F30: what the agent's own machine does to it. See faults.py.

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

import network
import peers
from faults import BOTH, LIMIT_S, SETTLED_S, back, row, seconds_of, start
from test_dialing import NAME
from test_dialing import start as start_by_toml
from test_shutdown import Stream

pytestmark = pytest.mark.faults

# ---- F8 names, F25 families


def start_by_name(lab, addresses, **options):
    dns = lab.start_dns()
    dns.tell(f"set {NAME} {addresses}")
    agent = start_by_toml(lab, f'dnsServer = "127.0.0.1:{dns.port}"', server=NAME, **options)
    return dns, agent


@row("F8", {"DNS fails": 1.5, "DNS is silent": 1.9, "server moved": 1.5, "stop during a look-up": 0.5}, servers=BOTH,
     waits_s=30)  # fmt: skip
def test_f08_dns(lab):
    """The last good address stands in. What a silent server may cost: 0.9 s of backoff and 1 s."""
    figures = {}
    lab.start_frps()
    dns, agent = start_by_name(lab, "127.0.0.1 -")
    for how, case in (("fail", "DNS fails"), ("silent", "DNS is silent")):
        time.sleep(SETTLED_S)
        dns.tell(how)
        lab.frps.kill()
        lab.start_frps()
        figures[case] = back(lab)
        dns.tell("answer")
    time.sleep(SETTLED_S)
    lab.frps.kill()
    dns.tell(f"set {NAME} 127.0.0.2 -")
    lab.start_frps(bind="127.0.0.2")
    figures["server moved"] = back(lab)
    dns.tell("silent")
    mark = dns.mark()
    lab.frps.kill()
    dns.wait_event("question", since=mark)
    agent.signal(signal.SIGTERM)
    figures["stop during a look-up"] = seconds_of(agent.wait)
    return figures


def login_took(agent):
    """Seconds from the agent's first line to its login."""
    return agent.wait_line("login to server success", timeout=30)[0] - agent.lines[0][0]


@row("F25", {"IPv4 only": 0.5, "IPv6 only": 0.5, "IPv6 is a black hole": 0.5}, servers=BOTH)
def test_f25_families(lab):
    """Beyond what a numeric address takes."""
    network.command(*"ip -6 route add 2001:db8::/32 dev lo".split())
    network.drop("ip6 daddr 2001:db8::/32")
    lab.start_frps()
    agent = start_by_toml(lab, want_up=False)
    plain, figures = login_took(agent), {}
    for case, addresses, bind in (
        ("IPv4 only", "127.0.0.1 -", "127.0.0.1"),
        ("IPv6 only", "- ::1", "::1"),
        ("IPv6 is a black hole", "127.0.0.1 2001:db8::1,2001:db8::2", "127.0.0.1"),
    ):
        agent.close()
        lab.frps.kill()
        lab.start_frps(bind=bind)
        _, agent = start_by_name(lab, addresses, want_up=False)
        figures[case] = max(0.0, login_took(agent) - plain)
    return figures


# ---- F9 clocks, F10 pauses


@row("F9", {"a day to and fro": 0}, servers=(peers.NEW,), unit="reconnects", waits_s=55)
def test_f09_wall_clock(lab):
    """A library in front of libc's moves the wall clock, so the agent has to be one that loads libraries."""
    build = pathlib.Path(os.environ.get("MLTUNNEL_BUILD", peers.HOME / "build"))
    programs = [peers.agent_program(), *sorted(build.glob("*/mltunnel"))]
    dynamic = [path for path in programs if b"ld-linux" in pathlib.Path(path).read_bytes()[:4096]]
    assert dynamic, "no build of the agent loads libc"
    library, offset = lab.directory / "wallclock.so", lab.directory / "offset"
    source = peers.HOME / "tests/peer/wallclock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    offset.write_text("0")
    lab.start_frps()
    env = {**lab.env(MLTUNNEL_TLS="on", MLTUNNEL_LOG_LEVEL="debug"), "LD_PRELOAD": str(library), "WALLCLOCK": str(offset)}
    agent = lab.keep(peers.Agent(lab, [dynamic[0]], env))
    lab.wait_up()
    for days in (1, -1, 0):
        offset.write_text(str(days))
        time.sleep(17)  # past each deadline of an idle session
        lab.wait_up()
    stamps = {line[:10] for _, line in agent.lines}
    assert len(stamps) > 1, "the clock did not move"
    return {"a day to and fro": len(lab.frps.logins()) - 1}


def pause(lab, seconds, **options):
    agent = start(lab, **options)
    peers.freeze(agent)
    time.sleep(seconds)
    agent.signal(signal.SIGCONT)
    return agent


@row("F10", {"paused 60 s": 2.0}, servers=BOTH, waits_s=65, is_for_stock=True)
def test_f10_paused(lab):
    pause(lab, 60)
    return {"paused 60 s": back(lab)}


@row("F10", {"paused 5 s": 0}, servers=BOTH, unit="streams lost", waits_s=15, is_for_stock=True)
def test_f10_paused_shortly(lab):
    agent = start(lab)
    streams = [Stream(lab.port1, seconds=9) for _ in range(5)]
    peers.freeze(agent)
    time.sleep(5)
    agent.signal(signal.SIGCONT)
    n_whole = 0
    for stream in streams:
        with contextlib.suppress(Exception):
            n_whole += stream.rest() == stream.n_events - 1
    return {"paused 5 s": 5 - n_whole}


# ---- F11 descriptors, F13 and F14 the log

SSE = b"GET /sse?events=100000&rate=2&size=100&stream=1 HTTP/1.1\r\nHost: a\r\n\r\n"


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
        busy, began = agent.cpu_s(), time.monotonic()
        time.sleep(3)  # nothing is free: is that a reason to work?
        share = (agent.cpu_s() - busy) / (time.monotonic() - began)
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


def with_log(lab, script):
    """Milliseconds for 95 of 100 requests, while every line of the log is lost."""
    agent = lab.start_agent(MLTUNNEL_LOG_LEVEL="trace", before=["bash", "-c", script])
    lab.load("churn", count=1000)  # more lines than a pipe holds
    figure = p95_of_requests(lab)
    agent.close()
    network.wait_closed(lab.port1)
    return figure


@row("F13", {"disk full": 10.0}, servers=(peers.NEW,), unit="ms", is_alone=True)
def test_f13_log_disk_full(lab):
    lab.start_frps()
    return {"disk full": with_log(lab, 'exec "$0" 2>/dev/full')}


@row("F14", {"gone": 10.0, "stopped": 10.0}, servers=(peers.NEW,), unit="ms", is_alone=True)
def test_f14_log_reader(lab):
    lab.start_frps()
    return {"gone": with_log(lab, 'exec 2> >(:); exec "$0"'),
            "stopped": with_log(lab, 'exec 2> >(kill -STOP $BASHPID); exec "$0"')}  # fmt: skip


# ---- F26 the interface


def wire_fault(lab, fault):
    """Seconds from the end of the fault until the proxies are registered, or known to have stayed."""
    with network.house_behind_a_wire() as inside:
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


@row("F26", {"address changed": 1.0, "link up again": 1.0}, servers=(peers.NEW,), waits_s=30, n_labs=2)
def test_f26_interface(lab):
    """The kernel tells; what is tried while the link is down fails at once."""
    faults = (change_address, pull_the_plug)

    def one(i):
        with peers.Lab(lab.directory / str(i), lab.version) as inner:
            return wire_fault(inner, faults[i])

    return dict(zip(("address changed", "link up again"), peers.side_by_side(len(faults), one)))


# ---- F30 what the kernel may answer

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
