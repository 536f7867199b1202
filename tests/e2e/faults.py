#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# faults.py - what a row of the fault matrix is: its bounds, how it is run and recorded; and the table of all that was.
"""faults.py RECORDS TABLE

RECORDS is what MLTUNNEL_FAULTS named while test_faults.py ran: one JSON object a line for each figure, of several runs."""

import collections
import json
import os
import statistics
import sys
import time

import pytest

import network
import peers

STAGGER_S = 0.25  # between the starts of two rows that run side by side
BOTH = (peers.OLD, peers.NEW)
FAKE = ("fakefrps",)
LIMIT_S = 130  # for what must come back; the stock client may take its time
SETTLED_S = 2.5  # older than the time that lies between two logins


class Row:
    """A fault and what has to hold: bounds is case -> the most (or, with at_least, the least) that is allowed."""

    def __init__(self, run, fault, bounds, unit, at_least, is_long, is_for_stock):
        self.run, self.fault, self.bounds, self.unit = run, fault, bounds, unit
        self.at_least, self.is_long, self.is_for_stock = at_least, is_long, is_for_stock

    def bound(self, case, server):
        bound = self.bounds[case]
        return bound[server] if isinstance(bound, dict) else bound

    def record(self, agent, server, figures):
        path = os.environ.get("MLTUNNEL_FAULTS")
        if not path:
            return
        with open(path, "a") as file:
            for case, value in figures.items():
                line = {
                    "fault": self.fault, "name": self.run.__name__.removeprefix("test_"), "case": case,
                    "bound": self.bound(case, server), "at_least": self.at_least, "unit": self.unit,
                    "agent": agent, "server": server, "value": value,
                }  # fmt: skip
                file.write(json.dumps(line) + "\n")

    def check(self, server, figures):
        """All cases were measured and are within their bounds."""
        print(self.fault, server, figures)
        assert figures.keys() == self.bounds.keys(), figures
        for case, value in figures.items():
            bound = self.bound(case, server)
            is_good = value >= bound if self.at_least else value <= bound
            assert is_good, f"{self.fault} {case}: {value} {self.unit}, the bound is {bound}"


def row(fault, bounds, *, servers, unit="s", at_least=False, is_long=False, is_for_stock=False):
    """Makes a test of a function that takes a Lab and returns case -> figure. Long rows wait, all of them at once; the
    others measure, one by one."""
    def make(run):
        entry = Row(run, fault, bounds, unit, at_least, is_long, is_for_stock)

        @pytest.mark.parametrize("server", servers)
        def test(server, run_row):
            run_row(entry, server)

        test.__name__, test.__doc__, test.row = run.__name__, run.__doc__, entry
        return test

    return make


def seconds_of(act, *args, **options):
    began = time.monotonic()
    act(*args, **options)
    return time.monotonic() - began


def run_one(entry, server, directory):
    version = server if server[0].isdigit() else peers.OLD
    with peers.Lab(directory / f"{entry.run.__name__}-{server}", version, has_raw_node=True) as lab:
        return entry.run(lab)


@pytest.fixture(scope="session")
def run_row(request, tmp_path_factory):
    """The long rows that were chosen run side by side, the others when their turn comes."""
    directory = tmp_path_factory.mktemp("faults")
    agent = peers.AGENT.replace("stock-", "frpc ") if peers.IS_STOCK else "mltunnel"
    chosen = [item for item in request.session.items if hasattr(item.function, "row")]
    keys = [(item.function.row, item.callspec.params["server"]) for item in chosen if item.function.row.is_long]

    def one(i):
        time.sleep(i * STAGGER_S)
        try:
            return run_one(*keys[i], directory)
        except BaseException as error:  # told by its test
            return error

    done = dict(zip(keys, peers.side_by_side(len(keys), one)))

    def run(entry, server):
        try:
            figures = done.get((entry, server)) or peers.side_by_side(1, lambda _: run_one(entry, server, directory))[0]
        except AssertionError as error:
            figures = error
        refusal = refusal_in(figures)
        if refusal:
            pytest.skip(f"the kernel refuses: {refusal}")
        is_failed = isinstance(figures, BaseException)
        if is_failed and not peers.IS_STOCK:
            raise figures
        entry.record(agent, server, dict.fromkeys(entry.bounds) if is_failed else figures)
        if not peers.IS_STOCK:
            entry.check(server, figures)

    return run


def refusal_in(error):
    while isinstance(error, BaseException):
        if isinstance(error, network.Refused):
            return error
        error = error.__cause__
    return None


def start(lab, **options):
    """A server, and an agent that is up and settled."""
    lab.start_frps()
    agent = lab.start_agent(**options)
    time.sleep(SETTLED_S)
    return agent


def start_behind_relay(lab, **options):
    lab.start_frps()
    relay = lab.start_relay()
    agent = lab.start_agent(**options)
    time.sleep(SETTLED_S)
    return relay, agent


def back(lab):
    return lab.wait_up(timeout=LIMIT_S)


# ---- the table


def shown(values, unit, worst_of=max):
    """Median and worst; a case that never came to an end is told."""
    measured = [value for value in values if value is not None]
    if not measured:
        return "not in time", "not in time"
    digits = 0 if max(map(abs, measured)) >= 100 else 2
    worst = "not in time" if len(measured) < len(values) else f"{worst_of(measured):.{digits}f} {unit}"
    return f"{statistics.median(measured):.{digits}f} {unit}", worst


def table(lines):
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in lines:
        key = (int(line["fault"][1:]), line["fault"], line["name"], line["server"], line["case"])
        groups[key][line["agent"]].append(line)
    n_runs = max(len(by_agent.get("mltunnel", ())) for by_agent in groups.values())
    stock = sorted({agent for by_agent in groups.values() for agent in by_agent if agent != "mltunnel"})
    yield "# The fault matrix, measured"
    yield ""
    yield f"Written by `tests/e2e/faults.py` from {n_runs} run{'s' * (n_runs > 1)} of `test_faults.py` and `test_faults_more.py`, on"
    yield "two shared cores. Against stock frps of the version in the column, or a server that misbehaves on command."
    yield "\"not in time\": not within 130 s, or the row could not be completed."
    yield ""
    head = ["fault", "frps", "case", "bound", "n", "median", "worst", *(f"{agent}: median, worst" for agent in stock)]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for key in sorted(groups):
        by_agent = groups[key]
        any_line = next(iter(by_agent.values()))[0]
        sign, unit = "≥" if any_line["at_least"] else "≤", any_line["unit"]
        worst_of = min if any_line["at_least"] else max
        ours = [line["value"] for line in by_agent.get("mltunnel", ())]
        cells = [key[1] + " " + key[2][4:].replace("_", " "), key[3], key[4], f"{sign} {any_line['bound']} {unit}"]
        cells += [str(len(ours)), *(shown(ours, unit, worst_of) if ours else ("-", "-"))]
        for agent in stock:
            theirs = [line["value"] for line in by_agent.get(agent, ())]
            cells.append(", ".join(shown(theirs, unit, worst_of)) if theirs else "")
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    import test_faults

    with open(sys.argv[1]) as records, open(sys.argv[2], "w") as page:
        lines = table([json.loads(line) for line in records])
        page.write("\n".join(lines) + "\n\n" + test_faults.__doc__.strip() + "\n")
