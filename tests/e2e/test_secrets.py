# SPDX-License-Identifier: Apache-2.0
# test_secrets.py - the token is nowhere to be seen.

import contextlib
import pathlib
import signal

import pytest

import network
from peers import TOKEN

LEVELS = ("trace", "debug", "info", "warn", "error")


def proc(agent, name):
    return pathlib.Path(f"/proc/{agent.pid}/{name}").read_bytes()


def open_files(agent):
    """Paths behind its descriptors: a file it wrote may lie anywhere."""
    paths = []
    for link in pathlib.Path(f"/proc/{agent.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            path = pathlib.Path(link.readlink())
            if path.is_file():
                paths.append(path)
    return paths


def files_with_token(lab):
    """Under the agent's home, working, state and temporary folders, but for what the test wrote itself."""
    ours = [path for path in lab.directory.rglob("*") if path.is_file() and path.suffix not in (".toml", ".ini")]
    return [path for path in ours if TOKEN.encode() in path.read_bytes()]


def live_a_little(lab, agent):
    """Everything that could make it talk: traffic, a loss, a refusal, an end."""
    lab.load("churn", count=20, parallel=2)
    lab.frps.kill()
    agent.wait_line("refused")
    lab.start_frps(token="another-token")
    agent.wait_line("token", timeout=15)
    lab.frps.kill()
    lab.start_frps()
    lab.wait_up(timeout=30)


def check(lab, agent):
    assert TOKEN.encode() not in proc(agent, "cmdline")
    assert TOKEN.encode() not in proc(agent, "environ")
    assert not [path for path in open_files(agent) if TOKEN.encode() in path.read_bytes()]
    live_a_little(lab, agent)
    agent.signal(signal.SIGTERM)
    agent.wait()
    assert TOKEN not in agent.text()
    assert files_with_token(lab) == []


@pytest.mark.parametrize("level", LEVELS[:1])
def test_token_from_the_environment(lab, level):
    tmp = lab.directory / "tmp"
    tmp.mkdir()
    check(lab, lab.start_agent(MLTUNNEL_LOG_LEVEL=level, TMPDIR=str(tmp)))


def test_token_from_a_file(lab):
    path = lab.directory / "token.toml"  # a name that files_with_token() passes over
    path.write_text(TOKEN + "\n")
    env = {"SECRET_FRP_TOKEN": None, "SECRET_FRP_TOKEN_FILE": str(path), "MLTUNNEL_LOG_LEVEL": "trace"}
    check(lab, lab.start_agent(**env))


def test_token_from_an_ini(lab):
    check(lab, lab.start_by_ini(lab.ini(common=["log_level = trace"])))


@pytest.mark.parametrize("level", LEVELS)
def test_wrong_token_is_not_logged_either(lab, level):
    token = "wrong-but-s3cret-all-the-same"
    agent = lab.start_agent(want_up=False, SECRET_FRP_TOKEN=token, MLTUNNEL_LOG_LEVEL=level)
    lab.frps.wait_line("doesn't match", count=2)
    agent.signal(signal.SIGTERM)
    agent.wait()
    assert token not in agent.text()


def test_bad_values_are_not_quoted_when_secret(lab):
    agent = lab.start_agent(want_up=False, CLIENT_ID="12x4", FRP_SERVER="a b")
    assert agent.wait() == 2
    assert "CLIENT_ID" in agent.text() and "FRP_SERVER" in agent.text()
    assert TOKEN not in agent.text()
    assert not network.is_listening(lab.port1)
