# SPDX-License-Identifier: Apache-2.0
# test_run.py - mltunnel run -- COMMAND: the node's server beside the tunnel; signals, ends, what it inherits, orphans.

import http.client
import inspect
import os
import resource
import signal
import sys

import pytest

import network
import peers
from program import Program

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="the stock client starts nothing")

# Says which signals it gets, and ends with 7 at SIGTERM; "stubborn" does not end at all.
SERVER = """
import os, signal, sys, time
def heard(number, _):
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())  # print() cannot be interrupted by itself
    if number == signal.SIGTERM and "stubborn" not in sys.argv:
        sys.exit(int(sys.argv[1]))
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(number, heard)
os.write(1, b"server is up\\n")
while True:
    time.sleep(60)
"""


def python(*arguments):
    return [sys.executable, "-c", *arguments]


def start_run(lab, *command, before=(), want_up=True, **env):
    argv = [*before, peers.agent_program(), "run", "--", *command]
    agent = lab.keep(Program("agent", argv, lab.env(**env), lab.directory))
    if want_up:
        lab.wait_up()
    return agent


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def status_fields(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


# ---- how it ends


@pytest.mark.parametrize("script, status", (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)))
def test_the_exit_status_of_the_command_is_ours(lab, script, status):
    os.mkfifo(lab.directory / "go")
    agent = start_run(lab, "sh", "-c", f"read line <{lab.directory}/go; {script}")
    (lab.directory / "go").write_text("now\n")
    assert agent.wait() == status
    network.wait_closed(lab.port1, timeout=0.5)
    network.wait_closed(lab.port2, timeout=0.5)


@pytest.mark.parametrize("command, status", (("/nonexistent", 127), ("no-such-program-anywhere", 127), ("/etc/passwd", 126)))
def test_a_command_that_cannot_be_started_is_told_as_by_a_shell(lab, command, status):
    agent = start_run(lab, command, want_up=False)
    assert agent.wait() == status
    assert len(agent.find("the command cannot be started")) == 1
    assert not lab.frps.logins()


def test_without_a_command_it_is_a_plain_sidecar(lab):
    agent = lab.keep(Program("agent", [peers.agent_program(), "run"], lab.env(), lab.directory))
    lab.wait_up()
    assert children_of(agent.pid) == []
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0


def test_stop_drains_first_then_asks_the_command(lab):
    agent = start_run(lab, *python(SERVER, "0"))
    agent.wait_line("server is up")
    c = http.client.HTTPConnection("127.0.0.1", lab.port1, timeout=15)
    c.request("GET", "/sse?events=60&rate=30&size=300&stream=1")
    answer = c.getresponse()
    answer.readline()
    agent.signal(signal.SIGTERM)
    network.wait_closed(lab.port1, timeout=0.5)
    network.wait_closed(lab.port2, timeout=0.5)
    assert not agent.find("got SIGTERM"), "the command serves until the streams are over"
    assert answer.read().count(b"\n\n") >= 59
    assert agent.wait(timeout=5) == 0
    assert agent.find("got SIGTERM")


@pytest.mark.parametrize("status", (0, 7, 143))
def test_after_a_stop_only_an_unusual_status_is_passed_on(lab, status):
    agent = start_run(lab, *python(SERVER, str(status)))
    agent.wait_line("server is up")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == (7 if status == 7 else 0)


def test_a_command_that_does_not_end_is_killed(lab):
    agent = start_run(lab, *python(SERVER, "0", "stubborn"), MLTUNNEL_GRACE="1s")
    agent.wait_line("server is up")
    agent.signal(signal.SIGTERM)
    asked, _ = agent.wait_line("got SIGTERM")
    killed, _ = agent.wait_line("the command does not end: killing it")
    assert 0.9 <= killed - asked <= 2
    assert agent.wait() == 137


def test_a_further_signal_kills_the_command(lab):
    agent = start_run(lab, *python(SERVER, "0", "stubborn"), MLTUNNEL_GRACE="1h")
    agent.wait_line("server is up")
    agent.signal(signal.SIGTERM)
    agent.wait_line("got SIGTERM")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 137


# ---- signals


@pytest.mark.parametrize("name", ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"))
def test_other_signals_are_passed_on(lab, name):
    agent = start_run(lab, *python(SERVER, "0"))
    agent.wait_line("server is up")
    agent.signal(signal.Signals[name])
    agent.wait_line(f"got {name}")
    assert network.answers(lab.port1)


# ---- what the command inherits


def ignore_and_limit():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(777, hard), hard))


