# SPDX-License-Identifier: Apache-2.0
# test_log_lines.py - docs/log-lines.md has every line that the agent can log at info, warn or error.

import pathlib
import re

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
STRING = r'"(?:\\.|[^"\\])*"'
# The words are the second argument of a log call, or what is handed to one that makes such a line.
LOG_CALL = re.compile(rf"\blog_(?:info|warn|error)\(\s*[^,\"]+,\s*((?:[^,\"();]|{STRING})*)", re.S)
WORDS = [
    LOG_CALL,
    re.compile(rf"\b(?:uplink|link)_fail(?:ed)?\(\s*(?:\w+,\s*)+?((?:[^,\"();]|{STRING})*{STRING}),", re.S),
    re.compile(rf"\.words\s*=\s*({STRING})"),
    re.compile(rf"\b\w+_words\[\]\s*=\s*\{{(.*?)\}};", re.S),
]


def words_of(text):
    for pattern in WORDS:
        for match in pattern.finditer(text):
            for string in re.findall(STRING, match.group(1)):
                yield string[1:-1]


def sources():
    """agent/conf writes no log; its tables have words of another kind."""
    return sorted(path for path in (HOME / "agent").rglob("*.c") if path.parent.name != "conf")


def test_every_line_is_on_the_page():
    page = (HOME / "docs/log-lines.md").read_text()
    missing = {f"{path.relative_to(HOME)}: {words}"
               for path in sources() for words in words_of(path.read_text()) if f"`{words}`" not in page}  # fmt: skip
    assert not missing, "docs/log-lines.md lacks:\n" + "\n".join(sorted(missing))


def test_the_page_has_no_line_of_the_past():
    page = (HOME / "docs/log-lines.md").read_text()
    known = {words for path in sources() for words in words_of(path.read_text())}
    rows = [row for row in page.splitlines() if re.search(r"\| (?:info|warn|error) \|", row)]
    told = {words for row in rows for words in re.findall(r"`([^`]+)`", row.split(" | ")[0])}
    assert told and not told - known, f"nothing logs: {sorted(told - known)}"


def test_the_look_for_words_finds_them():
    planted = 'log_warn(u->log, is_on ? "one thing" : "another", "k", v);\nlog_error(a(b)->log,\n\t"third: it, too");'
    assert set(words_of(planted)) == {"one thing", "another", "third: it, too"}
    assert set(words_of('uplink_failed(u, RETRY_NETWORK, "login failed", text, "x");')) == {"login failed"}
