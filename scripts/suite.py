# SPDX-License-Identifier: Apache-2.0
# suite.py - what scripts/test runs: which parts there are, how their tests are counted, what is said of them.
"""Builds and runs all tests; prints one line per part and "N passed, N failed" at the end."""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

HOME = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("MLTUNNEL_BUILD", HOME / "build")).resolve()
LOGS = BUILD / "log"

# The suites of meson.build, in the order of the floors.
SUITES = ("unit", "sim", "vectors", "loop", "fuzz")
# --only takes a suite or one of these.
OTHERS = ("checks", "coverage", "static", "e2e", "bench", "conformance", "manifests", "docker")
# What a whole run has time for, and a quick one.
LONG = {"docker"}
NOT_QUICK = {"coverage", "static", "e2e", "bench", "conformance", "manifests", "docker"}

# Build directory -> environment and options of its setup.
BUILDS = {
    "gcc": ({"CC": "gcc", "CXX": "g++"}, ["--buildtype=debug", "-Dwerror=true", "-Dgcm=openssl"]),
    "clang-asan": (
        {"CC": "clang-14", "CXX": "clang++-14"},
        ["--buildtype=debug", "-Dwerror=true", "-Dgcm=openssl", "-Db_sanitize=address,undefined", "-Db_lundef=false"],
    ),
    "static": ({"CC": "gcc", "CXX": "g++"}, ["--buildtype=release", "-Dwerror=true", "-Dgcm=openssl", "-Dstatic=true"]),
}
# What to compile of a build; all of it when nothing is said. The static one is run, not tested from inside.
TARGETS = {"static": ["mltunnel", "tests/peer/fakefrps"]}
# Sanitizers end a program at the first finding; leaks count.
SANITIZER = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
SECOND_TRIES = 8  # of a part of the end-to-end tests
SPECS_AGAIN = 2  # of a run of frp's suite
IMAGES_LIMIT_S = 900  # for what is still to be built when it is waited for
PART_LIMIT_S = 3600  # a part that hangs longer than any honest one
CANNOT_RUN = 77  # status of scripts/engine: this machine can have no engine


class Tally:
    """Counts of the whole run, and the names of what did not pass."""

    def __init__(self, strict):
        self.strict = strict  # under CI a test that was skipped is a test that is missing
        self.passed = self.failed = self.skipped = 0
        self.names = []

    def add(self, part, cases, seconds, log=None):
        """cases: (name, "pass" | "fail" | "skip"). Prints the part's line."""
        counts = {"pass": 0, "fail": 0, "skip": 0}
        for name, outcome in cases:
            if outcome == "skip" and self.strict:
                name, outcome = f"{name} (skipped, and CI allows no skips)", "fail"
            counts[outcome] += 1
            if outcome == "fail":
                self.names.append(f"{part}: {name}")
        self.passed += counts["pass"]
        self.failed += counts["fail"]
        self.skipped += counts["skip"]
        words = [f"{counts['pass']} passed"] if counts["pass"] else []
        words += [f"{counts['fail']} FAILED"] if counts["fail"] else []
        words += [f"{counts['skip']} skipped"] if counts["skip"] else []
        mark = "FAIL" if counts["fail"] else "ok"
        print(f"{mark:<5} {part:<22} {', '.join(words) or 'done':<34} {seconds:7.1f} s", flush=True)
        if counts["fail"] and log:
            print(f"      see {shown(log)}", flush=True)

    def leave_out(self, part, why):
        """A part that this machine cannot run, whoever asks: told loudly, and no failure even under CI."""
        self.skipped += 1
        print(f"SKIP  {part}: NOT RUN: {why}", flush=True)

    def finish(self):
        if self.names:
            print("\nfailed:")
            for name in self.names:
                print(f"  {name}")
            print()
        if self.passed + self.failed == 0:
            print("suite: nothing was run", file=sys.stderr)
            self.failed = 1
        tail = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{tail}")
        return 1 if self.failed else 0


def shown(path):
    return os.path.relpath(path, HOME) if HOME in path.parents else path


