"""The drift report as one self-contained page: what moved, how far, and what follows, in light and dark."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from treadle_steps import psi

WIDTH, HEIGHT = 360, 96


def render(report: dict[str, Any], profiles: dict[str, dict[str, Any]]) -> str:
    """The page of a report of `monitor.drift`; nothing in it is loaded from elsewhere."""
    from jinja2 import Environment  # lazy: 60 ms that reading the step's signature spares

    columns = [
        (name, {**facts, "bars": bars(facts["counts"], psi.labels(profiles[name]))})
        for name, facts in sorted(report["columns"].items(), key=lambda item: (not item[1]["drifted"], -item[1]["psi"]))
    ]
    judged = report["windows"]
    rows = sum(window["rows"] for window in judged)
    words = f"{rows:,} rows in {len(judged)} window{'s' * (len(judged) != 1)}"
    if judged and judged[-1]["to"]:
        words += f" until {datetime.fromtimestamp(judged[-1]['to'], UTC):%Y-%m-%d %H:%M} UTC"
    pages = Environment(autoescape=True)
    pages.filters["share"] = lambda share, digits: f"{100 * share:.{digits}f} %"
    pages.filters["figure"] = lambda value: f"{value:.3g}"
    page = pages.from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return page.render(
        report=report,
        headline="Drift alarm" if report["alarm"] else "No drift alarm",
        columns=columns,
        skipped=list(report["skipped"].items()),
        windows=words,
        width=WIDTH,
        height=HEIGHT,
    )


def bars(counts: dict[str, list[int]], labels: list[str]) -> list[dict[str, Any]]:
    """Two bars for each bin, as parts of the picture's size; bins that are empty on both sides take no room."""
    shares = {side: [n / max(1, sum(found)) for n in found] for side, found in counts.items()}
    used = [at for at in range(len(labels)) if shares["reference"][at] or shares["current"][at]]
    most = max((*shares["reference"], *shares["current"]), default=1.0) or 1.0
    slot = WIDTH / max(1, len(used))
    found = []
    for place, at in enumerate(used):
        for offset, side, colour in ((0.08, "reference", "before"), (0.5, "current", "now")):
            share = shares[side][at]
            height = HEIGHT * share / most
            title = f"{labels[at]}: {share:.1%} {'before' if side == 'reference' else 'now'}"
            x = round(slot * (place + offset), 2)
            found.append(
                {"x": x, "y": round(HEIGHT - height, 2), "width": round(slot * 0.4, 2), "height": round(height, 2)}
                | {"side": colour, "title": title}
            )
    return found
