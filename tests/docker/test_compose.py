# SPDX-License-Identifier: Apache-2.0
# test_compose.py - the project of docker/compose.yaml as its user sees it: answers through the tunnel, and no other way.

import base64
import concurrent.futures
import json
import re

import pytest
from engine import IDS, NOFILE, Exec, call, docker, inspect, logs, wait_log, wait_until

CHAT = {"model": "mock-model", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
LOGGED_IN = "login to server success"
NODE_PORTS = (5000, 8080, 5050, 8081)
FIELD_LOAD = {"rate": 30, "seconds": 5, "size": 850}  # what a model at work sends to each of its users


def chat(tokens):
    return ["-N", "-H", "Content-Type: application/json", "-d", json.dumps({**CHAT, "max_tokens": tokens})]


@pytest.mark.parametrize("ident", IDS)
def test_streamed_completion(project, ident):
    said = project.curl(*chat(12), f"http://frps:1{ident}/v1/chat/completions").stdout
    assert len(re.findall(r'^data: .*"content":', said, re.M)) >= 12
    assert said.rstrip().endswith("data: [DONE]")


def test_tokens_come_one_by_one(project):
    """Node 0001 has no nginx in between that would gather them."""
    argv = ["curl", "-sSN", "--fail", "-d", json.dumps({**CHAT, "max_tokens": 40})]
    stream = Exec(project.container("api"), *argv, "http://frps:10001/v1/chat/completions")
    try:
        stream.wait_lines(4)
        assert stream.child.poll() is None and not any("[DONE]" in line for line in stream.lines)
        assert stream.finish() == 0
    finally:
        stream.close()


@pytest.mark.parametrize("ident", IDS)
def test_state(project, ident):
    assert json.loads(project.curl(f"http://frps:2{ident}/api/v1/state").stdout) == {"state": "INFERENCE"}


def test_version_in_the_path_through_nginx(project):
    assert "mock-model" in project.curl("http://frps:10002/v3.0.8/v1/models").stdout


@pytest.mark.alone
def test_500_streams_at_once_directly(project):
    """And few descriptors: the node and the agent in one container, each with 1024."""
    assert docker("exec", project.agent("0001"), "bash", "-c", "ulimit -Hn") == str(NOFILE)
    assert project.load("sse", 10001, **FIELD_LOAD, streams=500)["received"] == 500 * 30 * 5


@pytest.mark.alone
def test_200_streams_at_once_through_nginx(project):
    assert project.load("sse", 10002, **FIELD_LOAD, streams=200)["received"] == 200 * 30 * 5


def test_upload_of_10_mib(project):
    assert project.load("upload", 10001, size=10 * 1024 * 1024, count=2)["exact"]


@pytest.mark.parametrize("ident", IDS)
def test_engine_finds_the_agent_healthy(project, ident):
    wait_until("healthy", lambda: inspect(project.agent(ident), "{{.State.Health.Status}}") == "healthy", 40)


def test_health_is_that_of_the_tunnel(images, scratch_container):
    """An agent that runs and has no server is not ready; it does not end for that."""
    name = scratch_container()
    docker(
        "run", "-d", "--name", name, "--network", "none", "--read-only", "-e", "FRP_SERVER=127.0.0.1:7200",
        "-e", "SECRET_FRP_TOKEN=t", "-e", "CLIENT_ID=0001", "mltunnel",
    )  # fmt: skip

    def status(*argv):
        return call("docker", "exec", name, "/usr/bin/mltunnel", "status", *argv, check=False).returncode

    wait_until("an answer of the agent", lambda: status() == 0, 10)
    assert status("--ready") != 0
    assert inspect(name, "{{.State.Running}}") == "true"


# ---- and no other way


def addresses(project, service):
    """Network -> the container's address there."""
    networks = json.loads(inspect(project.container(service), "{{json .NetworkSettings.Networks}}"))
    return {name: one["IPAddress"] for name, one in networks.items() if one["IPAddress"]}


def open_among(network, targets):
    """Which (address, port) answer a container in that network."""
    tries = " ".join(
        f"(timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>/dev/null && echo {address} {port}) &"
        for address, port in targets
    )
    said = docker("run", "--rm", "--network", network, "--entrypoint", "bash", "mltunnel-api", "-c", f"{tries} wait")
    return {tuple(line.split()) for line in said.splitlines()}


@pytest.mark.parametrize("network", ("bridge", "public", "node", "uplink-1", "uplink-2"))
def test_no_port_of_an_mlnode_answers(project, network):
    """From any network, its own included: the node listens on 127.0.0.1, the agent nowhere."""
    where = network if network == "bridge" else project.network(network)
    targets = []
    for ident in IDS:
        (address,) = addresses(project, project.nodes[ident]).values()
        targets += [(address, port) for port in NODE_PORTS]
    assert open_among(where, targets) == set()


@pytest.mark.parametrize("network", ("bridge", "public", "uplink-1"))
def test_remote_ports_answer_in_the_network_node_only(project, network):
    where = network if network == "bridge" else project.network(network)
    remote = [int(f"{digit}{ident}") for digit in (1, 2) for ident in IDS]
    targets = [(address, port) for address in addresses(project, "frps").values() for port in remote]
    assert open_among(where, targets) == set()
    inside = addresses(project, "frps")[project.network("node")]
    assert open_among(project.network("node"), [(inside, port) for port in remote]) == {
        (inside, str(port)) for port in remote
    }


def test_no_port_of_an_mlnode_is_published(project):
    for service in {*project.nodes.values(), *project.agents.values(), "api"}:
        assert json.loads(inspect(project.container(service), "{{json .HostConfig.PortBindings}}")) in ({}, None)


def test_dashboard_is_for_this_machine_and_with_a_password(project):
    (binding,) = json.loads(inspect(project.container("frps"), "{{json .NetworkSettings.Ports}}"))["7500/tcp"]
    assert binding["HostIp"] == "127.0.0.1"
    url = f"http://127.0.0.1:{binding['HostPort']}/api/proxy/tcp"
    assert call("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", url).stdout == "401"
    word = base64.b64encode(f"admin:{project.env['FRP_DASHBOARD_PASSWORD']}".encode()).decode()
    said = call("curl", "-s", "--noproxy", "*", "-H", f"Authorization: Basic {word}", url).stdout
    names = {proxy["name"] for proxy in json.loads(said)["proxies"] if proxy["status"] == "online"}
    assert names == {f"client-mlnode{kind}-{ident}" for kind in ("", "-port5000") for ident in IDS}


def test_ports_outside_the_two_ranges_are_refused(project, scratch_container):
    name = scratch_container()
    lines = ["[common]", "server_addr = frps", "server_port = 7200", f"token = {project.token}", "", "[too-low]"]
    lines += ["type = tcp", "local_port = 5000", "remote_port = 9999", ""]
    script = f"printf '%s\\n' {' '.join(repr(line) for line in lines)} >/tmp/frpc.ini; exec mltunnel -c /tmp/frpc.ini"
    docker(
        "run", "-d", "--name", name, "--network", project.network("uplink-1"), "--entrypoint", "sh", "mltunnel-mlnode",
        "-c", script,
    )  # fmt: skip
    wait_log(name, "port not allowed")


# ---- secrets, privileges, size


def test_log_of_the_server_is_on_stdout_and_in_the_volume(project):
    assert "client login info" in project.logs("frps")
    said = docker("exec", project.container("frps"), "cat", "/var/log/frps/frps.log")
    assert "client login info" in said


def test_token_is_in_no_argument_log_or_lasting_file(project):
    for service in ("frps", *project.agents.values()):
        container = project.container(service)
        assert project.token not in docker("top", container, "-eo", "pid,args"), service
        assert project.token not in project.logs(service), service
        changed = docker("diff", container)
        assert "frps.toml" not in changed, service
    config = docker("exec", project.container("frps"), "stat", "-c", "%a %U", "/run/frps/frps.toml")
    assert config.split()[0] == "600"


def test_environments_of_processes_have_no_token(project):
    """docker inspect shows what the user set; the processes that could leak it have it no more."""
    for service in ("frps", *project.agents.values()):
        container = project.container(service)
        pids = docker("top", container, "-eo", "pid").split()[1:]
        assert pids
        for pid in pids:
            args = call("cat", f"/proc/{pid}/cmdline").stdout
            with open(f"/proc/{pid}/environ", "rb") as file:
                environ = file.read()
            # The kernel shows frps what it was given at exec; the agent wipes its own.
            assert project.token.encode() not in environ, (service, args)


def test_inspect_shows_only_what_the_user_set(project):
    for service in project.agents.values():
        text = docker("inspect", project.container(service))
        set_by_user = [f"SECRET_FRP_TOKEN={project.token}"]
        env = json.loads(text)[0]["Config"]["Env"]
        assert [one for one in env if project.token in one] == set_by_user
        assert text.count(project.token) == 1
    for image in ("mltunnel", "mltunnel-frps", "mltunnel-mlnode"):
        assert project.token not in docker("history", "--no-trunc", image)


@pytest.mark.parametrize("ident", IDS)
def test_agent_has_no_rights(project, ident):
    container = project.agent(ident)
    pid = inspect(container, "{{.State.Pid}}")
    status = open(f"/proc/{pid}/status").read()
    assert re.search(r"^Uid:\s+65532\s+65532\s+65532\s+65532$", status, re.M)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{kind}:\s+0+$", status, re.M), kind
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert inspect(container, "{{.HostConfig.ReadonlyRootfs}}") == "true"


# ---- a rotated token


def test_rotated_token_is_in_force_after_a_restart(site, tmp_path):
    first = 'first "\\ {{ .x }} word'
    tmp_path.chmod(0o755)  # the server is somebody else
    (tmp_path / "token").write_text(f"{first}\n")
    server = site.start_server("-e", "SECRET_FRP_TOKEN_FILE=/token/token", "-v", f"{tmp_path}:/token:ro")
    old = site.start_agent("0011", first)
    wait_log(old, LOGGED_IN)
    docker("stop", "-t", "5", old)
    (tmp_path / "token").write_text("second\n")
    docker("restart", "-t", "5", server)
    wait_log(site.start_agent("0012", "second"), LOGGED_IN)
    refused = site.start_agent("0013", first)
    wait_log(refused, "the server refused the login")
    assert LOGGED_IN not in logs(refused)


def test_both_nodes_answer_at_once(project):
    def ask(ident):
        return project.load("echo", int(f"1{ident}"), size=200000, count=20)["exact"]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert all(pool.map(ask, IDS))
