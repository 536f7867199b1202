# SPDX-License-Identifier: Apache-2.0
# test_check.py - mltunnel check: each cause in its line with a remedy, and that an agent that runs does not notice.

import contextlib
import json
import socket
import subprocess

import pytest

import network
import peers

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="ours alone")


def check(lab, *options, **env):
    """The exit status, and the findings: (check, result, text, remedy)."""
    done = subprocess.run([peers.agent_program(), "check", "--json", *options], env=lab.env(**env), capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert peers.TOKEN not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["result"] == ("fail" if done.returncode == 1 else "pass")
    return done.returncode, [(f["check"], f["result"], f["text"], f.get("remedy", "")) for f in document["checks"]]


def results(findings):
    return [(name, result) for name, result, *_ in findings]


def the(findings, name):
    (finding,) = [finding for finding in findings if finding[0] == name]
    return finding


def test_all_is_well(new_lab, version):
    lab = new_lab(version=version)
    lab.start_frps()
    code, findings = check(lab)
    assert code == 0
    assert results(findings) == [
        ("environment", "pass"), ("dns", "pass"), ("tcp", "pass"), ("tls", "warn"), ("login", "pass"), ("port", "pass"),
        ("port", "pass"), ("inference", "pass"), ("management", "pass"), ("exposure", "pass"),
    ]  # fmt: skip
    assert version in the(findings, "login")[2]
    assert "not verified" in the(findings, "tls")[2] and "MLTUNNEL_TLS_CA" in the(findings, "tls")[3]
    network.wait_closed(lab.port1, timeout=1)
    network.wait_closed(lab.port2, timeout=1)


def test_one_line_each_for_a_person(lab):
    done = subprocess.run([peers.agent_program(), "check"], env=lab.env(SECRET_FRP_TOKEN="wrong"), capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1 and not done.stderr
    lines = done.stdout.splitlines()
    assert all(line.split()[0] in ("PASS", "WARN", "FAIL") for line in lines)
    (failed,) = [line for line in lines if line.startswith("FAIL")]
    assert failed.startswith("FAIL login: token in login doesn't match") and "; remedy: give the agent the token" in failed


def test_what_is_wrong_with_the_environment(lab):
    code, findings = check(lab, CLIENT_ID="42", MLTUNNEL_GRACE="long")
    assert code == 1
    assert [f[2].split(":")[0] for f in findings if f[1] == "fail"] == ["CLIENT_ID", "MLTUNNEL_GRACE"]
    assert {f[0] for f in findings} == {"environment", "exposure"}
    assert not lab.frps.logins()


def test_no_configuration_at_all(lab):
    code, findings = check(lab, FRP_SERVER=None, SECRET_FRP_TOKEN=None, CLIENT_ID=None)
    assert code == 1
    assert [f[2].split(":")[0] for f in findings if f[1] == "fail"] == ["FRP_SERVER", "SECRET_FRP_TOKEN", "CLIENT_ID"]


def test_name_that_does_not_exist(lab):
    code, findings = check(lab, FRP_SERVER="frps.invalid:7200")
    assert code == 1 and the(findings, "dns")[1] == "fail" and "DNS" in the(findings, "dns")[3]
    assert "tcp" not in {f[0] for f in findings}
    assert the(findings, "management")[1] == "pass", "the rest is looked at"


def test_nothing_listens(lab):
    lab.frps.kill()
    code, findings = check(lab)
    assert code == 1 and "refused" in the(findings, "tcp")[2]


def test_no_tls_at_the_other_end(lab):
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.Popen([peers.agent_program(), "check", "--json"], stdout=subprocess.PIPE, text=True,
                                env=lab.env(FRP_SERVER=f"127.0.0.1:{server.getsockname()[1]}"))  # fmt: skip
        connection = server.accept()[0]
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        with contextlib.closing(connection):
            out = done.communicate(timeout=30)[0]
    findings = {f["check"]: f for f in json.loads(out)["checks"]}
    assert done.returncode == 1
    assert findings["tcp"]["result"] == "pass" and findings["tls"]["result"] == "fail" and findings["tls"]["remedy"]


def test_port_that_somebody_has(lab):
    lab.start_stock(prefix="taker", ports=(lab.port1, None)).wait_line("start proxy success")
    code, findings = check(lab)
    ports = [f for f in findings if f[0] == "port"]
    assert code == 1 and [f[1] for f in ports] == ["fail", "pass"]
    assert str(lab.port1) in ports[0][2] and "CLIENT_ID used twice" in ports[0][3]


def test_port_not_allowed(new_lab):
    lab = new_lab()
    lab.start_frps(extra=["allowPorts = [{ single = 1 }]"])
    code, findings = check(lab)
    assert code == 1
    assert [(f[1], "allowPorts" in f[3]) for f in findings if f[0] == "port"] == [("fail", True)] * 2


def test_model_that_loads_is_a_warning(lab):
    code, findings = check(lab, MLTUNNEL_INFERENCE_PORT=str(network.free_port()))
    assert code == 0 and the(findings, "inference")[1] == "warn" and "model loads" in the(findings, "inference")[3]


def test_node_that_is_not_there(lab):
    code, findings = check(lab, MLTUNNEL_POC_PORT=str(network.free_port()))
    assert code == 1 and "refused" in the(findings, "management")[2] and "MLTUNNEL_POC_PORT" in the(findings, "management")[3]


def test_node_without_such_a_path(lab):
    code, findings = check(lab, MLTUNNEL_READY_PATH="/no/such/path")
    assert code == 1 and "404" in the(findings, "management")[2] and "MLTUNNEL_READY_PATH" in the(findings, "management")[3]


def test_exposure(lab):
    with socket.create_server(("0.0.0.0", 5007)), socket.create_server(("127.0.0.1", 8080)):
        code, findings = check(lab)
        assert code == 0 and [f[1:3] for f in findings if f[0] == "exposure"] == [("warn", "port 5007 listens beyond this machine")]
        code, findings = check(lab, VAST_TCP_PORT_5007="41234", RUNPOD_TCP_PORT_8080="41235", VAST_TCP_PORT_22="41236")
        found = [f[1:3] for f in findings if f[0] == "exposure"]
    assert code == 1
    assert found == [
        ("fail", "port 5007 is published as 41234 (VAST_TCP_PORT_5007)"),
        ("warn", "port 8080 is published as 41235 (RUNPOD_TCP_PORT_8080), and nothing listens behind it now"),
    ]


def test_ipv6_counts_as_open(lab):
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("::", 8080), family=socket.AF_INET6):
        assert [f[1] for f in check(lab)[1] if f[0] == "exposure"] == ["warn"]
    with socket.create_server(("::1", 8080), family=socket.AF_INET6):
        assert [f[1] for f in check(lab)[1] if f[0] == "exposure"] == ["pass"]


def test_an_agent_that_runs_does_not_notice(new_lab, version):
    lab = new_lab(version=version)
    lab.start_frps()
    agent = lab.start_agent()
    stream = lab.start_load("sse", streams=5, rate=30, seconds=4, size=300)
    mark, server_mark = agent.mark(), lab.frps.mark()
    for _ in range(3):
        code, findings = check(lab)
        assert code == 0 and the(findings, "agent")[1] == "pass"
        assert "port" not in {f[0] for f in findings}
    assert agent.text(mark) == ""
    assert not lab.frps.find("new proxy", server_mark)
    assert network.answers(lab.port1) and network.answers(lab.port2)
    stream.exact()


def test_an_agent_that_is_not_ready(lab):
    agent = lab.start_agent(want_up=False, MLTUNNEL_POC_PORT=str(network.free_port()))
    agent.wait_line("login to server success")
    code, findings = check(lab)
    assert code == 0 and the(findings, "agent")[1] == "warn" and "mltunnel status" in the(findings, "agent")[3]


def test_by_file(lab):
    code, findings = check(lab, "-c", lab.ini(), MLTUNNEL_INFERENCE_PORT=None, MLTUNNEL_POC_PORT=None)
    assert code == 0
    assert {f[0] for f in findings} >= {f"client-mlnode-{lab.client_id}", f"client-mlnode-port5000-{lab.client_id}"}
