"""Runs side by side as a page: metrics as bars, and every difference in a table."""

from collections.abc import Sequence
from typing import Any

from treadle.report import intervals, plots
from treadle.report.page import Page, Section
from treadle.report.sections import Block

MOST_PICTURES = 12

Row = tuple[str, Sequence[Any]]  # a name with its value in each run


def page(runs: Sequence[str], params: Sequence[Row], metrics: Sequence[Row], steps: Sequence[Row], same: int) -> Page:
    """The page of a comparison; `runs` are ids, `same` counts the parameters and metrics that agree."""
    names = dict(metrics)
    plain = [row for row in metrics if not intervals.is_end(row[0], names)]
    pictures = []
    for name, values in sorted(plain, key=lambda row: "[" in row[0])[:MOST_PICTURES]:  # cells of a matrix come last
        known = [(run, float(value)) for run, value in zip(runs, values, strict=True) if value is not None]
        pictures.append(Block(name, plots.bars(known, name)))
    tables = [
        _table(title, runs, rows) for title, rows in (("Parameters", params), ("Metrics", plain), ("Fates", steps))
    ]
    return Page(
        title="Comparison of runs",
        subtitle=" · ".join(runs),
        facts=(("parameters differ", str(len(params))), ("metrics differ", str(len(plain))), ("the same", str(same))),
        sections=(
            Section("Differences", tuple(block for block in tables if block.rows)),
            Section("Metrics", tuple(pictures)),
        ),
    )


def _table(title: str, runs: Sequence[str], rows: Sequence[Row]) -> Block:
    lines = tuple((name, *(_text(value) + _change(values[0], value) for value in values)) for name, values in rows)
    return Block(title, head=("", *runs), rows=lines)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _change(first: Any, value: Any) -> str:
    """The difference of two numbers, such as ` (-0.02)`."""
    numbers = [x for x in (first, value) if isinstance(x, int | float) and not isinstance(x, bool)]
    return f" ({numbers[1] - numbers[0]:+.4g})" if len(numbers) == 2 and numbers[0] != numbers[1] else ""
