# SPDX-License-Identifier: Apache-2.0
# svg.py - the ratios as a picture: a bar for each figure on a logarithmic scale, the stock client at 1, the mark asked for.

import math
from xml.sax.saxutils import escape

from table import OURS, THEIRS, number

ROW, LEFT, WIDTH, RIGHT, TOP = 18, 270, 520, 190, 64
LOW, HIGH = 1 / 64, 4  # ratios outside are drawn at the border
COLOURS = {"aim": "#1a7f37", "bar": "#58a65c", "even": "#d4a72c", "misses": "#cf4a3c", "inexact": "#8c959f", "": "#8c959f"}


def x_of(ratio):
    bounded = min(max(ratio, LOW), HIGH)
    return LEFT + WIDTH * (math.log2(bounded) - math.log2(LOW)) / (math.log2(HIGH) - math.log2(LOW))


def text(x, y, words, anchor="start", size=11, colour="#24292f"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def rule(x, y1, y2, colour, width=1.0):
    return f'<line x1="{x:.1f}" y1="{y1:.1f}" x2="{x:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def cost(line):
    """Less is better in the picture: what should be high is drawn upside down."""
    return 1 / line["ratio"] if line["is_more_better"] else line["ratio"]


def mark(line):
    """The bar on the same scale, None where there is none."""
    if line["bar"] is None:
        return None
    if not line["is_ratio"]:
        theirs = line[THEIRS]["median"]
        return line["bar"] / theirs if theirs and line["bar"] else None
    return 1 / line["bar"] if line["is_more_better"] else line["bar"]


def one(line, y):
    x, middle = x_of(cost(line)), y + ROW / 2
    left, right = sorted((x, x_of(1)))
    parts = [
        text(LEFT - 8, middle + 4, f"{line['row']}  {line['metric']}", "end"),
        f'<rect x="{left:.1f}" y="{y + 4}" width="{max(right - left, 1):.1f}" height="{ROW - 8}" '
        f'fill="{COLOURS[line["verdict"]]}"/>',
        text(LEFT + WIDTH + 8, middle + 4, f"{number(line[OURS]['median'])} : {number(line[THEIRS]['median'])} {line['unit']}"),
        text(LEFT + WIDTH + RIGHT - 8, middle + 4, f"x{line['ratio']:.2f}", "end"),
    ]
    at = mark(line)
    if at is not None:
        parts.append(rule(x_of(at), y + 1, y + ROW - 1, "#24292f", 2))
    return parts


def picture(lines, title, subtitle):
    lines = [line for line in lines if line["ratio"]]
    height = TOP + ROW * len(lines) + 28
    width = LEFT + WIDTH + RIGHT
    bottom = height - 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(12, 20, title, size=15),
        text(12, 36, subtitle, size=10, colour="#57606a"),
    ]
    for power in range(round(math.log2(LOW)), round(math.log2(HIGH)) + 1):
        x = x_of(2.0**power)
        parts += [rule(x, TOP - 4, bottom, "#24292f" if power == 0 else "#d8dee4"), text(x, TOP - 8, f"{2.0**power:g}", "middle", 9)]
    for i, line in enumerate(lines):
        parts += one(line, TOP + ROW * i)
    foot = "cost beside the stock client (1); left of the line is cheaper, left of the black mark is what is asked for; rates are drawn as their inverse"
    parts += [text(12, height - 8, foot, size=10, colour="#57606a"), "</svg>"]
    return "\n".join(parts) + "\n"
