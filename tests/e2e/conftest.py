# SPDX-License-Identifier: Apache-2.0
# conftest.py - fixtures of the end-to-end tests. Each worker has a network of its own where the kernel allows.

import pytest

import network
import peers
from faults import run_row  # noqa: F401, a fixture


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures time or memory, and gets the machine to itself")
    config.addinivalue_line("markers", "faults: the fault matrix; see faults.py")
    config.addinivalue_line("markers", "full: only in scripts/test --full")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("full") and not peers.IS_FULL]
    if peers.IS_STOCK:  # the fault matrix compares it in some rows only
        left_out += [item for item in items if hasattr(item.function, "row") and not item.function.row.is_for_stock]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def own_network():
    """Tests run one by one in a worker, in the thread that makes this fixture."""
    return network.enter_own_network()


@pytest.fixture
def new_lab(tmp_path):
    """Makes labs that end with the test."""
    labs = []

    def make(**options):
        lab = peers.Lab(tmp_path / f"lab{len(labs)}", **options)
        labs.append(lab)
        return lab

    yield make
    for lab in reversed(labs):
        lab.close()


@pytest.fixture(params=(peers.OLD, peers.NEW))
def version(request):
    """A stock server's version."""
    return request.param


@pytest.fixture
def lab(new_lab):
    """A node and an old server; the agent is the test's to start."""
    lab = new_lab()
    lab.start_frps()
    return lab
