# SPDX-License-Identifier: Apache-2.0
# test_field.py - the agent in the images of the field: as frpc under their start script, and in that script's place.

import json
import re

import pytest
from engine import HOME, call, docker, inspect, logs, wait_log

SCRIPT = HOME / "tests/docker/field-start"
# Release of bash -> the stand-in that has it.
STANDINS = {"5.1": "mltunnel-standin", "5.2": "mltunnel-test:bash-5.2"}
CHAT = json.dumps({"model": "mock-model", "stream": True, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9})


@pytest.fixture(scope="module", params=STANDINS)
def standin(images, request):
    """The stand-in with that bash."""
    image = STANDINS[request.param]
    assert f"version {request.param}." in docker("run", "--rm", image, "bash", "--version")
    return image


def start(site, image, binary, ident, *argv, options=()):
    mounts = ["-v", f"{binary}:/usr/bin/frpc:ro", "-v", f"{binary}:/usr/bin/mltunnel:ro", "-v", f"{SCRIPT}:/usr/bin/field-start:ro"]
    return site.run(image, *argv, options=[*mounts, *site.settings(ident), *options])


def answers(site, ident):
    """A streamed completion at one port, a state at the other."""
    said = site.curl("-N", "-d", CHAT, f"http://{site.SERVER}:1{ident}/v1/chat/completions").stdout
    assert said.count('"content":') == 9 and said.rstrip().endswith("data: [DONE]")
    assert json.loads(site.curl(f"http://{site.SERVER}:2{ident}/api/v1/state").stdout) == {"state": "INFERENCE"}


def test_as_frpc_under_the_start_script(standin, site, binary):
    """The container is there before the server, which ends the stock client for good; then it is started again on the
    same disk, after an end that nobody could prepare."""
    node = start(site, standin, binary, "0042", "/usr/bin/field-start")
    wait_log(node, "the server's name does not resolve")
    server = site.start_server()
    answers(site, "0042")
    assert re.search(r"field-start: line \d+: .*: (syntax error: )?operand expected", logs(node)), "the script has its mistake"
    assert inspect(node, "{{.State.Pid}}") != "0"
    docker("stop", "-t", "1", node)
    assert inspect(node, "{{.State.ExitCode}}") == "137", "bash does not hear SIGTERM"
    docker("start", node)
    answers(site, "0042")
    assert "client-mlnode-port5000-0042" in logs(server) and "client-mlnode-0042" in logs(server)


def test_in_the_place_of_the_start_script(standin, site, binary):
    site.start_server()
    node = start(site, standin, binary, "0043", "run", "--", "/usr/bin/start-node", options=["--entrypoint", "/usr/bin/mltunnel"])
    answers(site, "0043")
    docker("stop", "-t", "30", node)
    assert inspect(node, "{{.State.ExitCode}}") == "0", logs(node)[-2000:]


def test_script_that_still_starts_frpc_beside_our_entrypoint(standin, site, binary):
    """An operator changed the entrypoint alone: one tunnel, and the second copy says so and goes."""
    server = site.start_server()
    node = start(site, standin, binary, "0044", "run", "--", "/usr/bin/field-start", options=["--entrypoint", "/usr/bin/mltunnel"])
    answers(site, "0044")
    wait_log(node, "another agent still serves these proxies", timeout=30)
    answers(site, "0044")
    assert logs(server).count("client login info") == 1
    assert "frpc" not in docker("top", node, "-eo", "pid,args")


def test_old_openssl_in_the_library_path_is_not_looked_at(site, standin, binary):
    """It is there, another program would load it, and the agent has no library at all."""
    site.start_server()
    node = start(site, standin, binary, "0045", "/usr/bin/frpc")
    wait_log(node, "login to server success")
    assert call("docker", "exec", node, "sh", "-c", "ldd /usr/bin/curl | grep -q '=> /opt/node/libssl'", check=False).returncode == 0
    maps = call("cat", f"/proc/{inspect(node, '{{.State.Pid}}')}/maps").stdout
    assert "/usr/bin/frpc" in maps and ".so" not in maps
