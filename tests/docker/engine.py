# SPDX-License-Identifier: Apache-2.0
# engine.py - the Docker engine as the tests use it: images, containers, compose projects, faults.

import json
import os
import pathlib
import re
import secrets
import subprocess
import threading
import time

HOME = pathlib.Path(__file__).resolve().parent.parent.parent
COMPOSE = os.environ.get("COMPOSE", "docker-compose").split()
IDS = ("0001", "0002")
NOFILE = 1024
IMAGES = ("mltunnel", "mltunnel-frps", "mltunnel-api", "mltunnel-standin", "mltunnel-mlnode")


def call(*argv, timeout=120.0, env=None, check=True, **more):
    """Run it; the finished process with its text. A failure shows what it said."""
    done = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **(env or {})}, **more,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done


def docker(*argv, **more):
    return call("docker", *argv, **more).stdout.strip()


def inspect(name, form):
    return docker("inspect", "-f", form, name)


def label_of_run():
    """What this run starts can be told from anything else on the engine."""
    return f"mltunnel-test-{os.getpid()}-{secrets.token_hex(3)}"


def wait_until(what, condition, timeout, every=0.1):
    """The condition's first true value; AssertionError names what did not come."""
    limit = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= limit:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(every)


class Exec:
    """A command inside a container that runs beside the test."""

    def __init__(self, container, *argv):
        self.child = subprocess.Popen(
            ["docker", "exec", container, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def wait_lines(self, count, timeout=20.0):
        with self._news:
            assert self._news.wait_for(lambda: len(self.lines) >= count, timeout), self.lines

    def finish(self, timeout=60.0):
        """Exit status, after all output."""
        status = self.child.wait(timeout)
        self._reader.join(5)
        return status

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self._reader.join(5)
        self.child.stdout.close()
        self.child.stderr.close()


class Project:
    """docker/compose.yaml, up."""

    def __init__(self, scratch, **env):
        self.name = label_of_run().replace("-", "")
        self.token = "t0ken-" + secrets.token_hex(8)
        self.env = {
            "SECRET_FRP_TOKEN": self.token, "FRP_DASHBOARD_PASSWORD": "d4shboard-" + secrets.token_hex(6),
            "FRP_PORT": "127.0.0.1:0", "FRP_DASHBOARD_PORT": "0", "COMPOSE_PROJECT_NAME": self.name, **env,
        }  # fmt: skip
        # As some platforms do it: few descriptors.
        tight = {"services": {"mlnode-1": {"ulimits": {"nofile": {"soft": NOFILE, "hard": NOFILE}}}}}
        (scratch / "tight.json").write_text(json.dumps(tight))
        self.files = [HOME / "docker/compose.yaml", scratch / "tight.json"]
        self.agents = {"0001": "mlnode-1", "0002": "agent-2"}
        self.nodes = {"0001": "mlnode-1", "0002": "mlnode-2"}
        self._ids = {}

    def compose(self, *argv, timeout=180.0, **more):
        files = [word for path in self.files for word in ("-f", path)]
        return call(*COMPOSE, *files, *argv, timeout=timeout, env=self.env, **more).stdout

    def up(self, *argv):
        self.compose("up", "-d", "--no-build", *argv)
        self._ids.clear()

    def down(self):
        self.compose("down", "-v", "--remove-orphans", "-t", "2")

    def container(self, service):
        if service not in self._ids:
            self._ids[service] = self.compose("ps", "-q", service).strip()
            assert self._ids[service], f"{service} does not run"
        return self._ids[service]

    def agent(self, ident):
        return self.container(self.agents[ident])

    def node(self, ident):
        return self.container(self.nodes[ident])

    def network(self, name):
        return f"{self.name}_{name}"

    def logs(self, service):
        done = call("docker", "logs", self.container(service))
        return done.stdout + done.stderr

    # ---- through the tunnel, from the network node

    def curl(self, *argv, timeout=20, check=True):
        return call(
            "docker", "exec", self.container("api"), "curl", "-sS", "--fail", "--max-time", timeout, *argv,
            timeout=timeout + 20, check=check,
        )  # fmt: skip

    def load(self, command, port, timeout=180, **options):
        argv = ["load", command, "--to", f"frps:{port}"]
        for name, value in options.items():
            argv += [f"--{name.replace('_', '-')}", str(value)]
        done = call("docker", "exec", self.container("api"), *argv, timeout=timeout, check=False)
        assert done.returncode in (0, 1), done.stderr
        report = json.loads(done.stdout)
        assert report["exact"], report
        return report

    def wait_answer(self, ident, timeout):
        """When both ports answered again, in s of the engine's clock, which is ours."""
        script = (
            f"until curl -fs --max-time 0.5 http://frps:1{ident}/health >/dev/null"
            f" && curl -fs --max-time 0.5 http://frps:2{ident}/api/v1/state >/dev/null; do sleep 0.05; done;"
            " date +%s.%N"
        )
        argv = ["docker", "exec", self.container("api"), "timeout", str(timeout), "bash", "-c", script]
        done = call(*argv, timeout=timeout + 20, check=False)
        assert done.returncode == 0, f"{ident}: no answer within {timeout} s\n{self.logs(self.agents[ident])[-2500:]}"
        return float(done.stdout)

    def wait_ready(self, timeout=60):
        for ident in IDS:
            self.wait_answer(ident, timeout)


def firewall(container, action):
    """action -A or -D: what the container sends to the server's port vanishes, and what comes from there."""
    pid = inspect(container, "{{.State.Pid}}")
    for rule in (["OUTPUT", "-p", "tcp", "--dport", "7200"], ["INPUT", "-p", "tcp", "--sport", "7200"]):
        call("nsenter", "-t", pid, "-n", "iptables", "-w", action, *rule, "-j", "DROP")


def memory_kib(container):
    """VmRSS of the container's first process."""
    pid = inspect(container, "{{.State.Pid}}")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
