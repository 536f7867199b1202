# SPDX-License-Identifier: Apache-2.0
# rig.py - one client between a stock frps and a mock node, all of them fresh, and what the kernel says of the client.

import os
import pathlib
import socket
import subprocess
import time

import network
import peers
from program import Program

SERVER = "0.65.0"  # the release of frps, and of the frpc that ours is held against
UP_S = 20


class Client:
    """Who is measured. Both read the same file of configuration."""

    def __init__(self, name, path):
        self.name = name
        self.path = pathlib.Path(path)
        done = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=True)
        self.version = done.stdout.strip().splitlines()[0]

    def size(self):
        return self.path.stat().st_size

    def has_wide_gcm(self):
        """Of ours: is OpenSSL's AES-GCM in it (-Dgcm=openssl)? Its assembly is signed; nettle's and mbedTLS's is not."""
        return b"CRYPTOGAMS" in self.path.read_bytes()


class Figures:
    """Of a process, since it started. Memory is in KiB."""

    def __init__(self, pid):
        # Of all its threads, also those that are gone: what clock_getcpuclockid(3) makes of a foreign process.
        self.cpu_ns = time.clock_gettime_ns(~pid << 3 | 2)
        self.at_ns = time.monotonic_ns()
        self.n_wakeups = sum(
            int(line.split()[1])
            for task in os.listdir(f"/proc/{pid}/task")
            for line in open_lines(f"/proc/{pid}/task/{task}/status")
            if line.startswith("voluntary_ctxt_switches")
        )
        self.n_threads = len(os.listdir(f"/proc/{pid}/task"))
        memory = {line.split(":")[0]: line.split()[1] for line in open_lines(f"/proc/{pid}/status") if line.startswith("Vm")}
        self.rss_kib, self.peak_kib = int(memory["VmRSS"]), int(memory["VmHWM"])


def open_lines(path):
    with open(path) as file:
        return file.readlines()


class Rig:
    """Ends with all its programs. Best in a network of one's own."""

    def __init__(self, directory, client, tls=True, delay_ms=0):
        self.directory = directory
        self.client = client
        self.programs = []
        try:
            self.node = self.keep(peers.Node(directory))
            self.port, self.port2 = network.free_port(), network.free_port()
            server_port = self.start_server()
            if delay_ms:
                server_port = self.start_delay(server_port, delay_ms)
            self.start_client(server_port, tls)
        except BaseException:
            self.close()
            raise

    def keep(self, program):
        self.programs.append(program)
        return program

    def start_server(self):
        port = network.free_port()
        path = self.directory / "frps.toml"
        path.write_text(
            f'bindAddr = "127.0.0.1"\nbindPort = {port}\nproxyBindAddr = "127.0.0.1"\nauth.token = "{peers.TOKEN}"\n'
            'log.to = "console"\nlog.level = "warn"\nlog.disablePrintColor = true\n'
        )
        argv = [peers.peer_dir() / f"frps-{SERVER}", "-c", path]
        self.keep(Program(f"frps {SERVER}", argv, peers.clean_env(self.directory)))
        network.wait_listening(port)
        return port

    def start_delay(self, server_port, delay_ms):
        """Half of it each way."""
        relay = self.keep(peers.Relay(self.directory, server_port))
        relay.tell(f"delay {delay_ms // 2}")
        return relay.port

    def start_client(self, server_port, tls):
        path = self.directory / "client.toml"
        lines = [
            'serverAddr = "127.0.0.1"',
            f"serverPort = {server_port}",
            f'auth.token = "{peers.TOKEN}"',
            "loginFailExit = false",
            f"transport.tls.enable = {str(tls).lower()}",
            'log.to = "console"',
            "log.disablePrintColor = true",
        ]
        for name, local, remote in (
            ("inference", self.node.inference, self.port),
            ("management", self.node.management, self.port2),
        ):
            lines += ["", "[[proxies]]", f'name = "{name}"', 'type = "tcp"', 'localIP = "127.0.0.1"']
            lines += [f"localPort = {local}", f"remotePort = {remote}"]
        path.write_text("\n".join(lines) + "\n")
        began = time.monotonic()
        env = peers.clean_env(self.directory)
        self.program = self.keep(Program(self.client.name, [self.client.path, "-c", path], env))
        self.wait_open(began + UP_S)
        self.start_ms = 1000 * (time.monotonic() - began)
        network.wait_answers(self.port, self.port2)

    def wait_open(self, limit):
        """Both ports let somebody in. No tick as long as what is waited for: the start takes milliseconds."""
        for port in (self.port, self.port2):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if time.monotonic() > limit:
                        raise AssertionError(f"no tunnel after {UP_S} s\n{self.program.text()[-3000:]}") from None
                    time.sleep(0.0002)

    # ---- figures and work

    def figures(self):
        return Figures(self.program.pid)

    def start_load(self, command, /, **options):
        return self.keep(peers.Load(command, self.port, **options))

    def load(self, command, /, **options):
        """Its report, of an exact run."""
        load = self.start_load(command, **options)
        report = load.exact(timeout=300)
        self.programs.remove(load)
        return report

    def close(self):
        for program in reversed(self.programs):
            program.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
