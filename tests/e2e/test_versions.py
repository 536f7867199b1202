# SPDX-License-Identifier: Apache-2.0
# test_versions.py - a smoke test with the servers that are not tried with everything.

import pytest

import network
import peers

MIB = 1 << 20


@pytest.mark.parametrize("tls", ("on", "off"))
@pytest.mark.parametrize("server", peers.OTHERS)
def test_smoke(new_lab, server, tls):
    lab = new_lab(version=server)
    lab.start_frps(is_tls_forced=tls == "on")
    lab.start_agent(tls=tls)
    assert network.get(lab.port2, "/api/v1/state")[0] == 200
    lab.load("echo", size=10 * MIB)
    lab.load("download", size=32 * MIB)
    report = lab.load("sse", streams=20, rate=30, seconds=2)
    assert report["received"] == 20 * 30 * 2
    lab.load("churn", count=200, parallel=4)
    assert len(lab.frps.logins()) == 1
