# SPDX-License-Identifier: Apache-2.0
# test_office.py - a language model of an office under a name of its own: the file, the scripts and the unit of packaging/,
# and what a service manager hears.

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

import network
import peers

OFFICE = peers.HOME / "packaging/office.toml"
UNIT = peers.HOME / "packaging/mltunnel@.service"
CHECK = peers.HOME / "scripts/check-tunnel"
INSTALL = peers.HOME / "scripts/install"
UNINSTALL = peers.HOME / "scripts/uninstall"
DOMAIN = "llm.example.net"
LOGIN = 'httpUser = "ann"\nhttpPassword = "p\\"w\\\\d"\n'

pytestmark = pytest.mark.skipif(peers.IS_STOCK, reason="these are our own scripts and words")


def office_text(lab, **more):
    """packaging/office.toml with the places of this lab."""
    text = OFFICE.read_text()
    for old, new in (
        ('serverAddr = "frps.example.net"', 'serverAddr = "127.0.0.1"'),
        ("serverPort = 7000", f"serverPort = {lab.server_port}"),
        ('auth.token = "change-me"', f'auth.token = "{peers.TOKEN}"'),
        ("/var/log/mltunnel", str(lab.directory / "log")),
        ("localPort = 8000", f"localPort = {lab.node.inference}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text + "".join(more.values())


class Office:
    def __init__(self, lab):
        self.lab = lab
        self.vhost_port = network.free_port()
        self.start_server()
        (lab.directory / "log").mkdir()
        self.log = lab.directory / "log/office.log"
        self.path = lab.directory / "office.toml"
        self.path.write_text(office_text(lab))

    def start_server(self):
        return self.lab.start_frps(extra=[f"vhostHTTPPort = {self.vhost_port}"])

    def start(self, *argv, want_up=True, **env):
        argv = argv or ("-c", self.path)
        agent = self.lab.keep(peers.Agent(self.lab, [peers.agent_program(), *argv], peers.clean_env(self.lab.directory, **env)))
        if want_up:
            self.wait_logged(r"\[office-llm\] start proxy success")
        return agent

    def wait_logged(self, pattern):
        def is_there():
            return self.log.exists() and re.search(pattern, self.log.read_text())

        network.wait_until(is_there, f"the log says {pattern}")

    def check(self, *options, path=None):
        """Exit status and {check: (verdict, line and remedy)} of check-tunnel."""
        argv = [CHECK, path or self.path, "--vhost-port", self.vhost_port, "--timeout", "5", *options]
        if "--service" not in options:
            argv.append("--no-service")
        done = subprocess.run(
            [str(word) for word in argv], env=peers.clean_env(self.lab.directory, **self.extra_path), timeout=120, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        found = {}
        for number, line in enumerate(lines):
            match = re.match(r"(PASS|FAIL|SKIP)  (service|server port|vhost port|models|chat) +(.*)", line)
            if match:
                remedy = lines[number + 1].strip() if match[1] == "FAIL" else ""
                assert match[1] != "FAIL" or remedy.startswith("-> "), done.stdout
                found[match[2]] = match[1], match[3] + remedy
        assert len(found) == 5, done.stdout
        return done.returncode, found

    extra_path = {}


@pytest.fixture
def office(new_lab, version):
    return Office(new_lab(version=version))


def verdicts(found):
    return [verdict for verdict, _ in found.values()]


# ---- the way through


def test_the_office_file_serves(office):
    agent = office.start()
    status, found = office.check()
    assert (status, verdicts(found)) == (0, ["SKIP", "PASS", "PASS", "PASS", "PASS"]), found
    assert f"{DOMAIN} lists " in found["models"][1]
    assert agent.text() == "", "the log is in its file"
    office.wait_logged(rf"\[office-llm\] start proxy success remote={re.escape(DOMAIN)}:{office.vhost_port}")


def test_another_name_is_not_served(office):
    office.start()
    status, found = office.check("--domain", "other.example.net")
    assert (status, verdicts(found)) == (1, ["SKIP", "PASS", "PASS", "FAIL", "FAIL"])
    assert "is the name in customDomains" in found["models"][1]


def test_a_login_of_the_proxy_is_used_and_missed(office):
    bare = office.lab.directory / "bare.toml"
    shutil.copy(office.path, bare)
    office.path.write_text(office_text(office.lab, login=LOGIN))
    # what a shell script takes from a file is plain text, so it is given the value itself
    said = office.lab.directory / "said.toml"
    said.write_text(office_text(office.lab, login="httpUser = 'ann'\nhttpPassword = 'p\"w\\d'\n"))
    office.start()
    assert office.check(path=said)[0] == 0
    status, found = office.check(path=bare)
    assert status == 1
    assert "HTTP 401" in found["models"][1] and "httpUser" in found["models"][1]


# ---- what is down


def test_check_names_a_service_that_is_down(office):
    office.start()
    office.lab.node.kill()
    status, found = office.check("--model", "any")
    assert (status, verdicts(found)) == (1, ["SKIP", "PASS", "PASS", "FAIL", "FAIL"])
    for name in ("models", "chat"):
        assert f"nothing listens at 127.0.0.1:{office.lab.node.inference}" in found[name][1]


def test_check_names_an_agent_that_is_down(office):
    status, found = office.check()
    assert (status, verdicts(found)) == (1, ["SKIP", "PASS", "PASS", "FAIL", "FAIL"])
    assert "HTTP 404" in found["models"][1] and "is the agent logged in" in found["models"][1]
    assert "no model is known" in found["chat"][1]


def test_check_names_a_server_that_is_down(office):
    office.start()
    office.lab.frps.kill()
    status, found = office.check()
    assert (status, verdicts(found)) == (1, ["SKIP", "FAIL", "FAIL", "FAIL", "FAIL"])
    assert "is frps running there" in found["server port"][1]
    assert f"vhostHTTPPort = {office.vhost_port}" in found["vhost port"][1]
    assert "HTTP 000" in found["models"][1] and "onnect" in found["models"][1]


def test_check_names_a_port_without_virtual_hosts(office):
    office.start()
    office.vhost_port = network.free_port()
    status, found = office.check()
    assert (status, verdicts(found)) == (1, ["SKIP", "PASS", "FAIL", "FAIL", "FAIL"])


@pytest.mark.parametrize("state", ("active", "failed"))
def test_check_asks_the_service_manager(office, state):
    office.start()
    folder = office.lab.directory / "stand-in"
    folder.mkdir()
    systemctl = folder / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$*" = "is-active mltunnel@office" ] && echo {state}\n')
    systemctl.chmod(0o755)
    office.extra_path = {"PATH": f"{folder}:/usr/bin:/bin"}
    status, found = office.check("--service", "mltunnel@office")
    verdict, words = found["service"]
    assert (status, verdict) == ((0, "PASS") if state == "active" else (1, "FAIL"))
    assert state == "active" or "systemctl start mltunnel@office; journalctl -u mltunnel@office" in words


@pytest.mark.parametrize(
    "argv, words",
    (
        (("--nonsense",), "unknown option --nonsense"),
        (("/nowhere/office.toml",), "cannot be read"),
        (("--server",), "--server needs a value"),
        (("--server", "h", "--timeout", "x"), "take a number"),
    ),
)
def test_check_refuses_a_wrong_call(tmp_path, argv, words):
    done = subprocess.run([CHECK, *argv], env=peers.clean_env(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


# ---- installing


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def run_script(script, *argv):
    done = subprocess.run([str(word) for word in (script, *argv)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_install_and_uninstall_leave_nothing(tmp_path):
    place = ("--destdir", tmp_path / "root", "--prefix", "/opt/mltunnel")
    run_script(INSTALL, *place, "--binary", peers.agent_program())
    files = tree(tmp_path / "root")
    assert files[:2] == ["etc/mltunnel/office.toml", "etc/systemd/system/mltunnel@.service"]
    assert {"opt/mltunnel/bin/mltunnel", "opt/mltunnel/share/man/man8/mltunnel.8"} < set(files)
    assert (tmp_path / "root/etc/mltunnel/office.toml").stat().st_mode & 0o007 == 0, "it holds a token"
    done = subprocess.run([tmp_path / "root/opt/mltunnel/bin/mltunnel", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mltunnel ")
    run_script(UNINSTALL, *place)
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "root"])
    assert not (tmp_path / "root").exists() or tree(tmp_path / "root") == []
    assert not (tmp_path / "root").exists() or list((tmp_path / "root").iterdir()) == []


def test_install_without_a_program_builds_one(tmp_path):
    """The build itself is scripts/build's, and takes minutes: here it has a quicker one in its place."""
    home, root = tmp_path / "home", tmp_path / "root"
    for name in ("scripts/install", "scripts/check-tunnel", "packaging", "agent/man"):
        source = peers.HOME / name
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, home / name) if source.is_dir() else shutil.copy2(source, home / name)
    build = home / "scripts/build"
    build.write_text(f'#!/bin/sh\nmkdir -p "$1" && cp "{peers.agent_program()}" "$1/mltunnel" && echo "$1/mltunnel"\n')
    build.chmod(0o755)
    assert "building it" in run_script(home / "scripts/install", "--destdir", root)
    assert (root / "usr/local/bin/mltunnel").read_bytes() == peers.agent_program().read_bytes()
    build.unlink()
    assert "building it" not in run_script(home / "scripts/install", "--destdir", root), "it is there already"


def test_install_keeps_what_was_configured(tmp_path):
    place = ("--destdir", tmp_path / "root")
    run_script(INSTALL, *place, "--binary", peers.agent_program())
    config = tmp_path / "root/etc/mltunnel/office.toml"
    config.write_text("# mine\n")
    run_script(INSTALL, *place, "--binary", peers.agent_program())
    assert config.read_text() == "# mine\n"
    assert "kept your files" in run_script(UNINSTALL, *place)
    assert tree(tmp_path / "root") == ["etc/mltunnel/office.toml"]
    run_script(UNINSTALL, *place, "--purge")
    assert not (tmp_path / "root/etc").exists()


def test_the_unit_is_right(tmp_path):
    run_script(INSTALL, "--destdir", tmp_path / "root", "--prefix", "/opt", "--binary", peers.agent_program())
    text = (tmp_path / "root/etc/systemd/system/mltunnel@.service").read_text()
    start = "ExecStart=/opt/bin/mltunnel -c /etc/mltunnel/%i.toml"
    assert start in text
    unit = tmp_path / "mltunnel@office.service"
    unit.write_text(text.replace("/opt/bin", str(tmp_path / "root/opt/bin")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "more exposed than 2.5 of 10:\n" + done.stdout


# ---- what a service manager hears


class Manager:
    """NOTIFY_SOCKET of a stand-in for systemd."""

    def __init__(self, path):
        self.name = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.pids = set()

    def hear(self, timeout=10.0):
        """The next message, as {name: value}."""
        self._socket.settimeout(timeout)
        data, extra, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
        self.pids.add(struct.unpack("iII", extra[0][2][:12])[0])
        return dict(line.split("=", 1) for line in data.decode().splitlines())

    def wait(self, name, pattern=".*"):
        """The first message that has it."""
        while True:
            message = self.hear()
            if name in message and re.fullmatch(pattern, message[name]):
                return message

    def close(self):
        self._socket.close()


@pytest.fixture(params=("path", "abstract"))
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@mltunnel-test-{os.getpid()}"
    with contextlib.closing(Manager(name)) as manager:
        yield manager


@pytest.fixture
def old_office(new_lab):
    return Office(new_lab())


def test_manager_hears_how_it_goes(old_office, manager):
    agent = old_office.start(NOTIFY_SOCKET=manager.name)
    assert manager.hear() == {"READY": "1"}
    server = rf"127\.0\.0\.1:{old_office.lab.server_port}"
    manager.wait("STATUS", rf"1 of 1 proxies registered at {server}")
    old_office.lab.frps.kill()
    manager.wait("STATUS", rf"No session with {server}: .+")
    old_office.start_server()
    manager.wait("STATUS", rf"1 of 1 proxies registered at {server}")
    agent.signal(signal.SIGHUP)
    assert int(manager.wait("RELOADING", "1")["MONOTONIC_USEC"]) > 0
    assert manager.hear() == {"READY": "1"}
    agent.signal(signal.SIGTERM)
    message = manager.wait("STOPPING", "1")
    assert int(message["EXTEND_TIMEOUT_USEC"]) == 15000000, "the grace time, and something"
    assert agent.wait() == 0
    assert manager.pids == {agent.pid}


def test_it_is_ready_before_the_server_is(old_office, manager):
    old_office.lab.frps.kill()
    old_office.start(want_up=False, NOTIFY_SOCKET=manager.name)
    assert manager.hear() == {"READY": "1"}
    manager.wait("STATUS", "No session with .*refused.*")


def test_wrong_configuration_is_never_ready(old_office, manager):
    old_office.path.write_text("serverPort = 70000\n")
    agent = old_office.start(want_up=False, NOTIFY_SOCKET=manager.name)
    assert agent.wait() == 2
    with pytest.raises(TimeoutError):
        manager.hear(timeout=0.1)


def test_watchdog_is_fed(old_office, manager):
    agent = old_office.start(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="400000")
    for _ in range(5):
        manager.wait("WATCHDOG", "1")
    peers.freeze(agent)
    with pytest.raises(TimeoutError):
        while True:  # what was sent before
            manager.hear(timeout=1)
    agent.signal(signal.SIGCONT)
    manager.wait("WATCHDOG", "1")


def test_watchdog_of_another_process_is_left_alone(old_office, manager):
    old_office.start(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
    manager.wait("STATUS", "1 of 1.*")
    with pytest.raises(TimeoutError):
        manager.hear(timeout=0.5)


def test_a_command_does_not_speak_for_us(old_office, manager):
    script = "echo child: ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}; exec sleep 60"
    argv = ("run", "-c", old_office.path, "--", "/bin/sh", "-c", script)
    agent = old_office.start(*argv, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="60000000")
    agent.wait_line("^child: none none$")
    manager.wait("READY")
    agent.signal(signal.SIGTERM)
    assert int(manager.wait("STOPPING", "1")["EXTEND_TIMEOUT_USEC"]) == 25000000, "both grace times"
    assert agent.wait() == 0


def test_a_folder_of_agents_speaks_with_one_voice(old_office, manager):
    folder = old_office.lab.directory / "many"
    folder.mkdir()
    text = office_text(old_office.lab)
    (folder / "a.toml").write_text(text)
    (folder / "b.toml").write_text(text.replace("office-llm", "other").replace(DOMAIN, "other.example.net").replace("office.log", "b.log"))
    agent = old_office.start("--config_dir", folder, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="400000")
    assert manager.hear() == {"READY": "1"}
    for _ in range(3):
        assert manager.hear() == {"WATCHDOG": "1"}
    agent.signal(signal.SIGTERM)
    manager.wait("STOPPING", "1")
    assert agent.wait() == 0
    assert manager.pids == {agent.pid}


def test_a_manager_that_is_gone_is_one_warning(old_office):
    agent = old_office.start(NOTIFY_SOCKET=str(old_office.lab.directory / "nobody"), WATCHDOG_USEC="100000")
    old_office.wait_logged("the service manager cannot be told")
    old_office.lab.frps.kill()
    old_office.wait_logged("session lost")
    assert len(re.findall("the service manager cannot be told", old_office.log.read_text())) == 1
    assert agent.is_running()
