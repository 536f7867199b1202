# SPDX-License-Identifier: Apache-2.0
# engine.py - the Docker engine as the tests use it: images, containers, compose projects, faults.

import contextlib
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
BACK_S = 2.0  # the server has seen the end of the old connection, or never lost it
BACK_SILENT_S = 17.0  # nobody told: found out by the agent, then a new login
# Nothing that a container may leave away.
HARDENED = (
    "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--user", "65532:65532",
)  # fmt: skip
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


def copy_out(image, path, directory):
    """A file of an image, into a directory of ours."""
    created = docker("create", image, "none")
    try:
        docker("cp", f"{created}:{path}", directory)
    finally:
        docker("rm", created)


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


class Watch(Exec):
    """Asks both ports of an MLNode again and again, from inside the network node. Begun before a fault ends it does not
    count what a docker exec takes."""

    def __init__(self, container, *argv):
        super().__init__(container, *argv)
        self.wait_lines(1)

    def finish_at(self, timeout):
        """When both answered, in s of the engine's clock, which is ours; 0 when they did not in the time it was given."""
        return float(self.lines[1]) if self.finish(timeout) == 0 else 0.0


class Project:
    """docker/compose.yaml, up."""

    def __init__(self, scratch, compose=COMPOSE, **env):
        self._compose = compose
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
        return call(*self._compose, *files, *argv, timeout=timeout, env=self.env, **more).stdout

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
        return logs(self.container(service))

    # ---- through the tunnel, from the network node

    def curl(self, *argv, timeout=20, check=True):
        return call(
            "docker", "exec", self.container("api"), "curl", "-sS", "--fail", "--max-time", timeout, *argv,
            timeout=timeout + 20, check=check,
        )  # fmt: skip

    def load(self, command, port, timeout=180, **options):
        return load(["docker", "exec", self.container("api"), "load"], command, f"frps:{port}", timeout, options)

    def watch(self, ident, timeout):
        """A Watch that began before the return."""
        script = (
            f"echo watching; until curl -fs --max-time 0.5 http://frps:1{ident}/health >/dev/null"
            f" && curl -fs --max-time 0.5 http://frps:2{ident}/api/v1/state >/dev/null; do sleep 0.05; done;"
            " date +%s.%N"
        )
        return Watch(self.container("api"), "timeout", str(timeout), "bash", "-c", script)

    def wait_answer(self, ident, timeout):
        """When both ports answered, in s."""
        watch = self.watch(ident, timeout)
        try:
            at = watch.finish_at(timeout + 20)
        finally:
            watch.close()
        assert at, f"{ident}: no answer within {timeout} s\n{self.logs(self.agents[ident])[-2500:]}"
        return at

    def wait_ready(self, timeout=60):
        for ident in IDS:
            self.wait_answer(ident, timeout)


