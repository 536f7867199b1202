#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# faults.py - what a row of the fault matrix is: its bounds, how it is run and recorded; and the table of all that was.
"""faults.py RECORDS... TABLE

Each file of RECORDS is what MLTUNNEL_FAULTS named while the rows ran: one JSON object a line for each figure."""

import collections
import json
import os
import re
import statistics
import sys
import threading
import time

import pytest

import network
import peers

N_ROUNDS = 5 if peers.IS_FULL else 1
CROWD = 80  # labs of rows that wait: so many at once
FEW = 3  # of rows that are busy for a moment
STAGGER_S = 0.8  # between the starts of two rows: a start is the work of two or three programs
BOTH = (peers.OLD, peers.NEW)
FAKE = ("fakefrps",)
LIMIT_S = 130  # for what must come back; the stock client may take its time
SETTLED_S = 2.5  # older than the time that lies between two logins

# What else looks at a fault.
ALSO = {
    1: "`tests/e2e/test_restart.py`: 20 of 20; `tests/unit/test_retry.c`: the schedule",
    3: "`tests/e2e/test_half_open.py`: at any age of the session, one way only, a stall of 12 s; `tests/sim/test_sim.c`",
    4: "`tests/e2e/test_hostile.py`",
    10: "`tests/unit/test_beat.c`, `tests/sim/test_sim.c`: clocks that are apart",
    12: "each unit test with `failmalloc.h`",
    13: "`tests/loop/test_log.c`, `tests/loop/test_logfile.c`",
    14: "`tests/loop/test_log.c`",
    16: "`tests/e2e/test_memory.py`: by the hundred",
    20: "`tests/sim/test_replay.c`: any split of the bytes",
    21: "`tests/e2e/test_restart.py`: 50 kills; `tests/e2e/test_rival.py`: a state folder that was copied",
    28: "`tests/e2e/test_faults_path.py`: the tries of one agent",
}


# Where a bound is not the plain goal.
BOUNDS = (
    "F3, F21 and F22 at 0.65.0, F22 at 0.69.1: such a server holds a login back until it has found the old session dead itself,"
    " after 40 s at most.",
    "F6, to the server: a window of the server decides, the same for both clients; 5 % are left to the measurement.",
    "F6, from the server: half as much again as the 10.4 MB/s to which the stock client's window limits it.",
    "F8, a silent name server: 1 s of it is waited for, after a backoff of up to 0.9 s.",
    "F15, no answer: 10 s are the limit, the rest is the machine's.",
)


class Row:
    """A fault and what has to hold: bounds is case -> the most (or, with at_least, the least) that is allowed."""

    def __init__(self, run, fault, bounds, **how):
        self.run, self.fault, self.bounds = run, fault, bounds
        self.unit, self.at_least = how["unit"], how["at_least"]
        self.waits_s, self.is_alone, self.is_for_stock = how["waits_s"], how["is_alone"], how["is_for_stock"]
        self.n_labs = how["n_labs"]

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


def row(fault, bounds, *, servers, unit="s", at_least=False, waits_s=0, n_labs=1, is_alone=False, is_for_stock=False):
    """Makes a test of a function that takes a Lab and returns case -> figure.

    Rows that wait run all at once, the longest first, as far as there is room for the labs (of a server, an agent and a
    node) that each has; so do, after them, a few at a time of those that are busy for a moment; rows that measure
    milliseconds or MiB/s have the machine for themselves."""

    def make(run):
        entry = Row(run, fault, bounds, unit=unit, at_least=at_least, waits_s=waits_s, n_labs=n_labs,
                    is_alone=is_alone, is_for_stock=is_for_stock)  # fmt: skip

        @pytest.mark.parametrize("server", servers)
        def test(server, run_row):
            run_row(entry, server)

        test.__name__, test.__doc__, test.row = run.__name__, run.__doc__, entry
        return test

    return make


def run_one(entry, server, directory, number):
    version = server if server[0].isdigit() else peers.OLD
    with peers.Lab(directory / f"{entry.run.__name__}-{server}-{number}", version, has_raw_node=True) as lab:
        lab.round = number
        return entry.run(lab)


