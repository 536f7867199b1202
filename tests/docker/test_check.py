# SPDX-License-Identifier: Apache-2.0
# test_check.py - mltunnel check inside of containers: what it finds there, and that an agent that runs does not notice.

import json

import pytest
from engine import HARDENED, IDS, call, docker, logs, wait_log


def check(*options, image="mltunnel", entry=()):
    """Of a container of its own: exit status, and check -> the findings."""
    done = call("docker", "run", "--rm", *HARDENED, *options, image, *entry, "check", "--json", check=False, timeout=60)
    return parse(done)


def parse(done):
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["result"] == ("fail" if done.returncode else "pass")
    found = {}
    for one in document["checks"]:
        found.setdefault(one["check"], []).append(one)
    return done.returncode, found


def results(found):
    return {name: [one["result"] for one in several] for name, several in found.items()}


@pytest.fixture
def node(site):
    """A ready node, whose network namespace an agent may share."""
    site.start_server()
    return site.start_node()


def beside(node):
    return ["--network", f"container:{node}"]


@pytest.mark.parametrize("ident", IDS)
def test_beside_an_agent_that_runs(project, ident):
    """What docker exec gives: the container's environment."""
    before = project.logs("frps").count("new proxy")
    log = len(project.logs(project.agents[ident]))
    done = call("docker", "exec", project.agent(ident), "/usr/bin/mltunnel", "check", "--json", check=False)
    status, found = parse(done)
    told = results(found)
    assert status == 0, found
    assert {name: told[name] for name in ("environment", "dns", "tcp", "login", "agent", "management", "exposure")} == {
        "environment": ["pass"], "dns": ["pass"], "tcp": ["pass"], "login": ["pass"], "agent": ["pass"],
        "management": ["pass"], "exposure": ["pass"],
    }  # fmt: skip
    assert "port" not in found
    assert project.token not in done.stdout + done.stderr
    assert project.logs("frps").count("new proxy") == before
    assert len(project.logs(project.agents[ident])) == log
    project.wait_answer(ident, 2)


def test_all_is_well(site, node):
    status, found = check(*beside(node), *site.settings("0021"))
    assert status == 0, found
    assert results(found) == {
        "environment": ["pass"], "dns": ["pass"], "tcp": ["pass"], "tls": ["warn"], "login": ["pass"],
        "port": ["pass", "pass"], "inference": ["pass"], "management": ["pass"], "exposure": ["pass"],
    }  # fmt: skip
    # The ports that it tried are free again.
    agent = site.run("mltunnel", options=[*HARDENED, *site.settings("0021"), "-e", "MLTUNNEL_READY_PATH=off"])
    wait_log(agent, "start proxy success")
    assert "start error" not in logs(agent)


def test_without_a_node(site):
    site.start_server()
    status, found = check("--network", site.network, *site.settings("0022"))
    assert status == 1
    assert results(found)["inference"] == ["warn"] and results(found)["management"] == ["fail"]
    assert all(one.get("remedy") for name in ("inference", "management") for one in found[name])


def test_server_that_is_not_there(site):
    status, found = check("--network", site.network, *site.settings("0023"))
    assert status == 1 and results(found)["dns"] == ["fail"] and found["dns"][0]["remedy"]


def test_another_token(site, node):
    status, found = check(*beside(node), *site.settings("0024", token="another"))
    assert status == 1 and results(found)["login"] == ["fail"] and "token" in found["login"][0]["remedy"]


def test_few_descriptors(site, node):
    status, found = check(*beside(node), "--ulimit", "nofile=1024:1024", *site.settings("0025"))
    assert status == 0 and results(found)["descriptors"] == ["warn"]


def test_node_that_everybody_can_reach(site):
    site.start_server()
    node = site.start_node("mocknode", "--inference", "127.0.0.1:5000", "--management", "0.0.0.0:8080", port=8080)
    ports = ["-e", "MLTUNNEL_INFERENCE_PORT=5000", "-e", "MLTUNNEL_POC_PORT=8080"]
    status, found = check(*beside(node), *site.settings("0026"), *ports)
    assert status == 0 and results(found)["exposure"] == ["warn"] and "8080" in found["exposure"][0]["text"]
    status, found = check(*beside(node), *site.settings("0026"), *ports, "-e", "VAST_TCP_PORT_8080=41234")
    assert status == 1 and results(found)["exposure"] == ["fail"] and "41234" in found["exposure"][0]["text"]


def test_for_a_person(site, node):
    done = call("docker", "run", "--rm", *HARDENED, *beside(node), *site.settings("0027"), "mltunnel", "check")
    assert all(line.split()[0] in ("PASS", "WARN", "FAIL") for line in done.stdout.splitlines())
    assert docker("ps", "-q", "--filter", f"name={node}")
