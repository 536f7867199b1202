# SPDX-License-Identifier: Apache-2.0
# peers.py - who takes part in a test: stock frps, mock node, agent, relay, fakefrps, load; and Lab, which has them all.

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import network
from program import Program

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
OLD, NEW = "0.65.0", "0.70.1"  # the servers everything is tried with
OTHERS = ("0.61.2", "0.71.0")  # and those that a smoke test has to do for
TOKEN = "s3cret-T0ken-of-the-tests"
# The agent under test; "stock-VERSION" puts the stock frpc in its place, to see what a test is worth.
AGENT = os.environ.get("MLTUNNEL_BIN", "")
IS_STOCK = AGENT.startswith("stock-")
IS_FULL = bool(os.environ.get("MLTUNNEL_FULL"))


def peer_dir():
    """Where tests/peer/build puts its programs. scripts/test has built them; by hand it is done here."""
    directory = os.environ.get("MLTUNNEL_PEER_DIR")
    if not directory:
        done = subprocess.run([HOME / "tests/peer/build"], stdout=subprocess.PIPE, text=True, check=True)
        directory = os.environ["MLTUNNEL_PEER_DIR"] = done.stdout.strip().splitlines()[-1]
    return pathlib.Path(directory)


def agent_program():
    if IS_STOCK:
        return peer_dir() / f"frpc-{AGENT.removeprefix('stock-')}"
    if not AGENT:
        raise RuntimeError("MLTUNNEL_BIN must name the agent")
    return pathlib.Path(AGENT)


def fakefrps_program():
    """In the build directory of scripts/test, or named by MLTUNNEL_FAKEFRPS."""
    named = os.environ.get("MLTUNNEL_FAKEFRPS")
    if named:
        return pathlib.Path(named)
    build = pathlib.Path(os.environ.get("MLTUNNEL_BUILD", HOME / "build"))
    agent_build = pathlib.Path(AGENT).resolve().parent if AGENT else build
    for directory in (agent_build, *sorted(build.glob("*"))):
        for path in (directory / "fakefrps", directory / "tests/peer/fakefrps"):
            if path.is_file():
                return path
    raise RuntimeError("no fakefrps is built; MLTUNNEL_FAKEFRPS may name it")


def clean_env(home, **more):
    """Nothing of the caller's settings reaches the programs of a test."""
    kept = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C.UTF-8", **kept, **more}


class Frps(Program):
    """A stock server. Made again with the same port, it is the restarted one."""

    def __init__(self, directory, version=OLD, token=TOKEN, port=None, is_tls_forced=False, extra=(), bind="127.0.0.1",
                 level="debug"):  # fmt: skip
        self.version = version
        self.port = port or network.free_port()
        path = directory / f"frps-{self.port}.toml"
        lines = [
            f'bindAddr = "{bind}"',
            f"bindPort = {self.port}",
            'proxyBindAddr = "127.0.0.1"',
            f'auth.token = "{token}"',
            'log.to = "console"',
            f'log.level = "{level}"',
            "log.disablePrintColor = true",
            f"transport.tls.force = {str(is_tls_forced).lower()}",
            *extra,
        ]
        path.write_text("\n".join(lines) + "\n")
        super().__init__(f"frps {version}", [peer_dir() / f"frps-{version}", "-c", path], clean_env(directory))

    def wait_open(self):
        network.wait_listening(self.port, timeout=30)

    def logins(self, since=0):
        """When the server let somebody in."""
        return [at for at, _ in self.find(r"client login info", since)]


class Node(Program):
    """The mock node; see tests/peer/README.md for its routes."""

    def __init__(self, directory, raw=False):
        argv = [peer_dir() / "mocknode", *(["--raw", "127.0.0.1:0"] if raw else [])]
        super().__init__("mocknode", argv, clean_env(directory))
        ports = json.loads(self.wait_line(r'^\{"inference"')[1])
        self.inference, self.management, self.raw = (
            int(ports[name].rsplit(":", 1)[1]) if name in ports else 0 for name in ("inference", "management", "raw")
        )

    def events(self, ident, count, wait_ms=10000):
        """What happened to requests with id=IDENT, when there are that many."""
        path = f"/events-log?id={ident}&n={count}&wait_ms={wait_ms}"
        return json.loads(network.get(self.management, path, wait_ms / 1000 + 5)[1])


