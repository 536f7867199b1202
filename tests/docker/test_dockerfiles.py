# SPDX-License-Identifier: Apache-2.0
# test_dockerfiles.py - the Dockerfiles by rules that any builder needs or any reader expects. Debian has no linter for
# them; the shell in them goes to shellcheck.

import json
import re

import pytest
from engine import HOME, call

FILES = {path.parent.name: path for path in sorted((HOME / "docker").glob("*/Dockerfile"))}
FILES |= {path.name: path for path in sorted((HOME / "tests/docker").glob("*.dockerfile"))}
# What docker build is given besides the file; all others get the whole tree.
CONTEXTS = {"mlnode": HOME / "docker/mlnode"}
# These run as somebody without rights; the others are bases, whose user is the node's.
UNPRIVILEGED = ("agent", "api", "frps")
KNOWN = set("ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK RUN USER VOLUME WORKDIR".split())
# Only for BuildKit, or only there without harm.
BUILDKIT = {"RUN": r"--(mount|network|security)\b|<<", "COPY": r"--(chmod|link|parents|exclude)\b|<<"}


def instructions(text):
    """(line, instruction, its words) of each; lines that go on are one."""
    found, words, began = [], "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        began = began or number
        if line.endswith("\\"):
            words += line[:-1]
            continue
        name, _, rest = (words + line).strip().partition(" ")
        found.append((began, name, rest.strip()))
        words, began = "", 0
    return found


def shell_faults(line, script):
    done = call("shellcheck", "-s", "sh", "-f", "gcc", "-", input=script + "\n", check=False)
    return [f"{line}: shell: {said.split(': ', 1)[1]}" for said in done.stdout.splitlines()]


def form_faults(line, name, words):
    """What one instruction can have wrong by itself."""
    if name not in KNOWN:
        return [f"{line}: {name} is not used here"]
    found = []
    if re.search(BUILDKIT.get(name, "$^"), words):
        found.append(f"{line}: {name} in this form is for BuildKit alone")
    if "TARGET" in words or "BUILDPLATFORM" in words:
        found.append(f"{line}: only BuildKit sets this variable")
    if name in ("CMD", "ENTRYPOINT") or name == "HEALTHCHECK":
        words = words.partition("CMD ")[2] if name == "HEALTHCHECK" else words
        try:
            assert all(isinstance(word, str) for word in json.loads(words))
        except (ValueError, AssertionError):
            found.append(f"{line}: {name} goes through a shell")
    if name == "RUN":
        found += shell_faults(line, words)
        if "apt-get" in words and not all(
            word in words for word in (" -y ", "--no-install-recommends", "Acquire::Retries", "rm -rf /var/lib/apt/lists")
        ):
            found.append(f"{line}: apt-get asks, takes too much, gives up early or leaves its lists")
    return found


def dockerfile_faults(text, context, is_unprivileged):
    found, stages, users, defaults = [], [], {}, {}
    if re.match(r"#\s*(syntax|escape|check)\s*=", text, re.I):
        found.append("1: a directive, which another builder does not know")
    for line, name, words in instructions(text):
        found += form_faults(line, name, words)
        if name == "ARG":
            for word in words.split():
                defaults.setdefault(*word.partition("=")[::2])
        elif name == "FROM":
            image, _, stage = words.partition(" AS ")
            image = re.sub(r"\$\{?(\w+)\}?", lambda match: defaults.get(match[1], ""), image)
            if image != "scratch" and image not in stages and not re.match(r"mltunnel|\w+:(?!latest)[\w.-]+$", image):
                found.append(f"{line}: FROM {image}: which release?")
            stages.append(stage or str(len(stages)))
        elif not stages:
            found.append(f"{line}: {name} before the first FROM")
        elif name == "COPY":
            flag, *sources = words.split()[:-1]
            if not flag.startswith("--from="):
                sources = [flag, *sources]
                lacking = [one for one in sources if "$" not in one and not (context / one).exists()]
                found += [f"{line}: there is no {one}" for one in lacking]
            elif flag.removeprefix("--from=") not in stages[:-1]:
                found.append(f"{line}: no earlier stage has the name in {flag}")
        elif name == "USER":
            users[stages[-1]] = words
    if not stages:
        found.append("0: no FROM")
    elif is_unprivileged and users.get(stages[-1]) != "65532:65532":
        found.append("0: the image runs as root")
    return found


def test_all_are_looked_at():
    own = {"agent", "api", "frps", "mlnode", "standin"}
    assert set(FILES) == own | {f"{name}.dockerfile" for name in ("buildx", "compose-v2", "name-services")}


@pytest.mark.parametrize("name", FILES)
def test_dockerfile(name):
    assert dockerfile_faults(FILES[name].read_text(), CONTEXTS.get(name, HOME), name in UNPRIVILEGED) == []


GOOD = 'FROM debian:trixie-slim AS build\nRUN echo x\nFROM scratch\nCOPY --from=build /x /x\nUSER 65532:65532\nENTRYPOINT ["/x"]\n'


def test_nothing_is_found_where_nothing_is():
    assert dockerfile_faults(GOOD, HOME, True) == []


@pytest.mark.parametrize(
    "old, new, fault",
    (
        ("RUN echo", "RUN --mount=type=cache,target=/c echo", "BuildKit alone"),
        ("RUN echo x", "RUN cat <<END", "BuildKit alone"),
        ("COPY --from=build /x", "COPY --chmod=755 LICENSE", "BuildKit alone"),
        ("RUN echo x", "ADD x /x", "ADD is not used"),
        ("FROM debian", "# syntax=docker/dockerfile:1\nFROM debian", "directive"),
        (":trixie-slim", "", "which release"),
        (":trixie-slim", ":latest", "which release"),
        ("--from=build", "--from=builder", "no earlier stage"),
        ("--from=build /x", "no/such/file", "there is no"),
        ('["/x"]', "/x", "through a shell"),
        ("USER 65532:65532", "USER 0", "runs as root"),
        ("USER 65532:65532\n", "", "runs as root"),
        ("echo x", "cd /x; rm -rf $X/*", "shell: "),
        ("echo x", "apt-get update && apt-get install curl", "apt-get asks"),
        ("FROM debian:trixie-slim AS build\n", "", "before the first FROM"),
        ("echo x", "echo $TARGETARCH", "only BuildKit sets"),
    ),
)
def test_mistakes_are_found(old, new, fault):
    assert old in GOOD
    found = dockerfile_faults(GOOD.replace(old, new, 1), HOME, True)
    assert any(fault in one for one in found), found