def run(log, argv, env=None, append=False):
    """Run argv in the tree with its output in log; its exit status, 124 when it hung."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab" if append else "wb") as out:
        out.write(f"$ {shlex.join(map(str, argv))}\n".encode())
        out.flush()
        try:
            child = subprocess.Popen(
                argv, cwd=HOME, env={**os.environ, **(env or {})}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            out.write(f"{error}\n".encode())
            return 127
        try:
            return child.wait(PART_LIMIT_S)
        except subprocess.TimeoutExpired:
            out.write(f"\nsuite: stopped after {PART_LIMIT_S} s\n".encode())
            return 124
        finally:
            if child.poll() is None:
                end_group(child)


def end_group(child):
    """The child is a session leader: what it started ends with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(10)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def last_words(log):
    """What a person looks for first in a log: the first error, else the last line."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for line in lines:
        if re.search(r"(?i)\berror\b:|ERROR:|FAILED:", line):
            return line.strip()[:160]
    return lines[-1].strip()[:160] if lines else "no output"


# ---- builds -------------------------------------------------------------------------------------------------------


def build(tally, name, targets=None):
    """Configure (again when the options changed) and compile; True when all of it worked."""
    began, log, directory = time.monotonic(), LOGS / f"build-{name}.log", BUILD / name
    log.unlink(missing_ok=True)
    env, options = BUILDS[name]
    marker = directory / ".options"
    wanted = json.dumps([env, options])
    status = 0
    if not (directory / "build.ninja").exists() or not marker.exists() or marker.read_text() != wanted:
        again = ["--wipe"] if (directory / "meson-private").exists() else []
        status = run(log, ["meson", "setup", *again, *options, str(directory), str(HOME)], env, append=True)
        if status == 0:
            marker.write_text(wanted)
    if status == 0:
        status = run(log, ["ninja", "-C", str(directory), *(targets or TARGETS.get(name, []))], append=True)
    failures = [(f"build: {last_words(log)}", "fail")] if status else []
    tally.add(f"build {name}", failures, time.monotonic() - began, log)
    return status == 0


def introspect(name, what):
    done = subprocess.run(
        ["meson", "introspect", str(BUILD / name), f"--{what}"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def built_files(name, kind, stem):
    """Files of the targets of a kind ("executable", "static library") whose name fits stem."""
    return [
        file
        for target in introspect(name, "targets")
        if target["type"] == kind and re.fullmatch(stem, target["name"])
        for file in target["filename"]
    ]


# ---- suites of meson ----------------------------------------------------------------------------------------------


def tap_cases(entry):
    """The cases inside one test program, as cmocka tells them in TAP; one case when it tells none."""
    program = entry["name"].split(" / ")[-1]
    cases, n_planned = [], 0
    for line in (entry.get("stdout") or "").splitlines():
        plan = re.match(r"1\.\.(\d+)\s*$", line)
        case = re.match(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)", line)
        if plan:
            n_planned += int(plan.group(1))
        elif case:
            skip = re.search(r"#\s*SKIP\b\s*(.*)", case.group(2), re.I)
            title = (skip.group(1) if skip and case.group(2).startswith("#") else case.group(2)).strip()
            cases.append((f"{program}: {title}", "skip" if skip else "fail" if case.group(1) else "pass"))
    if len(cases) < n_planned:
        cases.append((f"{program}: ended after {len(cases)} of {n_planned} cases ({entry['result']})", "fail"))
    is_good = entry["result"] in ("OK", "EXPECTEDFAIL") or entry.get("returncode") == 0 and bool(cases)
    if not cases:
        outcome = {"OK": "pass", "EXPECTEDFAIL": "pass", "SKIP": "skip"}.get(entry["result"], "fail")
        cases.append((program if outcome != "fail" else f"{program}: {entry['result']}", outcome))
    elif not is_good and all(outcome != "fail" for _, outcome in cases):
        cases.append((f"{program}: {entry['result']} (status {entry.get('returncode')})", "fail"))
    return cases


def suites_of(entry):
    """["unit"] of "mltunnel:unit / test_mux"."""
    head = entry["name"].rpartition(" / ")[0]
    return [piece.split(":")[-1] for piece in re.split(r"[+ ]", head) if piece]


def run_suites(tally, name, suites):
    """meson test in one build directory; each suite becomes a part of its own."""
    began, log = time.monotonic(), LOGS / f"tests-{name}.log"
    directory = BUILD / name
    results = directory / "meson-logs" / "testlog.json"
    results.unlink(missing_ok=True)
    chosen = [word for suite in suites for word in ("--suite", suite)]
    multiplier = "4" if "asan" in name else "1"
    # cmocka's cases count one by one: it lists them when asked for TAP.
    env = {"CMOCKA_MESSAGE_OUTPUT": "TAP", "MESON_TESTTHREADS": str(os.cpu_count()), **SANITIZER}
    argv = ["meson", "test", "-C", str(directory), "--no-rebuild", "-t", multiplier, "--print-errorlogs", *chosen]
    status = run(log, argv, env)
    entries = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    n_failed = tally.failed
    for suite in suites:
        mine = [entry for entry in entries if suite in suites_of(entry)]
        cases = [case for entry in mine for case in tap_cases(entry)]
        seconds = sum(entry.get("duration") or 0 for entry in mine)
        tally.add(f"{suite}, {name}", cases or [("there are no tests in this suite", "fail")], seconds, log)
    if status and tally.failed == n_failed:
        tally.add(f"meson test, {name}", [(f"status {status}: {last_words(log)}", "fail")], 0, log)
    print(f"      {name}: {time.monotonic() - began:.1f} s in all", flush=True)


# ---- checks -------------------------------------------------------------------------------------------------------


def shell_scripts():
    """Whatever starts with a shell's #! below the folders that have scripts."""
    found = []
    for folder in ("scripts", ".ci", "tests", "docker"):
        for path in sorted((HOME / folder).rglob("*")):
            if path.is_file() and path.suffix in ("", ".sh"):
                with open(path, "rb") as file:
                    if re.match(rb"#!\s*(/usr)?/bin/(env )?(ba|da)?sh\b", file.readline()):
                        found.append(str(path))
    return found


