# SPDX-License-Identifier: Apache-2.0
# test_shutdown.py - signals: live streams end well, the ports are free at once, the exit status is 0.

import http.client
import signal
import time

import pytest

import network

RATE = 30
SIZE = 300


class Stream:
    """One SSE answer, read event by event."""

    def __init__(self, port, seconds):
        self.n_events = seconds * RATE
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        self._connection.request("GET", f"/sse?events={self.n_events}&rate={RATE}&size={SIZE}&stream=1")
        self._answer = self._connection.getresponse()
        self.read_event()

    def read_event(self):
        """One more, at least; events end with an empty line."""
        while self._answer.readline() not in (b"\n", b"\r\n", b""):
            pass

    def rest(self):
        """How many events come after the first. Raises when the answer is cut."""
        return self._answer.read().count(b"\n\n")

    def close(self):
        self._connection.close()


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT), ids=("SIGTERM", "SIGINT"))
def test_live_stream_is_complete_and_exit_is_0(lab, number):
    agent = lab.start_agent()
    stream = Stream(lab.port1, seconds=3)
    agent.signal(number)
    network.wait_closed(lab.port1, timeout=0.5)
    network.wait_closed(lab.port2, timeout=0.5)
    assert stream.rest() == stream.n_events - 1
    assert agent.wait(timeout=1) == 0


def test_second_signal_ends_at_once(lab):
    agent = lab.start_agent()
    stream = Stream(lab.port1, seconds=30)
    agent.signal(signal.SIGTERM)
    network.wait_closed(lab.port1, timeout=0.5)
    assert agent.is_running()
    agent.signal(signal.SIGTERM)
    assert agent.wait(timeout=0.5) == 0
    with pytest.raises((OSError, http.client.HTTPException)):
        stream.rest()


def test_grace_time_bounds_the_wait(lab):
    agent = lab.start_agent(MLTUNNEL_GRACE="1s")
    stream = Stream(lab.port1, seconds=30)
    began = time.monotonic()
    agent.signal(signal.SIGTERM)
    assert agent.wait(timeout=2) == 0
    assert time.monotonic() - began >= 0.9
    stream.close()


def test_idle_agent_ends_at_once(lab):
    agent = lab.start_agent()
    agent.signal(signal.SIGTERM)
    assert agent.wait(timeout=1) == 0
    network.wait_closed(lab.port1, timeout=0.5)


def test_agent_without_a_server_ends_at_once(lab):
    lab.frps.kill()
    agent = lab.start_agent(want_up=False)
    agent.wait_line("refused")
    agent.signal(signal.SIGTERM)
    assert agent.wait(timeout=1) == 0


def test_hangup_does_not_kill(lab):
    agent = lab.start_agent()
    stream = Stream(lab.port1, seconds=1)
    for _ in range(3):
        agent.signal(signal.SIGHUP)
    assert stream.rest() == stream.n_events - 1
    assert agent.is_running()
    assert network.answers(lab.port2)
    assert len(lab.frps.logins()) == 1
