# SPDX-License-Identifier: Apache-2.0
# test_faults_users.py - F15 to F17 and F27: the service, its users, and the end of the agent. See faults.py.

import contextlib
import signal
import socket
import statistics
import time

import pytest

import network
import peers
from faults import BOTH, row, seconds_of, start, start_behind_relay
from test_causes import full_listener
from test_shutdown import Stream

MIB = 1 << 20

pytestmark = pytest.mark.faults

# ---- F15 the service, F16 those who do not read, F17 ends


@row("F15", {"refused": 0.1}, servers=BOTH, is_for_stock=True)
def test_f15_service_refuses(lab):
    lab.node.inference = network.free_port()
    start(lab, want_up=False)
    network.wait_answers(lab.port2)
    return {"refused": statistics.median(user_is_closed(lab.port1) for _ in range(20))}


@row("F15", {"no answer": 10.6}, servers=BOTH, waits_s=15, is_for_stock=True)
def test_f15_service_hangs(lab):
    """10 s until it is given up, and what a busy machine takes."""
    with contextlib.ExitStack() as stack:
        lab.node.inference = full_listener(stack)
        start(lab, want_up=False)
        network.wait_answers(lab.port2)
        return {"no answer": user_is_closed(lab.port1)}


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


@row("F16", {"memory": 64.0, "kept of it": 2.0}, servers=BOTH, unit="MiB more", is_for_stock=True)
def test_f16_stalled_streams(lab):
    """A service that does not read keeps its uploads, so that it has to go before all of it can be given back."""
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
    lab.node.kill()
    with contextlib.suppress(AssertionError):
        network.wait_until(lambda: agent.rss_mib() - before <= 2, "memory is given back", timeout=5)
    return {"memory": more, "kept of it": agent.rss_mib() - before}


@row("F16", {"others": 0.9}, servers=BOTH, unit="of their throughput", at_least=True)
def test_f16_others(lab):
    """A line of 8 MB/s is what they have, with and without 40 that are stalled."""
    relay, _ = start_behind_relay(lab)
    relay.tell("rate 8000000")
    before = lab.load("download", size=32 * MIB, timeout="2m")["mib_per_s"]
    relay.tell("pass")
    for command in ("noread", "stuck-upload"):
        lab.start_load(command, count=20, size=50_000_000, seconds=60).wait_ready()
    time.sleep(5)  # the server takes 6 MiB of each before it stops
    relay.tell("rate 8000000")
    return {"others": lab.load("download", size=32 * MIB, timeout="2m")["mib_per_s"] / before}


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


@row("F17", {"RST": 1.0, "FIN": 1.0}, servers=BOTH, unit="ms", is_alone=True, is_for_stock=True)
def test_f17_abort(lab):
    """From the user through server and agent to the service, half of fifteen."""
    start(lab)
    log = f"127.0.0.1:{lab.node.management}"
    return {how: statistics.median(lab.load("abort", how=how.lower(), what="sse", log=log)["seen_after_ms"]
                                   for _ in range(15)) for how in ("RST", "FIN")}  # fmt: skip


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