def run_at_once(tasks, n_labs):
    """Starts each of the tasks, (labs it needs, call), when there is room for its labs, in a network of its own; what
    they returned or raised, in order."""
    results, threads, left = [None] * len(tasks), [], n_labs
    news = threading.Condition()

    def work(i, needed, call):
        nonlocal left
        try:
            network.enter_own_network()
            results[i] = call()
        except BaseException as error:  # told by the test of that row
            results[i] = error
        with news:
            left += needed
            news.notify()

    for i, (needed, call) in enumerate(tasks):
        with news:
            news.wait_for(lambda needed=needed: left >= min(needed, n_labs))
            left -= needed
        threads.append(threading.Thread(target=work, args=(i, needed, call)))
        threads[-1].start()
        time.sleep(STAGGER_S)
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(scope="session")
def run_row(request, tmp_path_factory):
    """The rows that were chosen run when the first of them is asked for, but those that are alone, whose turn comes."""
    directory = tmp_path_factory.mktemp("faults")
    agent = peers.AGENT.replace("stock-", "frpc ") if peers.IS_STOCK else "mltunnel"
    chosen = [item for item in request.session.items if hasattr(item.function, "row")]
    keys = [(item.function.row, item.callspec.params["server"]) for item in chosen]
    done = {}

    def rounds(those, count):
        todo = [(entry, server, number) for number in range(N_ROUNDS) for entry, server in those]
        todo.sort(key=lambda one: -one[0].waits_s)
        tasks = [(one[0].n_labs, lambda one=one: run_one(*one[:2], directory, one[2])) for one in todo]
        for (entry, server, _), figures in zip(todo, run_at_once(tasks, count)):
            done.setdefault((entry, server), []).append(figures)

    rounds([key for key in keys if key[0].waits_s], CROWD)
    rounds([key for key in keys if not key[0].waits_s and not key[0].is_alone], FEW)

    def run(entry, server):
        if entry.is_alone:
            rounds([(entry, server)], 1)
        results = done.pop((entry, server))
        refusal = next(filter(None, map(refusal_in, results)), None)
        if refusal:
            pytest.skip(f"the kernel refuses: {refusal}")
        for figures in results:
            is_failed = isinstance(figures, BaseException)
            entry.record(agent, server, dict.fromkeys(entry.bounds) if is_failed else figures)
        if peers.IS_STOCK:  # is measured, not judged
            return
        for figures in results:
            if isinstance(figures, BaseException):
                raise figures
            entry.check(server, figures)

    return run


def refusal_in(error):
    while isinstance(error, BaseException):
        if isinstance(error, network.Refused):
            return error
        error = error.__cause__
    return None


def seconds_of(act, *args, **options):
    began = time.monotonic()
    act(*args, **options)
    return time.monotonic() - began


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
    stock = sorted({agent for by_agent in groups.values() for agent in by_agent if agent != "mltunnel"})
    yield "# The fault matrix, measured"
    yield ""
    yield "Written by `scripts/test --full`, which runs each row five times, many of them side by side, on two cores; frpc in the"
    yield "same run. Against stock frps of the version in the column, or a server that misbehaves on command."
    yield "\"not in time\": not within 130 s, or the row could not be completed. n is more than 5 where a row failed in a round and was"
    yield "run again by itself: all its figures are here."
    yield ""
    yield from (f"- {text}" for text in BOUNDS)
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


def holders():
    """Number of the fault -> file -> names of its tests."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in sorted((peers.HOME / "tests").rglob("test_*")):
        if path.suffix in (".py", ".c"):
            for name, number in re.findall(r"^(?:def|static void) (test_f(\d\d)_\w+)", path.read_text(), re.MULTILINE):
                found[int(number)][str(path.relative_to(peers.HOME))].append(name)
    return found


def table_of_tests():
    yield "| fault | its tests | others |"
    yield "|---|---|---|"
    for number, tests in sorted(holders().items()):
        files = (f"`{file}`: " + ", ".join(f"`{name}`" for name in names) for file, names in tests.items())
        yield f"| F{number} | {'; '.join(files)} | {ALSO.get(number, '')} |"


def main(*paths):
    lines = []
    for path in paths[:-1]:
        with open(path) as records:
            lines += [json.loads(line) for line in records]
    with open(paths[-1], "w") as page:
        page.write("\n".join([*table(lines), "", *table_of_tests(), ""]))


if __name__ == "__main__":
    main(*sys.argv[1:])
