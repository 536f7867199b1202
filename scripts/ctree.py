# SPDX-License-Identifier: Apache-2.0
# ctree.py - the C files of this repository, as the checks see them: which there are, their text without comments
# and strings, their includes. Judges nothing.
"""Shared by the check-* scripts; standard library only."""

import argparse
import pathlib
import re
import sys

HOME = pathlib.Path(__file__).resolve().parent.parent

# Folders with C of ours. Everything else (build directories, module caches) is never looked at.
C_FOLDERS = ("proto", "agent", "tests", "tools")

# The floor of each folder. A file includes its own folder and lower floors only; agent/net and agent/conf stand
# beside each other, so neither sees the other.
FLOORS = {
    "proto/base": 0,
    "proto/wire": 1,
    "proto/session": 2,
    "agent/base": 3,
    "agent/net": 4,
    "agent/conf": 4,
    "agent/tunnel": 5,
    "agent/front": 6,
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Comment, string or character constant; what is left over is code.
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def c_files(root):
    """All .c and .h of ours below root, sorted, as paths relative to it."""
    found = []
    for folder in C_FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix in (".c", ".h") and path.is_file():
                found.append(path.relative_to(root))
    return sorted(found)


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def code_lines(text, keep_strings=False):
    """The lines of text with comments (and what strings say) blanked out: same numbers of lines."""

    def blank(match):
        piece = match.group(0)
        if piece[0] == "/":
            return "\n" * piece.count("\n") if "\n" in piece else " "
        return piece if keep_strings else piece[0] * 2

    return NOT_CODE.sub(blank, text).split("\n")


def includes(text):
    """(line number, '<' or '"', header) of each #include."""
    found = []
    for number, line in enumerate(code_lines(text, keep_strings=True), 1):
        match = INCLUDE.match(line)
        if match:
            found.append((number, match.group(1), match.group(2)))
    return found


def floor_folder(path):
    """The floor's folder ("proto/wire") that path lies in, or None for tests and tools."""
    folder = pathlib.PurePosixPath(path).parent.as_posix()
    return folder if folder in FLOORS else None


class Findings:
    """Collects violations and warnings, and prints them as compilers do."""

    def __init__(self, name):
        self.name = name
        self.errors = []
        self.warnings = []

    def error(self, path, line, rule):
        self.errors.append(f"{path}:{line}: {rule}" if line else f"{path}: {rule}")

    def warn(self, path, line, rule):
        self.warnings.append(f"{path}:{line}: warning: {rule}" if line else f"{path}: warning: {rule}")

    def finish(self, looked_at):
        """Print all and return the exit status; to have looked at nothing is a failure."""
        for text in self.warnings + self.errors:
            print(text)
        if not looked_at:
            print(f"{self.name}: nothing to look at", file=sys.stderr)
            return 1
        if self.errors:
            print(f"{self.name}: {len(self.errors)} violations", file=sys.stderr)
            return 1
        return 0


def options(text, *extra):
    """Parse the command line every check has: --root, and extra (flags, keywords) pairs."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--root", type=pathlib.Path, default=HOME, help="tree to check (this one)")
    for flags, keywords in extra:
        parser.add_argument(*flags, **keywords)
    args = parser.parse_args()
    args.root = args.root.resolve()
    return args
