# SPDX-License-Identifier: Apache-2.0
# test_cli.py - arguments, messages, exit codes and signals of the program; needs no server. MLTUNNEL_BIN names the
# program.

import os
import pathlib
import random
import resource
import signal
import socket
import subprocess

import pytest

from program import Program

TOKEN = "t0ken-5ecret"
DEAD_PORT = 1  # nothing listens at port 1 of the loopback, in the tests' own network or outside
START = "mltunnel starts"


def binary():
    path = os.environ.get("MLTUNNEL_BIN")
    if not path:
        pytest.fail("MLTUNNEL_BIN does not name the program")
    return pathlib.Path(path).resolve()


def node_env(**more):
    """A good environment, with more over it; None takes one away."""
    env = {
        "PATH": os.environ["PATH"], "FRP_SERVER": f"127.0.0.1:{DEAD_PORT}", "SECRET_FRP_TOKEN": TOKEN,
        "CLIENT_ID": "0042", **more,
    }  # fmt: skip
    for name in os.environ:
        if name.endswith("SAN_OPTIONS"):
            env[name] = os.environ[name]
    return {name: value for name, value in env.items() if value is not None}


def run(*args, env=None, cwd=None, name=None):
    """Run to the end: (exit status, stdout, stderr)."""
    done = subprocess.run(
        [name or binary(), *map(str, args)], env=env if env is not None else {"PATH": os.environ["PATH"]}, cwd=cwd,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False, encoding="utf-8",
        errors="backslashreplace",
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def start():
    """Starts agents that end with the test."""
    agents = []

    def make(*args, env=None, name=None, **options):
        argv = [name or binary(), *args]
        agents.append(Program("agent", argv, env=env if env is not None else node_env(), **options))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


def write_ini(path, common="", proxies="[web]\nlocal_port = 80\nremote_port = 6000\n"):
    path.write_text(f"[common]\nserver_addr = 127.0.0.1\nserver_port = {DEAD_PORT}\ntoken = {TOKEN}\n{common}\n{proxies}")
    return path


@pytest.fixture
def frpc(tmp_path):
    """The program under the name of frp's client."""
    link = tmp_path / "bin" / "frpc"
    link.parent.mkdir()
    link.symlink_to(binary())
    return link


# ---- arguments


@pytest.mark.parametrize("option", ("-h", "--help"))
def test_help(option):
    status, out, err = run(option)
    assert status == 0 and not err
    assert out.startswith("Usage: mltunnel [-c FILE]\n")
    for word in ("FRP_SERVER", "SECRET_FRP_TOKEN", "CLIENT_ID", "--version", "Exit status"):
        assert word in out


@pytest.mark.parametrize("option", ("-v", "--version"))
def test_version(option, frpc):
    status, out, err = run(option)
    assert status == 0 and not err
    name, version = out.split()
    assert name == "mltunnel" and all(part.isdigit() for part in version.split("."))
    assert run(option, name=frpc) == (0, out, "")


@pytest.mark.parametrize(
    "args, line",
    (
        (("--bogus",), 'unknown option "--bogus"; see mltunnel --help'),
        (("-c",), 'the option "-c" needs the name of a file'),
        (("xtcp", "-c", "x"), 'the command "xtcp" of frpc is not supported by this version'),
        (("nonsense",), 'unknown command "nonsense"; see mltunnel --help'),
        (("--config_dir", "/no/such"), "--config_dir /no/such: No such file or directory"),
        (("-c", "/no/such.ini"), "/no/such.ini: cannot be read: No such file or directory"),
        (("-c", "/tmp"), "/tmp: cannot be read: it is a directory"),
    ),
)
def test_wrong_arguments_are_told_in_one_line(args, line, frpc):
    assert run(*args) == (2, "", f"mltunnel: {line}\n")
    assert run(*args, name=frpc) == (2, "", f"mltunnel: {line}\n")


def test_no_configuration_tells_both_ways():
    status, out, err = run()
    assert status == 2 and not out and err.count("\n") == 1
    assert "FRP_SERVER" in err and "-c FILE" in err


def test_frpc_without_arguments_reads_its_file(frpc, start, tmp_path):
    status, _, err = run(name=frpc, cwd=tmp_path)
    assert status == 2
    assert "./frpc.ini: cannot be read: No such file or directory" in err and "-c FILE" in err and "FRP_SERVER" in err
    write_ini(tmp_path / "frpc.ini")
    agent = start(name=frpc, cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    agent.wait_line(f"{START}.*frpc.ini.*web")
    # With FRP_SERVER it is the environment that counts.
    agent = start(name=frpc, cwd=tmp_path)
    agent.wait_line(f"{START}.*environment")


# ---- configuration


def test_all_problems_of_the_environment_are_told_at_once():
    env = node_env(
        FRP_SERVER="host:99999", CLIENT_ID="42", MLTUNNEL_POC_PORT="80x", MLTUNNEL_LOG_LEVL="debug", MLTUNNEL_ADMIN="1"
    )
    status, out, err = run(env=env)
    assert status == 2 and not out
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "FRP_SERVER", "CLIENT_ID", "MLTUNNEL_POC_PORT", "MLTUNNEL_ADMIN", "MLTUNNEL_LOG_LEVL",
    ]  # fmt: skip
    assert '"80x" is not a port (1-65535)' in err
    assert "the nearest known one is MLTUNNEL_LOG_LEVEL" in err


def test_problems_of_a_file_have_their_place(tmp_path):
    path = write_ini(tmp_path / "frpc.ini", "pool_cuont = 1", "[web]\nlocal_port = 80x\n")
    assert run("-c", path) == (
        2,
        "",
        f'mltunnel: {path}:5: [common]: unknown key "pool_cuont"; the nearest known one is "pool_count"\n'
        f'mltunnel: {path}:7: [web] local_port: "80x" is not a port (1-65535)\n',
    )


def test_a_foreign_file_is_no_flood(tmp_path):
    path = tmp_path / "frpc"
    path.write_text('serverAddr = "127.0.0.1"\n' * 5000)
    status, _, err = run("-c", path)
    assert status == 2 and err.count("\n") == 1
    path.write_text("[common]\nserver_addr = x\n" + "bogus = 1\n" * 5000)
    status, _, err = run("-c", path)
    assert status == 2 and len(err) < 100_000 and err.splitlines()[-1].startswith("mltunnel: and ")


def test_a_variable_wins_over_the_file(start, tmp_path):
    path = write_ini(tmp_path / "frpc.ini", "log_level = error")
    agent = start("-c", path, env={"PATH": os.environ["PATH"], "MLTUNNEL_LOG_LEVEL": "info"})
    agent.wait_line(START)


def test_first_line_of_the_log(start, tmp_path):
    agent = start()
    _, line = agent.wait_line(START)
    for word in ("environment", f"127.0.0.1:{DEAD_PORT}", "client-mlnode-port5000-0042", "client-mlnode-0042"):
        assert word in line
    path = write_ini(tmp_path / "my.ini", "user = me", "[a]\nlocal_port = 1\n[b]\nlocal_port = 2\n")
    agent = start("-c", path)
    _, line = agent.wait_line(START)
    for word in (str(path), "me.a", "me.b"):
        assert word in line


def test_log_goes_to_standard_error_but_as_frpc_to_standard_output(start, frpc):
    agent = start(want_stdout=True)
    agent.wait_line(START)  # looks at standard error
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert agent.take_stdout() == b""
    other = start(name=frpc, env=node_env(CLIENT_ID="0043"), want_stdout=True)
    wait_for_handlers(other)
    other.signal(signal.SIGTERM)
    assert other.wait() == 0
    assert START.encode() in other.take_stdout() and START not in other.text()


# ---- secrets


def is_hidden(agent):
    for name in ("environ", "cmdline"):
        if TOKEN.encode() in pathlib.Path(f"/proc/{agent.pid}/{name}").read_bytes():
            return False
    return True


def test_the_token_is_not_in_the_process_table(start, tmp_path):
    agent = start(env=node_env(MLTUNNEL_LOG_LEVEL="trace"))
    agent.wait_line(START)
    assert is_hidden(agent)
    # The start script leaves it in the environment of an agent that reads a file.
    other = start("-c", write_ini(tmp_path / "frpc.ini"), env=node_env(MLTUNNEL_LOG_LEVEL="trace"))
    other.wait_line(START)
    assert is_hidden(other)
    for one in (agent, other):
        one.signal(signal.SIGTERM)
        assert one.wait() == 0
        assert TOKEN not in one.text()


def test_the_token_is_in_no_output_of_a_failing_configuration(tmp_path):
    dice = random.Random(7)
    names = ("FRP_SERVER", "CLIENT_ID", "MLTUNNEL_TLS", "MLTUNNEL_GRACE", "MLTUNNEL_X", "FRP_SERVERS", "MLTUNNEL_TLS_CA")
    values = ("", "x:y", "\x1b[0m", "no", "9" * 400, "%s%n")
    tokens = (TOKEN, f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\x01")
    for _ in range(60):
        env = node_env(MLTUNNEL_BAD="1", SECRET_FRP_TOKEN=dice.choice(tokens))
        for name in dice.sample(names, 3):
            env[name] = dice.choice(values)
        status, out, err = run(env=env)
        assert status == 2 and not out and TOKEN not in err
    good = write_ini(tmp_path / "frpc.ini").read_text()
    for _ in range(60):
        at = dice.randrange(len(good))
        if good.find("token") <= at <= good.find(TOKEN) + len(TOKEN):
            continue
        path = tmp_path / "bad.ini"
        path.write_text(good[:at] + dice.choice("\n=[]\\{`;") + good[at + 1 :] + "bogus = 1\n")
        status, out, err = run("-c", path, env=node_env())
        assert status == 2 and not out and TOKEN not in err


def test_token_file(start, tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    agent = start(env=node_env(SECRET_FRP_TOKEN=None, SECRET_FRP_TOKEN_FILE=str(path)))
    agent.wait_line(START)
    path.write_text("x" * 70000)
    status, _, err = run(env=node_env(SECRET_FRP_TOKEN=None, SECRET_FRP_TOKEN_FILE=str(path)))
    assert (status, err) == (
        2, f'mltunnel: SECRET_FRP_TOKEN_FILE: "{path}" cannot be used: it is longer than 65536 bytes\n',
    )  # fmt: skip


# ---- the process


def wait_for_handlers(agent):
    """Its signal handlers are set, as the kernel sees it."""
    wanted = sum(1 << (number - 1) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP))
    limit = 100_000
    while int(status_line(agent, "SigCgt"), 16) & wanted != wanted:
        limit -= 1
        assert limit and agent.is_running(), "no handlers"


def status_line(agent, name):
    for line in pathlib.Path(f"/proc/{agent.pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    raise KeyError(name)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
def test_signals_that_stop(start, number):
    agent = start()
    agent.wait_line(START)
    agent.signal(number)
    assert agent.wait() == 0


def ignore_and_block():
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.SIGRTMAX))


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM))
def test_signals_that_were_ignored_and_blocked_by_the_parent(number):
    child = subprocess.Popen(
        [binary()], env=node_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=ignore_and_block,
    )  # fmt: skip
    try:
        wait_for_handlers(Watched(child))
        child.send_signal(number)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()


