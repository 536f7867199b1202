# SPDX-License-Identifier: Apache-2.0
# conftest.py - what the tests on the engine share: one release, one set of images, one project that is up.

import os
import pathlib

import pytest

import engine


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only in scripts/test --full")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("full") and not os.environ.get("MLTUNNEL_FULL")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def images():
    """All images of compose.yaml, built of this tree. MLTUNNEL_IMAGES=1: they are there already."""
    if not os.environ.get("MLTUNNEL_IMAGES"):
        engine.call("docker/images", cwd=engine.HOME, timeout=3000)
    return engine.IMAGES


@pytest.fixture(scope="session")
def release(images, tmp_path_factory):
    """The directory that scripts/release filled. MLTUNNEL_RELEASE names one that is there already."""
    if os.environ.get("MLTUNNEL_RELEASE"):
        return pathlib.Path(os.environ["MLTUNNEL_RELEASE"])
    out = tmp_path_factory.mktemp("release")
    engine.call("scripts/release", "--out", out, cwd=engine.HOME, timeout=1800)
    return out


@pytest.fixture(scope="session")
def project(images, tmp_path_factory):
    """The network node and two MLNodes, ready. Who breaks it mends it."""
    one = engine.Project(tmp_path_factory.mktemp("project"))
    try:
        one.up()
        one.wait_ready()
        yield one
    finally:
        one.down()


COMPOSE_V2 = """\
FROM debian:trixie-slim
RUN for try in 1 2 3 4 5; do \\
      apt-get -q -o Acquire::Retries=5 update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=5 \\
        install --no-install-recommends docker-compose && break; \\
      [ $try -lt 5 ] || exit 1; sleep 3; \\
    done; rm -rf /var/lib/apt/lists/*
"""


@pytest.fixture(scope="session")
def compose_v2(tmp_path_factory):
    """Compose v2, as Debian 13 has it; a program that Debian 12 can run. Nothing is installed."""
    engine.call("scripts/base-images", "trixie", cwd=engine.HOME, timeout=900)
    engine.docker("build", "-t", "mltunnel-compose-v2", "-", input=COMPOSE_V2, timeout=600)
    target = tmp_path_factory.mktemp("compose") / "docker-compose"
    created = engine.docker("create", "mltunnel-compose-v2")
    try:
        engine.docker("cp", f"{created}:/usr/libexec/docker/cli-plugins/docker-compose", target)
    finally:
        engine.docker("rm", created)
    assert "version 2." in engine.call(target, "version").stdout
    return target


@pytest.fixture(scope="session")
def extra_ca():
    """What docker/images takes for EXTRA_CA: with another value nothing would come from the cache."""
    if "EXTRA_CA" in os.environ:
        return os.environ["EXTRA_CA"]
    files = sorted(pathlib.Path("/usr/local/share/ca-certificates").glob("*.crt"))
    return "".join(path.read_text() for path in files).rstrip("\n")


@pytest.fixture(scope="session")
def binary(images, tmp_path_factory):
    """The program, out of the agent's image; a file that containers may mount."""
    target = tmp_path_factory.mktemp("binary") / "mltunnel"
    created = engine.docker("create", "mltunnel")
    try:
        engine.docker("cp", f"{created}:/usr/bin/mltunnel", target)
    finally:
        engine.docker("rm", created)
    return target


@pytest.fixture
def site(images):
    """A network of this test's own."""
    one = engine.Site()
    yield one
    one.close()


@pytest.fixture
def scratch_container():
    """Names of containers that go when the test does."""
    names = []

    def make():
        names.append(engine.label_of_run())
        return names[-1]

    yield make
    for name in names:
        engine.call("docker", "rm", "-f", "-v", name, check=False)
