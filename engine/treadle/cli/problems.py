"""Problems for people, for machines, for GitHub's annotations and for SARIF readers."""

import os
from collections.abc import Iterable, Sequence

from msgspec import json

from treadle.domain.location import Location
from treadle.errors import Problem
from treadle.version import __version__

RED, YELLOW, BLUE, BOLD, PLAIN = "\033[31m", "\033[33m", "\033[34m", "\033[1m", "\033[0m"
WIDEST = 160


def text(problems: Iterable[Problem], colour: bool = False) -> str:
    """Each problem with its line, a caret and a hint."""
    return "\n\n".join(_one(problem, colour) for problem in problems)


def as_json(problems: Sequence[Problem], files: Sequence[str]) -> str:
    """All problems as one JSON document."""
    ok = all(problem.severity != "error" for problem in problems)
    return json.format(json.encode({"ok": ok, "files": files, "problems": problems})).decode()


def github(problems: Iterable[Problem]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    lines = []
    for problem in problems:
        level = "error" if problem.severity == "error" else "warning"
        where = problem.where
        place = f" file={where.path},line={where.line},col={where.column}," if where else " "
        message = problem.text + (f" ({problem.hint})" if problem.hint else "")
        message = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        lines.append(f"::{level}{place}title={problem.code}::{message}")
    return "\n".join(lines)


def sarif(problems: Sequence[Problem]) -> str:
    """A SARIF 2.1.0 log (OASIS standard)."""
    rules = [
        {"id": code, "helpUri": f"https://treadle.dev/errors#{code}"} for code in sorted({p.code for p in problems})
    ]
    driver = {"name": "treadle", "version": __version__, "informationUri": "https://treadle.dev", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_sarif_result(problem) for problem in problems]}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.format(json.encode(log)).decode()


def _sarif_result(problem: Problem) -> dict[str, object]:
    message = problem.text + (f". Hint: {problem.hint}" if problem.hint else "")
    result: dict[str, object] = {
        "ruleId": problem.code,
        "level": "error" if problem.severity == "error" else "warning",
        "message": {"text": message},
    }
    if problem.where:
        end = problem.where.column + max(1, problem.length)
        result["locations"] = [{"physicalLocation": _sarif_place(problem.where, end)}]
    if problem.related:
        result["relatedLocations"] = [
            {"message": {"text": r.text}, "physicalLocation": _sarif_place(r.where, r.where.column + 1)}
            for r in problem.related
        ]
    return result


def _sarif_place(where: Location, end: int) -> dict[str, object]:
    region = {"startLine": where.line, "startColumn": where.column, "endColumn": end}
    return {"artifactLocation": {"uri": where.path.replace(os.sep, "/")}, "region": region}


def _one(problem: Problem, colour: bool) -> str:
    def paint(words: str, *codes: str) -> str:
        return f"{''.join(codes)}{words}{PLAIN}" if colour else words

    tone = RED if problem.severity == "error" else YELLOW
    lines = [f"{paint(f'{problem.severity}[{problem.code}]', tone, BOLD)}: {problem.text}"]
    if problem.where:
        lines += _excerpt(problem.where, problem.length, tone if colour else "", "-->")
    for related in problem.related:
        lines += [f"  {paint('::', BLUE)} {related.text}", *_excerpt(related.where, 1, "", "-->")]
    if problem.hint:
        lines.append(f"  {paint('=', BLUE)} hint: {problem.hint}")
    return "\n".join(lines)


def _excerpt(where: Location, length: int, tone: str, arrow: str) -> list[str]:
    """The place, the line it names and a caret below; long lines are cut around the caret."""
    lines = [f"  {arrow} {where}"]
    line = _line(where)
    if line is None:
        return lines
    start = max(0, where.column - 1 - WIDEST // 2)
    shown = line[start : start + WIDEST].replace("\t", " ")
    caret = " " * max(0, where.column - 1 - start) + "^" * max(1, min(length, WIDEST // 2))
    number = str(where.line)
    gap = " " * len(number)
    mark = f"{tone}{caret}{PLAIN}" if tone else caret
    return [*lines, f" {gap} |", f" {number} | {shown}", f" {gap} | {mark}"]


def _line(where: Location) -> str | None:
    try:
        with open(where.path, encoding="utf-8", errors="replace", newline=None) as file:
            for number, line in enumerate(file, 1):
                if number == where.line:
                    return line.rstrip("\n").lstrip("\ufeff")
    except (OSError, ValueError):
        return None
    return None
