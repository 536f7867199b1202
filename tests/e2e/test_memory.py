# SPDX-License-Identifier: Apache-2.0
# test_memory.py - what the agent costs when idle, and when those at its ends do not read.

import os
import pathlib
import time

import pytest

import network

pytestmark = pytest.mark.alone

IDLE_S = 32  # longer than any of the agent's or the server's periods
LIMIT_MIB = 32
GROUP_MIB = 64


def n_wake_ups(pid):
    """Of all its threads: each wait that blocked was ended by one."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    return total


def test_idle_with_both_proxies(lab):
    agent = lab.start_agent()
    before = n_wake_ups(agent.pid)
    time.sleep(IDLE_S)  # what is measured: nothing
    per_s = (n_wake_ups(agent.pid) - before) / IDLE_S
    print(f"{agent.rss_mib():.1f} MiB, {per_s:.2f} wake-ups/s")
    assert agent.rss_mib() <= 6
    assert per_s <= 0.5


def test_500_downloads_that_nobody_reads(lab):
    agent = lab.start_agent()
    downloads = lab.start_load("noread", count=500, size=10 << 20, seconds=8)
    downloads.wait_ready()
    assert network.answers(lab.port2), "others are served meanwhile"
    downloads.exact()
    print(f"peak {agent.peak_mib():.1f} MiB")
    assert agent.peak_mib() <= LIMIT_MIB
    assert len(lab.frps.logins()) == 1


def test_500_downloads_on_a_thin_line(lab):
    """Here it is the agent's own window that is shut: nothing of 500 services may pile up in it."""
    relay = lab.start_relay()
    agent = lab.start_agent()
    relay.tell("rate 2000000 up")
    downloads = lab.start_load("noread", count=500, size=1 << 20, seconds=8, timeout="5m")
    downloads.wait_ready()
    time.sleep(6)  # they pile up, or not
    print(f"peak {agent.peak_mib():.1f} MiB")
    assert agent.peak_mib() <= LIMIT_MIB
    relay.tell("pass")
    downloads.exact()
    assert len(lab.frps.logins()) == 1


def test_64_uploads_to_a_service_that_does_not_read(lab):
    agent = lab.start_agent()
    uploads = lab.start_load("stuck-upload", count=64, size=50_000_000, seconds=5)
    uploads.wait_ready()
    lab.load("churn", count=200, parallel=4)
    assert network.answers(lab.port2), "others are served meanwhile"
    uploads.exact()
    print(f"peak {agent.peak_mib():.1f} MiB")
    assert agent.peak_mib() <= LIMIT_MIB
    assert len(lab.frps.logins()) == 1


@pytest.fixture
def group():
    """The folder of a control group with a limit of memory."""
    root = pathlib.Path("/sys/fs/cgroup")
    is_v1 = (root / "memory").is_dir()
    folder = (root / "memory" if is_v1 else root) / f"mltunnel-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(GROUP_MIB << 20))
    except OSError as error:
        pytest.skip(f"the kernel refuses: {error}")
    yield folder
    network.wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the group is empty")
    folder.rmdir()


@pytest.mark.full
def test_more_uploads_stall_than_a_container_has_memory_for(group, lab):
    """Those that wait longest are reset, instead of the agent by the kernel."""
    agent = lab.start_agent(before=["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"])
    uploads = lab.start_load("stuck-upload", count=400, size=50_000_000, seconds=15)
    agent.wait_line("a user is turned away: a limit is reached", timeout=30)
    assert network.answers(lab.port2), "others are served meanwhile"
    uploads.report()
    print(f"{agent.peak_mib():.1f} MiB at the worst")
    assert agent.is_running() and len(agent.find("login to server success")) == 1
    agent.close()