def check_sources(tally):
    manuals = sorted(str(path) for path in (HOME / "agent" / "man").glob("*.[1-8]"))
    lines = {
        "check-style": ["scripts/check-style"],
        "check-floors": ["scripts/check-floors"],
        "check-headers": ["scripts/check-headers"],
        "shellcheck": ["shellcheck", "-x", "--severity=warning", *shell_scripts()],
    }
    if manuals:
        lines["man pages"] = ["mandoc", "-T", "lint", "-W", "warning", *manuals]
    run_checks(tally, "checks of the source", lines)


def check_objects(tally):
    libraries = built_files("gcc", "static library", r".*")
    pure = [path for path in libraries if "proto" in pathlib.Path(path).name]
    objects = [str(path) for path in sorted((BUILD / "gcc").rglob("*.c.o")) if re.match(r"(agent|proto)_", path.name)]
    run_checks(
        tally,
        "checks of the objects",
        {"check-pure": ["scripts/check-pure", *pure], "check-symbols": ["scripts/check-symbols", *objects]},
    )


def run_checks(tally, part, lines):
    began, cases, log = time.monotonic(), [], LOGS / f"{part.replace(' ', '-')}.log"
    log.unlink(missing_ok=True)
    for name, argv in lines.items():
        status = run(log, argv, append=True)
        cases.append((name, "fail" if status else "pass"))
    tally.add(part, cases, time.monotonic() - began, log)


def check_static(tally):
    """The release form: one file that needs nothing, and runs."""
    began, log, cases = time.monotonic(), LOGS / "static.log", []
    programs = built_files("static", "executable", "mltunnel")
    if not programs:
        tally.add("static binary", [("no executable named mltunnel in meson.build", "fail")], 0)
        return
    cases.append(("mltunnel --version", "fail" if run(log, [programs[0], "--version"]) else "pass"))
    elf = subprocess.run(["readelf", "-hldW", programs[0]], capture_output=True, text=True, check=False).stdout
    log.write_text(log.read_text() + elf)
    cases.append(("is a position independent program", "pass" if re.search(r"Type:\s+DYN", elf) else "fail"))
    cases.append(("needs no loader", "fail" if "INTERP" in elf else "pass"))
    cases.append(("needs no libraries", "fail" if "(NEEDED)" in elf else "pass"))
    cases.append(("binds now, stack not executable", "pass" if is_hardened(elf) else "fail"))
    check = ["scripts/check-gcm", "openssl", BUILD / "static" / "mltunnel.map"]
    cases.append(("AES-GCM is OpenSSL's and nettle's", "fail" if run(log, check, append=True) else "pass"))
    tally.add("static binary", cases, time.monotonic() - began, log)


