# SPDX-License-Identifier: Apache-2.0
# conftest.py - what the tests on the engine share: one release, one set of images, one project that is up.

import fcntl
import os
import pathlib

import pytest

import engine


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only in scripts/test --full")
    config.addinivalue_line("markers", "alone: measures time under load, so nothing else may run beside it")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("full") and not os.environ.get("MLTUNNEL_FULL")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """once(NAME, make): make(directory) is called by one of the workers; the others wait. The directory."""

    def run(name, make):
        base = tmp_path_factory.getbasetemp()
        base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        directory, done = base / name, base / f"{name}.done"
        with open(base / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                done.write_text("failed, see the first test that wanted it")
                directory.mkdir()
                make(directory)
                done.write_text("")
        assert done.read_text() == "", f"{name}: {done.read_text()}"
        return directory

    return run


@pytest.fixture(scope="session")
def images(once):
    """All images of compose.yaml, built of this tree. MLTUNNEL_IMAGES=1: they are there already."""
    if not os.environ.get("MLTUNNEL_IMAGES"):
        once("images", lambda _: engine.call("docker/images", cwd=engine.HOME, timeout=3000))
    return engine.IMAGES


@pytest.fixture(scope="session")
def release(images, once):
    """The directory that scripts/release filled. MLTUNNEL_RELEASE names one that is there already."""
    if os.environ.get("MLTUNNEL_RELEASE"):
        return pathlib.Path(os.environ["MLTUNNEL_RELEASE"])
    return once("release", lambda out: engine.call("scripts/release", "--out", out, cwd=engine.HOME, timeout=1800))


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


def copy_out(image, path, directory):
    created = engine.docker("create", image, "none")
    try:
        engine.docker("cp", f"{created}:{path}", directory)
    finally:
        engine.docker("rm", created)


@pytest.fixture(scope="session")
def compose_v2(once):
    """Compose v2, as Debian 13 has it; a program that Debian 12 can run. Nothing is installed."""

    def make(directory):
        engine.call("scripts/base-images", "trixie", cwd=engine.HOME, timeout=900)
        engine.docker("build", "-t", "mltunnel-compose-v2", "-", input=COMPOSE_V2, timeout=600)
        copy_out("mltunnel-compose-v2", "/usr/libexec/docker/cli-plugins/docker-compose", directory)

    program = once("compose-v2", make) / "docker-compose"
    assert "version 2." in engine.call(program, "version").stdout
    return program


@pytest.fixture(scope="session")
def extra_ca():
    """What docker/images takes for EXTRA_CA: with another value nothing would come from the cache."""
    if "EXTRA_CA" in os.environ:
        return os.environ["EXTRA_CA"]
    files = sorted(pathlib.Path("/usr/local/share/ca-certificates").glob("*.crt"))
    return "".join(path.read_text() for path in files).rstrip("\n")


@pytest.fixture(scope="session")
def binary(images, once):
    """The program, out of the agent's image; a file that containers may mount."""
    return once("binary", lambda directory: copy_out("mltunnel", "/usr/bin/mltunnel", directory)) / "mltunnel"


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
