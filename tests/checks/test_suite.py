# SPDX-License-Identifier: Apache-2.0
# test_suite.py - scripts/test counts right: each case by itself, and nothing that is lost passes for whole.

import pathlib
import sys
import time

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(HOME / "scripts"))
sys.dont_write_bytecode = True
import suite  # noqa: E402


def entry(stdout, result="OK", returncode=0):
    return {"name": "mltunnel:unit / test_nut", "stdout": stdout, "result": result, "returncode": returncode}


CASES = {
    "two good": (entry("1..2\nok 1 - a\nok 2 - b\n"), ["pass", "pass"]),
    "one bad": (entry("1..2\nok 1 - a\nnot ok 2 - b\n# x.c:1: error\n# not ok - grp\n", "ERROR", 1), ["pass", "fail"]),
    "skip": (entry("1..2\nok 1 - a\nnot ok 2 # SKIP b\n"), ["pass", "skip"]),
    "crash after one": (entry("1..3\nok 1 - a\n", "FAIL", -11), ["pass", "fail"]),
    "leak at the end": (entry("1..1\nok 1 - a\n", "FAIL", 23), ["pass", "fail"]),
    "hung": (entry("", "TIMEOUT", None), ["fail"]),
    "tells no cases": (entry("all well\n"), ["pass"]),
    "tells no cases, fails": (entry("", "FAIL", 1), ["fail"]),
    "two groups": (entry("1..1\nok 1 - a\n1..1\nok 1 - b\n"), ["pass", "pass"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases_of_a_program_are_counted_one_by_one(name):
    given, expected = CASES[name]
    assert [outcome for _, outcome in suite.tap_cases(given)] == expected


def test_a_case_is_named_with_its_program():
    assert suite.tap_cases(entry("1..1\nok 1 - a b\n")) == [("test_nut: a b", "pass")]


def test_the_suite_of_an_entry_is_found():
    assert suite.suites_of(entry("")) == ["unit"]
    assert suite.suites_of({"name": "mltunnel:unit+mltunnel:slow / t"}) == ["unit", "slow"]


def test_a_skip_fails_when_strict(capsys):
    tally = suite.Tally(strict=True)
    tally.add("part", [("a", "pass"), ("b", "skip")], 0.1)
    assert tally.finish() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_a_skip_is_told_otherwise(capsys):
    tally = suite.Tally(strict=False)
    tally.add("part", [("a", "pass"), ("b", "skip")], 0.1)
    assert tally.finish() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"


def test_a_machine_without_an_engine_is_told_and_no_failure(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    monkeypatch.setattr(suite, "HOME", tmp_path)
    tally = suite.Tally(strict=True)
    tally.add("part", [("a", "pass")], 0.1)
    before = ["sh", "-c", "echo engine: the kernel refuses; exit 77"]
    assert suite.run_pytest(tally, "docker", "tests/docker", [], before=before) == suite.CANNOT_RUN
    assert tally.finish() == 0
    told = capsys.readouterr().out.splitlines()
    assert "SKIP  docker: NOT RUN: engine: the kernel refuses" in told
    assert told[-1] == "1 passed, 0 failed, 1 skipped"


def test_an_engine_that_is_broken_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    monkeypatch.setattr(suite, "HOME", tmp_path)
    tally = suite.Tally(strict=True)
    before = ["sh", "-c", "echo engine: set up wrongly; exit 1"]
    suite.run_pytest(tally, "docker", "tests/docker", [], may_retry=True, before=before)
    assert tally.finish() == 1


@pytest.fixture
def images(monkeypatch, tmp_path):
    """images(SCRIPT): an Images whose engine is that script."""
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    monkeypatch.setattr(suite, "HOME", tmp_path)

    def start(script):
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts/engine").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "scripts/engine").chmod(0o755)
        return suite.Images()

    return start


def test_images_are_waited_for(images, tmp_path):
    images(f'sleep 0.5; echo "$@" >{tmp_path}/done').wait()
    assert (tmp_path / "done").read_text() == "tests/docker/images\n"


def test_images_that_never_come_are_ended(images, monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "IMAGES_LIMIT_S", 0.5)
    images(f"echo $$ >{tmp_path}/pid; exec sleep 100").wait()
    assert not pathlib.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_run_that_ends_early_ends_the_images(images, tmp_path):
    one = images(f"echo $$ >{tmp_path}/pid; exec sleep 100")
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.01)
    one.close()
    assert not pathlib.Path("/proc", pid.read_text().strip()).exists()


def test_a_run_of_nothing_fails():
    assert suite.Tally(strict=False).finish() == 1


def test_junit_errors_and_failures_both_fail(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text(
        '<testsuites><testsuite><testcase classname="t.m" name="a"/><testcase classname="t.m" name="b"><error/></testcase>'
        '<testcase classname="t.m" name="c"><failure/></testcase><testcase classname="t.m" name="d"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    assert [outcome for _, outcome in suite.junit_cases(path)] == ["pass", "fail", "fail", "skip"]
    assert suite.junit_cases(tmp_path / "none.xml") == []
