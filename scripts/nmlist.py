# SPDX-License-Identifier: Apache-2.0
# nmlist.py - what object files and archives define and ask for, read from nm. Judges nothing.
"""Shared by check-pure and check-symbols; standard library only."""

import os
import subprocess


def read_symbols(path):
    """Yield (object, symbol, type, section) for every symbol of an object, archive or program.

    Type is nm's letter; section is empty for undefined symbols.
    """
    # LC_ALL: nm's "Symbols from x.o" headings are translated otherwise.
    done = subprocess.run(
        ["nm", "--format=sysv", "--print-file-name", str(path)],
        capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode != 0 or "no symbols" in done.stderr and not done.stdout:
        raise SystemExit(f"{path}: {done.stderr.strip() or 'nm failed'}")
    for line in done.stdout.splitlines():
        fields = line.split("|")
        if len(fields) != 7 or fields[0].endswith(":Name") or fields[2].strip() == "Class":
            continue
        place, _, symbol = fields[0].rpartition(":")
        symbol = symbol.strip().split("@")[0]
        yield place.rpartition(":")[2] or place, symbol, fields[2].strip(), fields[6].strip()


def is_mutable(symbol, section):
    """Does this symbol live in memory that the program writes (constants with addresses in them do not count)?"""
    if symbol.startswith(("__asan", "__ubsan", "__sancov", "__gcov", "__llvm", "__profc", "__profd", "DW.ref.", ".L", "$")):
        return False
    return section == "*COM*" or section.split(".")[1:2] in (["data"], ["bss"], ["tdata"], ["tbss"]) and not (
        section.startswith(".data.rel.ro")
    )
