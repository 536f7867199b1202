# SPDX-License-Identifier: Apache-2.0
# test_checks.py - every check finds a planted violation, names file and line, and passes on a clean tree.

import os
import pathlib
import subprocess
import sys

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"

# A small tree that keeps all rules; the tests break one rule at a time.
CLEAN = {
    "proto/base/nut.h": SPDX
    + "/* nut.h - a noun. Floor 0. */\n#pragma once\n#include <stddef.h>\n\nsize_t nut_len(const char *s);\n",
    "proto/base/nut.c": SPDX
    + '/* nut.c - a noun. Floor 0. */\n#include "proto/base/nut.h"\n\n#include <string.h>\n\n'
    + "size_t nut_len(const char *s)\n{\n\treturn strlen(s);\n}\n",
    "proto/wire/bolt.h": SPDX
    + '/* bolt.h - another noun. Floor 1. */\n#pragma once\n#include "proto/base/nut.h"\n\n'
    + "struct bolt {\n\tsize_t len;\n};\n\nvoid bolt_init(struct bolt *b);\n",
    "proto/wire/bolt.c": SPDX
    + '/* bolt.c - another noun. Floor 1. */\n#include "proto/wire/bolt.h"\n\n'
    + "void bolt_init(struct bolt *b)\n{\n\tb->len = nut_len(\"atoi(x) in a string\"); /* strtok() too */\n}\n",
    "agent/net/pipe.h": SPDX
    + '/* pipe.h - a driver. Floor 4. */\n#pragma once\n#include <uv.h>\n\n#include "proto/wire/bolt.h"\n\n'
    + "typedef void (*pipe_cb)(struct bolt *b);\nvoid pipe_open(uv_loop_t *loop, pipe_cb cb);\n",
    "agent/conf/ini.h": SPDX + "/* ini.h - a front. Floor 4. */\n#pragma once\n\nint ini_read(const char *path);\n",
    "agent/front/cli.h": SPDX
    + '/* cli.h - top. Floor 6. */\n#pragma once\n#include "agent/conf/ini.h"\n\nint cli_run(void);\n',
    "tests/unit/test_nut.c": SPDX
    + '/* test_nut.c - the noun, tried. */\n#include <assert.h>\n\n#include "proto/base/nut.h"\n\n'
    + 'int main(void)\n{\n\tassert(nut_len("x") == 1);\n\treturn 0;\n}\n',
}


@pytest.fixture
def tree(tmp_path):
    for name, text in CLEAN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".clang-format").write_text((HOME / ".clang-format").read_text())
    return tmp_path