class Load(Program):
    """The load generator, at work; exact() ends it well or the test."""

    def __init__(self, command, port, /, **options):
        argv = [peer_dir() / "load", command, "--to", f"127.0.0.1:{port}"]
        for name, value in options.items():
            option = "--" + name.replace("_", "-")
            argv += [option] if value is True else [option, str(value)]
        super().__init__(f"load {command}", argv, want_stdout=True)

    def wait_ready(self, timeout=60.0):
        self.wait_line(r"^ready:", timeout)

    def report(self, timeout=120.0):
        status = self.wait(timeout)
        assert status in (0, 1), f"{self.name} {status}: {self.text()}"
        return json.loads(self.take_stdout())

    def exact(self, timeout=120.0):
        report = self.report(timeout)
        assert report["exact"], report
        return report


def load(command, port, /, **options):
    """Run it to its end; the report of an exact run."""
    return Load(command, port, **options).exact()


class Controlled(Program):
    """A program that tells events as JSON lines and takes commands, one a line, each answered by one event."""

    def __init__(self, name, argv, directory):
        super().__init__(name, argv, clean_env(directory))
        ports = json.loads(self.wait_line(r'^\{"port"')[1])
        self.port = ports["port"]
        self._control = socket.create_connection(("127.0.0.1", ports["control"]))
        self._answers = self._control.makefile("r")

    def tell(self, command):
        """The command is in force when this returns."""
        self._control.sendall(command.encode() + b"\n")
        answer = self._answers.readline()
        assert answer == "ok\n", f"{self.name}: {command!r}: {answer!r}\n{self.text()[-2000:]}"

    def events(self, what=None, since=0):
        """(when, event) of those with "ev": what."""
        events = [(at, json.loads(line)) for at, line in self.lines[since:] if line.startswith("{")]
        return [(at, event) for at, event in events if what in (None, event.get("ev"))]

    def wait_event(self, what, timeout=10.0, since=0, count=1, **fields):
        """When the count-th such event came, and the event."""
        pattern = rf'"ev":\s?"{what}"'
        for name, value in fields.items():
            pattern += rf'(?=.*"{name}":\s?{re.escape(json.dumps(value))})'
        at, line = self.wait_line(pattern, timeout, since, count)
        return at, json.loads(line)

    def close(self):
        self._answers.close()
        self._control.close()
        super().close()


class Relay(Controlled):
    """A path that can be made bad: see tests/peer/relay.py."""

    def __init__(self, directory, to_port):
        program = HOME / "tests/peer/relay.py"
        super().__init__("relay", [sys.executable, "-B", program, "--to", f"127.0.0.1:{to_port}"], directory)


class FakeFrps(Controlled):
    """A server that can be made to misbehave: see tests/peer/fakefrps.c."""

    def __init__(self, directory, token=TOKEN, is_mux=True):
        argv = [fakefrps_program(), "--token", token, *([] if is_mux else ["--no-mux"])]
        super().__init__("fakefrps", argv, directory)

    def wait_message(self, kind, timeout=10.0, since=0, count=1):
        return self.wait_event("message", timeout, since, count, type=kind)

    def logins(self, since=0):
        return [at for at, event in self.events("message", since) if event["type"] == "Login"]


class NameServer(Controlled):
    """A DNS server that can be made slow or wrong: see tests/peer/nameserver.py."""

    def __init__(self, directory):
        super().__init__("dns", [sys.executable, "-B", HOME / "tests/peer/nameserver.py"], directory)


class Agent(Program):
    """mltunnel, by environment or by the field script's INI."""

    def __init__(self, lab, argv, env, name="agent"):
        super().__init__(name, argv, env, lab.directory)

    def close(self):
        """A second signal: streams that a test left open are not waited for."""
        if self.is_running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            time.sleep(0.02)  # or the kernel makes one signal of two
        super().close()