class Watched:
    """A child by hand, as far as wait_for_handlers() looks at it."""

    def __init__(self, child):
        self.child, self.pid = child, child.pid

    def is_running(self):
        return self.child.poll() is None


def test_signal_right_after_a_failed_try(start):
    """Nobody answers anywhere: the first try and the first question to the node have just failed."""
    for _ in range(20):
        agent = start()
        agent.wait_line("connect to server error")
        agent.signal(signal.SIGTERM)
        assert agent.wait(3) == 0


def test_hangup_never_kills(start, tmp_path):
    agent = start()
    agent.wait_line(START)
    agent.signal(signal.SIGHUP)
    agent.wait_line("nothing to reload")
    agent.signal(signal.SIGHUP)
    agent.wait_line("nothing to reload", count=2)
    other = start("-c", write_ini(tmp_path / "frpc.ini"))
    other.wait_line(START)
    other.signal(signal.SIGHUP)
    other.wait_line("reload success")
    for one in (agent, other):
        assert one.is_running()


def set_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
    resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)


def close_standard():
    os.closerange(0, 3)


def test_limits_and_closed_descriptors():
    for prepare in (set_limits, close_standard):
        child = subprocess.Popen([binary()], env=node_env(), preexec_fn=prepare)
        try:
            wait_for_handlers(Watched(child))
            folder = pathlib.Path(f"/proc/{child.pid}")
            limits = {line[:26].strip(): line[26:].split() for line in (folder / "limits").read_text().splitlines()}
            assert limits["Max open files"][0] == limits["Max open files"][1]
            assert limits["Max core file size"][0] == "0"
            if prepare is set_limits:
                assert limits["Max open files"][0] == "512"
            else:
                assert {os.readlink(folder / "fd" / str(fd)) for fd in range(3)} == {"/dev/null"}
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
        finally:
            child.kill()
            child.wait()


