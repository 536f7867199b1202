# SPDX-License-Identifier: Apache-2.0
# table.py - what is asked of each figure, medians and ratios of what was measured, and how it is told.

import dataclasses
import math
import statistics

OURS, THEIRS = "mltunnel", "frpc"


@dataclasses.dataclass(frozen=True)
class Goal:
    """bar and aim are of ours, either a ratio to theirs or a value. Without a bar the figure is only told."""

    row: str
    metric: str
    unit: str
    bar: float | None = 1.0
    aim: float | None = None
    is_ratio: bool = True
    is_more_better: bool = False


def value(row, metric, unit, bar, aim=None):
    return Goal(row, metric, unit, bar, aim, is_ratio=False)


def told(row, metric, unit):
    return Goal(row, metric, unit, bar=None)


def bulk_goals(direction, security, bar, aim):
    for n in (1, 8, 64):
        row = f"bulk-{direction}-{n}-{security}"
        yield Goal(row, "cpu_s_per_gb", "s/GB", bar, aim)
        yield Goal(row, "mb_per_s", "MB/s", is_more_better=True)
        yield value(row, "peak_mib", "MiB", 32, 24) if (direction, n) == ("up", 64) else told(row, "peak_mib", "MiB")


def sse_goals(row):
    yield Goal(row, "cpu_ms_per_1000", "ms", 0.50, 0.35)
    yield Goal(row, "p99_ms", "ms", 0.8, 0.6)
    yield Goal(row, "p50_ms", "ms")
    yield Goal(row, "p999_ms", "ms")
    yield Goal(row, "wakeups_per_1000", "")
    yield value(row, "peak_mib", "MiB", 10, 8)
    yield value(row, "lost", "", 0)


# With the wide engine of AES-GCM more is asked, and the program may be larger.
WIDE = {("cpu_s_per_gb", 0.85): 0.65, ("binary_mib", 4): 8}

GOALS = (
    *bulk_goals("down", "tls", 0.85, 0.50),
    *bulk_goals("up", "tls", 0.85, 0.55),
    *bulk_goals("down", "plain", 0.60, 0.45),
    *bulk_goals("up", "plain", 0.60, 0.45),
    *sse_goals("sse-spread"),
    *sse_goals("sse-together"),
    value("calls", "per_event_spread", "", 2, 1.5),
    value("calls", "per_event_together", "", 2, 1.5),
    Goal("calls", "per_mb_down", "/MB"),
    Goal("calls", "per_mb_up", "/MB"),
    Goal("mixed", "p99_ms", "ms", 0.50, 0.30),
    Goal("mixed", "p50_ms", "ms"),
    Goal("mixed", "p999_ms", "ms"),
    Goal("mixed", "flood_mb_per_s", "MB/s", is_more_better=True),
    told("mixed", "cpu_s", "s"),
    told("mixed", "peak_mib", "MiB"),
    value("mixed", "lost", "", 0),
    Goal("churn", "cpu_ms_per_1000", "ms", 0.40, 0.33),
    Goal("churn", "per_s", "/s", is_more_better=True),
    Goal("churn", "p99_ms", "ms"),
    Goal("burst", "cpu_ms", "ms"),
    Goal("burst", "p99_ms", "ms"),
    Goal("burst", "peak_mib", "MiB"),
    value("idle-streams", "kib_per_stream", "KiB", 2, 1),
    Goal("idle-streams", "rss_mib", "MiB"),
    value("stuck-readers", "peak_mib", "MiB", 12, 10),
    value("stuck-services", "peak_mib", "MiB", 32, 24),
    Goal("distant-to", "mb_per_s", "MB/s", 1.0, 1.0, is_more_better=True),
    Goal("distant-from", "mb_per_s", "MB/s", 1.5, 1.8, is_more_better=True),
    told("distant-to", "peak_mib", "MiB"),
    told("distant-from", "peak_mib", "MiB"),
    Goal("ends", "user_fin_ms", "ms"),
    Goal("ends", "user_rst_ms", "ms"),
    Goal("ends", "service_fin_ms", "ms"),
    value("idle", "rss_mib", "MiB", 6, 4),
    value("idle", "wakeups_per_s", "/s", 0.5, 0.4),
    Goal("idle", "cpu_ms_per_min", "ms"),
    Goal("idle", "threads", ""),
    Goal("idle", "start_ms", "ms"),
    value("idle", "binary_mib", "MiB", 4, 2.5),
)


def spread(samples):
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples), "n": len(samples)}


def ratio_of(ours, theirs):
    """None where there is nothing to divide by."""
    return ours / theirs if theirs else None


