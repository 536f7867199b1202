# SPDX-License-Identifier: Apache-2.0
# program.py - a program that runs beside a test, its output line by line, what the kernel says of it.

import os
import re
import signal
import subprocess
import threading
import time

TERM_S = 5  # a program of ours that is asked to end and has nothing to drain


class Program:
    """What it writes to stdout and stderr becomes lines (when, text), which can be waited for."""

    def __init__(self, name, argv, env=None, cwd=None, want_stdout=False):
        """want_stdout: stdout is not among the lines; take_stdout() has it."""
        self.name = name
        self.lines = []
        self._news = threading.Condition()
        self._is_over = False
        self.child = subprocess.Popen(
            [str(word) for word in argv], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if want_stdout else subprocess.STDOUT,
        )  # fmt: skip
        self.pid = self.child.pid
        self._stdout = b""
        self._readers = []
        if want_stdout:
            self._start_reader(self._take_stdout, self.child.stdout)
            self._start_reader(self._take_lines, self.child.stderr)
        else:
            self._start_reader(self._take_lines, self.child.stdout)

    def _start_reader(self, target, pipe):
        reader = threading.Thread(target=target, args=(pipe,), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _take_lines(self, pipe):
        for line in pipe:
            with self._news:
                self.lines.append((time.monotonic(), line.decode(errors="backslashreplace").rstrip("\n")))
                self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def _take_stdout(self, pipe):
        self._stdout = pipe.read()

    # ---- its words

    def mark(self):
        """A place in the output: since=mark() looks at later lines only."""
        return len(self.lines)

    def text(self, since=0):
        return "\n".join(line for _, line in self.lines[since:])

    def find(self, pattern, since=0):
        return [(at, line) for at, line in self.lines[since:] if re.search(pattern, line)]

    def wait_line(self, pattern, timeout=10.0, since=0, count=1):
        """When the count-th line with the pattern came, and the line."""
        limit = time.monotonic() + timeout
        wanted = re.compile(pattern)
        with self._news:
            while True:
                for since in range(since, len(self.lines)):  # each line is looked at once, there may be very many
                    count -= bool(wanted.search(self.lines[since][1]))
                    if count == 0:
                        return self.lines[since]
                since = len(self.lines)
                left = limit - time.monotonic()
                if left <= 0 or self._is_over:
                    why = "it ended" if self._is_over else f"{timeout} s are over"
                    raise AssertionError(f"{self.name}: no line with {pattern!r}: {why}\n{self.text()[-3000:]}")
                self._news.wait(left)

    def take_stdout(self):
        return self._stdout

    # ---- its life

    def is_running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, timeout=10.0):
        """Its exit status, -N after signal N; all of its output is there."""
        try:
            status = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout} s\n{self.text()[-3000:]}") from None
        for reader in self._readers:
            reader.join(2)
        return status

    def kill(self):
        """kill -9, and gone when this returns."""
        if self.is_running():
            self.signal(signal.SIGKILL)
        return self.wait()

    def close(self):
        """For clean-up: ends in any case."""
        if self.is_running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(TERM_S)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.wait()

    # ---- its figures

    def status_field(self, name):
        """A number from /proc/PID/status: VmRSS and VmHWM in KiB."""
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1])
        raise KeyError(name)

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_s(self):
        """Seconds of a processor that it has used."""
        with open(f"/proc/{self.pid}/stat") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self):
        return self.status_field("VmRSS") / 1024

    def peak_mib(self):
        return self.status_field("VmHWM") / 1024