def test_sigpipe_is_ignored(start):
    agent = start()
    agent.wait_line(START)
    assert int(status_line(agent, "SigIgn"), 16) >> (signal.SIGPIPE - 1) & 1


# ---- the second copy


def test_a_second_copy_takes_over_when_the_first_ends(start):
    first = start()
    first.wait_line(START)
    second = start()
    second.wait_line("another agent serves these proxies at this server; waiting")
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    second.wait_line("the other agent has ended; starting", timeout=5)
    assert second.is_running()


def test_a_second_copy_that_waits_can_be_stopped(start):
    first = start()
    first.wait_line(START)
    second = start()
    second.wait_line("waiting up to 15 s")
    second.signal(signal.SIGINT)
    assert second.wait() == 0
    assert first.is_running()


def test_a_second_copy_gives_up_after_15_seconds(start):
    first = start()
    first.wait_line(START)
    second = start()
    begin, _ = second.wait_line("waiting up to 15 s")
    end, _ = second.wait_line("another agent still serves these proxies at this server; ending", timeout=25)
    assert second.wait() == 0
    assert 14.5 <= end - begin <= 17
    assert first.is_running()


def test_another_node_on_the_machine_does_not_wait(start):
    first = start()
    first.wait_line(START)
    other = start(env=node_env(CLIENT_ID="0043"))
    other.wait_line(START)
    # What it does next, without waiting: it dials, and is stopped as usual.
    other.signal(signal.SIGTERM)
    assert other.wait() == 0
    assert "another agent" not in other.text()


# ---- the first login


def test_login_fail_exit_ends_with_status_1(start, tmp_path):
    agent = start("-c", write_ini(tmp_path / "frpc.ini", "login_fail_exit = true"))
    assert agent.wait() == 1


def test_without_it_the_agent_stays(start, tmp_path):
    # A server that counts: two connections mean that the first failure was not the end.
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        path = write_ini(tmp_path / "frpc.ini")
        path.write_text(path.read_text().replace(f"server_port = {DEAD_PORT}", f"server_port = {port}"))
        agent = start("-c", path)
        for _ in range(3):
            server.accept()[0].close()
        assert agent.is_running()
