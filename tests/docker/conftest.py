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
def release(tmp_path_factory):
    """The directory that scripts/release filled. MLTUNNEL_RELEASE names one that is there already."""
    if os.environ.get("MLTUNNEL_RELEASE"):
        return pathlib.Path(os.environ["MLTUNNEL_RELEASE"])
    out = tmp_path_factory.mktemp("release")
    engine.call("scripts/release", "--out", out, cwd=engine.HOME, timeout=1800)
    return out


@pytest.fixture(scope="session")
def images():
    """All images of compose.yaml, built of this tree. MLTUNNEL_IMAGES=1: they are there already."""
    if not os.environ.get("MLTUNNEL_IMAGES"):
        engine.call("docker/images", cwd=engine.HOME, timeout=3000)
    return engine.IMAGES


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
