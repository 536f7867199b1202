# SPDX-License-Identifier: Apache-2.0
# test_conformance.py - scripts/conformance tells the truth of a report, and its lists fit each other.

import argparse
import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import xml.etree.ElementTree

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("conformance", str(HOME / "scripts" / "conformance"))
conformance = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance", loader))
loader.exec_module(conformance)

V1 = "github.com/fatedier/frp@v0.70.1/test/e2e/v1/basic/basic.go"
MESSAGE = 'tcp proxy\nUnexpected error:\n    <*net.OpError | 0xc3a1>: \n    dial: refused\n    {\n  Op: "dial",\n}'


def spec(name, state, message=None, file=V1, output=""):
    failure = {"Message": message, "Location": {"FileName": file, "LineNumber": 87}} if message else {}
    return {
        "ContainerHierarchyTexts": ["[Feature: Nut]"], "LeafNodeText": name, "LeafNodeType": "It", "State": state,
        "LeafNodeLocation": {"FileName": file}, "Failure": failure, "RunTime": 1500000000, "CapturedStdOutErr": output,
    }  # fmt: skip


def read(tmp_path, specs, names):
    report = tmp_path / "report.json"
    report.write_text(json.dumps([{"SpecReports": specs}]))
    return conformance.read_report(report, [f"[Feature: Nut] {name}" for name in names])


STATES = {
    "passed": (spec("a", "passed"), "pass", ""),
    "failed": (spec("a", "failed", MESSAGE), "fail", "tcp proxy dial: refused (v1/basic/basic.go:87)"),
    "crashed": (spec("a", "panicked", "Test Panicked"), "fail", "Test Panicked (v1/basic/basic.go:87)"),
    "cut off": (spec("a", "interrupted"), "fail", "interrupted"),
    "never begun": (spec("a", "skipped"), "fail", "not run"),
    "skips itself": (spec("a", "skipped", "no NAT here"), "skip", "no NAT here"),
    "output": (
        spec("a", "failed", "no", output="server\n\x1b[1;34mkey x is unknown\x1b[0m\n\n"), "fail",
        "no (v1/basic/basic.go:87) [last output: key x is unknown]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_a_state_becomes_an_outcome_with_its_reason(tmp_path, state):
    given, outcome, reason = STATES[state]
    (result,) = read(tmp_path, [given], ["a"])
    assert (result["outcome"], result["reason"]) == (outcome, reason)


def test_a_name_the_suite_lacks_fails(tmp_path):
    results = read(tmp_path, [spec("a", "passed")], ["a", "b"])
    assert [result["outcome"] for result in results] == ["pass", "fail"]


def test_a_spec_of_the_ini_suite_does_not_count_for_its_namesake(tmp_path):
    (result,) = read(tmp_path, [spec("a", "passed", file=V1.replace("/v1/", "/legacy/"))], ["a"])
    assert result["outcome"] == "fail"


def test_no_report_is_no_pass(tmp_path):
    (result,) = conformance.read_report(tmp_path / "none.json", ["a"])
    assert result["outcome"] == "fail"


def test_the_gain_counts_what_a_missing_client_would_not_pass():
    results = [{"name": name, "outcome": outcome} for name, outcome in
               (("a", "pass"), ("b", "pass"), ("c", "fail"), ("d", "skip"))]  # fmt: skip
    line = conformance.summary(results, floor={"a", "c"})
    assert line == "2/3 (gain over floor: 1), 1 skipped by the suite itself"


def test_what_is_refused_counts_as_such_only_with_the_words_that_are_listed():
    outcomes = [("as listed", "fail", "x: key y is no good\n"), ("for another reason", "fail", "out of memory"),
                ("not refused", "pass", "key y is no good"), ("not listed", "fail", "key y is no good")]  # fmt: skip
    results = [{"name": name, "outcome": outcome, "reason": "", "output": output} for name, outcome, output in outcomes]
    conformance.judge_refused(results, {name: ("y = 1", "key y is no good") for name, _, _ in outcomes[:3]})
    assert [result["outcome"] for result in results] == ["refused", "fail", "fail", "fail"]
    assert conformance.summary(results, floor=set()) == "0/4 (gain over floor: 0), 1 refused as listed"


def test_the_lists_fit_each_other():
    tcp97, tcp83, all126, floor14 = (
        conformance.names_of(conformance.LISTS / f"{name}.txt")
        for name in ("tcp97", "tcp97-0.65.0", "all126", "floor14")
    )
    assert [len(set(names)) for names in (tcp97, tcp83, all126, floor14)] == [97, 83, 126, 14]
    assert set(tcp83) | set(floor14) <= set(tcp97) <= set(all126)
    refused = conformance.read_refused()
    assert len(refused) == 21 and set(refused) <= set(all126) - set(tcp97)


def test_a_version_has_its_own_form_of_a_list_or_the_common_one():
    assert conformance.list_path("tcp97", "0.65.0").name == "tcp97-0.65.0.txt"
    assert conformance.list_path("tcp97", "0.70.1").name == "tcp97.txt"
    with pytest.raises(conformance.CannotRun):
        conformance.list_path("tcp98", "0.70.1")


def test_results_are_whole_xml_whatever_a_program_wrote(tmp_path):
    class Args:
        version, list, out = "0.70.1", "tcp97", tmp_path

    specs = [{"name": "a", "outcome": "pass", "reason": "", "seconds": 1.0},
             {"name": "b", "outcome": "fail", "reason": "\x00\x1b<&\ud800", "seconds": 1.0}]  # fmt: skip
    run = {"summary": "1/2", "seconds": 2.0, "is_good": False, "specs": specs, "n_sanitizer_reports": 1}
    conformance.write_results(Args, "client", [run, run])
    cases = list(xml.etree.ElementTree.parse(tmp_path / "junit.xml").iter("testcase"))
    assert [case.find("failure") is not None for case in cases] == [False, True, True] * 2
    assert len({case.get("name") for case in cases}) == 6


@pytest.mark.parametrize("again", ("pass", "fail"))
def test_what_failed_is_run_once_more_when_it_is_little(monkeypatch, tmp_path, capsys, again):
    def second_run(number, _peers, _args, _client, names, _floor):
        assert (number, names) == ("1-again", ["b"])
        return {"specs": [{"name": "b", "outcome": again, "reason": ""}], "is_good": again == "pass"}

    specs = [{"name": name, "outcome": outcome, "reason": "late"} for name, outcome in (("a", "pass"), ("b", "fail"))]
    run = {"specs": specs, "is_good": False, "n_sanitizer_reports": None}
    monkeypatch.setattr(conformance, "run_once", second_run)
    conformance.try_again(run, 1, tmp_path, argparse.Namespace(again=1), tmp_path, set())
    assert [result["outcome"] for result in specs] == ["pass", again]
    assert run["is_good"] == (again == "pass")
    assert capsys.readouterr().out == ("passed when run again by itself: b\n" if again == "pass" else "")


@pytest.mark.parametrize("allowed, n_reports", ((0, None), (1, 2)))
def test_too_much_or_a_finding_is_not_run_again(monkeypatch, tmp_path, allowed, n_reports):
    monkeypatch.setattr(conformance, "run_once", lambda *_: pytest.fail("run again"))
    run = {"specs": [{"name": "b", "outcome": "fail"}], "is_good": False, "n_sanitizer_reports": n_reports}
    conformance.try_again(run, 1, tmp_path, argparse.Namespace(again=allowed), tmp_path, set())
    assert not run["is_good"]