LIMITED = "import os, sys, signal, resource\n{}\nignore_and_limit()\nos.execv(sys.argv[1], sys.argv[1:])"


def limited():
    return python(LIMITED.format(inspect.getsource(ignore_and_limit)))


def test_the_command_gets_no_secret_and_our_parent_s_limits(lab):
    agent = start_run(lab, "sh", "-c", "echo server is up; exec sleep 60", before=limited())
    agent.wait_line("server is up")
    (child,) = children_of(agent.pid)
    with open(f"/proc/{child}/environ", "rb") as file:
        environment = file.read()
    assert b"CLIENT_ID=" in environment
    assert peers.TOKEN.encode() not in environment and b"SECRET_FRP_TOKEN" not in environment
    fields = status_fields(child)
    assert int(fields["SigIgn"], 16) == 0 and int(fields["SigBlk"], 16) == 0
    assert fields["NoNewPrivs"] == "0"
    with open(f"/proc/{child}/limits") as file:
        limits = {line[:26].strip(): line[26:].split() for line in file}
    assert limits["Max open files"][0] == "777"
    assert limits["Max core file size"] == [str_limit(value) for value in resource.getrlimit(resource.RLIMIT_CORE)] + ["bytes"]
    assert all("socket" not in link and "anon_inode" not in link for link in links_of(child))


def str_limit(value):
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def links_of(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]


def test_the_agent_itself_is_hardened(lab):
    agent = start_run(lab, "sleep", "60")
    assert status_fields(agent.pid)["NoNewPrivs"] == "1"
    with open(f"/proc/{agent.pid}/limits") as file:
        assert [line.split()[4:6] for line in file if line.startswith("Max core")] == [["0", "0"]]
    # Files in /proc of a process that is not dumpable belong to root; here all do, so look at another user's.
    assert os.stat(f"/proc/{agent.pid}/environ").st_uid == 0


def test_the_path_of_a_token_file_stays(lab):
    path = lab.directory / "token"
    path.write_text(peers.TOKEN + "\n")
    agent = start_run(lab, "sh", "-c", "echo path $SECRET_FRP_TOKEN_FILE; exec sleep 60",
                      SECRET_FRP_TOKEN=None, SECRET_FRP_TOKEN_FILE=str(path))  # fmt: skip
    agent.wait_line(f"path {path}")


# ---- the first process of a container


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a process namespace of its own")


@needs_root
def test_orphans_are_reaped_and_the_status_is_not_stolen(lab):
    # Eight orphans end at about the same time as their parent's other children; then the command ends with 5.
    script = """
    for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.2' &); done
    sleep 1
    ps -eo ppid,stat | grep -c '^ *1 *Z' && echo zombies are left || echo no zombies
    exit 5
    """
    # unshare tells the status on; the agent is process 1 in there.
    agent = start_run(lab, "sh", "-c", script, before=["unshare", "--fork", "--pid", "--mount-proc"], want_up=False)
    agent.wait_line("no zombies")
    assert agent.wait() == 5


@needs_root
def test_many_orphans_at_the_end_of_the_command(lab):
    script = "for i in $(seq 50); do (sleep 0.0$((i % 9)) &); done; exit 6"
    for _ in range(5):
        agent = start_run(lab, "sh", "-c", script, before=["unshare", "--fork", "--pid", "--mount-proc"], want_up=False)
        assert agent.wait() == 6


# ---- a second copy


def test_a_second_copy_does_not_start_the_command(lab):
    agent = start_run(lab, *python(SERVER, "0"))
    agent.wait_line("server is up")
    second = start_run(lab, *python(SERVER, "0"), want_up=False)
    second.wait_line("another agent still serves these proxies", timeout=25)
    assert second.wait() == 0
    assert not second.find("server is up")
    assert network.answers(lab.port1)
    assert len(children_of(agent.pid)) == 1


def test_a_second_copy_takes_over_with_its_own_command(lab):
    agent = start_run(lab, *python(SERVER, "0"))
    agent.wait_line("server is up")
    second = start_run(lab, *python(SERVER, "0"), want_up=False)
    second.wait_line("waiting up to 15 s")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    second.wait_line("server is up")
    lab.wait_up()
