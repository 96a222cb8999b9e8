"""The table of a sweep, from its results, in docs/reliability.md."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from crash.faults import KIND_OF

BEGIN, END = "<!-- sweep -->", "<!-- /sweep -->"


def fill(path: Path, report: dict[str, Any]) -> None:
    """Write the table into the page."""
    put(path, BEGIN, END, table(report))


def put(path: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def table(report: dict[str, Any]) -> str:
    """The table, with a line on how it was made."""
    struck = [row for row in report["points"] if row["struck"]]
    rows: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in struck:
        rows[row["kind"], row["what"], KIND_OF.get(row["call"], row["call"])].append(row)
    processes = sum(row["struck"] for row in struck)
    broken = sum(bool(row["wrong"]) for row in report["points"])
    lines = [
        f"{report['date']}, Python {report['python']}, Linux {report['kernel']}: "
        f"{len(report['points'])} of {report['possible']} points tried in {report['seconds'] / 60:.0f} minutes; "
        f"at {len(struck)} of them the fault came, to {processes} processes; {broken} with something wrong.",
        "",
        "| where | fault | call | points | struck | killed | said so | a step failed | went on | wrong |",
        "| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for (kind, what, call), some in sorted(rows.items()):
        ends = Counter(_end(row) for row in some)
        cells = [kind, what, call, len(some), sum(row["struck"] for row in some)]
        cells += [ends[name] or "" for name in ("killed", "said so", "failed", "went on")]
        lines.append("| " + " | ".join(map(str, [*cells, sum(bool(row["wrong"]) for row in some)])) + " |")
    return "\n".join(lines)


def _end(row: dict[str, Any]) -> str:
    return {0: "went on", 1: "failed", 2: "said so", 120: "said so"}.get(row["code"], "killed")