def goals(has_wide_gcm):
    for goal in GOALS:
        yield dataclasses.replace(goal, bar=WIDE.get((goal.metric, goal.bar), goal.bar)) if has_wide_gcm else goal


def summary(samples, has_wide_gcm=False):
    """One line for each goal with samples of both clients. samples: dicts of round, row, client and figures."""
    lines = []
    for goal in goals(has_wide_gcm):
        by_round = {}
        for sample in samples:
            if sample["row"] == goal.row and goal.metric in sample["figures"]:
                by_round.setdefault(sample["round"], {})[sample["client"]] = sample["figures"][goal.metric]
        pairs = [pair for pair in by_round.values() if OURS in pair and THEIRS in pair]
        if pairs:
            lines.append(line_of(goal, pairs))
            if not all(sample["figures"].get("is_exact", 1) for sample in samples if sample["row"] == goal.row):
                lines[-1]["verdict"] = "inexact"
    return lines


def line_of(goal, pairs):
    ours, theirs = (spread([pair[name] for pair in pairs]) for name in (OURS, THEIRS))
    ratios = [ratio for ratio in (ratio_of(pair[OURS], pair[THEIRS]) for pair in pairs) if ratio is not None]
    line = {
        **dataclasses.asdict(goal),
        OURS: ours,
        THEIRS: theirs,
        "ratio": ratio_of(ours["median"], theirs["median"]),
        "ratio_min": min(ratios, default=None),
        "ratio_max": max(ratios, default=None),
    }
    line["verdict"] = verdict(goal, ours["median"], line["ratio"])
    # "No worse" is missed by every second coin: where the rounds disagree about who is better, nobody is.
    if line["verdict"] == "misses" and goal.is_ratio and goal.bar == 1 and min(ratios) < 1 < max(ratios):
        line["verdict"] = "even"
    return line


def verdict(goal, ours, ratio):
    """"aim" or "bar" (what is reached), "misses", or "" where nothing is asked."""
    got = ratio if goal.is_ratio else ours
    if goal.bar is None or got is None:
        return ""

    def reaches(mark):
        return mark is not None and (got >= mark if goal.is_more_better else got <= mark)

    return "aim" if reaches(goal.aim) else "bar" if reaches(goal.bar) else "misses"


# ---- words


def number(x):
    """Three digits that count."""
    if x is None:
        return "-"
    if x == 0 or abs(x) >= 100:
        return f"{x:.0f}"
    return f"{x:.{min(3, max(0, 2 - math.floor(math.log10(abs(x)))))}f}"


def mark_of(line, which):
    mark = line[which]
    if mark is None or line["bar"] is None:
        return ""
    sign = "≥ " if line["is_more_better"] else "≤ "
    return f"{sign}x{mark:.2f}" if line["is_ratio"] else f"{sign}{mark:g}"


HEAD = ("work", "figure", "unit", "frpc", "(min – max)", "mltunnel", "(min – max)", "ratio", "(min – max)", "bar", "aim", "")


def cells(line):
    def between(low, high):
        return f"{number(low)} – {number(high)}"

    ours, theirs = line[OURS], line[THEIRS]
    return (
        line["row"], line["metric"], line["unit"],
        number(theirs["median"]), between(theirs["min"], theirs["max"]),
        number(ours["median"]), between(ours["min"], ours["max"]),
        number(line["ratio"]), between(line["ratio_min"], line["ratio_max"]),
        mark_of(line, "bar"), mark_of(line, "aim"), line["verdict"],
    )  # fmt: skip


def as_text(lines):
    rows = [HEAD, *(cells(line) for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    # Names to the left, numbers to the right.
    return "\n".join(
        "  ".join(cell.ljust(width) if i < 3 or i > 8 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        .rstrip()
        for row in rows
    )  # fmt: skip


def as_markdown(lines):
    """What has a mark of its own first, then what must only not be worse, then what is only told."""
    own = [line for line in lines if line["bar"] is not None and not (line["is_ratio"] and line["bar"] == 1 and line["aim"] is None)]
    parity = [line for line in lines if line["bar"] is not None and line not in own]
    told_only = [line for line in lines if line["bar"] is None]
    parts = []
    for title, some in (("With a mark of their own", own), ("Not to be worse", parity), ("Told", told_only)):
        if some:
            rows = [HEAD, ("---",) * 3 + ("---:",) * 6 + ("---",) * 3, *(cells(line) for line in some)]
            parts.append(f"### {title}\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows))
    return "\n\n".join(parts)
