"""What a step reported → the part of a page about it.

A report is the output called `report`, a map. Keys with a picture: `metrics`, `importance` (column, loss, sd),
`contributions` (column, size), `slices` (column → value → figures), `confusion` with `classes`, `calibration`
(predicted, observed, rows), `residuals` (quantile → value), `curves` (name → list of [x, y]), `checks` (column, check,
ok, severity, failed, message). Other figures are shown as a table; docs/reports.md describes them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from treadle.report import plots

MOST_ROWS = 40


class Block(Struct, frozen=True):
    """One heading with a picture, a table or both; `rows` are texts under `head`.

    `text` is shown as it is, behind `summary` until it is asked for unless `open`.
    """

    title: str
    picture: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    text: str = ""
    summary: str = ""
    open: bool = False


def blocks(report: Mapping[str, Any]) -> list[Block]:
    """The blocks of a report, pictures first; what is not understood is left out, never an error."""
    found = []
    for key, draw in DRAWN.items():
        if report.get(key):
            try:
                block = draw(report)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError):
                continue  # a report of a user's own step may mean something else by this key
            if block is not None:
                found.append(block)
    rest = [(name, _text(value)) for name, value in report.items() if name not in DRAWN and _plain(value)]
    return [*found, *([Block("more", head=("name", "value"), rows=tuple(rest))] if rest else [])]


def _metrics(report: Mapping[str, Any]) -> Block:
    return Block("metrics", head=("metric", "value"), rows=tuple((n, _text(v)) for n, v in report["metrics"].items()))


def _checks(report: Mapping[str, Any]) -> Block:
    failed = [check for check in report["checks"] if not check["ok"]]
    rows = [
        (
            str(c.get("column") or "table"),
            str(c["check"]),
            str(c.get("severity", "")),
            str(c.get("failed", "")),
            str(c.get("message", "")),
        )
        for c in failed[:MOST_ROWS]
    ]
    note = f"{len(report['checks'])} checks, {len(failed)} failed"
    return Block("checks", head=("column", "check", "severity", "failed", "what"), rows=tuple(rows), note=note)


def _importance(report: Mapping[str, Any]) -> Block:
    rows = report["importance"][:20]
    values = [(str(row["column"]), float(row["loss"])) for row in rows]
    spread = {str(row["column"]): float(row.get("sd", 0.0)) for row in rows}
    note = "how much worse the model gets when a column is shuffled"
    return Block("permutation importance", plots.bars(values, "permutation importance", spread), note=note)


def _contributions(report: Mapping[str, Any]) -> Block:
    values = [(str(row["column"]), float(row["size"])) for row in report["contributions"][:20]]
    note = "how far a column moves a prediction from the mean prediction, on average"
    return Block("contributions", plots.bars(values, "mean size of contributions"), note=note)


def _confusion(report: Mapping[str, Any]) -> Block:
    classes = [str(name) for name in report["classes"]]
    picture = plots.confusion(report["confusion"], classes)
    if picture:
        return Block("confusion matrix", picture)
    return Block("confusion matrix", note=f"{len(classes)} classes: too many to draw")


def _calibration(report: Mapping[str, Any]) -> Block:
    points = [(float(row["predicted"]), float(row["observed"])) for row in report["calibration"]]
    return Block(
        "calibration", plots.lines({"": points}, "calibration", diagonal=True), note="predicted chance →, observed ↑"
    )


def _residuals(report: Mapping[str, Any]) -> Block:
    values = [(name, float(value)) for name, value in report["residuals"].items()]
    return Block(
        "residuals", plots.bars(values, "quantiles of prediction minus truth"), note="prediction minus truth, quantiles"
    )


def _slices(report: Mapping[str, Any]) -> Block:
    rows: list[tuple[str, ...]] = []
    names: list[str] = []
    for column, groups in report["slices"].items():
        for value, figures in groups.items():
            names = names or list(figures)[:5]
            rows.append((str(column), str(value), *(_text(figures.get(name)) for name in names)))
    return Block("slices", head=("column", "value", *names), rows=tuple(rows[:MOST_ROWS]))


def _curves(report: Mapping[str, Any]) -> Block:
    series = {str(n): [(float(x), float(y)) for x, y in points] for n, points in report["curves"].items()}
    return Block("curves", plots.lines(series, "curves"))


DRAWN: dict[str, Callable[[Mapping[str, Any]], Block | None]] = {
    "checks": _checks,
    "metrics": _metrics,
    "curves": _curves,
    "calibration": _calibration,
    "confusion": _confusion,
    "importance": _importance,
    "contributions": _contributions,
    "residuals": _residuals,
    "slices": _slices,
}


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, Sequence) and len(value) <= 20 and all(isinstance(item, str | int | float) for item in value)
    )


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
