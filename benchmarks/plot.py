"""The medians of one run as bars on a logarithmic scale: an SVG of a few kilobytes, without any library."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from harness import Row, seconds

LEFT, WIDTH, BAR, GAP = 190, 520, 16, 26  # pixels
OURS, THEIRS, BUDGET = "#2f6f4f", "#b9b2a3", "#c2452d"


def write(path: Path, rows: Sequence[Row]) -> None:
    """One group of bars for each workload, treadle's in green, its budget as a red line."""
    shown = [row for row in rows if row.samples]
    low = min(row.wall for row in shown) / 1.5
    high = max(max(row.wall, row.budget or 0) for row in shown) * 1.5
    body: list[str] = []
    top = 8
    for workload in dict.fromkeys(row.workload for row in shown):
        body.append(f'<text x="8" y="{top + 12}" font-weight="bold">{escape(workload)}</text>')
        top += BAR + 4
        for row in (row for row in shown if row.workload == workload):
            body += _bar(row, top, low, high)
            top += BAR + 2
        top += GAP - BAR
    size = f'width="{LEFT + WIDTH + 90}" height="{top}"'
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect {size} fill="#fff"/>'
    path.write_text("\n".join([head, *body, "</svg>"]) + "\n", encoding="utf-8")


def _bar(row: Row, top: int, low: float, high: float) -> list[str]:
    length = _length(row.wall, low, high)
    colour = OURS if row.tool.startswith("treadle") else THEIRS
    lines = [
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(row.tool)}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{length}" height="{BAR}" fill="{colour}"/>',
        f'<text x="{LEFT + length + 6}" y="{top + 12}">{seconds(row.wall)}</text>',
    ]
    if row.budget is not None:
        x = LEFT + _length(row.budget, low, high)
        lines.append(f'<path d="M{x} {top - 1}v{BAR + 2}" stroke="{BUDGET}" stroke-width="2"/>')
    return lines


def _length(value: float, low: float, high: float) -> int:
    return round(WIDTH * math.log(value / low) / math.log(high / low))
