# SPDX-License-Identifier: Apache-2.0
# test_images.py - the agent's image by itself: small, unprivileged, and at home where name services are hostile.

import json
import socket
import time

from engine import HARDENED, call, docker, inspect, wait_log

MIB = 1024 * 1024
IMAGE_MAX = 6 * MIB


def test_all_images_are_built(images):
    for image in images:
        assert docker("image", "inspect", "-f", "{{.Os}}", image) == "linux"


def test_agent_image_is_small(images):
    assert int(docker("image", "inspect", "-f", "{{.Size}}", "mltunnel")) <= IMAGE_MAX


def test_agent_image_has_the_program_of_the_release(binary, release):
    assert binary.read_bytes() == (release / "mltunnel").read_bytes()


def test_agent_image_holds_two_files(images, scratch_container):
    name = scratch_container()
    docker("create", "--name", name, "mltunnel")
    listed = call("sh", "-c", f"docker export {name} | tar t").stdout.split()
    made_by_engine = ("dev/", "proc/", "sys/", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", ".dockerenv")
    files = {path for path in listed if not path.endswith("/") and not path.startswith(made_by_engine)}
    assert files == {"usr/bin/mltunnel", "etc/ssl/certs/ca-certificates.crt"}


def test_agent_image_trusts_the_usual_roots_only(tools_image, scratch_container, tmp_path):
    """A certificate that the building machine trusts besides must not travel in the image."""
    name = scratch_container()
    docker("create", "--name", name, "mltunnel")
    docker("cp", f"{name}:/etc/ssl/certs/ca-certificates.crt", tmp_path / "roots")
    count = (tmp_path / "roots").read_text().count("BEGIN CERTIFICATE")
    usual = docker("run", "--rm", "--entrypoint", "grep", tools_image, "-vc", "^[#!]", "/etc/ca-certificates.conf")
    assert count == int(usual)


def test_agent_image_is_set_up_as_told(images):
    config = json.loads(docker("image", "inspect", "-f", "{{json .Config}}", "mltunnel"))
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/bin/mltunnel"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/mltunnel", "status", "--ready"]


def test_mlnode_image_starts_the_node_through_the_agent(images):
    config = json.loads(docker("image", "inspect", "-f", "{{json .Config}}", "mltunnel-mlnode"))
    assert config["Entrypoint"] == ["/usr/bin/mltunnel", "run", "--", "/usr/bin/start-node"]
    assert not config.get("Cmd")


def test_agent_says_what_is_missing(images):
    done = call("docker", "run", "--rm", *HARDENED, "-e", "FRP_SERVER=frps.example:7200", "mltunnel", check=False)
    assert done.returncode == 2
    assert "CLIENT_ID" in done.stderr and "SECRET_FRP_TOKEN" in done.stderr


def test_foreign_name_services_are_not_asked(images, site, binary):
    """Static glibc would load the container's modules and abort; without dns in nsswitch.conf nothing would be found.
    The server's name is known to the engine's DNS alone."""
    site.start_server()
    mount = ["-v", f"{binary}:/usr/bin/frpc:ro"]
    agent = site.run("mltunnel-test:name-services", "/usr/bin/frpc", options=[*HARDENED, *site.settings("0007"), *mount])
    wait_log(agent, "login to server success")
    mapped = call("cat", f"/proc/{inspect(agent, '{{.State.Pid}}')}/maps").stdout
    assert "libnss" not in mapped and ".so" not in mapped
    # Programs of that image do not find the server.
    assert call("docker", "exec", agent, "getent", "hosts", site.SERVER, check=False).returncode == 2


def test_localhost_needs_no_file(images, scratch_container):
    """The image from scratch: no /etc/nsswitch.conf, and the server on "localhost"."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        name = scratch_container()
        docker(
            "run", "-d", "--name", name, "--network", "host", *HARDENED,
            "-e", f"FRP_SERVER=localhost:{server.getsockname()[1]}", "-e", "SECRET_FRP_TOKEN=t", "-e", "CLIENT_ID=0001",
            "mltunnel",
        )  # fmt: skip
        began = time.monotonic()
        peer, _ = server.accept()
        peer.close()
        assert time.monotonic() - began < 10
