# SPDX-License-Identifier: Apache-2.0
# rows.py - the kinds of work, and the figures each one gives. Every byte that the work carries is checked.

import contextlib
import dataclasses
import http.client
import time

from calls import Calls

GB = 1e9
RATE, EVENT_SIZE = 30, 850  # tokens a second of one stream, bytes of one
POST_SIZE = 10 << 20  # the largest request body in the field
SETTLE_S = 0.5  # for what the end of a connection sets in motion in others


@dataclasses.dataclass(frozen=True)
class Scale:
    bulk_bytes: int
    n_streams: int
    stream_s: int
    calls_s: int
    n_mixed: int
    n_churn: int
    n_burst: int
    n_idle: int
    n_stuck: int
    stuck_bytes: int
    stuck_s: int
    idle_s: int
    distant_bytes: int
    n_ends: int


FULL = Scale(
    bulk_bytes=1 << 29, n_streams=500, stream_s=10, calls_s=4, n_mixed=100, n_churn=4000, n_burst=1000, n_idle=1000,
    n_stuck=64, stuck_bytes=50_000_000, stuck_s=3, idle_s=30, distant_bytes=100_000_000, n_ends=15,
)  # fmt: skip
QUICK = Scale(
    bulk_bytes=1 << 24, n_streams=50, stream_s=1, calls_s=1, n_mixed=20, n_churn=200, n_burst=200, n_idle=100,
    n_stuck=8, stuck_bytes=20_000_000, stuck_s=1, idle_s=1, distant_bytes=1 << 20, n_ends=2,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    run: object  # of (rig, scale): figures by name
    tls: bool = True
    delay_ms: int = 0
    metrics: tuple = ()  # what must be among the figures


def spent(before, after):
    """Seconds of CPU."""
    return (after.cpu_ns - before.cpu_ns) / 1e9


def bulk(direction, n_streams):
    command = "download" if direction == "down" else "upload"

    def run(rig, scale):
        before = rig.figures()
        size = scale.bulk_bytes // n_streams
        report = rig.load(command, size=size, count=n_streams)
        after = rig.figures()
        assert report["bytes"] == size * n_streams, report
        return {
            "cpu_s_per_gb": spent(before, after) / (report["bytes"] / GB),
            "mb_per_s": report["mib_per_s"] * (1 << 20) / 1e6,
            "peak_mib": after.peak_kib / 1024,
        }

    return run


def sse(is_together):
    def run(rig, scale):
        options = {"ramp": "100ms", "together": True} if is_together else {"ramp": "1s"}
        before = rig.figures()
        report = rig.load(
            "sse", streams=scale.n_streams, rate=RATE, seconds=scale.stream_s, size=EVENT_SIZE, **options
        )
        after = rig.figures()
        events = report["received"]
        assert events == scale.n_streams * RATE * scale.stream_s, report
        return {
            "cpu_ms_per_1000": 1e6 * spent(before, after) / events,
            "wakeups_per_1000": 1000 * (after.n_wakeups - before.n_wakeups) / events,
            "p50_ms": report["latency_ms"]["p50"],
            "p99_ms": report["latency_ms"]["p99"],
            "p999_ms": report["latency_ms"]["p999"],
            "peak_mib": after.peak_kib / 1024,
            "lost": report["lost"] + report["damaged"] + report["reordered"],
        }

    return run


def mixed(rig, scale):
    """Token streams, a large POST each second, and a download that takes what is left."""
    flood = rig.start_load("flood", seconds=scale.stream_s + 1)
    posts = rig.start_load("upload", size=POST_SIZE, count=scale.stream_s, every="1s")
    before = rig.figures()
    report = rig.load("sse", streams=scale.n_mixed, rate=RATE, seconds=scale.stream_s, size=EVENT_SIZE)
    after = rig.figures()
    posts.exact()
    carried = flood.exact()
    return {
        "p50_ms": report["latency_ms"]["p50"],
        "p99_ms": report["latency_ms"]["p99"],
        "p999_ms": report["latency_ms"]["p999"],
        "flood_mb_per_s": carried["mib_per_s"] * (1 << 20) / 1e6,
        "cpu_s": spent(before, after),
        "peak_mib": after.peak_kib / 1024,
        "lost": report["lost"] + report["damaged"] + report["reordered"],
    }


def calls(rig, scale):
    """Calls that move bytes. A pass of its own: to count them costs time."""
    with contextlib.closing(Calls(rig.program.pid)) as counter:

        def counted(command, **options):
            before = counter.count()
            report = rig.load(command, **options)
            return counter.count() - before, report

        streams = {"streams": scale.n_streams, "rate": RATE, "seconds": scale.calls_s, "size": EVENT_SIZE}
        n_spread, spread = counted("sse", **streams)
        n_together, together = counted("sse", **streams, ramp="100ms", together=True)
        n_down, down = counted("download", size=scale.bulk_bytes // 4)
        n_up, up = counted("upload", size=scale.bulk_bytes // 4)
        return {
            "per_event_spread": n_spread / spread["received"],
            "per_event_together": n_together / together["received"],
            "per_mb_down": n_down / (down["bytes"] / 1e6),
            "per_mb_up": n_up / (up["bytes"] / 1e6),
            "is_exact": int(counter.is_exact),
        }


def churn(rig, scale):
    before = rig.figures()
    report = rig.load("churn", count=scale.n_churn, parallel=4)
    time.sleep(SETTLE_S)
    after = rig.figures()
    return {
        "cpu_ms_per_1000": 1e6 * spent(before, after) / scale.n_churn,
        "per_s": report["per_s"],
        "p99_ms": report["answer_ms"]["p99"],
    }


def burst(rig, scale):
    before = rig.figures()
    report = rig.load("connect", count=scale.n_burst, within="1s")
    time.sleep(SETTLE_S)
    after = rig.figures()
    return {
        "cpu_ms": 1e3 * spent(before, after),
        "p99_ms": report["answer_ms"]["p99"],
        "peak_mib": after.peak_kib / 1024,
    }


def idle_streams(rig, scale):
    """Streams that have carried a request and then nothing; at the end they must still carry one."""
    before = rig.figures()
    with contextlib.ExitStack() as stack:
        users = [
            stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", rig.port, timeout=20)))
            for _ in range(scale.n_idle)
        ]
        ask_all(users)
        time.sleep(SETTLE_S)
        after = rig.figures()
        ask_all(users)
    return {
        "kib_per_stream": (after.rss_kib - before.rss_kib) / scale.n_idle,
        "rss_mib": after.rss_kib / 1024,
    }


def ask_all(users):
    for user in users:
        user.request("GET", "/v1/models")
    for user in users:
        answer = user.getresponse()
        assert answer.status == 200 and b'"object"' in answer.read()


def stuck_readers(rig, scale):
    load = rig.start_load("noread", count=scale.n_stuck, size=scale.stuck_bytes, seconds=scale.stuck_s)
    load.wait_ready()
    time.sleep(scale.stuck_s - SETTLE_S)
    after = rig.figures()
    load.exact()
    return {"peak_mib": after.peak_kib / 1024}


def stuck_services(rig, scale):
    load = rig.start_load("stuck-upload", count=scale.n_stuck, size=scale.stuck_bytes, seconds=1)
    load.wait_ready()
    after = rig.figures()
    load.exact()
    return {"peak_mib": after.peak_kib / 1024}


def idle(rig, scale):
    time.sleep(SETTLE_S)
    before = rig.figures()
    time.sleep(scale.idle_s)
    after = rig.figures()
    seconds = (after.at_ns - before.at_ns) / 1e9
    return {
        "rss_mib": after.rss_kib / 1024,
        "wakeups_per_s": (after.n_wakeups - before.n_wakeups) / seconds,
        "cpu_ms_per_min": 60e3 * spent(before, after) / seconds,
        "threads": after.n_threads,
        "binary_mib": rig.client.size() / (1 << 20),
        "start_ms": rig.start_ms,
    }


def distant(direction):
    """One stream over a path of 300 ms, to or from the server as the client sees it: a user that loads down is "to"."""
    command = "upload" if direction == "from" else "download"

    def run(rig, scale):
        report = rig.load(command, size=scale.distant_bytes)
        return {"mb_per_s": report["mib_per_s"] * (1 << 20) / 1e6, "peak_mib": rig.figures().peak_kib / 1024}

    return run


def ends(rig, scale):
    """How long an end takes to cross, whoever ends. The median of a few: one is over in a fraction of a millisecond."""
    log = f"127.0.0.1:{rig.node.management}"

    def median(command, **options):
        # The tools' own limit is one for tests.
        late = [rig.load(command, limit="10s", **options)["seen_after_ms"] for _ in range(scale.n_ends)]
        return sorted(late)[len(late) // 2]

    return {
        "user_fin_ms": median("abort", how="fin", log=log),
        "user_rst_ms": median("abort", how="rst", log=log),
        "service_fin_ms": median("end", how="fin", after="20ms"),
    }


BULK = ("cpu_s_per_gb", "mb_per_s", "peak_mib")
STREAMS = ("cpu_ms_per_1000", "wakeups_per_1000", "p50_ms", "p99_ms", "p999_ms", "peak_mib", "lost")

ROWS = (
    *(
        Row(f"bulk-{direction}-{n}-{'tls' if tls else 'plain'}", bulk(direction, n), tls=tls, metrics=BULK)
        for tls in (True, False)
        for direction in ("down", "up")
        for n in (1, 8, 64)
    ),
    Row("sse-spread", sse(is_together=False), metrics=STREAMS),
    Row("sse-together", sse(is_together=True), metrics=STREAMS),
    Row("calls", calls, metrics=("per_event_spread", "per_event_together", "per_mb_down", "per_mb_up", "is_exact")),
    Row("mixed", mixed, metrics=("p50_ms", "p99_ms", "p999_ms", "flood_mb_per_s", "cpu_s", "peak_mib", "lost")),
    Row("churn", churn, metrics=("cpu_ms_per_1000", "per_s", "p99_ms")),
    Row("burst", burst, metrics=("cpu_ms", "p99_ms", "peak_mib")),
    Row("idle-streams", idle_streams, metrics=("kib_per_stream", "rss_mib")),
    Row("stuck-readers", stuck_readers, metrics=("peak_mib",)),
    Row("stuck-services", stuck_services, metrics=("peak_mib",)),
    Row("distant-to", distant("to"), delay_ms=300, metrics=("mb_per_s", "peak_mib")),
    Row("distant-from", distant("from"), delay_ms=300, metrics=("mb_per_s", "peak_mib")),
    Row("ends", ends, metrics=("user_fin_ms", "user_rst_ms", "service_fin_ms")),
    Row("idle", idle, metrics=("rss_mib", "wakeups_per_s", "cpu_ms_per_min", "threads", "binary_mib", "start_ms")),
)
