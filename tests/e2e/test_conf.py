# SPDX-License-Identifier: Apache-2.0
# test_conf.py - configuration files and options as the program takes them; needs no server. MLTUNNEL_BIN names the
# program.

import json
import os
import pathlib
import signal
import subprocess

import pytest

import peers
from program import Program
from test_cli import DEAD_PORT, START, binary

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "conf"


def run(*args, cwd):
    env = {"PATH": os.environ["PATH"], **{n: v for n, v in os.environ.items() if n.endswith("SAN_OPTIONS")}}
    done = subprocess.run([binary(), *args], env=env, cwd=cwd, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def bad_files(form):
    """The first message (without the file's name) and the content of each."""
    for case in (b"\n" + (VECTORS / f"bad-{form}").read_bytes()).split(b"\n=== ")[1:]:
        message, _, content = case.partition(b"\n")
        yield message.decode(), content + b"\n"


@pytest.mark.parametrize("form", ("toml", "yaml", "json", "ini"))
def test_bad_files_start_nothing(form, tmp_path):
    n_cases = 0
    for message, content in bad_files(form):
        (tmp_path / f"bad.{form}").write_bytes(content)
        status, out, err = run("-c", f"bad.{form}", cwd=tmp_path)
        assert (status, out) == (2, ""), content
        assert err.split("\n")[0] == f"mltunnel: bad.{form}{message}", content
        n_cases += 1
    assert n_cases >= 40


def without_ours(value):
    """The same without the keys that frpc does not have."""
    if isinstance(value, dict):
        return {key: without_ours(of) for key, of in value.items() if key not in ("format", "systemRoots", "pin")}
    return [without_ours(of) for of in value] if isinstance(value, list) else value


@pytest.mark.parametrize("version", (peers.OLD, peers.NEW))
def test_frpc_takes_a_file_with_all_our_keys(version, tmp_path):
    """Names and types are frp's: it is as strict as we are. The newer one has three keys more than the old."""
    tree = without_ours(json.loads((VECTORS / "full.json").read_text()))
    if version == peers.OLD:
        del tree["clientID"], tree["transport"]["wireProtocol"]
        for element in (*tree["proxies"], *tree["visitors"]):
            element.pop("enabled", None)
    (tmp_path / "full.json").write_text(json.dumps(tree))
    argv = [peers.peer_dir() / f"frpc-{version}", "verify", "-c", "full.json"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "frpc: the configuration file full.json syntax is ok\n")


def test_verify(tmp_path):
    (tmp_path / "good").write_text("serverPort: 7000\n")
    (tmp_path / "bad").write_text('\ntransport.protocol = "invalid"\n')
    (tmp_path / "odd.toml").write_text("serverProt = 1\n")
    assert run("verify", "-c", "good", cwd=tmp_path) == (
        0, "mltunnel: the configuration file good syntax is ok\n", "",
    )  # fmt: skip
    status, out, err = run("verify", "-c", "bad", cwd=tmp_path)
    assert (status, out) == (2, "") and "bad:2:22: transport.protocol:" in err
    status, out, err = run("verify", "-c", "odd.toml", "--strict_config=false", cwd=tmp_path)
    assert status == 0 and "syntax is ok" in out and err.startswith("mltunnel: warning: odd.toml:1:1: serverProt:")


def start(lines, tmp_path, *args):
    env = {"PATH": os.environ["PATH"], **{n: v for n, v in os.environ.items() if n.endswith("SAN_OPTIONS")}}
    agent = Program("agent", [str(binary()), *args], env, tmp_path)
    for line in lines:
        agent.wait_line(line)
    return agent


def test_one_proxy_by_options_hides_its_secrets(tmp_path):
    agent = start(
        [f"{START}.*config=\"the command line\".*me.web"], tmp_path, "http", "-s", "127.0.0.1", "-P", str(DEAD_PORT),
        "-t", "t0ken-5ecret", "-u", "me", "-n", "web", "-l", "80", "--custom_domain", "a.example", "--http-pwd=pw-5ecret",
    )  # fmt: skip
    try:
        assert b"5ecret" not in pathlib.Path(f"/proc/{agent.pid}/cmdline").read_bytes()
        assert "5ecret" not in agent.text()
    finally:
        agent.close()


def test_a_folder_without_files_is_told(tmp_path):
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    assert run("--config_dir", "empty", cwd=tmp_path) == (2, "", "mltunnel: --config_dir empty: it has no files\n")


def test_a_folder_runs_one_agent_for_each_file(tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.toml").write_text(
            f'serverAddr = "127.0.0.1"\nserverPort = {DEAD_PORT}\n'
            f'[[proxies]]\nname = "{name}"\ntype = "tcp"\nlocalPort = 1\n'
        )
    (folder / "broken").write_text("x\n")
    (folder / "folder").mkdir()
    agent = start([f"{START}.*a.toml", f"{START}.*b.toml", "conf.d/broken:1:"], tmp_path, "--config_dir", str(folder))
    # Both are asked to end, and the one that was wrong tells with its status.
    agent.wait_line("connect to server error", count=2)
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 2