class Lab:
    """One tunnel with its own node, ports and CLIENT_ID; everything in it ends with it."""

    def __init__(self, directory, version=OLD, has_raw_node=False):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "etc").mkdir(exist_ok=True)
        self.version = version
        self.client_id = network.free_client_id()
        self.port1 = int(f"1{self.client_id}")  # inference at the server
        self.port2 = int(f"2{self.client_id}")  # management
        self.server_port = None
        self._stack = contextlib.ExitStack()
        try:
            self.node = self.keep(Node(self.directory, has_raw_node))
        except BaseException:
            self.close()
            raise
        self.frps = None

    def keep(self, program):
        self._stack.callback(program.close)
        return program

    def close(self):
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- servers

    def start_frps(self, **options):
        """The first one takes a free port, later ones the same."""
        self.frps = self.keep(Frps(self.directory, options.pop("version", self.version), port=self.server_port, **options))
        self.server_port = self.frps.port
        self.frps.wait_open()
        return self.frps

    def start_relay(self):
        """Between agents started from now on and the server."""
        relay = self.keep(Relay(self.directory, self.server_port))
        self.server_port = relay.port
        return relay

    def start_dns(self):
        return self.keep(NameServer(self.directory))

    def start_fake(self, **options):
        fake = self.keep(FakeFrps(self.directory, **options))
        self.server_port = fake.port
        return fake

    # ---- agents

    def env(self, **more):
        """What the container gives the agent. A value of None leaves the variable out."""
        env = {
            "FRP_SERVER": f"127.0.0.1:{self.server_port}",
            "SECRET_FRP_TOKEN": TOKEN,
            "CLIENT_ID": self.client_id,
            "FRP_CONFIG_DIR": str(self.directory / "etc"),
            "MLTUNNEL_INFERENCE_PORT": str(self.node.inference),
            "MLTUNNEL_POC_PORT": str(self.node.management),
            **more,
        }
        return clean_env(self.directory, **{name: value for name, value in env.items() if value is not None})

    def ini(self, name="frpc.ini", common=(), token=TOKEN, prefix="client-mlnode", ports=None):
        """The file that the field's start script writes, with further lines of [common]."""
        path = self.directory / "etc" / name
        port1, port2 = ports or (self.port1, self.port2)
        lines = ["[common]", "server_addr = 127.0.0.1", f"server_port = {self.server_port}", f"token = {token}", *common]
        for proxy, local, remote in (
            (f"{prefix}-port5000-{self.client_id}", self.node.inference, port1),
            (f"{prefix}-{self.client_id}", self.node.management, port2),
        ):
            if remote:
                lines += ["", f"[{proxy}]", "type = tcp", "local_ip = 127.0.0.1", f"local_port = {local}"]
                lines += [f"remote_port = {remote}"]
        path.write_text("\n".join(lines) + "\n")
        return path

    def start_agent(self, tls="on", want_up=True, before=(), **env):
        """By environment variables alone (a stock frpc knows only files). want_up: both ports answer. before: words of a
        command that starts it."""
        if IS_STOCK:
            token = env.get("SECRET_FRP_TOKEN", TOKEN)
            level = env.get("MLTUNNEL_LOG_LEVEL", "info")
            tls_line = f"tls_enable = {'true' if tls == 'on' else 'false'}"
            path = self.ini(common=[tls_line, "login_fail_exit = false", f"log_level = {level}"], token=token)
            return self.start_by_ini(path, want_up)
        full = self.env(MLTUNNEL_TLS=tls, **env)
        agent = self.keep(Agent(self, [*before, agent_program()], full))
        if want_up:
            self.wait_up()
        return agent

    def start_by_ini(self, path, want_up=True, name="frpc"):
        """As the field does: a binary called frpc, -c FILE, the token also in the environment."""
        # The file names the local ports; variables that do it as well are refused.
        env = self.env(MLTUNNEL_INFERENCE_PORT=None, MLTUNNEL_POC_PORT=None)
        agent = self.keep(Agent(self, [self.install("frpc"), "-c", path], env, name))
        if want_up:
            self.wait_up()
        return agent

    def install(self, name):
        """The agent's binary under that name."""
        path = self.directory / "bin" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            shutil.copy2(agent_program(), path)
        return path

    def start_stock(self, version=OLD, **ini):
        """A stock frpc beside the agent, on this server."""
        path = self.ini(name=f"stock-{network.free_port()}.ini", common=["login_fail_exit = false"], **ini)
        argv = [peer_dir() / f"frpc-{version}", "-c", path]
        return self.keep(Program(f"frpc {version}", argv, clean_env(self.directory)))

    # ---- the tunnel

    def wait_up(self, timeout=10.0):
        return network.wait_answers(self.port1, self.port2, timeout=timeout)

    def load(self, command, /, **options):
        return load(command, self.port1, **options)

    def start_load(self, command, /, port=None, **options):
        return self.keep(Load(command, port or self.port1, **options))


def side_by_side(count, work):
    """work(0) to work(count - 1) at once, each in a network of its own; their results in order, or the first failure."""
    results, failures = [None] * count, []

    def run(i):
        try:
            network.enter_own_network()
            results[i] = work(i)
        except BaseException as error:  # told below, in the thread of the test
            failures.append((i, error))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        i, error = failures[0]
        raise AssertionError(f"{len(failures)} of {count} failed; number {i}: {error}") from error
    return results


def freeze(program):
    """SIGSTOP, and stopped when this returns."""
    program.signal(signal.SIGSTOP)

    def is_stopped():
        with open(f"/proc/{program.pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    network.wait_until(is_stopped, f"{program.name} is stopped")
