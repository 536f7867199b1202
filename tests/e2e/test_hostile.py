# SPDX-License-Identifier: Apache-2.0
# test_hostile.py - a server that talks nonsense at any point: the agent says so, stays, and is back when it stops.

import time

import pytest

import peers

WATCH_S = 16  # how long the server misbehaves; longer than any deadline
LOGINS_PER_S = 0.5  # into a server that accepts and then breaks
TRIES_PER_S = 1.6  # at one that never lets us in: 0.63 s apart at the least (retry.c), ten in the first five seconds

HTTP_400 = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".hex()
NOISE = bytes((i * 73 + 11) % 256 for i in range(400)).hex()
REQUEST = b"GET /health HTTP/1.0\r\n\r\n".hex()
FRAME_HEAD_HUGE = "31" + "7fffffffffffffff"
FRAME_HEAD_NEGATIVE = "31" + "ffffffffffffffff"
FRAME_10241 = "31" + (10241).to_bytes(8, "big").hex()
DEEP = "[" * 5000


def frame(kind, body):
    return f"frame {kind} {body}"


# Where it strikes -> name -> what to tell fakefrps. At "now" it is told to each session that is up.
BEFORE_LOGIN = {
    "tcp": {
        "noise": f"raw {NOISE}",
        "http-400": f"raw {HTTP_400}",
        "fin": "fin",
        "rst": "rst",
    },
    "mux": {
        "noise": f"raw {NOISE}",
        "http-400": f"raw {HTTP_400}",
        "version-1": "raw 010000000000000100000000",
        "type-9": "raw 000900000000000100000000",
        "half-a-frame": "raw 0000000000",
        "fin": "fin",
        "rst": "rst",
    },
    "login": {
        "noise": f"bytes {NOISE}",
        "http-400": f"bytes {HTTP_400}",
        "huge-length": f"bytes {FRAME_HEAD_HUGE}",
        "negative-length": f"bytes {FRAME_HEAD_NEGATIVE}",
        "10241-bytes": f"bytes {FRAME_10241}",
        "unknown-type": frame("X", "{}"),
        "wrong-message": frame("2", '{"proxy_name":"a"}'),
        "bad-json": frame("1", '{"run_id":'),
        "wrong-types": frame("1", '{"run_id":{"a":[1]}}'),
        "deep-json": frame("1", '{"run_id":"a","x":' + DEEP),
        "no-run-id": frame("1", "{}"),
        "run-id-with-escapes": frame("1", '{"version":"1","run_id":"\\u001b[31m\\r\\nforged\\u0000"}'),
        "refusal-with-escapes": frame("1", '{"error":"\\u001b[31mred\\r\\nforged line\\u0007"}'),
        "fin": "fin",
        "rst": "rst",
    },
}
AFTER_LOGIN = {
    "up": {
        "noise": f"bytes {NOISE}",
        "noise-under-the-cipher": f"raw {NOISE}",
        "huge-length": f"bytes {FRAME_HEAD_HUGE}",
        "negative-length": f"bytes {FRAME_HEAD_NEGATIVE}",
        "10241-bytes": f"bytes {FRAME_10241}",
        "unknown-type": frame("X", "{}"),
        "bad-json": frame("2", "{"),
        "deep-json": frame("2", '{"a":' + DEEP),
        "type-9": "raw 000900000000000100000000",
        "version-1": "raw 010000000000000100000000",
        "double-fin": "raw 000100040000000100000000" "000100040000000100000000",
        "data-over-the-window": "raw 00000000" "00000001" "00100000" + "00" * 1000,
        "credit-that-wraps": "raw " + "0001000000000001ffffffff" * 2,
        "goaway-1": "raw 000300000000000000000001",
        "goaway-9": "raw 000300000000000000000009",
        "fin": "fin",
        "rst": "rst",
    },
}
# The session stays: what comes is dropped, or ends one stream.
HARMLESS = {
    "data-for-an-unknown-stream": "raw 000000000000006300000002" "ffff",
    "reset-of-an-unknown-stream": "raw 000100080000006300000000",
    "stray-pong": "raw 000200020000000012345678",
    "syn-of-a-server-stream": "raw 000100010000000200000000",
    "answer-for-a-stranger": frame("2", '{"proxy_name":"\\u001b[31mstranger\\r\\n"}'),
    "unasked-pong-with-error": frame("4", '{"error":"\\u001b]0;title\\u0007"}'),
}
WORK = {
    "unknown-proxy": "start no-such-proxy 1.2.3.4 5 6.7.8.9 10",
    "hostile-address": "start {name} $(reboot).evil.example 5 ::%eth0 10",
}
CASES = {
    f"{stage}-{name}": (stage, command)
    for group in (BEFORE_LOGIN, AFTER_LOGIN)
    for stage, commands in group.items()
    for name, command in commands.items()
}


def is_up(fake, since):
    """Logged in and both proxies asked for, after that place in the events."""
    fake.wait_message("NewProxy", timeout=20, since=since, count=2)


