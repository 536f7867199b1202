# SPDX-License-Identifier: Apache-2.0
# test_traffic.py - the main job: every byte, event and end crosses the tunnel, and in time.

import json

import pytest

import network
import peers

MIB = 1 << 20
WAYS = [(version, tls) for version in (peers.OLD, peers.NEW) for tls in ("on", "off")]

# Figures of time and load mean something only without others at work.
pytestmark = pytest.mark.alone


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]}-tls-{way[1]}")
def tunnel(request, tmp_path_factory):
    """One for all tests of a server version and way: they are also a long life for the session."""
    version, tls = request.param
    with peers.Lab(tmp_path_factory.mktemp("tunnel"), version, has_raw_node=True) as lab:
        # A server that insists on TLS proves that it is used.
        lab.start_frps(is_tls_forced=tls == "on")
        lab.agent = lab.start_agent(tls=tls)
        yield lab
        assert len(lab.frps.logins()) == 1, "the session broke under load"


def test_get_on_both_ports(tunnel):
    assert network.get(tunnel.port1, "/v1/models")[0] == 200
    assert json.loads(network.get(tunnel.port2, "/api/v1/state")[1]) == {"state": "INFERENCE"}


def test_post_of_10_mib_comes_back_the_same(tunnel):
    assert tunnel.load("echo", size=10 * MIB)["bytes"] == 10 * MIB


def test_download_of_256_mib_has_the_right_sha256(tunnel):
    direct = peers.load("download", tunnel.node.inference, size=256 * MIB, seed=7)
    through = tunnel.load("download", size=256 * MIB, seed=7)
    assert through["sha256"] == direct["sha256"]


def test_500_sse_streams_lose_nothing(tunnel):
    report = tunnel.load("sse", streams=500, rate=30, seconds=10, size=850)
    assert report["received"] == report["events"] == 500 * 30 * 10
    assert (report["lost"], report["damaged"], report["reordered"]) == (0, 0, 0)


def test_1000_connections_within_a_second_are_all_answered(tunnel):
    for _ in range(3):
        report = peers.Load("connect", tunnel.port1, count=1000, within="1s").report()
        is_late = report["opened_within_ms"] > 1000  # a busy machine: the users themselves were not fast enough
        assert report["wrong"] == int(is_late), report
        if not is_late:
            return
    raise AssertionError(f"no burst within a second: {report}")


@pytest.mark.parametrize("what", ("sse", "hang"))
@pytest.mark.parametrize("how", ("fin", "rst"))
def test_abort_by_the_user_reaches_the_service(tunnel, how, what):
    for _ in range(10):
        tunnel.load("abort", how=how, what=what, log=f"127.0.0.1:{tunnel.node.management}", limit="100ms")


def test_end_by_the_service_reaches_the_user(tunnel):
    for _ in range(10):
        assert tunnel.load("end", how="fin", limit="100ms")["seen_how"] == "fin"


def test_reset_by_the_service_ends_the_user(tunnel):
    tunnel.load("end", how="rst", limit="100ms")