def is_hardened(elf):
    return bool(re.search(r"BIND_NOW|Flags:.*NOW", elf) and re.search(r"GNU_STACK.* RW ", elf) and "GNU_RELRO" in elf)


def check_coverage(tally):
    """How much of proto/ its tests reach, as scripts/cover measures and judges it; prints the figures."""
    began, log = time.monotonic(), LOGS / "coverage.log"
    status = run(log, ["scripts/cover"])
    # 2: too few lines, 4: too few branches; else it is 0, or nothing was measured
    short = status if status in (0, 2, 4, 6) else 6
    cases = [("lines of proto/", "fail" if short & 2 else "pass"), ("branches of proto/", "fail" if short & 4 else "pass")]
    tally.add("coverage", cases, time.monotonic() - began, log)
    print(f"      proto/: {last_words(log)}", flush=True)


# ---- pytest -------------------------------------------------------------------------------------------------------


def junit_cases(path):
    if not path.exists():
        return []
    cases = []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "fail" if kinds & {"failure", "error"} else "skip" if "skipped" in kinds else "pass"
        cases.append((f"{case.get('classname', '').split('.')[-1]}: {case.get('name')}", outcome))
    return cases


def try_again(part, log, cases, env, before):
    """A busy machine can make a test with a time bound fail: what failed is run once more, by itself, and said to
    have been. At most SECOND_TRIES: more than that is no matter of the machine."""
    text = log.read_text(errors="replace")
    names = list(dict.fromkeys(re.findall(r"^(?:FAILED|ERROR) (tests/.+?)(?: - |$)", text, re.MULTILINE)))
    if not names or len(names) > SECOND_TRIES:
        return cases
    results = LOGS / f"{part}-again.xml"
    results.unlink(missing_ok=True)
    argv = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={results}"]
    run(LOGS / f"{part}-again.log", [*before, *argv, *names], env)
    passed = {name for name, outcome in junit_cases(results) if outcome == "pass"}
    for name, outcome in cases:
        if outcome == "fail" and name in passed:
            print(f"      passed when run again by itself: {name}", flush=True)
    return [(name, "pass" if outcome == "fail" and name in passed else outcome) for name, outcome in cases]


def run_pytest(tally, part, folder, arguments, env=None, may_be_empty=False, may_retry=False, before=()):
    """Status 5 is "no tests were collected": right only for a selection that may be empty. before: the program that
    runs pytest. The status, whatever comes of it."""
    began, log, results = time.monotonic(), LOGS / f"{part}.log", LOGS / f"{part}.xml"
    results.unlink(missing_ok=True)
    argv = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={results}"]
    status = run(log, [*before, *argv, *arguments, folder], env)
    cases = junit_cases(results)
    if status == 5 and may_be_empty:
        return status
    if status == CANNOT_RUN and before:
        tally.leave_out(part, last_words(log))
        return status
    if status == 1 and may_retry:
        was, cases = cases, try_again(part, log, cases, env, before)
        status = status if cases == was or any(outcome == "fail" for _, outcome in cases) else 0
    if status and all(outcome != "fail" for _, outcome in cases) or not cases:
        cases.append((f"pytest ended with status {status}: {last_words(log)}", "fail"))
    tally.add(part, cases, time.monotonic() - began, log)
    return status


