"""Figures that people would rather look at than read: bars, lines, a confusion matrix."""

from collections.abc import Mapping, Sequence
from math import isfinite

from treadle.report import svg

ROW, BAR = 36.0, 11.0
ROOM = 0.8  # of the width, for the longest bar; the rest is for its figure
SIDE = 260.0
CELL = 64.0
MOST_CLASSES = 12
LETTERS = 44


def bars(values: Sequence[tuple[str, float]], title: str, spread: Mapping[str, float] | None = None) -> str:
    """Horizontal bars from zero, each with its figure; `spread` draws a whisker of that half-length."""
    known = [(name, value) for name, value in values if isfinite(value)]
    if not known:
        return ""
    reach = spread or {}
    low = min(0.0, *(value - reach.get(name, 0.0) for name, value in known))
    high = max(0.0, *(value + reach.get(name, 0.0) for name, value in known))
    scale = ROOM / ((high - low) or 1.0)
    zero = -low * scale
    shapes = []
    for number, (name, value) in enumerate(known):
        y, sd = number * ROW, reach.get(name, 0.0)
        shapes.append(svg.words(0, y + 12, svg.cut(name, LETTERS), "small"))
        shapes.append(svg.span(min(zero, zero + value * scale), y + 17, abs(value) * scale, BAR, "bar"))
        if sd:
            middle = y + 17 + BAR / 2
            shapes.append(svg.rule(zero + (value - sd) * scale, middle, zero + (value + sd) * scale, middle, "whisker"))
        end = max(zero, zero + (value + sd) * scale)
        shapes.append(svg.words(end, y + 17 + BAR - 1, f"{value:.4g}", "small", beside=6))
    return svg.fluid(len(known) * ROW + 2, shapes, title)


def lines(series: Mapping[str, Sequence[tuple[float, float]]], title: str, diagonal: bool = False) -> str:
    """Lines through points, one for each name; `diagonal` draws where both axes agree, and makes them 0 to 1."""
    points = [point for one in series.values() for point in one if all(map(isfinite, point))]
    if not points:
        return ""
    wide = SIDE if diagonal else 2 * SIDE
    x0, x1 = (0.0, 1.0) if diagonal else _range([x for x, _ in points])
    y0, y1 = (0.0, 1.0) if diagonal else _range([y for _, y in points])

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return 56 + wide * (point[0] - x0) / (x1 - x0), 14 + SIDE * (1 - (point[1] - y0) / (y1 - y0))

    shapes = [
        svg.line([place((x0, y0)), place((x0, y1))], "grid"),
        svg.line([place((x0, y0)), place((x1, y0))], "grid"),
    ]
    if diagonal:
        shapes.append(svg.line([place((0, 0)), place((1, 1))], "grid"))
    for number, (name, one) in enumerate(series.items()):
        known = [place(point) for point in one if all(map(isfinite, point))]
        shapes.append(svg.line(known, f"line c{number % 6}"))
        if len(series) > 1 and known:
            shapes.append(svg.text(known[-1][0] + 4, known[-1][1] + 4, svg.cut(name, 18), f"small c{number % 6}"))
    bottom = 14 + SIDE
    shapes += [
        svg.text(50, bottom, f"{y0:.3g}", "small", "end"),
        svg.text(50, 24, f"{y1:.3g}", "small", "end"),
        svg.text(56, bottom + 16, f"{x0:.3g}", "small"),
        svg.text(56 + wide, bottom + 16, f"{x1:.3g}", "small", "end"),
    ]
    return svg.drawing(56 + wide + (120 if len(series) > 1 else 12), bottom + 24, shapes, title)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """A confusion matrix: rows are the true classes, the shade is the share of the row."""
    if not counts or len(classes) > MOST_CLASSES:
        return ""
    shapes = []
    left, top = 120.0, 40.0
    for row, (name, line) in enumerate(zip(classes, counts, strict=True)):
        total = sum(line) or 1
        shapes.append(svg.text(left - 8, top + row * CELL * 0.6 + 24, svg.cut(str(name), 16), "small", "end"))
        for column, count in enumerate(line):
            x, y = left + column * CELL, top + row * CELL * 0.6
            shade = f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{CELL - 2:.1f}" height="{CELL * 0.6 - 2:.1f}"'
            shapes.append(f'{shade} fill-opacity="{0.08 + 0.5 * count / total:.2f}"/>')
            shapes.append(svg.text(x + CELL / 2, y + 23, str(count), "count", "middle"))
    for column, name in enumerate(classes):
        shapes.append(svg.text(left + column * CELL + CELL / 2, top - 8, svg.cut(str(name), 9), "small", "middle"))
    shapes.append(svg.text(left, 14, "predicted →, true ↓", "small"))
    height = top + len(classes) * CELL * 0.6 + 4
    return svg.drawing(left + len(classes) * CELL + 4, height, shapes, "confusion matrix")


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