class Site:
    """A network of its own with a server in it, and whoever the test puts there besides; close() takes all away."""

    TOKEN = "t0ken-of-a-site"
    SERVER = "the-server"  # its name there

    def __init__(self):
        self.network = label_of_run()
        self._names = []
        docker("network", "create", "--internal", self.network)

    def run(self, image, *argv, options=(), beside=None):
        """Its name; who goes away is still there to be asked, until close(). beside: whose network namespace it shares."""
        name = label_of_run()
        self._names.append(name)
        network = f"container:{beside}" if beside else self.network
        docker("run", "-d", "--name", name, "--network", network, *options, image, *argv)
        return name

    def start_node(self, *argv, port=8081):
        """It answers at its management port."""
        name = self.run("mltunnel-standin", *argv)
        ask = ["docker", "exec", name, "curl", "-fs", f"http://127.0.0.1:{port}/readyz"]
        wait_until("a node that is ready", lambda: call(*ask, check=False).returncode == 0, 20)
        return name

    def start_server(self, *more):
        """It listens. more: options of docker run, SECRET_FRP_TOKEN among them if it is another one."""
        token = [] if any("SECRET_FRP_TOKEN" in word for word in more) else ["-e", f"SECRET_FRP_TOKEN={self.TOKEN}"]
        tmpfs = "/run:mode=0755,uid=65532,gid=65532"
        options = ["--network-alias", self.SERVER, *HARDENED, "--tmpfs", tmpfs, *token, *more]
        name = self.run("mltunnel-frps", options=options)
        listens = ["docker", "exec", name, "grep", "-q", ":1C20 .* 0A ", "/proc/net/tcp", "/proc/net/tcp6"]  # as in compose.yaml
        wait_until("a server that listens", lambda: call(*listens, check=False).returncode == 0, 20)
        return name

    def settings(self, ident, token=TOKEN):
        """Options that make an agent one of this site."""
        values = {"FRP_SERVER": self.SERVER, "SECRET_FRP_TOKEN": token, "CLIENT_ID": ident}
        return [word for name, value in values.items() for word in ("-e", f"{name}={value}")]

    def start_agent(self, ident, token=TOKEN):
        return self.run("mltunnel", options=[*HARDENED, *self.settings(ident, token)])

    def curl(self, *argv, timeout=20, check=True):
        return call(
            "docker", "run", "--rm", "--network", self.network, "--entrypoint", "curl", "mltunnel-api", "-sS", "--fail",
            "--retry", "40", "--retry-delay", "1", "--retry-all-errors", "--retry-max-time", timeout, *argv,
            timeout=timeout + 40, check=check,
        )  # fmt: skip

    def load(self, command, port, timeout=180, **options):
        argv = ["docker", "run", "--rm", "--network", self.network, "--entrypoint", "load", "mltunnel-api"]
        return load(argv, command, f"{self.SERVER}:{port}", timeout, options)

    def close(self):
        for name in reversed(self._names):
            call("docker", "rm", "-f", "-v", name, check=False)
        docker("network", "rm", self.network)


def load(before, command, to, timeout, options):
    """The report of tests/peer's load generator, all of which was right. An option of True is one without a value."""
    argv = [*before, command, "--to", to]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    done = call(*argv, timeout=timeout, check=False)
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["exact"], report
    return report


def logs(name):
    done = call("docker", "logs", name)
    return done.stdout + done.stderr


def wait_log(name, words, timeout=20):
    """Until the container's log has them."""
    try:
        wait_until(words, lambda: words in logs(name), timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{logs(name)[-3000:]}") from None


@contextlib.contextmanager
def comeback(project, limit, idents=IDS):
    """The block ends a fault that is in force; both ports of each MLNode answer again within limit s of its beginning."""
    watches = {ident: project.watch(ident, 120) for ident in idents}
    try:
        began = time.time()
        yield
        for ident, watch in watches.items():
            took = watch.finish_at(140) - began
            assert 0 < took <= limit, f"{ident}: {took:.2f} s\n{project.logs(project.agents[ident])[-2500:]}"
            print(f"{ident}: back after {took:.2f} s")
    finally:
        for watch in watches.values():
            watch.close()


def all_silent(project):
    """The fault is in force: nobody answers."""
    for ident in IDS:
        assert project.curl(f"http://frps:1{ident}/health", timeout=2, check=False).returncode != 0, ident


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


class Memory:
    """The control group of a container, of version 1 or 2."""

    def __init__(self, container):
        pid = inspect(container, "{{.State.Pid}}")
        groups = dict(line.split(":", 2)[1:] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
        self._is_v1 = "memory" in groups
        self._folder = pathlib.Path(f"/sys/fs/cgroup/memory{groups['memory']}" if self._is_v1 else f"/sys/fs/cgroup{groups['']}")

    def _read(self, v1, v2):
        return (self._folder / (v1 if self._is_v1 else v2)).read_text()

    def limit(self):
        return int(self._read("memory.limit_in_bytes", "memory.max"))

    def peak(self):
        """Bytes, since the container's start."""
        return int(self._read("memory.max_usage_in_bytes", "memory.peak"))

    def n_refused(self):
        """How often the limit was reached, whether room could be made then or not."""
        text = self._read("memory.failcnt", "memory.events")
        return int(text if self._is_v1 else re.search(r"^max (\d+)", text, re.M)[1])