def run_e2e(tally, binary_of, full):
    """Against real peers. A test marked "alone" measures time or memory and gets the machine to itself."""
    began, log = time.monotonic(), LOGS / "peers.log"
    status = run(log, ["tests/peer/build"])
    tally.add("peers", [(last_words(log), "fail")] if status else [], time.monotonic() - began, log)
    programs = [path for name in binary_of for path in built_files(name, "executable", "mltunnel")]
    if status or not programs:
        tally.add("e2e", [("not run: no peers" if status else "not run: no executable mltunnel", "fail")], 0)
        return
    env = {
        "MLTUNNEL_BIN": programs[0],
        "MLTUNNEL_PEER_DIR": log.read_text().strip().splitlines()[-1],
        "MLTUNNEL_BUILD": str(BUILD),
        "MLTUNNEL_FULL": "1" if full else "",
    }
    n_workers = str(min(8, 2 * (os.cpu_count() or 1)))  # they wait more than they work
    side_by_side = ["-n", n_workers, "--dist", "loadfile", "-m", "not alone and not faults"]
    run_pytest(tally, "e2e", "tests/e2e", side_by_side, env, may_retry=True)
    run_pytest(tally, "e2e-alone", "tests/e2e", ["-m", "alone"], env, may_be_empty=True, may_retry=True)
    run_faults(tally, env, full)


def run_faults(tally, env, full):
    """The fault matrix, each row once; when full five times, the stock client's too, and the table of both."""
    ours, theirs, log = LOGS / "faults.json", LOGS / "faults-stock.json", LOGS / "faults-table.log"
    for records in (ours, theirs):
        records.unlink(missing_ok=True)
    chosen = ["-m", "faults"]
    run_pytest(tally, "faults", "tests/e2e", chosen, {**env, "MLTUNNEL_FAULTS": str(ours)}, may_retry=True)
    if not full:
        return
    stock = {**env, "MLTUNNEL_BIN": "stock-0.65.0", "MLTUNNEL_FAULTS": str(theirs)}
    run_pytest(tally, "faults-stock", "tests/e2e", chosen, stock)
    argv = ["/usr/bin/python3", "-B", "tests/e2e/faults.py", ours, theirs, "tests/e2e/faults.md"]
    tally.add("faults-table", [("faults.py", "fail" if run(log, argv) else "pass")], 0, log)


def run_bench(tally, name):
    """That scripts/bench works, and each byte of its work is right; what it measures decides nothing here."""
    programs = built_files(name, "executable", "mltunnel")
    if not programs:
        tally.add("bench", [("not run: no executable mltunnel", "fail")], 0)
        return
    run_pytest(tally, "bench", "tests/bench", [], {"MLTUNNEL_BIN": programs[0]})


def run_conformance(tally, name, version, n_runs):
    """frp's own end-to-end suite drives the program of a build."""
    began, log = time.monotonic(), LOGS / f"conformance-{version}-{name}.log"
    out = LOGS / f"conformance-{version}-{name}"
    part = f"conformance {version}" + (f", {name}" if name != "static" else "")
    (out / "junit.xml").unlink(missing_ok=True)
    programs = built_files(name, "executable", "mltunnel")
    if not programs:
        tally.add(part, [("not run: no executable mltunnel", "fail")], 0)
        return
    argv = ["scripts/conformance", "--client", programs[0], "--version", version]
    status = run(log, [*argv, "--repeat", str(n_runs), "--again", str(SPECS_AGAIN), "--out", str(out)])
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("passed when run again"):
            print(f"      {line}", flush=True)
    cases = junit_cases(out / "junit.xml")
    if status and all(outcome != "fail" for _, outcome in cases) or not cases:
        cases.append((f"ended with status {status}: {last_words(log)}", "fail"))
    tally.add(part, cases, time.monotonic() - began, log)


