# SPDX-License-Identifier: Apache-2.0
# test_fault_rows.py - each of the faults F1 to F30 has a test that is named after it.

import pathlib
import sys

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(HOME / "tests/e2e"))
sys.dont_write_bytecode = True
import faults  # noqa: E402


def test_each_fault_has_a_test():
    assert sorted(faults.holders()) == list(range(1, 31))
