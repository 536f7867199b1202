# SPDX-License-Identifier: Apache-2.0
# conftest.py - what the tests on the engine share: one release, one set of images, one project that is up.

import fcntl
import os
import pathlib

import pytest

import engine


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only in scripts/test --full")
    config.addinivalue_line("markers", "engine: needs one, among tests that do not")
    config.addinivalue_line("markers", "alone: measures time under load, so nothing else may run beside it")


# Whole files go to the workers in this order: first what waits a minute or computes one, then the long ones. A file of
# one test brings the worker one more.
ORDER = "pause silent_drop builds field faults check images compose".split()


def pytest_collection_modifyitems(config, items):
    places = {f"test_{name}": place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
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
    """All images of compose.yaml, built of this tree, and those of the tests. MLTUNNEL_IMAGES=1: they are there already."""
    if not os.environ.get("MLTUNNEL_IMAGES"):
        once("images", lambda _: engine.call("tests/docker/images", cwd=engine.HOME, timeout=3000))
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


@pytest.fixture(scope="session")
def compose_v2(images, once):
    """Compose v2, as Debian 13 has it. Nothing is installed."""
    path = "/usr/libexec/docker/cli-plugins/docker-compose"
    program = once("compose-v2", lambda directory: engine.copy_out("mltunnel-test:compose-v2", path, directory)) / "docker-compose"
    assert "version 2." in engine.call(program, "version").stdout
    return program


@pytest.fixture(scope="session")
def tools_image(images):
    """The stage with compiler and libraries, from the cache."""
    argv = ["-f", "docker/agent/Dockerfile", "--target", "tools", "-t", "mltunnel-test:tools"]
    engine.docker("build", "--force-rm", *argv, ".", cwd=engine.HOME, timeout=900)
    return "mltunnel-test:tools"


@pytest.fixture(scope="session")
def binary(images, once):
    """The program, out of the agent's image; a file that containers may mount."""
    return once("binary", lambda directory: engine.copy_out("mltunnel", "/usr/bin/mltunnel", directory)) / "mltunnel"


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
