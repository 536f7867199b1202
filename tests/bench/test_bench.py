# SPDX-License-Identifier: Apache-2.0
# test_bench.py - scripts/bench works: each row has all its figures of both clients and each byte was right. How fast
# anybody was is not asked: see README.md.

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(HOME / "tests/bench"), str(HOME / "tests/e2e")]
sys.dont_write_bytecode = True
import calls  # noqa: E402
import rows  # noqa: E402
import svg  # noqa: E402
import table  # noqa: E402

needs_agent = pytest.mark.skipif(not os.environ.get("MLTUNNEL_BIN"), reason="MLTUNNEL_BIN must name the agent")


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """What a quick run wrote."""
    directory = tmp_path_factory.mktemp("bench")
    argv = [HOME / "scripts/bench", "--quick", "--json", directory / "b.json", "--svg", directory / "b.svg"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert (directory / "b.json").exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads((directory / "b.json").read_text()), (directory / "b.svg").read_text(), done.returncode


@needs_agent
@pytest.mark.parametrize("client", (table.OURS, table.THEIRS))
@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: row.name)
def test_row_is_measured(quick, row, client):
    report = quick[0]
    failures = [one["error"] for one in report["failures"] if (one["row"], one["client"]) == (row.name, client)]
    assert not failures, failures[0]
    samples = [one["figures"] for one in report["samples"] if (one["row"], one["client"]) == (row.name, client)]
    assert len(samples) == 1
    assert not [name for name in row.metrics if not isinstance(samples[0][name], int | float)]


@needs_agent
def test_quick_run_ends_well_and_tells_every_goal(quick):
    report, picture, status = quick
    assert status == 0
    assert [(line["row"], line["metric"]) for line in report["summary"]] == [(g.row, g.metric) for g in table.GOALS]
    xml.etree.ElementTree.fromstring(picture)


def test_calls_of_a_process_are_counted():
    """A child that makes 100 of each: one way the kernel may count them must be near."""
    words = (
        "import os, socket; a, b = socket.socketpair(); print('ready', flush=True); input(); "
        "[(a.send(b'x'), b.recv(1), os.write(a.fileno(), b'x'), os.read(b.fileno(), 1)) for _ in range(100)]; "
        "print('done', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        with contextlib.closing(calls.Calls(child.pid)) as counter:
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"
            n = counter.count()
        child.kill()
    least = 400 if counter.is_exact else 200
    assert least <= n <= least + 10  # its own line in, its line out


def test_every_goal_is_a_figure_of_a_row():
    figures = {(row.name, metric) for row in rows.ROWS for metric in row.metrics}
    assert [(goal.row, goal.metric) for goal in table.GOALS if (goal.row, goal.metric) not in figures] == []


def samples(metric, ours, theirs, row="idle"):
    return [
        {"round": number, "row": row, "client": client, "figures": {metric: value}}
        for client, values in ((table.OURS, ours), (table.THEIRS, theirs))
        for number, value in enumerate(values)
    ]


def test_medians_ratio_and_the_spread_of_its_rounds():
    (line,) = table.summary(samples("start_ms", [1, 9, 2], [10, 10, 4]))
    assert (line["mltunnel"]["median"], line["frpc"]["median"], line["ratio"]) == (2, 10, 0.2)
    assert (line["ratio_min"], line["ratio_max"]) == (0.1, 0.9)


@pytest.mark.parametrize(
    ("row", "metric", "ours", "theirs", "verdict"),
    [
        ("churn", "cpu_ms_per_1000", [33], [100], "aim"),
        ("churn", "cpu_ms_per_1000", [40], [100], "bar"),
        ("churn", "cpu_ms_per_1000", [41], [100], "misses"),
        ("distant-from", "mb_per_s", [18], [10], "aim"),
        ("distant-from", "mb_per_s", [15], [10], "bar"),
        ("distant-from", "mb_per_s", [14], [10], "misses"),
        ("idle", "rss_mib", [6], [1], "bar"),
        ("idle", "rss_mib", [6.1], [100], "misses"),
        ("idle", "start_ms", [11, 12, 13], [10, 10, 10], "misses"),
        ("idle", "start_ms", [9, 12, 13], [10, 10, 10], "even"),
        ("idle", "start_ms", [9, 8, 13], [10, 10, 10], "bar"),
        ("sse-spread", "lost", [0], [0], "bar"),
        ("sse-spread", "lost", [1], [0], "misses"),
        ("mixed", "cpu_s", [9], [1], ""),
    ],
)
def test_verdict(row, metric, ours, theirs, verdict):
    (line,) = table.summary(samples(metric, ours, theirs, row))
    assert line["verdict"] == verdict


@pytest.mark.parametrize(("has_wide_gcm", "ours", "verdict"), [(False, 85, "bar"), (True, 85, "misses"), (True, 65, "bar")])
def test_more_is_asked_of_the_wide_engine(has_wide_gcm, ours, verdict):
    (line,) = table.summary(samples("cpu_s_per_gb", [ours], [100], "bulk-up-8-tls"), has_wide_gcm)
    assert line["verdict"] == verdict


@pytest.mark.parametrize(("is_exact", "verdict"), [(1, "aim"), (0, "inexact")])
def test_no_verdict_on_calls_that_were_not_all_counted(is_exact, verdict):
    both = samples("per_event_spread", [1.3], [4], "calls")
    for sample in both:
        sample["figures"]["is_exact"] = is_exact
    (line,) = table.summary(both)
    assert line["verdict"] == verdict
    xml.etree.ElementTree.fromstring(svg.picture([line], "", ""))


def test_round_with_one_client_only_is_left_out():
    assert table.summary(samples("start_ms", [1], [])) == []
    (line,) = table.summary(samples("start_ms", [1, 5], [2]))
    assert line["mltunnel"]["n"] == 1


def test_nothing_to_divide_by_is_told_and_drawn():
    lines = table.summary(samples("lost", [0], [0], "sse-spread") + samples("start_ms", [2], [4]))
    assert "lost" in table.as_text(lines) and "lost" in table.as_markdown(lines)
    xml.etree.ElementTree.fromstring(svg.picture(lines, "a < b", "c & d"))
    assert {line.count("|") for line in table.as_markdown(lines).splitlines() if line.startswith("|")} == {len(table.HEAD) + 1}


@pytest.mark.parametrize(("x", "words"), [(0, "0"), (1234.6, "1235"), (12.345, "12.3"), (0.5678, "0.568"), (None, "-")])
def test_number(x, words):
    assert table.number(x) == words