def run(check, *args):
    return subprocess.run(
        [str(HOME / "scripts" / check), *map(str, args)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def check_tree(check, tree):
    return run(check, "--root", tree)


def change(tree, name, old, new):
    """Plant: replace old (or append, when empty) in a file of the tree."""
    path = tree / name
    text = path.read_text() if path.exists() else ""
    assert old in text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(old, new, 1) if old else text + new)


def assert_found(done, *words):
    assert done.returncode == 1, done.stdout + done.stderr
    for word in words:
        assert word in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("check", ["check-floors", "check-headers", "check-style"])
def test_a_clean_tree_passes(check, tree):
    done = check_tree(check, tree)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("check", ["check-floors", "check-headers", "check-style"])
def test_an_empty_tree_is_no_success(check, tmp_path):
    assert check_tree(check, tmp_path).returncode == 1


FLOOR_CASES = {
    "floor 0 to 1": ("proto/base/nut.c", "#include <string.h>", '#include "proto/wire/bolt.h"', "nut.c:5: floor 0"),
    "proto to agent": ("proto/wire/bolt.c", "\n\nvoid", '\n#include "agent/net/pipe.h"\n\nvoid', "bolt.c:4: floor 1"),
    "net to conf": ("agent/net/pipe.h", '#include "proto/wire/bolt.h"', '#include "agent/conf/ini.h"',
                    "pipe.h:6: agent/net and agent/conf stand on one floor"),
    "conf to net": ("agent/conf/ini.h", "#pragma once\n", '#pragma once\n#include "agent/net/pipe.h"\n',
                    "ini.h:4: agent/conf and agent/net stand on one floor"),
    "dot dot": ("proto/wire/bolt.h", "proto/base/nut.h", "../base/nut.h", 'bolt.h:4: "../base/nut.h"'),
    "dot dot in a test": ("tests/unit/test_nut.c", "proto/base/nut.h", "../../proto/base/nut.h", "test_nut.c:5:"),
    "not spelled": ("proto/base/nut.c", "proto/base/nut.h", "nut.h", 'nut.c:3: "nut.h": no such file'),
    "libuv in proto": ("proto/base/nut.h", "<stddef.h>", "<uv.h>", "nut.h:4: <uv.h>"),
    "socket in proto": ("proto/base/nut.c", "<string.h>", "<sys/socket.h>", "nut.c:5: <sys/socket.h>"),
    "clock in proto": ("proto/base/nut.c", "<string.h>", "<time.h>", "nut.c:5: <time.h>"),
    "yaml in proto": ("proto/wire/bolt.h", '"proto/base/nut.h"', "<yaml.h>", "bolt.h:4: <yaml.h>"),
    "crypto outside prim": ("proto/wire/bolt.h", '"proto/base/nut.h"', "<mbedtls/aes.h>", "bolt.h:4: <mbedtls/aes.h>"),
    "jansson outside msg": ("proto/wire/bolt.c", "\n\nvoid", "\n#include <jansson.h>\n\nvoid", "bolt.c:4: <jansson.h>"),
    "netdb": ("agent/net/pipe.h", "<uv.h>", "<netdb.h>", "pipe.h:4: <netdb.h>"),
    "test in proto": ("proto/base/nut.c", "#include <string.h>", '#include "tests/unit/test_nut.c"', "nut.c:5:"),
    "unknown folder": ("proto/misc/x.c", "", SPDX + "int x;\n", "proto/misc/x.c:1: this folder is on no floor"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOOR_CASES)
def test_check_floors_finds(name, tree):
    path, old, new, expected = FLOOR_CASES[name]
    change(tree, path, old, new)
    assert_found(check_tree("check-floors", tree), expected)


def test_check_floors_finds_a_circle_inside_a_folder(tree):
    change(tree, "proto/base/nut.h", "<stddef.h>", '<stddef.h>\n#include "proto/base/a.h"')
    change(tree, "proto/base/a.h", "", SPDX + '#pragma once\n#include "proto/base/b.h"\n')
    change(tree, "proto/base/b.h", "", SPDX + '#pragma once\n#include "proto/base/nut.h"\n')
    assert_found(check_tree("check-floors", tree), "includes in a circle", "proto/base/b.h")


def test_check_floors_ignores_an_include_in_a_comment(tree):
    change(tree, "proto/base/nut.c", "\n\nsize_t", '\n/*\n#include "proto/wire/bolt.h"\n*/\nsize_t')
    assert check_tree("check-floors", tree).returncode == 0


def test_check_floors_lets_the_named_files_use_their_library(tree):
    for name, header in (("proto/wire/prim.c", "mbedtls/aes.h"), ("proto/wire/msg_field.c", "jansson.h")):
        change(tree, name, "", SPDX + f"#include <{header}>\n")
    assert check_tree("check-floors", tree).returncode == 0


HEADER_CASES = {
    "missing include": ("proto/base/nut.h", "#include <stddef.h>\n", ""),
    "twice": ("agent/conf/ini.h", "#pragma once\n", "struct ini {\n\tint x;\n};\n"),
    "warning": ("agent/conf/ini.h", "const char *path", ""),
    "conversion": ("proto/wire/bolt.h", "void bolt", "static inline int bolt_cut(size_t n)\n{\n\treturn n;\n}\nvoid bolt"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADER_CASES)
def test_check_headers_finds(name, tree):
    path, old, new = HEADER_CASES[name]
    change(tree, path, old, new)
    assert_found(check_tree("check-headers", tree), path)


LONG = "x" * 101
STYLE_CASES = {
    "no licence": ("proto/base/nut.c", SPDX, "", "nut.c:1: first line"),
    "no stem line": ("proto/base/nut.c", "/* nut.c - ", "/* nuts.c - ", "nut.c:2: second line"),
    "no floor": ("proto/base/nut.c", " Floor 0.", "", 'does not say "Floor 0."'),
    "wrong floor": ("proto/base/nut.c", "Floor 0", "Floor 3", "says floor 3, but proto/base is floor 0"),
    "atoi": ("proto/base/nut.c", "strlen(s)", "(size_t) atoi(s)", "nut.c:9: atoi() is banned"),
    "strcpy": ("proto/base/nut.c", "strlen(s)", "(strcpy(x, s), 0)", "nut.c:9: strcpy() is banned"),
    "sprintf": ("tests/unit/test_nut.c", "return 0", "return sprintf(b, 0)", "sprintf() is banned"),
    "localtime": ("agent/conf/ini.h", "int ini", "void *t(void)\n{\n\treturn localtime(0);\n}\nint ini", "localtime()"),
    "exit": ("proto/base/nut.c", "return", "exit(1);\n\treturn", "nut.c:9: exit() belongs"),
    "spaces": ("proto/base/nut.c", "\treturn", "        return", "nut.c:9: indented with spaces"),
    "end of line": ("proto/base/nut.c", "return strlen(s);", "return strlen(s); ", "nut.c:9: space at the end"),
    "columns": ("proto/base/nut.c", "\treturn", f"\tint {LONG} = 0;\n\treturn", "nut.c:9: code goes beyond"),
    "comment columns": ("proto/base/nut.c", "\n\nsize_t", f"\n/* {LONG} {LONG} */\nsize_t", "comment goes beyond"),
    "no pragma": ("proto/base/nut.h", "#pragma once\n", "", "nut.h:1: no #pragma once"),
    "guard": ("proto/base/nut.h", "#pragma once\n", "#pragma once\n#ifndef NUT_H\n#define NUT_H\n#endif\n", "guard"),
    "typedef struct": ("proto/wire/bolt.h", "struct bolt {", "typedef struct bolt bolt;\nstruct bolt {", "bolt.h:6: typedef"),
    "typedef enum": ("proto/wire/bolt.h", "struct bolt {", "typedef enum { BOLT_A } bolt_kind;\nstruct bolt {", "typedef"),
    "unfinished": ("proto/base/nut.c", "return", "/* TO" + "DO: more */\n\treturn", "nut.c:9: TO" + "DO"),
    "unfinished script": ("scripts/x", "", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n# FIX" + "ME\n", "x:3: FIX"),
    "script licence": ("scripts/x", "", "#!/bin/sh\ntrue\n", "scripts/x:1: no SPDX"),
    "not spelled": ("proto/base/nut.c", "proto/base/nut.h", "nut.h", 'nut.c:3: "nut.h" is not spelled'),
    "own last": ("proto/base/nut.c", '#include "proto/base/nut.h"\n\n#include <string.h>\n',
                 '#include <string.h>\n\n#include "proto/base/nut.h"\n', "the first include is not its own"),
    "system last": ("agent/net/pipe.h", '#include <uv.h>\n\n#include "proto/wire/bolt.h"\n',
                    '#include "proto/wire/bolt.h"\n#include <uv.h>\n', "<uv.h> after our own"),
    "not sorted": ("proto/wire/bolt.c", "\n\nvoid",
                   '\n#include "proto/wire/z.h"\n#include "proto/base/nut.h"\n\nvoid', "is not sorted"),
    "layout": ("proto/base/nut.c", "size_t nut_len(const char *s)\n{", "size_t nut_len(const char* s) {", "layout"),
    "brace": ("proto/base/nut.c", "\treturn strlen(s);", "\tif (s)\n\t{\n\t\treturn 1;\n\t}\n\treturn 0;", "layout"),
    "long file": ("proto/base/nut.c", "\n\nsize_t", "\n" + "/* line */\n" * 700 + "\nsize_t", "700 is the limit"),
    "no newline": ("proto/base/nut.c", "\n}\n", "\n}", "no newline at the end"),
}  # fmt: skip


@pytest.mark.parametrize("name", STYLE_CASES)
def test_check_style_finds(name, tree):
    path, old, new, expected = STYLE_CASES[name]
    change(tree, path, old, new)
    assert_found(check_tree("check-style", tree), expected)


def test_check_style_only_warns_above_400_lines(tree):
    change(tree, "proto/base/nut.c", "\n\nsize_t", "\n" + "/* line */\n" * 401 + "\nsize_t")
    done = check_tree("check-style", tree)
    assert done.returncode == 0
    assert "warning" in done.stdout


def test_check_style_fix_settles_the_layout(tree):
    change(tree, "proto/base/nut.c", "size_t nut_len(const char *s)\n{", "size_t nut_len(const char* s) {")
    assert run("check-style", "--fix", "--root", tree).returncode == 0
    assert (tree / "proto/base/nut.c").read_text() == CLEAN["proto/base/nut.c"]


def archive(tmp_path, sources, *flags):
    """Compile {name: text} and pack the objects."""
    objects = []
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
        objects.append(tmp_path / f"{name}.o")
        subprocess.run(["gcc", "-fPIC", *flags, "-c", tmp_path / name, "-o", objects[-1]], check=True)
    subprocess.run(["ar", "rcs", tmp_path / "lib.a", *objects], check=True)
    return tmp_path / "lib.a"


PURE = {
    "proto_base_nut.c": "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "int other(void);\nstatic const char *const names[] = { \"a\", \"b\" };\n"
    "int nut(char *b, int i)\n{\n\tchar *p = malloc(strlen(b));\n\tfree(p);\n"
    "\treturn snprintf(b, 4, \"%s\", names[i & 1]) + other();\n}\n",
    "proto_base_other.c": "int json_dumpb(void);\nint mbedtls_aes_crypt_cfb128(void);\nint other(void);\n"
    "int other(void)\n{\n\treturn json_dumpb() + mbedtls_aes_crypt_cfb128();\n}\n",
    "proto_base_err.c": "#include <stdio.h>\n#include <stdlib.h>\nvoid must_failed(void);\n"
    "void must_failed(void)\n{\n\tfprintf(stderr, \"x%d\", 1);\n\tabort();\n}\n",
}


@pytest.mark.parametrize("flags", [["-O0"], ["-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong"],
                                   ["-O1", "-fsanitize=address,undefined"]], ids=["plain", "fortify", "sanitize"])  # fmt: skip
def test_check_pure_passes_a_pure_library(flags, tmp_path):
    done = run("check-pure", archive(tmp_path, PURE, *flags))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "call",
    ["read", "write", "time", "clock_gettime", "getrandom", "getenv", "fopen", "printf", "puts", "socket", "uv_now",
     "yaml_parser_parse", "mbedtls_ctr_drbg_random", "mbedtls_entropy_func", "mbedtls_ssl_write", "json_load_file",
     "json_dumpfd", "rand", "getaddrinfo", "setlocale", "pthread_create"],
)  # fmt: skip
def test_check_pure_finds(call, tmp_path):
    text = f"long {call}();\nlong nut(void);\nlong nut(void)\n{{\n\treturn {call}(1, 2, 3) + 1;\n}}\n"
    lib = archive(tmp_path, {**PURE, "proto_base_bad.c": text}, "-fno-builtin", "-w")
    assert_found(run("check-pure", lib), f"proto_base_bad.c.o: {call}: ")


def test_check_pure_lets_only_err_speak(tmp_path):
    text = "#include <stdio.h>\nvoid say(void);\nvoid say(void)\n{\n\tfputs(\"x\", stderr);\n}\n"
    assert_found(run("check-pure", archive(tmp_path, {"proto_base_say.c": text})), "proto_base_say.c.o: stderr: ")


STATE = {
    "static counter": "int f(void);\nstatic int n;\nint f(void)\n{\n\treturn n++;\n}\n",
    "static in a function": "int f(void);\nint f(void)\n{\n\tstatic int n = 4;\n\treturn n++;\n}\n",
    "exported": "int n = 3;\n",
    "per thread": "_Thread_local int n;\n",
}


@pytest.mark.parametrize("name", STATE)
@pytest.mark.parametrize("check", ["check-pure", "check-symbols"])
def test_mutable_state_is_found(check, name, tmp_path):
    assert_found(run(check, archive(tmp_path, {"proto_base_bad.c": STATE[name]})), "proto_base_bad.c.o", "mutable state")


def test_log_and_main_may_keep_state(tmp_path):
    lib = archive(tmp_path, {"agent_base_log.c": STATE["exported"], "agent_front_main.c": STATE["static counter"]})
    assert run("check-symbols", lib).returncode == 0


def test_other_files_that_end_alike_may_not(tmp_path):
    assert_found(run("check-symbols", archive(tmp_path, {"agent_base_catalog.c": STATE["exported"]})), "catalog.c.o")


@pytest.mark.parametrize(
    "call", ["getaddrinfo", "getnameinfo", "getpwuid_r", "getpwnam", "getgrgid_r", "getservbyname", "gethostbyname",
             "uv_getaddrinfo", "uv_os_homedir"],
)  # fmt: skip
def test_check_symbols_finds(call, tmp_path):
    text = f"int {call}();\nint f(void);\nint f(void)\n{{\n\treturn {call}(0) + 1;\n}}\n"
    assert_found(run("check-symbols", archive(tmp_path, {"bad.c": text}, "-w")), f"bad.c.o: {call}: ")


def test_a_missing_library_is_no_success(tmp_path):
    assert run("check-pure", tmp_path / "none.a").returncode != 0
    assert run("check-symbols", tmp_path / "none.a").returncode != 0


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