def misbehave(directory, stage, command):
    """What came of it, as figures and text."""
    with peers.Lab(directory) as lab:
        fake = lab.start_fake()
        fake.tell(f"on {stage} {command}")
        began = time.monotonic()
        agent = lab.start_agent(tls="off", want_up=False)
        fake.wait_event("connect")
        time.sleep(max(0, began + WATCH_S - time.monotonic()))  # the fault itself
        result = {
            "n_connects": len(fake.events("connect")),
            "n_logins": len(fake.logins()),
            "seconds": time.monotonic() - began,
            "is_running": agent.is_running(),
            "text": agent.text(),
            "warnings": agent.find(r"WARN.*error="),
        }
        fake.tell(f"on {stage} answer")
        # A connection that is stuck in the fault has its deadlines; a new one is good.
        mark = fake.mark()
        if stage != "up":
            is_up(fake, mark)
        else:
            # A control stream that ends twice within a minute is taken for a rival's work: 60 s.
            fake.wait_message("Login", timeout=75, since=mark)
        result["is_running"] &= agent.is_running()
        return result


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    names = list(CASES)

    def one(i):
        try:
            return misbehave(directory / names[i], *CASES[names[i]])
        except Exception as error:  # told by the test of that name
            return error

    return dict(zip(names, peers.side_by_side(len(names), one)))


def check_text(text):
    """Nothing of the peer's came through raw."""
    bad = [line for line in text.split("\n") if any(ord(c) < 0x20 or ord(c) == 0x7F for c in line)]
    assert not bad, bad
    assert not any(line.startswith("forged") for line in text.split("\n"))


@pytest.mark.parametrize("name", CASES)
def test_f18_nonsense_ends_the_session_only(results, name):
    result = results[name]
    if isinstance(result, Exception):
        raise result
    assert result["is_running"]
    assert result["warnings"], result["text"]
    check_text(result["text"])
    rate = LOGINS_PER_S if CASES[name][0] == "up" else TRIES_PER_S
    n = result["n_logins"] if CASES[name][0] == "up" else result["n_connects"]
    assert n <= rate * result["seconds"] + 1, f"{n} in {result['seconds']:.1f} s"
    assert len(result["warnings"]) <= result["n_connects"] + 1


@pytest.fixture
def session(new_lab):
    """An agent that is up at a fakefrps."""
    lab = new_lab()
    lab.fake = lab.start_fake()
    lab.agent = lab.start_agent(tls="off", want_up=False)
    is_up(lab.fake, 0)
    return lab


@pytest.mark.parametrize("name", HARMLESS)
def test_what_means_nothing_is_dropped(session, name):
    session.fake.tell(HARMLESS[name])
    check_work(session)
    assert len(session.fake.events("connect")) == 1
    check_text(session.agent.text())


def check_work(session):
    """A user is served: the session lives."""
    fake = session.fake
    mark = fake.mark()
    fake.tell("reqwork 1")
    fake.wait_message("NewWorkConn", since=mark)
    fake.tell(f"start client-mlnode-{session.client_id} 1.2.3.4 5 6.7.8.9 10")
    stream = fake.wait_event("joined", since=mark)[1]["stream"]
    fake.tell(f"send {stream} {REQUEST}")
    head = fake.wait_event("data", since=mark, stream=stream)[1]["head"]
    assert bytes.fromhex(head).startswith(b"HTTP/1.0 200")
    fake.wait_event("fin", since=mark, stream=stream)


@pytest.mark.parametrize("name", WORK)
def test_bad_start_of_a_work_connection_ends_that_one(session, name):
    mark = session.fake.mark()
    session.fake.tell("reqwork 1")
    session.fake.wait_message("NewWorkConn")
    session.fake.tell(WORK[name].format(name=f"client-mlnode-{session.client_id}"))
    stream = session.fake.wait_event("joined", since=mark)[1]["stream"]
    if name == "unknown-proxy":
        session.fake.wait_line(rf'"ev":"(fin|rst)".*"stream":{stream}\b', since=mark)
    check_work(session)
    assert len(session.fake.events("connect")) == 1


def test_garbage_in_place_of_start_work_conn_ends_that_one(session):
    session.fake.tell(f"on work bytes {NOISE}")
    mark = session.fake.mark()
    session.fake.tell("reqwork 1")
    session.fake.wait_line(r'"ev":"(fin|rst)"', since=mark)
    session.fake.tell("on work answer")
    check_work(session)
    assert len(session.fake.events("connect")) == 1


def test_goaway_0_drains_and_comes_back(session):
    mark = session.fake.mark()
    began = time.monotonic()
    session.fake.tell("goaway 0")
    at, _ = session.fake.wait_message("Login", since=mark)
    assert at - began <= 5
    is_up(session.fake, mark)


STAGES = ("tcp", "mux", "login", "proxy")


def wait_in_silence(directory, stage):
    """Seconds from the connection to the next try."""
    with peers.Lab(directory) as lab:
        fake = lab.start_fake()
        fake.tell(f"on {stage} {'freeze' if stage == 'login' else 'silent'}")
        lab.start_agent(tls="off", want_up=False)
        at, _ = fake.wait_event("connect")
        if stage == "proxy":  # the session lives: the proxies are asked for once more
            again, _ = fake.wait_message("NewProxy", timeout=25, count=3)
        else:
            again, _ = fake.wait_event("connect", timeout=25, count=2)
        return again - at


@pytest.fixture(scope="module")
def silences(tmp_path_factory):
    directory = tmp_path_factory.mktemp("silent")
    seconds = peers.side_by_side(len(STAGES), lambda i: wait_in_silence(directory / STAGES[i], STAGES[i]))
    return dict(zip(STAGES, seconds))


@pytest.mark.parametrize("stage", STAGES)
def test_silence_has_a_deadline_at_each_stage(silences, stage):
    assert silences[stage] <= 15.5