class Images:
    """Release and images on their way into the engine's cache, beside the parts that only compute."""

    def __init__(self):
        self._began, log = time.monotonic(), LOGS / "images.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as out:
            self._child = subprocess.Popen(
                ["nice", "scripts/engine", "tests/docker/images"], cwd=HOME, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait(self):
        """Until they are there, so that they disturb nothing that measures time. Whatever failed is told by the part
        docker, which begins by building them."""
        if self._child.poll() is None:
            waited = time.monotonic()
            try:
                self._child.wait(IMAGES_LIMIT_S)
            except subprocess.TimeoutExpired:
                end_group(self._child)
            now = time.monotonic()
            print(f"      images: {now - self._began:.0f} s, {now - waited:.0f} of them waited for", flush=True)

    def close(self):
        if self._child.poll() is None:
            end_group(self._child)


def run_manifests(tally):
    """What of docker/ can be judged without an engine: Dockerfiles, compose.yaml, Kubernetes."""
    log = LOGS / "manifests-setup.log"
    if status := run(log, ["scripts/setup", "docker"]):
        tally.add("manifests", [(f"scripts/setup: status {status}: {last_words(log)}", "fail")], 0, log)
        return
    folder = "tests/docker"
    run_pytest(tally, "manifests", f"{folder}/test_manifests.py", ["-m", "not engine", f"{folder}/test_dockerfiles.py"])


def run_docker(tally, full):
    """Release and images on a real engine, which builds what it needs by itself. Most of it waits: 4 at a time."""
    more = {"env": {"MLTUNNEL_FULL": "1" if full else ""}, "may_retry": True, "before": ["scripts/engine"]}
    arguments = ["-n", "4", "--dist", "loadfile", "-m", "not alone"]
    if run_pytest(tally, "docker", "tests/docker", arguments, **more) != CANNOT_RUN:
        run_pytest(tally, "docker-alone", "tests/docker", ["-m", "alone"], **more)


# ---- the whole ----------------------------------------------------------------------------------------------------


def fuzz_for_a_while(tally):
    began, log, cases = time.monotonic(), LOGS / "fuzz.log", []
    log.unlink(missing_ok=True)
    for path in sorted((HOME / "tests" / "fuzz").glob("fuzz_*.c")):
        target = path.stem.removeprefix("fuzz_")
        cases.append((target, "fail" if run(log, ["scripts/fuzz", target, "60"], append=True) else "pass"))
    tally.add("fuzz, 60 s each", cases or [("no targets", "fail")], time.monotonic() - began, log)


def options():
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--quick", action="store_true", help="one compiler, no sanitizers, no e2e")
    how_much.add_argument("--full", action="store_true", help="also the part docker, each fuzz target for 60 s, and what is long")
    parser.add_argument("--only", choices=(*SUITES, *OTHERS), action="append", help="this part (may be repeated)")
    return parser.parse_args()


def main():
    args = options()
    chosen = set(args.only or (*SUITES, *OTHERS))
    if not args.only:
        chosen -= NOT_QUICK if args.quick else set() if args.full else LONG
    tally = Tally(strict=os.environ.get("CI") == "true")
    images = Images() if "docker" in chosen and len(chosen) > 1 else None
    try:
        run_parts(tally, args, chosen, images)
    finally:
        if images:
            images.close()
    return tally.finish()


def run_parts(tally, args, chosen, images):
    suites = [suite for suite in SUITES if suite in chosen]
    if "checks" in chosen:
        check_sources(tally)
        run_pytest(tally, "tests-of-checks", "tests/checks", ["-n", str(os.cpu_count())])
    if suites or "checks" in chosen:
        if build(tally, "gcc"):
            if "checks" in chosen:
                check_objects(tally)
            if suites:
                run_suites(tally, "gcc", suites)
    if suites and not args.quick and build(tally, "clang-asan"):
        run_suites(tally, "clang-asan", suites)
    if "coverage" in chosen:
        check_coverage(tally)
    if {"static", "e2e", "bench", "conformance"} & chosen and build(tally, "static"):
        if "static" in chosen:
            check_static(tally)
        if images:
            images.wait()
        # One of the faults is put between the agent and its C library.
        if "e2e" in chosen and (suites or "checks" in chosen or build(tally, "gcc", ["mltunnel"])):
            run_e2e(tally, ("static",), args.full)
        if "bench" in chosen:
            run_bench(tally, "static")
        if "conformance" in chosen:
            run_conformance(tally, "static", "0.70.1", 3)  # what holds by chance does not hold three times
            run_conformance(tally, "static", "0.65.0", 1)
    if "conformance" in chosen and args.full and build(tally, "clang-asan"):
        run_conformance(tally, "clang-asan", "0.70.1", 1)
    if "manifests" in chosen:
        run_manifests(tally)
    if images:
        images.wait()
    if "docker" in chosen:
        run_docker(tally, args.full)
    if args.full and "fuzz" in chosen:
        fuzz_for_a_while(tally)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nsuite: interrupted", file=sys.stderr)
        sys.exit(130)
