# SPDX-License-Identifier: Apache-2.0
# test_engine.py - scripts/engine finds or starts an engine, and tells one that cannot be from one that is broken. The
# engine is played by two scripts.

import os
import pathlib
import shutil
import subprocess

import pytest

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
NO_ENGINE = 77
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine")


@pytest.fixture
def engine(tmp_path):
    """engine(COMMAND..., dockerd=SCRIPT, setup=STATUS): what scripts/engine says to that."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(HOME / "scripts/engine", tmp_path / "scripts/engine")
    tools = tmp_path / "tools"
    tools.mkdir()

    def write(path, script):
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def run(*command, dockerd="exit 1", setup=0, **env):
        write(tmp_path / "scripts/setup", f"exit {setup}")
        write(tools / "dockerd", f"echo $$ >{tmp_path}/pid; {dockerd}")
        write(tools / "docker", f"test -e {tmp_path}/answers")
        write(tools / "pgrep", "exit 1")  # no other dockerd is about to start
        path = f"{tools}:{os.environ['PATH']}"
        inherited = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        return subprocess.run(
            [tmp_path / "scripts/engine", *command], env={**inherited, "PATH": path, **env}, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip

    return run


def test_an_engine_that_is_there_is_used(engine, tmp_path):
    (tmp_path / "answers").touch()
    done = engine("sh", "-c", "echo ran; exit 3")
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert not (tmp_path / "pid").exists(), "none is started"


@needs_root
def test_else_one_is_started_and_ended_with_the_command(engine, tmp_path):
    done = engine("sh", "-c", "echo ran; exit 3", dockerd=f"touch {tmp_path}/answers; exec sleep 100")
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert not pathlib.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@needs_root
def test_one_that_the_kernel_does_not_let_start_is_none(engine):
    why = "failed to start daemon: iptables failed: Could not fetch rule set: Permission denied (you must be root)"
    done = engine("echo", "ran", dockerd=f"echo 'level=info msg=starting'; echo '{why}' >&2; exit 1")
    assert (done.returncode, done.stdout) == (NO_ENGINE, "")
    assert why in done.stderr


@needs_root
def test_one_that_is_set_up_wrongly_is_an_error(engine):
    done = engine("echo", "ran", dockerd="echo 'failed to start daemon: no such directive' >&2; exit 1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such directive" in done.stderr


def test_one_elsewhere_that_does_not_answer_cannot_be_started(engine):
    done = engine("echo", "ran", DOCKER_HOST="tcp://192.0.2.1:1")
    assert (done.returncode, done.stdout) == (NO_ENGINE, "")
    assert "192.0.2.1" in done.stderr


@needs_root
def test_packages_that_could_be_had_and_are_not_are_an_error(engine):
    assert engine("echo", "ran", setup=1).returncode == 1


def test_packages_that_cannot_be_had_leave_no_engine(engine):
    assert engine("echo", "ran", setup=1, DOCKER_HOST="tcp://192.0.2.1:1").returncode == NO_ENGINE
